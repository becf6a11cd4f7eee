package federation_test

import (
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/lab"
	"bridge.example/internal/notice"
	"bridge.example/membership"
)

// kinds are those of the items due after a while, each once, ordered.
func (b *bridge) due(t *testing.T, after time.Duration) (kinds []string, text string) {
	t.Helper()
	items, err := b.Notices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, i := range notice.Due(items, b.now.Add(after)) {
		if keys[i.Key] {
			t.Errorf("the key %q is there twice", i.Key)
		}
		keys[i.Key] = true
		kinds = append(kinds, i.Kind)
		text += i.Kind + " " + i.Text + "\n"
	}
	slices.Sort(kinds)
	return slices.Compact(kinds), text
}

func TestNotices(t *testing.T) {
	b, root, issuing := watched(t)
	b.web.put(rootCRL, root.crl(t, list{number: 1, at: b.now.Add(-time.Hour)}))
	b.round(t)
	const day = 24 * time.Hour
	check := func(what string, after time.Duration, want ...string) {
		t.Helper()
		if got, text := b.due(t, after); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q\n%s", what, got, want, text)
		}
	}
	check("just admitted", 0)
	check("when nothing was signed for six days", 6*day, "bridge-crl", "crl", "list")
	check("a year before it ends", 280*day, "bridge-crl", "crl", "list", "membership", "signer")
	check("when all is over", 10*365*day, "bridge-ca", "bridge-crl", "ca-certificate", "crl", "cross-certificate", "list", "membership", "signer")

	// An assessor's audit ends before the year does.
	desk := b.desk()
	if err := desk.Take(t.Context(), "alpha", lab.Step{Verb: membership.Renew, By: lab.Ada}); err != nil {
		t.Fatal(err)
	}
	if err := desk.Check(t.Context(), "alpha", lab.Ada); err != nil {
		t.Fatal(err)
	}
	d, err := desk.Decision(t.Context(), "alpha", lab.Step{Verb: membership.Assess, By: lab.Cleo, Documents: []membership.DocumentKind{membership.Assessment, membership.Audit}})
	if err != nil {
		t.Fatal(err)
	}
	d.Documents[1].Expires = b.now.Add(100 * day)
	if _, err := b.Decide(t.Context(), "alpha", d); err != nil {
		t.Fatal(err)
	}
	check("the audit ends", 99*day, "audit", "bridge-crl", "crl", "list")

	if _, err := b.apply(t.Context(), application("beta", newCA(t, "beta root", nil).cert.Raw)); err != nil {
		t.Fatal(err)
	}
	check("nobody touches the draft", 89*day, "application", "audit", "bridge-crl", "crl", "list")

	if _, err := b.Decide(t.Context(), "alpha", suspension("drill")); err != nil {
		t.Fatal(err)
	}
	check("suspended", 0)
	b.now = b.now.Add(25 * time.Hour)
	b.web.put(rootCRL, root.crl(t, list{number: 2, at: b.now, revoked: []*big.Int{issuing.cert.SerialNumber}}))
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.round(t)
	check("not confirmed, and an issuing CA revoked", 0, "revoked", "suspension")

	b.web.put(rootCRL, []byte("not found"))
	b.round(t)
	check("a status that was lost just now", 0, "revoked", "suspension")
	b.now = b.now.Add(3 * time.Hour)
	b.round(t)
	if kinds, text := b.due(t, 0); !slices.Contains(kinds, "crl-problem") || strings.Contains(text, "\n\n") {
		t.Errorf("got %q\n%s", kinds, text)
	}
}
