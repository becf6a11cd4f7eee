package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"bridge.example/membership"
)

// The persons of a bridge in tests and in the demo: enough for every step.
var (
	Ada  = person("ada", membership.Officer)
	Bob  = person("bob", membership.Officer)
	Cleo = person("cleo", membership.Assessor)
	Dora = person("dora", membership.Approver)
	Emil = person("emil", membership.Approver)
	Finn = person("finn", membership.Signer)
)

// Office are all of them.
func Office() []membership.Actor { return []membership.Actor{Ada, Bob, Cleo, Dora, Emil, Finn} }

func person(name string, roles ...membership.Role) membership.Actor {
	h := sha256.Sum256([]byte(name))
	return membership.Actor{Person: name, Credential: hex.EncodeToString(h[:]), Roles: roles}
}

// Desk is where decisions are made: a register, a federation, or a service
// behind its interface.
type Desk struct {
	Member func(ctx context.Context, id membership.ID) (membership.Member, error)
	Decide func(ctx context.Context, id membership.ID, d membership.Decision) error
	// Check has the member examined, by a person.
	Check func(ctx context.Context, id membership.ID, by membership.Actor) error
	// Put stores a document and returns its hash; nil for a desk that does not
	// ask for the content.
	Put func(ctx context.Context, id membership.ID, content []byte) (string, error)
	// Preview returns what names the preview of the graph; nil for any name.
	Preview func(ctx context.Context, id membership.ID) (string, error)
}

// Step is one act of a person on the way to admission.
type Step struct {
	Verb      membership.Verb // or Check
	By        membership.Actor
	Documents []membership.DocumentKind
}

// Admission is every step from a draft to an active member, in order.
func Admission() []Step {
	return []Step{
		{membership.Submit, Ada, []membership.DocumentKind{membership.Form}},
		{membership.Check, Ada, nil},
		{membership.Assess, Cleo, []membership.DocumentKind{membership.Assessment, membership.Audit}},
		{membership.Contract, Ada, []membership.DocumentKind{membership.Agreement, membership.Declaration}},
		{membership.Identify, Ada, []membership.DocumentKind{membership.Minutes}},
		{membership.Identify, Bob, []membership.DocumentKind{membership.Minutes}},
		{membership.Approve, Dora, nil},
		{membership.Approve, Emil, nil},
		{membership.Check, Finn, nil},
		{membership.Activate, Finn, nil},
	}
}

// Take carries out one step.
func (d Desk) Take(ctx context.Context, id membership.ID, s Step) error {
	if s.Verb == membership.Check {
		return d.Check(ctx, id, s.By)
	}
	decision, err := d.Decision(ctx, id, s)
	if err != nil {
		return err
	}
	return d.Decide(ctx, id, decision)
}

// Decision is what a step decides, with all evidence that it needs.
func (d Desk) Decision(ctx context.Context, id membership.ID, s Step) (membership.Decision, error) {
	m, err := d.Member(ctx, id)
	if err != nil {
		return membership.Decision{}, err
	}
	out := membership.Decision{
		Verb: s.Verb, By: s.By, RecordHash: m.RecordHash(), Reason: "it is as it should be",
		Mappings: m.Candidate().Policies, Preview: "seen",
	}
	if s.Verb == membership.Approve && d.Preview != nil {
		if out.Preview, err = d.Preview(ctx, id); err != nil {
			return membership.Decision{}, err
		}
	}
	named := m.Candidate().Anchors
	if s.Verb == membership.Submit { // the form names all
		named = slices.Concat(named, m.Candidate().Intermediates)
	}
	for _, ca := range named {
		out.Fingerprints = append(out.Fingerprints, Hash(ca.Certificate))
	}
	for _, kind := range s.Documents {
		doc, err := d.Document(ctx, id, kind)
		if err != nil {
			return membership.Decision{}, err
		}
		out.Documents = append(out.Documents, doc)
	}
	return out, nil
}

// Document makes a document of a kind about a member and stores it.
func (d Desk) Document(ctx context.Context, id membership.ID, kind membership.DocumentKind) (membership.Document, error) {
	content := fmt.Appendf(nil, "a document of kind %s", kind)
	if d.Put != nil {
		if _, err := d.Put(ctx, id, content); err != nil {
			return membership.Document{}, err
		}
	}
	return membership.Document{Kind: kind, Hash: Hash(content), Name: string(kind) + ".txt"}, nil
}

// Admit takes the steps that are left until a record is in force, whether a
// draft, an amendment or halfway.
func (d Desk) Admit(ctx context.Context, id membership.ID) error {
	return d.Follow(ctx, id, Admission())
}

// Follow takes those of steps that are still to be taken.
func (d Desk) Follow(ctx context.Context, id membership.ID, steps []Step) error {
	for _, s := range steps {
		m, err := d.Member(ctx, id)
		if err != nil {
			return err
		}
		if !s.Due(m) {
			continue
		}
		if err := d.Take(ctx, id, s); err != nil {
			return fmt.Errorf("%s by %s: %w", s.Verb, s.By.Person, err)
		}
	}
	return nil
}

// Due reports whether m waits for s. Once more than it must, a record is
// examined when it is approved, for the desks where activating does not.
func (s Step) Due(m membership.Member) bool {
	if s.Verb == membership.Check {
		return m.Stage() == membership.Submitted || m.Stage() == membership.Approved
	}
	return slices.ContainsFunc(m.Next(time.Now()), func(n membership.Next) bool {
		return n.Verb == s.Verb && !slices.Contains(n.Given, s.By.Person)
	})
}

// Declared are the documents that an application needs to be submitted.
func Declared() []membership.Document {
	var out []membership.Document
	for _, kind := range []membership.DocumentKind{membership.PolicyDocument, membership.PracticeStatement} {
		doc, _ := Desk{}.Document(context.Background(), "", kind) // without Put nothing fails
		out = append(out, doc)
	}
	return slices.Clip(out)
}

// Register returns the desk of a register. Every check passes.
func Register(r *membership.Register) Desk {
	return Desk{
		Member: r.Member,
		Decide: func(ctx context.Context, id membership.ID, d membership.Decision) error {
			_, err := r.Decide(ctx, id, d)
			return err
		},
		Check: func(ctx context.Context, id membership.ID, by membership.Actor) error {
			m, err := r.Member(ctx, id)
			if err != nil {
				return err
			}
			_, err = r.Examined(ctx, id, by, membership.Report{Document: Hash([]byte("report")), RecordHash: m.RecordHash(), Passed: true})
			return err
		},
	}
}

// Hash is the lower-case hex SHA-256 of b.
func Hash(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
