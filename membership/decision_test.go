package membership_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
	"bridge.example/internal/storetest"
	"bridge.example/membership"
)

var update = flag.Bool("update", false, "write golden files anew")

// bridge is a register with a clock, and the desk in front of it.
type bridge struct {
	*membership.Register
	lab.Desk
	now *time.Time
}

func newBridge(t *testing.T) bridge {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := registerAt(t, func() time.Time { return now })
	return bridge{r, lab.Register(r), &now}
}

// applied has alpha's draft recorded.
func (b bridge) applied(t *testing.T) bridge {
	t.Helper()
	if _, err := b.Apply(t.Context(), lab.Ada, application(t, "alpha")); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b bridge) take(t *testing.T, steps ...lab.Step) {
	t.Helper()
	for _, s := range steps {
		if err := b.Take(t.Context(), "alpha", s); err != nil {
			t.Fatalf("%s by %s: %v", s.Verb, s.By.Person, err)
		}
	}
}

func (b bridge) alpha(t *testing.T) membership.Member {
	t.Helper()
	m, err := b.Register.Member(t.Context(), "alpha")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// decide takes a step after edit has spoilt its decision.
func (b bridge) decide(t *testing.T, s lab.Step, edit func(*membership.Decision)) error {
	t.Helper()
	d, err := b.Decision(t.Context(), "alpha", s)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(&d)
	}
	_, err = b.Register.Decide(t.Context(), "alpha", d)
	return err
}

func TestAdmission(t *testing.T) {
	b := newBridge(t).applied(t)
	want := []membership.State{
		membership.Submitted, membership.Checked, membership.Assessed, membership.Contracted,
		membership.Contracted, membership.Identified, membership.Identified, membership.Approved, membership.Approved, membership.Active,
	}
	for i, s := range lab.Admission() {
		b.take(t, s)
		m := b.alpha(t)
		if m.State != want[i] || m.Served() != (want[i] == membership.Active) {
			t.Errorf("after %s by %s: got %s, served %v, want %s", s.Verb, s.By.Person, m.State, m.Served(), want[i])
		}
	}
	m := b.alpha(t)
	if got := m.RenewBy.Sub(*b.now); got != 365*24*time.Hour {
		t.Errorf("got a renewal after %v, want one in a year", got)
	}
	if got := len(m.Decisions); got != 10 { // the second check found nothing new
		t.Errorf("got %d decisions in the history, want 10", got)
	}
}

// TestSpoiltSteps: each step of an admission, with one thing wrong, is refused,
// says so, and changes nothing; done right it then succeeds.
func TestSpoiltSteps(t *testing.T) {
	type spoiler struct {
		name string
		edit func(*membership.Decision)
		want fault.Kind
	}
	nobody := spoiler{"by nobody", func(d *membership.Decision) { d.By = membership.Actor{} }, fault.Denied}
	auditor := spoiler{"by an auditor", func(d *membership.Decision) { d.By.Roles = []membership.Role{membership.Auditor} }, fault.Denied}
	stranger := spoiler{"by another member's applicant", func(d *membership.Decision) {
		d.By.Roles, d.By.Member = []membership.Role{membership.Applicant}, "beta"
	}, fault.Denied}
	hash := spoiler{"over another record", func(d *membership.Decision) { d.RecordHash = strings.Repeat("0", 64) }, fault.Conflict}
	unbound := spoiler{"over no record", func(d *membership.Decision) { d.RecordHash = "" }, fault.Conflict}
	paper := spoiler{"without documents", func(d *membership.Decision) { d.Documents = nil }, fault.Invalid}
	forged := spoiler{"with a document that has no hash", func(d *membership.Decision) { d.Documents[0].Hash = "x" }, fault.Invalid}
	finger := spoiler{"without fingerprints", func(d *membership.Decision) { d.Fingerprints = nil }, fault.Invalid}
	other := spoiler{"with another's fingerprint", func(d *membership.Decision) { d.Fingerprints[0] = strings.Repeat("0", 64) }, fault.Conflict}
	for i, spoilt := range [][]spoiler{
		{nobody, auditor, stranger, hash, paper, forged},
		nil, // the check
		{nobody, auditor, hash, unbound, paper, {"without a mapping", func(d *membership.Decision) { d.Mappings = nil }, fault.Invalid},
			{"with a mapping nobody asked for", func(d *membership.Decision) { d.Mappings = []membership.Policy{{Member: "1.2.3", Bridge: "1.2.4"}} }, fault.Conflict}},
		{nobody, auditor, hash, unbound, paper},
		{nobody, auditor, hash, unbound, paper, finger, other},
		{{"by the same officer", func(d *membership.Decision) { d.By = lab.Ada }, fault.Conflict},
			{"by the same officer with another credential", func(d *membership.Decision) { d.By = lab.Ada; d.By.Credential = "00" }, fault.Conflict}},
		{nobody, auditor, hash, unbound, finger, other, {"unseen", func(d *membership.Decision) { d.Preview = "" }, fault.Invalid},
			{"by an officer who prepared it and is an approver too", func(d *membership.Decision) {
				d.By = lab.Bob
				d.By.Roles = []membership.Role{membership.Approver}
			}, fault.Denied}},
		{{"by the same approver", func(d *membership.Decision) { d.By = lab.Dora }, fault.Conflict}},
		nil,
		{nobody, auditor, hash, unbound},
	} {
		b := newBridge(t).applied(t)
		b.take(t, lab.Admission()[:i]...)
		before := b.alpha(t)
		step := lab.Admission()[i]
		for _, s := range spoilt {
			err := b.decide(t, step, s.edit)
			if err == nil || fault.KindOf(err) != s.want {
				t.Errorf("%s %s: got %v, want %v", step.Verb, s.name, err, s.want)
			}
			if got := b.alpha(t); got.Revision != before.Revision {
				t.Errorf("%s %s: the record changed", step.Verb, s.name)
			}
		}
		b.take(t, step)
	}
}

// TestWhoMayWhat walks every state and lets every role try every verb, with all
// evidence there: the table, as it behaves, is a file that people can read.
func TestWhoMayWhat(t *testing.T) {
	states := map[membership.State]func(*testing.T) bridge{}
	for i, s := range []membership.State{membership.Draft, membership.Submitted, membership.Checked, membership.Assessed, membership.Contracted} {
		states[s] = reach(i)
	}
	states[membership.Identified], states[membership.Approved], states[membership.Active] = reach(6), reach(9), reach(10)
	then := func(verb membership.Verb, by ...membership.Actor) func(*testing.T) bridge {
		return func(t *testing.T) bridge {
			b := reach(10)(t)
			for _, a := range by {
				date := b.now.Add(time.Hour)
				if err := b.decide(t, lab.Step{Verb: verb, By: a}, func(d *membership.Decision) { d.Date = date }); err != nil {
					t.Fatal(err)
				}
			}
			return b
		}
	}
	states[membership.Suspended] = func(t *testing.T) bridge {
		b := then(membership.Suspend, lab.Bob)(t)
		b.take(t, lab.Step{Verb: membership.Check, By: lab.Ada})
		return b
	}
	states[membership.RenewalDue] = then(membership.FallDue, membership.Bridge())
	states[membership.Exiting] = then(membership.Exit, lab.Dora, lab.Emil)
	states[membership.Revoked] = then(membership.Revoke, lab.Ada, lab.Bob, lab.Dora)
	states[membership.Left] = func(t *testing.T) bridge {
		b := then(membership.Exit, lab.Dora, lab.Emil)(t)
		if err := b.decide(t, lab.Step{Verb: membership.Leave, By: membership.Bridge()}, nil); err != nil {
			t.Fatal(err)
		}
		return b
	}
	var out strings.Builder
	for _, state := range membership.States() {
		if states[state] == nil {
			continue
		}
		b := states[state](t)
		if got := b.alpha(t).State; got != state {
			t.Fatalf("got %s, want %s", got, state)
		}
		for _, verb := range membership.Verbs() {
			var who []string
			for _, role := range append(membership.Roles(), membership.System) {
				by := membership.Actor{Person: "zoe", Roles: []membership.Role{role}, Member: "alpha"}
				d, err := b.Decision(t.Context(), "alpha", evidence(verb, by))
				if err != nil {
					t.Fatal(err)
				}
				d.Date = b.now.Add(time.Hour)
				if m, err := b.Register.Decide(t.Context(), "alpha", d); err == nil {
					who = append(who, fmt.Sprintf("%s→%s", role, m.State))
					b = states[state](t) // the next attempt starts from the same state
				}
			}
			if len(who) > 0 {
				fmt.Fprintf(&out, "%-12s %-10s %s\n", state, verb, strings.Join(who, " "))
			}
		}
	}
	golden := filepath.Join("testdata", "who-may-what.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal([]byte(out.String()), want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func reach(steps int) func(*testing.T) bridge {
	return func(t *testing.T) bridge {
		t.Helper()
		b := newBridge(t).applied(t)
		b.take(t, lab.Admission()[:steps]...)
		return b
	}
}

// evidence is a step with everything any verb could ask for.
func evidence(verb membership.Verb, by membership.Actor) lab.Step {
	return lab.Step{Verb: verb, By: by, Documents: []membership.DocumentKind{
		membership.Form, membership.Assessment, membership.Audit, membership.Agreement, membership.Declaration, membership.Minutes,
	}}
}

// TestEditVoids: whoever changes a bound field starts over, and nobody's
// approval counts for what it did not see.
func TestEditVoids(t *testing.T) {
	for steps := range 10 {
		b := reach(steps)(t)
		before := b.alpha(t)
		a := before.Application
		a.Sector = "health"
		if _, err := b.Edit(t.Context(), "alpha", lab.Ada, "stale", a); fault.KindOf(err) != fault.Conflict {
			t.Errorf("step %d: got %v for an edit of another record, want Conflict", steps, err)
		}
		m, err := b.Edit(t.Context(), "alpha", lab.Ada, before.RecordHash(), a)
		if err != nil {
			t.Fatal(err)
		}
		if m.State != membership.Draft || len(m.Approvals) > 0 || m.RecordHash() == before.RecordHash() {
			t.Errorf("step %d: got %s with %d approvals after an edit, want a draft with none", steps, m.State, len(m.Approvals))
		}
		// Editing it back does not bring approvals back either.
		m, err = b.Edit(t.Context(), "alpha", lab.Ada, m.RecordHash(), before.Application)
		if err != nil || m.RecordHash() == before.RecordHash() {
			t.Errorf("step %d: got %v and hash %s, want another than %s", steps, err, m.RecordHash(), before.RecordHash())
		}
	}
	b := reach(7)(t)
	before := b.alpha(t)
	a := before.Application
	a.Website, a.Contacts = "https://alpha.example/", append(slices.Clone(a.Contacts), membership.Contact{Name: "Night desk", Email: "night@alpha.example"})
	if m, err := b.Edit(t.Context(), "alpha", lab.Ada, before.RecordHash(), a); err != nil || m.State != membership.Identified || len(m.Approvals) != 1 {
		t.Errorf("got %v, %s with %d approvals after a free edit, want nothing voided", err, m.State, len(m.Approvals))
	}
}

// TestAmendment: an active member stays as it is until what it wants instead is
// approved; steps whose subject did not change are not asked for again.
func TestAmendment(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edit  func(*membership.Application)
		steps []int // of lab.Admission, after submitting
	}{
		{"a directory", func(a *membership.Application) { a.Directories[0].Base = "o=new" }, []int{1, 6, 7, 8, 9}},
		{"a policy", func(a *membership.Application) { a.Policies[0].Member = "1.3.6.1.4.1.32473.2.9" }, []int{1, 2, 6, 7, 8, 9}},
		{"a new key", func(a *membership.Application) {
			a.Anchors = append(a.Anchors, membership.CA{Certificate: ca(t, "alpha root", nil)})
		}, []int{1, 4, 5, 6, 7, 8, 9}},
		{"another name", func(a *membership.Application) { a.Name = "Alpha AG" }, []int{1, 3, 4, 5, 6, 7, 8, 9}},
	} {
		b := reach(10)(t)
		before := b.alpha(t)
		a := b.alpha(t).Application
		tt.edit(&a)
		if _, err := b.Edit(t.Context(), "alpha", lab.Ada, before.RecordHash(), a); err != nil {
			t.Fatal(err)
		}
		b.take(t, lab.Admission()[0])
		for _, i := range tt.steps {
			if m := b.alpha(t); m.State != membership.Active || !m.Served() || hashOf(m.Application) != hashOf(before.Application) {
				t.Errorf("%s: before %s the member changed", tt.name, lab.Admission()[i].Verb)
			}
			b.take(t, lab.Admission()[i])
		}
		if m := b.alpha(t); m.Amendment != nil || hashOf(m.Application) != hashOf(a) || !m.RenewBy.Equal(before.RenewBy) {
			t.Errorf("%s: got %+v, want the amendment in force", tt.name, m)
		}
	}
	b := reach(10)(t)
	m := b.alpha(t)
	a := m.Application
	a.Name = "Alpha AG"
	if _, err := b.Edit(t.Context(), "alpha", lab.Ada, m.RecordHash(), a); err != nil {
		t.Fatal(err)
	}
	if err := b.decide(t, lab.Step{Verb: membership.Reject, By: lab.Cleo}, nil); err != nil {
		t.Fatal(err)
	}
	if m := b.alpha(t); m.Amendment != nil || m.State != membership.Active || m.Name == "Alpha AG" {
		t.Errorf("got %+v after the amendment was rejected, want the member as before", m)
	}
}

// TestAmendmentTricks: a second edit does not hide who wrote the first; a draft
// takes no names; and nobody brings a suspended member back on the examination of
// what it wants to become.
func TestAmendmentTricks(t *testing.T) {
	b := reach(10)(t)
	edit := func(by membership.Actor, change func(*membership.Application)) {
		t.Helper()
		m := b.alpha(t)
		a := *m.Candidate()
		change(&a)
		if _, err := b.Edit(t.Context(), "alpha", by, m.RecordHash(), a); err != nil {
			t.Fatal(err)
		}
	}
	both := membership.Actor{Person: "zoe", Roles: []membership.Role{membership.Officer, membership.Approver}}
	edit(both, func(a *membership.Application) { a.MailDomains = []string{"alpha.example", "beta.example"} })
	edit(lab.Bob, func(a *membership.Application) { a.Sector = "health" })
	if _, err := b.Apply(t.Context(), lab.Ada, application(t, "beta")); err != nil {
		t.Errorf("got %v for whom a draft of alpha names", err)
	}
	if _, err := b.Register.Decide(t.Context(), "beta", must(b.Decision(t.Context(), "beta", lab.Admission()[0]))(t)); err != nil {
		t.Errorf("got %v for whom a draft of alpha names", err)
	}
	if err := b.Take(t.Context(), "alpha", lab.Admission()[0]); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v when alpha claimed what is beta's, want Conflict", err)
	}
	edit(lab.Bob, func(a *membership.Application) { a.MailDomains = []string{"alpha.example"} })
	b.take(t, lab.Admission()[0], lab.Admission()[1])
	if err := b.Take(t.Context(), "alpha", lab.Step{Verb: membership.Approve, By: both}); fault.KindOf(err) != fault.Denied {
		t.Errorf("got %v when the first author approved, want Denied", err)
	}
	b.take(t, lab.Step{Verb: membership.Suspend, By: lab.Ada}, lab.Admission()[1])
	if err := b.Take(t.Context(), "alpha", lab.Step{Verb: membership.Resume, By: lab.Dora}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v when resuming on the amendment's examination, want Conflict", err)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func hashOf(a membership.Application) string {
	return membership.Member{Application: a}.RecordHash()
}

func TestSuspension(t *testing.T) {
	b := reach(10)(t)
	suspend := lab.Step{Verb: membership.Suspend, By: lab.Ada}
	if err := b.decide(t, suspend, func(d *membership.Decision) { d.Reason = " " }); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v without a reason, want Invalid", err)
	}
	old, err := b.Decision(t.Context(), "alpha", lab.Step{Verb: membership.Approve, By: lab.Dora})
	if err != nil {
		t.Fatal(err)
	}
	b.take(t, suspend)
	if m := b.alpha(t); m.State != membership.Suspended || m.Served() {
		t.Errorf("got %s, served %v", m.State, m.Served())
	}
	if n := next(b.alpha(t), *b.now, membership.Confirm); n == nil || !slices.Equal(n.Given, []string{"ada"}) || n.Persons != 2 {
		t.Errorf("got %+v, want somebody else than ada to confirm", n)
	}
	for _, step := range []struct {
		name string
		s    lab.Step
		want fault.Kind
		ok   bool
	}{
		{"confirmed by the one who suspended", lab.Step{Verb: membership.Confirm, By: lab.Ada}, fault.Conflict, false},
		{"confirmed", lab.Step{Verb: membership.Confirm, By: lab.Bob}, 0, true},
		{"confirmed twice", lab.Step{Verb: membership.Confirm, By: lab.Dora}, fault.Conflict, false},
		{"resumed unchecked", lab.Step{Verb: membership.Resume, By: lab.Dora}, fault.Conflict, false},
		{"checked", lab.Step{Verb: membership.Check, By: lab.Ada}, 0, true},
		{"resumed by an officer", lab.Step{Verb: membership.Resume, By: lab.Ada}, fault.Denied, false},
		{"resumed by one", lab.Step{Verb: membership.Resume, By: lab.Dora}, 0, true},
		{"resumed by the same", lab.Step{Verb: membership.Resume, By: lab.Dora}, fault.Conflict, false},
		{"resumed by two", lab.Step{Verb: membership.Resume, By: lab.Emil}, 0, true},
	} {
		err := b.Take(t.Context(), "alpha", step.s)
		if (err == nil) != step.ok || err != nil && fault.KindOf(err) != step.want {
			t.Errorf("%s: got %v, want %v", step.name, err, step.want)
		}
	}
	if n := next(b.alpha(t), *b.now, membership.Confirm); n != nil {
		t.Errorf("got %+v after it was confirmed, want nothing", n)
	}
	if m := b.alpha(t); m.State != membership.Active || !m.Served() {
		t.Errorf("got %s, served %v, want it back", m.State, m.Served())
	}
	// A decision over the record of before the suspension is worth nothing now.
	if _, err := b.Register.Decide(t.Context(), "alpha", old); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v for a replayed approval, want Conflict", err)
	}
}

// next is what m says can be decided by a verb; nil when nothing can.
func next(m membership.Member, now time.Time, verb membership.Verb) *membership.Next {
	for _, n := range m.Next(now) {
		if n.Verb == verb {
			return &n
		}
	}
	return nil
}

// TestRevocation: the first officer stops, two others make it final.
func TestRevocation(t *testing.T) {
	b := reach(10)(t)
	for i, by := range []membership.Actor{lab.Ada, lab.Bob, lab.Dora} {
		b.take(t, lab.Step{Verb: membership.Revoke, By: by})
		want := membership.Suspended
		if i == 2 {
			want = membership.Revoked
		}
		if m := b.alpha(t); m.State != want || m.Served() {
			t.Errorf("after %d: got %s, served %v, want %s", i+1, m.State, m.Served(), want)
		}
		if err := b.Take(t.Context(), "alpha", lab.Step{Verb: membership.Revoke, By: by}); fault.KindOf(err) != fault.Conflict {
			t.Errorf("got %v when %s did it twice, want Conflict", err, by.Person)
		}
	}
	again := b.alpha(t).Application
	anchors, intermediates := again.Certificates()
	if blocked, err := b.Register.Blocked(t.Context()); err != nil || len(blocked) != len(anchors)+len(intermediates) {
		t.Errorf("got the blocked keys %q, %v", blocked, err)
	}
	if _, err := b.Apply(t.Context(), lab.Ada, again); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v when the revoked came back, want Conflict", err)
	}
	again.ID = "reborn"
	if _, err := b.Apply(t.Context(), lab.Ada, again); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), `belongs to member "alpha"`) {
		t.Errorf("got %v when its key came back under another id, want Conflict", err)
	}
}

func TestClock(t *testing.T) {
	b := reach(7)(t)
	*b.now = b.now.Add(73 * time.Hour)
	b.take(t, lab.Admission()[7]) // the approval of before is too old to count
	if m := b.alpha(t); m.State != membership.Identified {
		t.Errorf("got %s after one fresh and one old approval, want it short of two", m.State)
	}
	b.take(t, lab.Admission()[6])
	*b.now = b.now.Add(73 * time.Hour)
	b.take(t, lab.Admission()[8])
	if err := b.Take(t.Context(), "alpha", lab.Admission()[9]); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "approve again") {
		t.Errorf("got %v on approvals of three days ago, want Conflict", err)
	}
	b.take(t, lab.Admission()[6], lab.Admission()[7])
	*b.now = b.now.Add(2 * time.Hour)
	if err := b.Take(t.Context(), "alpha", lab.Admission()[9]); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "check again") {
		t.Errorf("got %v on a check of two hours ago, want Conflict", err)
	}
	*b.now = b.now.Add(-3 * time.Hour)
	if err := b.Take(t.Context(), "alpha", lab.Admission()[8]); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v with the clock set back, want Unavailable", err)
	}
}

func TestCalendar(t *testing.T) {
	b := reach(10)(t)
	if _, err := b.Apply(t.Context(), lab.Bob, application(t, "beta")); err != nil {
		t.Fatal(err)
	}
	sweep := func(after time.Duration, want ...string) {
		t.Helper()
		*b.now = b.now.Add(after)
		changed, err := b.Sweep(t.Context())
		var got []string
		for _, m := range changed {
			got = append(got, fmt.Sprintf("%s %s", m.ID, m.State))
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	sweep(0)
	sweep(91*24*time.Hour, "beta lapsed")
	sweep(190*24*time.Hour, "alpha renewal-due")
	if !b.alpha(t).Served() {
		t.Error("the member is not served while it is renewed")
	}
	b.take(t, lab.Step{Verb: membership.Renew, By: lab.Ada})
	b.take(t, lab.Admission()[1:]...)
	if m := b.alpha(t); m.State != membership.Active || m.RenewBy.Sub(*b.now) != 365*24*time.Hour {
		t.Errorf("got %s until %v, want another year", m.State, m.RenewBy)
	}
	exit := lab.Step{Verb: membership.Exit, By: membership.Actor{Person: "m", Roles: []membership.Role{membership.MemberRole}, Member: "alpha"}}
	if err := b.decide(t, exit, func(d *membership.Decision) { d.Date = *b.now }); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v for an exit that is not in the future, want Invalid", err)
	}
	if err := b.decide(t, exit, func(d *membership.Decision) { d.Date = b.now.Add(48 * time.Hour) }); err != nil {
		t.Fatal(err)
	}
	sweep(47 * time.Hour)
	if !b.alpha(t).Served() {
		t.Error("the member is not served until it leaves")
	}
	sweep(2*time.Hour, "alpha left")
	if _, err := b.Apply(t.Context(), lab.Ada, application(t, "alpha")); err != nil {
		t.Errorf("got %v when a member that left applied again", err)
	}
}

func TestBar(t *testing.T) {
	b := reach(10)(t)
	der := b.alpha(t).Anchors[0].Certificate
	if _, err := b.Register.Bar(t.Context(), "alpha", strings.Repeat("0", 64), "x"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v for a certificate nobody declared, want Invalid", err)
	}
	for range 2 {
		m, err := b.Register.Bar(t.Context(), "alpha", lab.Hash(der), "revoked by its issuer: keyCompromise")
		if err != nil || !m.IsBarred(der) || len(m.Barred) != 1 || m.IsBarred([]byte{1}) {
			t.Errorf("got %v, %+v", err, m.Barred)
		}
	}
}

// TestConcurrentDecisions: approvals and a withdrawal at once, many times; the
// record ends in one of the states that some order explains.
func TestConcurrentDecisions(t *testing.T) {
	for range 20 {
		b := reach(6)(t)
		var wg sync.WaitGroup
		for _, s := range []lab.Step{
			{Verb: membership.Approve, By: lab.Dora}, {Verb: membership.Approve, By: lab.Dora}, {Verb: membership.Approve, By: lab.Emil},
			{Verb: membership.Withdraw, By: lab.Ada},
		} {
			d, err := b.Decision(t.Context(), "alpha", s)
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() { _, _ = b.Register.Decide(t.Context(), "alpha", d) })
		}
		wg.Wait()
		m := b.alpha(t)
		if m.State != membership.Withdrawn || len(m.Approvals) > 0 {
			t.Errorf("got %s with %d approvals, want it withdrawn in the end", m.State, len(m.Approvals))
		}
	}
}

// TestAudit: what cannot be recorded is not done.
func TestAudit(t *testing.T) {
	var heard []membership.Verb
	var fail error
	r := membership.NewRegister(storetest.NewMemory(), membership.Options{Log: slog.New(slog.DiscardHandler), Audit: func(_ context.Context, a membership.Act) error {
		heard = append(heard, a.Decision.Verb)
		return fail
	}})
	if _, err := r.Apply(t.Context(), lab.Ada, application(t, "alpha")); err != nil {
		t.Fatal(err)
	}
	fail = fault.New(fault.Unavailable, "the disk is full")
	if err := lab.Register(r).Take(t.Context(), "alpha", lab.Admission()[0]); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
	if m, err := r.Member(t.Context(), "alpha"); err != nil || m.State != membership.Draft {
		t.Errorf("got %s, %v after an act that was not recorded, want a draft", m.State, err)
	}
	root := ca(t, "another root", func(*x509.Certificate) {})
	if _, err := r.AcceptInbound(t.Context(), "alpha", lab.Ada, root); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
	if m, err := r.Member(t.Context(), "alpha"); err != nil || len(m.Inbound) != 0 {
		t.Errorf("got %d certificates, %v after an act that was not recorded", len(m.Inbound), err)
	}
	fail = nil
	if _, err := r.AcceptInbound(t.Context(), "alpha", lab.Ada, root); err != nil {
		t.Fatal(err)
	}
	fail = fault.New(fault.Unavailable, "the disk is full")
	if _, err := r.WithdrawInbound(t.Context(), "alpha", lab.Ada, lab.Hash(root), "why"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
	if m, err := r.Member(t.Context(), "alpha"); err != nil || len(m.CertificatesForBridge()) != 1 {
		t.Errorf("got %d certificates, %v after an act that was not recorded", len(m.CertificatesForBridge()), err)
	}
	want := []membership.Verb{
		membership.Apply, membership.Submit, membership.AcceptInbound, membership.AcceptInbound, membership.WithdrawInbound,
	}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
}

// TestRandomWalk lets random persons decide random things for a long time. A
// member is served only when two approvers who did not prepare it agreed to
// exactly that record, a signer put it into force, and nobody stopped it since.
func TestRandomWalk(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	var b bridge
	everyone := []membership.Actor{lab.Ada, lab.Bob, lab.Cleo, lab.Dora, lab.Emil, lab.Finn, membership.Bridge()}
	// One person with every role is the best attacker.
	everyone = append(everyone, membership.Actor{Person: "eve", Roles: membership.Roles(), Member: "alpha"})
	verbs := slices.Concat(membership.Verbs(), slices.Repeat([]membership.Verb{membership.Check, membership.Approve, membership.Activate, membership.Resume}, 3), []membership.Verb{membership.Edit})
	reached := map[membership.State]bool{}
	for i := range 2000 {
		if i%50 == 0 {
			b = reach(rnd.IntN(11))(t)
		}
		*b.now = b.now.Add(time.Duration(rnd.IntN(300)) * time.Second)
		if rnd.IntN(40) == 0 {
			*b.now = b.now.Add(time.Duration(rnd.IntN(100)) * 24 * time.Hour)
		}
		by := everyone[rnd.IntN(len(everyone))]
		m := b.alpha(t)
		switch verb := verbs[rnd.IntN(len(verbs))]; {
		case verb == membership.Check:
			_ = b.Check(t.Context(), "alpha", by)
		case verb == membership.Edit && rnd.IntN(10) == 0:
			a := *m.Candidate()
			a.Sector = fmt.Sprint(rnd.IntN(3))
			_, _ = b.Edit(t.Context(), "alpha", by, m.RecordHash(), a)
		case slices.Contains([]membership.Verb{membership.Revoke, membership.Reject, membership.Withdraw, membership.Lapse}, verb) && rnd.IntN(20) > 0:
		default:
			_ = b.decide(t, evidence(verb, by), func(d *membership.Decision) { d.Date = b.now.Add(time.Hour) })
		}
		m = b.alpha(t)
		reached[m.State] = true
		if problem := unjustified(m); problem != "" {
			t.Fatalf("seed %d, step %d: %s\n%+v", seed, i, problem, m.Decisions)
		}
		if slices.Contains([]membership.State{membership.Rejected, membership.Withdrawn, membership.Lapsed, membership.Left, membership.Revoked}, m.State) {
			b = reach(rnd.IntN(11))(t)
		}
	}
	t.Logf("seed %d reached %v", seed, reached)
}

// unjustified reads the history of m backwards and says what is missing for it
// to be served.
func unjustified(m membership.Member) string {
	if !m.Served() {
		return ""
	}
	i := len(m.Decisions) - 1
	for ; i >= 0 && m.Decisions[i].Verb != membership.Activate; i-- {
		if d := m.Decisions[i]; d.Verb == membership.Resume && d.To == membership.Active {
			if n := persons(m.Decisions[:i+1], membership.Resume, d.RecordHash); n < 2 {
				return fmt.Sprintf("resumed by %d", n)
			}
			for ; i >= 0 && m.Decisions[i].Verb != membership.Activate; i-- {
			}
			break
		} else if d.To == membership.Suspended {
			return "served though suspended"
		}
	}
	if i < 0 {
		return "served and never activated"
	}
	hash := m.Decisions[i].RecordHash
	if n := persons(m.Decisions[:i], membership.Approve, hash); n < 2 {
		return fmt.Sprintf("activated on the approval of %d", n)
	}
	return ""
}

func persons(history []membership.Decision, verb membership.Verb, hash string) int {
	seen := map[string]bool{}
	for _, d := range history {
		if d.Verb == verb && d.RecordHash == hash {
			seen[d.By.Person] = true
		}
	}
	return len(seen)
}
