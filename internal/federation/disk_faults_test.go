package federation_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
	"bridge.example/internal/people"
	"bridge.example/internal/setup/statedir"
	"bridge.example/membership"
)

// faulty is a disk on which one write fails, or all from that on.
type faulty struct {
	at, writes int  // at 0, none fails
	kept       bool // although it is reported as failed
	full       bool // for good
}

func (f *faulty) around(write func() error) error {
	f.writes++
	if f.at == 0 || f.writes < f.at || f.writes > f.at && !f.full {
		return write()
	}
	if f.kept {
		if err := write(); err != nil {
			return err
		}
	}
	return fault.New(fault.Unavailable, "the disk does not take it")
}

// TestDiskFaults lets each write of each act fail in turn: lost, or kept although
// it was reported as failed, or all from there on. The act is refused as
// unavailable, and is there wholly or not at all; reading goes on; and when the
// disk is well again the act can be done, at the latest after a restart.
func TestDiskFaults(t *testing.T) {
	t.Parallel()
	dir := found(t)
	writeCA(t, dir, "alpha")
	file := statedir.Dir(dir).Store()
	bridgeCA, err := statedir.Dir(dir).ReadCertificate(statedir.BridgeCA)
	if err != nil {
		t.Fatal(err)
	}
	for _, act := range acts(t, readCA(t, dir, "alpha"), bridgeCA) {
		db, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sound := &faulty{}
		b := ready(t, dir, sound)
		before, done := b.view(t), sound.writes
		if err := act.do(t.Context(), b); err != nil {
			t.Fatalf("%s: %v", act.name, err)
		}
		after := b.view(t)
		b.close()
		next, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if sound.writes == done {
			t.Errorf("%s wrote nothing", act.name)
		}
		for n := 1; n <= sound.writes-done; n++ {
			faults := []faulty{{}, {kept: true}}
			if n <= 2 { // the event, then the record and all that follows
				faults = append(faults, faulty{full: true})
			}
			for _, f := range faults {
				where := fmt.Sprintf("%s, write %d, kept %v, full %v", act.name, n, f.kept, f.full)
				if err := os.WriteFile(file, db, 0o600); err != nil {
					t.Fatal(err)
				}
				b := ready(t, dir, &f)
				f.at = f.writes + n
				b.suffer(t, where, act.do, before, after)
				b.close()
				f.at, f.full = 0, false
				b = ready(t, dir, &f)
				if b.view(t) != after {
					if err := act.do(t.Context(), b); err != nil || b.view(t) != after {
						t.Errorf("%s: started anew: %v, and it is %s, not %s", where, err, b.view(t), after)
					}
				}
				b.checkInvariants(t, where)
				b.close()
			}
		}
		if err := os.WriteFile(file, next, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// ready is a bridge as a start leaves it.
func ready(t *testing.T, dir string, on disk) *bridge {
	t.Helper()
	b := openAudited(t, dir, on)
	if err := b.authority.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// suffer does something while the disk fails, and again when it is well.
func (b *bridge) suffer(t *testing.T, where string, do func(context.Context, *bridge) error, before, after string) {
	t.Helper()
	f := b.documents.(documentsOn).d.(*faulty)
	err := do(t.Context(), b)
	now := b.view(t)
	switch {
	case err != nil && fault.KindOf(err) != fault.Unavailable:
		t.Errorf("%s: got %v, want Unavailable", where, err)
	case err != nil && now != before && (now != after || !f.kept):
		t.Errorf("%s: refused (%v), and it is %s after %s", where, err, now, before)
	case err == nil && now != after:
		t.Errorf("%s: done, and it is %s, not %s", where, now, after)
	}
	f.at, f.full = 0, false
	if now == after {
		return
	}
	err = do(t.Context(), b)
	if err != nil && !strings.Contains(err.Error(), "restart") || err == nil && b.view(t) != after {
		t.Errorf("%s: again, on a disk that is well: %v, and it is %s", where, err, b.view(t))
	}
}

// view is what a person sees of all that the acts are about.
func (b *bridge) view(t *testing.T) (out string) {
	t.Helper()
	for m, err := range b.members.All(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		out += fmt.Sprintln(m.ID, m.State, m.Stage(), m.Contacts, m.Candidate().MailDomains, len(m.Decisions), len(m.Approvals), len(m.Inbound), len(m.CertificatesForBridge()), m.Barred != nil)
	}
	persons, err := b.persons.Persons(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range persons {
		live := 0
		for _, c := range p.Credentials {
			if c.InForce(b.now) {
				live++
			}
		}
		out += fmt.Sprintln(p.ID, p.Roles, live, len(p.Credentials), p.Proposal != nil)
	}
	_, err = b.documents.Get(t.Context(), "alpha", lab.Hash([]byte("minutes")))
	return out + fmt.Sprintln(err)
}

type act struct {
	name string
	do   func(ctx context.Context, b *bridge) error
}

// acts are one of each kind, in an order in which they can be done.
func acts(t *testing.T, alpha *ca, bridgeCA *x509.Certificate) []act {
	t.Helper()
	var request [2][]byte
	for i := range request {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if request[i], err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(change func(*membership.Application)) func(context.Context, *bridge) error {
		return func(ctx context.Context, b *bridge) error {
			m, err := b.Register.Member(ctx, "alpha")
			if err != nil {
				return err
			}
			a := *m.Candidate()
			change(&a)
			_, err = b.Edit(ctx, "alpha", lab.Ada, m.RecordHash(), a)
			return err
		}
	}
	decide := func(d membership.Decision) func(context.Context, *bridge) error {
		return func(ctx context.Context, b *bridge) error { _, err := b.Decide(ctx, "alpha", d); return err }
	}
	as := func(id people.ID, do func(ctx context.Context, b *bridge, by membership.Actor) error) func(context.Context, *bridge) error {
		return func(ctx context.Context, b *bridge) error {
			by, err := (&life{bridge: b}).founder(ctx, id)
			if err != nil {
				return err
			}
			return do(ctx, b, by)
		}
	}
	out := []act{
		{"document", func(ctx context.Context, b *bridge) error {
			_, err := b.PutDocument(ctx, "alpha", []byte("minutes"))
			return err
		}},
		{"apply", func(ctx context.Context, b *bridge) error { _, err := b.apply(ctx, b.application); return err }},
		{"edit", edit(func(a *membership.Application) {
			a.MailDomains = append([]string{"mail.alpha.example"}, a.MailDomains...)
		})},
	}
	take := func(steps ...lab.Step) {
		for _, s := range steps {
			out = append(out, act{fmt.Sprintf("%s by %s", s.Verb, s.By.Person), func(ctx context.Context, b *bridge) error { return b.desk().Take(ctx, "alpha", s) }})
		}
	}
	take(lab.Admission()...)
	der := certifyBridge(t, alpha, bridgeCA, func(*x509.Certificate) {})
	out = append(out,
		act{"accept", func(ctx context.Context, b *bridge) error {
			_, err := b.AcceptInbound(ctx, "alpha", lab.Ada, der, false)
			return err
		}},
		act{"withdraw inbound", func(ctx context.Context, b *bridge) error {
			_, err := b.WithdrawInbound(ctx, "alpha", lab.Bob, lab.Hash(der), "it is replaced")
			return err
		}},
		act{"suspend", decide(suspension("a doubt"))},
	)
	take(lab.Step{Verb: membership.Confirm, By: lab.Bob}, lab.Step{Verb: membership.Check, By: lab.Ada}, lab.Step{Verb: membership.Resume, By: lab.Emil}, lab.Step{Verb: membership.Resume, By: lab.Dora})
	return append(out,
		act{"amend", edit(func(a *membership.Application) { a.MailDomains = []string{"alpha.example"} })},
		act{"withdraw", decide(membership.Decision{Verb: membership.Withdraw, By: lab.Bob, Reason: "not now"})},
		act{"renew", decide(membership.Decision{Verb: membership.Renew, By: lab.Ada})},
		act{"reject", decide(membership.Decision{Verb: membership.Reject, By: lab.Dora, Reason: "no"})},
		act{"exit", decide(membership.Decision{Verb: membership.Exit, By: membership.Actor{Person: "mia", Member: "alpha", Roles: []membership.Role{membership.MemberRole}}, Reason: "it ends", Date: time.Now().AddDate(0, 1, 0)})},
		act{"revoke by ada", decide(membership.Decision{Verb: membership.Revoke, By: lab.Ada, Reason: "over"})},
		act{"revoke by dora", decide(membership.Decision{Verb: membership.Revoke, By: lab.Dora, Reason: "over"})},
		act{"revoke by emil", decide(membership.Decision{Verb: membership.Revoke, By: lab.Emil, Reason: "over"})},
		act{"bar", func(ctx context.Context, b *bridge) error {
			_, err := b.Register.Bar(ctx, "alpha", lab.Hash(alpha.cert.Raw), "its key is known")
			return err
		}},
		act{"propose", as("ada", func(ctx context.Context, b *bridge, by membership.Actor) error {
			_, err := b.persons.Propose(ctx, by, "carl", people.Proposal{Reason: "new", Roles: []membership.Role{membership.Approver}, Request: request[0]})
			return err
		})},
		act{"confirm", as("grace", func(ctx context.Context, b *bridge, by membership.Actor) error {
			p, err := b.store.People().Load(ctx, "carl")
			if err != nil {
				return err
			}
			_, _, err = b.persons.Confirm(ctx, by, "carl", p.Proposal.Hash("carl"))
			return err
		})},
		act{"renew credential", as("ada", func(ctx context.Context, b *bridge, by membership.Actor) error {
			_, _, err := b.persons.Renew(ctx, by, request[1])
			return err
		})},
		act{"withdraw role", as("ada", func(ctx context.Context, b *bridge, by membership.Actor) error {
			_, err := b.persons.WithdrawRole(ctx, by, "carl", membership.Approver, "enough")
			return err
		})},
		act{"withdraw credential", as("ada", func(ctx context.Context, b *bridge, by membership.Actor) error {
			_, err := b.persons.WithdrawCredential(ctx, by, "carl", "", "gone")
			return err
		})},
	)
}
