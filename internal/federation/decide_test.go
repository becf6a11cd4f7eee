package federation_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/lab"
	"bridge.example/membership"
)

// TestApprovalFitsThePreview: who approved must have seen what would happen now.
func TestApprovalFitsThePreview(t *testing.T) {
	b := open(t, found(t), nil)
	ctx, desk := t.Context(), b.desk()
	beta := newOrganisation(t, b, "beta", 2, true)
	if _, err := b.apply(ctx, beta.Application); err != nil {
		t.Fatal(err)
	}
	for _, s := range lab.Admission()[:6] {
		if err := desk.Take(ctx, "beta", s); err != nil {
			t.Fatal(err)
		}
	}
	early, err := desk.Decision(ctx, "beta", lab.Step{Verb: membership.Approve, By: lab.Dora})
	if err != nil {
		t.Fatal(err)
	}
	none := early
	none.Preview = ""
	b.admit(t, newOrganisation(t, b, "alpha", 1, true).Application) // now paths would open
	for name, d := range map[string]membership.Decision{"seen before": early, "seen none": none} {
		if _, err := b.Decide(ctx, "beta", d); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%s: got %v, want Conflict", name, err)
		}
	}
	if err := desk.Take(ctx, "beta", lab.Step{Verb: membership.Approve, By: lab.Dora}); err != nil {
		t.Error(err)
	}
}

// TestActivationExamines: what broke after the approvals is not put into force.
func TestActivationExamines(t *testing.T) {
	b := open(t, found(t), nil)
	ctx, desk := t.Context(), b.desk()
	if _, err := b.apply(ctx, b.application); err != nil {
		t.Fatal(err)
	}
	for _, s := range lab.Admission()[:8] {
		if err := desk.Take(ctx, "alpha", s); err != nil {
			t.Fatal(err)
		}
	}
	activate := lab.Step{Verb: membership.Activate, By: lab.Finn}
	b.Examine = func(context.Context, membership.Member) (federation.Examination, error) {
		return federation.Examination{Report: []byte("the CRL is gone"), Failed: []string{"V1"}}, nil
	}
	if err := desk.Take(ctx, "alpha", activate); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "V1") {
		t.Errorf("after a check failed: got %v, want Conflict naming V1", err)
	}
	b.Examine = func(context.Context, membership.Member) (federation.Examination, error) {
		return federation.Examination{}, errors.New("out of memory")
	}
	if err := desk.Take(ctx, "alpha", activate); err == nil {
		t.Error("put into force without an examination")
	}
	if c, err := b.Case(ctx, "alpha"); err != nil || c.Member.State != membership.Approved || c.Projection.Listed {
		t.Errorf("alpha is %s, listed: %v, %v", c.Member.State, c.Projection.Listed, err)
	}
	b.Examine = passed
	if err := desk.Take(ctx, "alpha", activate); err != nil {
		t.Error(err)
	}
}

// TestEvidenceIsThere: nothing is decided on a document that nobody can read,
// and a record gives out only what it names.
func TestEvidenceIsThere(t *testing.T) {
	b := open(t, found(t), nil)
	ctx, desk := t.Context(), b.desk()
	missing := b.application
	missing.Documents = []membership.Document{{Kind: membership.PolicyDocument, Name: "cp.pdf", Hash: lab.Hash([]byte("never stored"))}}
	if _, err := b.Apply(ctx, lab.Ada, missing); fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), "cp.pdf") {
		t.Errorf("applying: got %v, want NotFound naming cp.pdf", err)
	}
	if _, err := b.apply(ctx, b.application); err != nil {
		t.Fatal(err)
	}
	submission, err := desk.Decision(ctx, "alpha", lab.Admission()[0])
	if err != nil {
		t.Fatal(err)
	}
	form := submission.Documents[0].Hash
	if _, err := b.Document(ctx, "alpha", form); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a form before it is handed in: got %v, want NotFound", err)
	}
	stored := submission.Documents
	submission.Documents = []membership.Document{{Kind: membership.Form, Name: "form.pdf", Hash: lab.Hash([]byte("nor this"))}}
	if _, err := b.Decide(ctx, "alpha", submission); fault.KindOf(err) != fault.NotFound {
		t.Errorf("submitting: got %v, want NotFound", err)
	}
	submission.Documents = stored
	if _, err := b.Decide(ctx, "alpha", submission); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Document(ctx, "alpha", form); err != nil || lab.Hash(got) != form {
		t.Errorf("the form: %v", err)
	}
	// The record as it was decided upon is evidence too.
	if got, err := b.Document(ctx, "alpha", submission.RecordHash); err != nil || lab.Hash(got) != submission.RecordHash {
		t.Errorf("the record: %v", err)
	}
}

// TestDocumentsOfOthers: who names a document of another member by its hash gets
// nowhere near it.
func TestDocumentsOfOthers(t *testing.T) {
	b := open(t, found(t), nil)
	ctx := t.Context()
	secret, err := b.PutDocument(ctx, "beta", []byte("beta's contract"))
	if err != nil {
		t.Fatal(err)
	}
	a := b.application
	a.Documents = []membership.Document{{Kind: membership.PolicyDocument, Hash: secret, Name: "cp.pdf"}}
	if _, err := b.Apply(ctx, lab.Ada, a); err == nil || fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v for an application with another's document, want NotFound", err)
	}
	if _, err := b.apply(ctx, b.application); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Document(ctx, "alpha", secret); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v, want NotFound", err)
	}
}
