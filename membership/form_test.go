package membership_test

import (
	"slices"
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
	"bridge.example/membership"
)

// TestOnForm: what the form says is known from its submission on, until the
// candidate changes; a rejected amendment leaves what is in force.
func TestOnForm(t *testing.T) {
	b := reach(0)(t)
	submit, err := b.Decision(t.Context(), "alpha", lab.Admission()[0])
	if err != nil {
		t.Fatal(err)
	}
	form := strings.Repeat("AB:", 31) + "ab"
	for _, tt := range []struct {
		given string
		ok    bool
	}{{"abc", false}, {form + ":ab", false}, {form, true}} {
		submit.Fingerprints = []string{tt.given}
		if _, err := b.Register.Decide(t.Context(), "alpha", submit); (err == nil) != tt.ok || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: got %v", tt.given, err)
		}
	}
	if got := b.alpha(t).OnForm(); !slices.Equal(got, []string{strings.Repeat("ab", 32)}) {
		t.Errorf("submitted: got %q", got)
	}
	b.take(t, lab.Admission()[1:]...)
	edited := func(name string) membership.Member {
		t.Helper()
		m := b.alpha(t)
		a := *m.Candidate()
		a.Name = name
		m, err := b.Register.Edit(t.Context(), "alpha", lab.Ada, m.RecordHash(), a)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if got := edited("Alpha and Sons").OnForm(); got != nil {
		t.Errorf("edited since: got %q", got)
	}
	b.take(t, lab.Admission()[0])
	if got := b.alpha(t).OnForm(); len(got) == 0 || strings.HasPrefix(got[0], "abab") {
		t.Errorf("submitted again: got %q", got)
	}
	b.take(t, lab.Step{Verb: membership.Withdraw, By: lab.Ada})
	if got := b.alpha(t).OnForm(); !slices.Equal(got, []string{strings.Repeat("ab", 32)}) {
		t.Errorf("withdrawn: got %q", got)
	}
}
