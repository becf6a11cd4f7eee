package adminapi_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/lab"
	"bridge.example/internal/people"
	"bridge.example/membership"
)

// office is an interface with the persons of the lab, and their desk.
type office struct {
	interfaceAt
	lab.Desk
	clients map[string]proto.BridgeClient
}

func newOffice(t *testing.T) office {
	t.Helper()
	o := office{interfaceAt: start(t, newFake(t), quiet), clients: map[string]proto.BridgeClient{}}
	for _, p := range lab.Office() {
		o.clients[p.Person] = o.as(t, p.Person, p.Roles...)
	}
	o.Desk = lab.Service(func(person string) (proto.BridgeClient, error) { return o.clients[person], nil })
	// The preview of the fake has no name; any will do.
	o.Preview = func(context.Context, membership.ID) (string, error) { return "seen", nil }
	return o
}

// apply has Ada open the record of id, with its documents in place.
func (o office) apply(t *testing.T, id string) *proto.Member {
	t.Helper()
	for _, kind := range []membership.DocumentKind{membership.PolicyDocument, membership.PracticeStatement} {
		if _, err := o.Document(t.Context(), membership.ID(id), kind); err != nil {
			t.Fatal(err)
		}
	}
	r, err := o.clients["ada"].ApplyMember(t.Context(), &proto.ApplyMemberRequest{Application: application(t, id)})
	if err != nil {
		t.Fatal(err)
	}
	return r.Member
}

// until takes the steps before the first of a verb.
func (o office) until(t *testing.T, id membership.ID, v membership.Verb) {
	t.Helper()
	for _, s := range lab.Admission() {
		if s.Verb == v {
			return
		}
		if err := o.Take(t.Context(), id, s); err != nil {
			t.Fatalf("%s by %s: %v", s.Verb, s.By.Person, err)
		}
	}
}

// approval is that of one person for the record as it stands.
func (o office) approval(t *testing.T, id membership.ID, by membership.Actor) *proto.DecideMemberRequest {
	t.Helper()
	d, err := o.Decision(t.Context(), id, lab.Step{Verb: membership.Approve, By: by})
	if err != nil {
		t.Fatal(err)
	}
	return lab.Request(id, d)
}

func (o office) member(t *testing.T, id string) *proto.Member {
	t.Helper()
	r, err := o.clients["ada"].GetMember(t.Context(), &proto.GetMemberRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return r.Member
}

func TestAdmission(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	applied := o.apply(t, "alpha")
	app := applied.Application
	again := application(t, "alpha")
	again.Anchors, again.Intermediates, again.CrossCertificates = app.Anchors, app.Intermediates, app.CrossCertificates // keys are made anew
	if d := cmp.Diff(again, app, protocmp.Transform()); d != "" {
		t.Errorf("the record is not what was sent (-sent +recorded):\n%s", d)
	}
	if applied.State != proto.State_STATE_DRAFT || applied.AppliedBy.Person != "ada" || len(applied.Next) == 0 || applied.Next[0].Verb != proto.Verb_VERB_SUBMIT {
		t.Errorf("after applying: %v", applied)
	}
	if err := o.Admit(ctx, "alpha"); err != nil {
		t.Fatal(err)
	}
	m := o.member(t, "alpha")
	if m.State != proto.State_STATE_ACTIVE || m.Report.GetDocument() == "" || m.ActiveSince == nil || m.RenewBy == nil {
		t.Errorf("after admission: %v", m)
	}
	// The trail names everybody, with the evidence, which can be read.
	var did []string
	for _, d := range m.Decisions {
		did = append(did, d.By.Person+" "+string(convert.ToVerb(d.Verb)))
		for _, doc := range d.Documents {
			if r, err := o.clients["cleo"].GetDocument(ctx, &proto.GetDocumentRequest{Id: "alpha", Hash: doc.Hash}); err != nil || lab.Hash(r.Content) != doc.Hash {
				t.Errorf("%s of %s: %v", doc.Name, d.By.Person, err)
			}
		}
	}
	want := "ada apply, ada submit, ada check, cleo assess, ada contract, ada identify, bob identify, dora approve, emil approve, finn activate"
	if got := strings.Join(did, ", "); got != want {
		t.Errorf("the trail is\n%s\nwant\n%s", got, want)
	}

	// What is in force changes by an amendment; free fields at once.
	edited := again
	edited.Contacts[0].Phone = "+49 2"
	r, err := o.clients["ada"].EditMember(ctx, &proto.EditMemberRequest{Id: "alpha", RecordHash: m.RecordHash, Application: edited})
	if err != nil || r.Member.Amendment != nil || r.Member.Application.Contacts[0].Phone != "+49 2" {
		t.Fatalf("a new phone number: %v, %v", r, err)
	}
	edited.Name = "Another name"
	r, err = o.clients["ada"].EditMember(ctx, &proto.EditMemberRequest{Id: "alpha", RecordHash: r.Member.RecordHash, Application: edited})
	if err != nil || r.Member.Amendment.GetStage() != proto.State_STATE_DRAFT || r.Member.Application.Name == "Another name" || r.Member.State != proto.State_STATE_ACTIVE {
		t.Fatalf("a new name: %v, %v", r, err)
	}
	if err := o.Admit(ctx, "alpha"); err != nil {
		t.Fatal(err)
	}
	if m := o.member(t, "alpha"); m.Application.Name != "Another name" || m.Amendment != nil {
		t.Errorf("after the amendment: %v", m)
	}
}

// TestTricks tries, below the tool, what must not be.
func TestTricks(t *testing.T) {
	dora := func(o office) proto.BridgeClient { return o.clients["dora"] }
	for _, tt := range []struct {
		name string
		try  func(t *testing.T, o office) error
		want codes.Code
	}{
		{"the same approval again", func(t *testing.T, o office) error {
			approval := o.approval(t, "alpha", lab.Dora)
			if _, err := dora(o).DecideMember(t.Context(), approval); err != nil {
				t.Fatal(err)
			}
			_, err := dora(o).DecideMember(t.Context(), approval)
			return err
		}, codes.Aborted},
		{"one person with two credentials", func(t *testing.T, o office) error {
			approval := o.approval(t, "alpha", lab.Dora)
			if _, err := dora(o).DecideMember(t.Context(), approval); err != nil {
				t.Fatal(err)
			}
			_, err := o.as(t, "dora", membership.Approver).DecideMember(t.Context(), approval)
			return err
		}, codes.Aborted},
		{"an approver who is also an officer and prepared it", func(t *testing.T, o office) error {
			_, err := o.as(t, "ada", membership.Officer, membership.Approver).DecideMember(t.Context(), o.approval(t, "alpha", lab.Ada))
			return err
		}, codes.PermissionDenied},
		{"an officer who is no approver", func(t *testing.T, o office) error {
			_, err := o.clients["bob"].DecideMember(t.Context(), o.approval(t, "alpha", lab.Bob))
			return err
		}, codes.PermissionDenied},
		{"approving after an edit", func(t *testing.T, o office) error {
			approval := o.approval(t, "alpha", lab.Dora)
			m := o.member(t, "alpha")
			m.Application.Name = "Somebody else"
			if _, err := o.clients["bob"].EditMember(t.Context(), &proto.EditMemberRequest{Id: "alpha", RecordHash: m.RecordHash, Application: m.Application}); err != nil {
				t.Fatal(err)
			}
			_, err := dora(o).DecideMember(t.Context(), approval)
			return err
		}, codes.Aborted},
		{"an approval from before an edit and its undoing", func(t *testing.T, o office) error {
			approval, m := o.approval(t, "alpha", lab.Dora), o.member(t, "alpha")
			name := m.Application.Name
			for _, n := range []string{"Somebody else", name} {
				m.Application.Name = n
				r, err := o.clients["bob"].EditMember(t.Context(), &proto.EditMemberRequest{Id: "alpha", RecordHash: m.RecordHash, Application: m.Application})
				if err != nil {
					t.Fatal(err)
				}
				m = r.Member
			}
			o.until(t, "alpha", membership.Approve)
			_, err := dora(o).DecideMember(t.Context(), approval)
			return err
		}, codes.Aborted},
		{"an edit of what has changed meanwhile", func(t *testing.T, o office) error {
			m := o.member(t, "alpha")
			_, err := o.clients["bob"].EditMember(t.Context(), &proto.EditMemberRequest{Id: "alpha", RecordHash: strings.Repeat("0", 64), Application: m.Application})
			return err
		}, codes.Aborted},
		{"approving without the fingerprints", func(t *testing.T, o office) error {
			approval := o.approval(t, "alpha", lab.Dora)
			approval.Fingerprints = nil
			_, err := dora(o).DecideMember(t.Context(), approval)
			return err
		}, codes.InvalidArgument},
		{"approving for another member", func(t *testing.T, o office) error {
			o.apply(t, "gamma")
			approval := o.approval(t, "alpha", lab.Dora)
			approval.Id = "gamma"
			_, err := dora(o).DecideMember(t.Context(), approval)
			return err
		}, codes.Aborted},
		{"putting into force what one approved", func(t *testing.T, o office) error {
			approval := o.approval(t, "alpha", lab.Dora)
			if _, err := dora(o).DecideMember(t.Context(), approval); err != nil {
				t.Fatal(err)
			}
			activation := o.approval(t, "alpha", lab.Finn)
			activation.Verb = proto.Verb_VERB_ACTIVATE
			_, err := o.clients["finn"].DecideMember(t.Context(), activation)
			return err
		}, codes.Aborted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOffice(t)
			o.apply(t, "alpha")
			o.until(t, "alpha", membership.Approve)
			if err := tt.try(t, o); status.Code(err) != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if m := o.member(t, "alpha"); m.State == proto.State_STATE_APPROVED || m.State == proto.State_STATE_ACTIVE {
				t.Errorf("alpha is %s", m.State)
			}
		})
	}
}

// TestApproveAndWithdraw has two approve while a third withdraws, at once. One
// comes first, and the record tells one story.
func TestApproveAndWithdraw(t *testing.T) {
	o := newOffice(t)
	o.apply(t, "alpha")
	o.until(t, "alpha", membership.Approve)
	withdrawal := &proto.DecideMemberRequest{Id: "alpha", Verb: proto.Verb_VERB_WITHDRAW, Reason: "we changed our mind"}
	requests := map[string]*proto.DecideMemberRequest{"dora": o.approval(t, "alpha", lab.Dora), "emil": o.approval(t, "alpha", lab.Emil), "ada": withdrawal}
	var wg sync.WaitGroup
	for person, r := range requests {
		wg.Go(func() {
			if _, err := o.clients[person].DecideMember(t.Context(), r); err != nil && status.Code(err) != codes.Aborted {
				t.Errorf("%s: %v", person, err)
			}
		})
	}
	wg.Wait()
	m := o.member(t, "alpha")
	last := m.Decisions[len(m.Decisions)-1]
	if m.State != proto.State_STATE_WITHDRAWN || last.Verb != proto.Verb_VERB_WITHDRAW || len(m.Approvals) != 0 {
		t.Errorf("in the end alpha is %s by %v, with %d approvals", m.State, last.Verb, len(m.Approvals))
	}
	// No approval counts any more.
	if _, err := o.clients["dora"].DecideMember(t.Context(), requests["dora"]); status.Code(err) != codes.Aborted {
		t.Errorf("approving what was withdrawn: %v", err)
	}
}

// TestApplicants has the applicant of one member reach for what is another's.
func TestApplicants(t *testing.T) {
	o := newOffice(t)
	o.apply(t, "alpha")
	secret, err := o.Put(t.Context(), "beta", []byte("beta's contract"))
	if err != nil {
		t.Fatal(err)
	}
	beta := application(t, "beta")
	beta.Documents[0].Hash = secret
	if _, err := o.clients["ada"].ApplyMember(t.Context(), &proto.ApplyMemberRequest{Application: beta}); err != nil {
		t.Fatal(err)
	}
	cert := o.ca.issue(t, "alfred", x509.ExtKeyUsageClientAuth)
	o.enrol(t, people.ID("alfred"), cert, "alpha", membership.Applicant)
	alfred := proto.NewBridgeClient(o.dial(t, nil, cert))
	ctx := t.Context()
	stolen := application(t, "beta")
	for name, tt := range map[string]struct {
		call func() error
		want codes.Code
	}{
		"reading": {func() error { _, err := alfred.GetMember(ctx, &proto.GetMemberRequest{Id: "beta"}); return err }, codes.PermissionDenied},
		"listing": {func() error { _, err := alfred.ListMembers(ctx, &proto.ListMembersRequest{}); return err }, codes.PermissionDenied},
		"applying": {func() error {
			_, err := alfred.ApplyMember(ctx, &proto.ApplyMemberRequest{Application: stolen})
			return err
		}, codes.PermissionDenied},
		"editing": {func() error {
			_, err := alfred.EditMember(ctx, &proto.EditMemberRequest{Id: "beta", Application: stolen})
			return err
		}, codes.PermissionDenied},
		"editing across": {func() error {
			_, err := alfred.EditMember(ctx, &proto.EditMemberRequest{Id: "alpha", Application: stolen})
			return err
		}, codes.InvalidArgument},
		"withdrawing": {func() error {
			_, err := alfred.DecideMember(ctx, &proto.DecideMemberRequest{Id: "beta", Verb: proto.Verb_VERB_WITHDRAW, Reason: "x"})
			return err
		}, codes.PermissionDenied},
		"assessing oneself": {func() error {
			_, err := alfred.DecideMember(ctx, &proto.DecideMemberRequest{Id: "alpha", Verb: proto.Verb_VERB_ASSESS})
			return err
		}, codes.PermissionDenied},
		"checking": {func() error { _, err := alfred.CheckMember(ctx, &proto.CheckMemberRequest{Id: "alpha"}); return err }, codes.PermissionDenied},
		"storing": {func() error {
			_, err := alfred.PutDocument(ctx, &proto.PutDocumentRequest{Id: "beta", Content: []byte("x")})
			return err
		}, codes.PermissionDenied},
		"a document": {func() error {
			_, err := alfred.GetDocument(ctx, &proto.GetDocumentRequest{Id: "beta", Hash: secret})
			return err
		}, codes.PermissionDenied},
		"a document, as ours": {func() error {
			_, err := alfred.GetDocument(ctx, &proto.GetDocumentRequest{Id: "alpha", Hash: secret})
			return err
		}, codes.NotFound},
		"no id": {func() error { _, err := alfred.GetMember(ctx, &proto.GetMemberRequest{}); return err }, codes.PermissionDenied},
	} {
		if err := tt.call(); status.Code(err) != tt.want {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
	// One's own is open.
	content := []byte("our form")
	put, err := alfred.PutDocument(ctx, &proto.PutDocumentRequest{Id: "alpha", Content: content})
	if err != nil {
		t.Fatal(err)
	}
	form := &proto.Document{Kind: "form", Name: "form.txt", Hash: put.Hash}
	if _, err := alfred.DecideMember(ctx, &proto.DecideMemberRequest{Id: "alpha", Verb: proto.Verb_VERB_SUBMIT, Documents: []*proto.Document{form}}); err != nil {
		t.Fatal(err)
	}
	got, err := alfred.GetDocument(ctx, &proto.GetDocumentRequest{Id: "alpha", Hash: put.Hash})
	if err != nil || !bytes.Equal(got.Content, content) {
		t.Errorf("one's own form: %v, %v", got, err)
	}
}
