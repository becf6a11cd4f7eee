package federation_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/lab"
	"bridge.example/membership"
)

// TestApplicantsArePolled: who submitted is examined four times a day, also while
// nothing changes, and the register remembers; a draft is left alone.
func TestApplicantsArePolled(t *testing.T) {
	b := open(t, found(t), nil)
	b.Nightly = 24 * time.Hour
	examined, failed := 0, []string{"V1"}
	b.Examine = func(context.Context, membership.Member) (federation.Examination, error) {
		examined++
		return federation.Examination{Report: []byte("the report"), Passed: failed == nil, Failed: failed}, nil
	}
	day := func() {
		t.Helper()
		examined = 0
		for range 24 * 6 {
			b.now = b.now.Add(10 * time.Minute)
			if err := b.Reexamine(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	a := application("beta", newCA(t, "beta root", nil).cert.Raw)
	a.Documents = lab.Declared()
	if _, err := b.Register.Apply(t.Context(), lab.Ada, a); err != nil {
		t.Fatal(err)
	}
	if day(); examined != 0 {
		t.Errorf("a draft was examined %d times", examined)
	}
	if err := b.desk().Take(t.Context(), "beta", lab.Admission()[0]); err != nil {
		t.Fatal(err)
	}
	day()
	history := len(b.member(t, "beta").Decisions)
	day()
	m := b.member(t, "beta")
	if examined != 4 || len(m.Decisions) != history || len(m.Polls) != 8 || !slices.Equal(m.Polls[7].Failed, failed) {
		t.Errorf("got %d examinations a day, %d new lines, polls %v", examined, len(m.Decisions)-history, m.Polls)
	}
	failed = nil
	if day(); b.member(t, "beta").State != membership.Checked {
		t.Errorf("got %s after it passed", b.member(t, "beta").State)
	}
	if m := b.member(t, "beta"); len(m.Polls) != 8 || m.Polls[3].Failed == nil || m.Polls[7].Failed != nil {
		t.Errorf("got polls %v", m.Polls)
	}
}

// TestNightly: each member is examined once a day, at a time of its own, and a
// change is remembered across a restart; an examination that breaks off is no
// change.
func TestNightly(t *testing.T) {
	b := open(t, found(t), nil)
	b.Nightly = 24 * time.Hour
	b.admit(t, b.application)
	b.admit(t, application("beta", newCA(t, "beta root", nil).cert.Raw))
	examined, failed, broken := map[membership.ID][]time.Time{}, []string(nil), false
	b.Examine = func(_ context.Context, m membership.Member) (federation.Examination, error) {
		examined[m.ID] = append(examined[m.ID], b.now)
		if broken {
			return federation.Examination{}, fault.New(fault.Unavailable, "no time")
		}
		report := "all is well"
		if failed != nil {
			report = "something is wrong"
		}
		return federation.Examination{Report: []byte(report), Passed: failed == nil, Failed: failed}, nil
	}
	day := func() {
		t.Helper()
		for range 24 * 6 {
			b.now = b.now.Add(10 * time.Minute)
			if err := b.Reexamine(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	day()
	a, z := examined["alpha"], examined["beta"]
	if len(a) != 1 || len(z) != 1 || a[0].Equal(z[0]) {
		t.Fatalf("got %v and %v, want one each at different times", a, z)
	}
	history := len(b.member(t, "alpha").Decisions)
	day()
	if m := b.member(t, "alpha"); len(m.Decisions) != history || m.Report.At.Before(b.now.Add(-24*time.Hour)) {
		t.Errorf("got %d decisions, report of %v: want a new report and no new line", len(m.Decisions), m.Report.At)
	}
	if n := len(b.seen(t).Changes); n != 0 {
		t.Errorf("got %d changes of nothing", n)
	}
	failed = []string{"ocsp.fresh"}
	day()
	broken = true
	day()
	b.close()
	again := open(t, b.dir, nil)
	again.now = b.now
	again.round(t)
	if got := again.seen(t).Changes["alpha"].Lines; !slices.Equal(got, []string{"ocsp.fresh fails now"}) {
		t.Errorf("got %q", got)
	}
	if m := again.member(t, "alpha"); m.State != membership.Active || m.Report.Passed {
		t.Errorf("got %s, passed %v: a check that fails stops nobody by itself", m.State, m.Report.Passed)
	}
}
