package federation_test

import (
	"context"
	"testing"

	"bridge.example/internal/federation"
	"bridge.example/internal/lab"
	"bridge.example/membership"
)

// desk is where the persons of the tests decide.
func (b *bridge) desk() lab.Desk {
	return lab.Desk{
		Member: func(ctx context.Context, id membership.ID) (membership.Member, error) {
			c, err := b.Case(ctx, id)
			return c.Member, err
		},
		Decide: func(ctx context.Context, id membership.ID, d membership.Decision) error {
			_, err := b.Decide(ctx, id, d)
			return err
		},
		Check: func(ctx context.Context, id membership.ID, by membership.Actor) error {
			_, err := b.Check(ctx, id, by)
			return err
		},
		Put: b.documents.Put,
		Preview: func(ctx context.Context, id membership.ID) (string, error) {
			p, err := b.Preview(ctx, id)
			return p.Digest(), err
		},
	}
}

// apply records a draft, with the documents it names.
func (b *bridge) apply(ctx context.Context, a membership.Application) (federation.Case, error) {
	desk := b.desk()
	a.Documents = nil
	for _, kind := range []membership.DocumentKind{membership.PolicyDocument, membership.PracticeStatement} {
		doc, err := desk.Document(ctx, a.ID, kind)
		if err != nil {
			return federation.Case{}, err
		}
		a.Documents = append(a.Documents, doc)
	}
	return b.Apply(ctx, lab.Ada, a)
}

// admit takes an application all the way.
func (b *bridge) admit(t testing.TB, a membership.Application) {
	t.Helper()
	if _, err := b.apply(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if err := b.desk().Admit(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
}

// passed is an examination without a finding.
func passed(context.Context, membership.Member) (federation.Examination, error) {
	return federation.Examination{Report: []byte("all is well"), Passed: true}, nil
}

func suspension(reason string) membership.Decision {
	return membership.Decision{Verb: membership.Suspend, By: lab.Ada, Reason: reason}
}
