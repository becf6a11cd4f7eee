package federation_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
	"bridge.example/membership"
	"bridge.example/signedlist"
)

// TestUnexplainedLoss has a list trust somebody whom the register never knew:
// what the register says now would take that trust away, and nobody decided so.
func TestUnexplainedLoss(t *testing.T) {
	dir := found(t)
	b := open(t, dir, nil)
	b.admit(t, application("alpha", newCA(t, "alpha root", nil).cert.Raw))
	ghost := signedlist.Entry{
		Member: "ghost", Title: "Ghost", Certificate: newCA(t, "ghost root", nil).cert,
		Policies: b.Levels, MailDomains: []string{"ghost.example"},
	}
	before, err := b.Publisher.Publish(t.Context(), append(b.openList(t, b.Artifacts().List).Entries, ghost), nil)
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		if err := b.Reconcile(t.Context()); !errors.Is(err, signedlist.ErrLost) || !strings.Contains(err.Error(), "ghost") {
			t.Errorf("%s: got %v, want ErrLost and who", when, err)
		}
		s, err := b.Status(t.Context())
		if err != nil || !strings.Contains(s.Problem, "ghost root") {
			t.Errorf("%s: status says %q, %v", when, s.Problem, err)
		}
		if number, _, err := b.lists.Latest(t.Context()); err != nil || number != before.Number {
			t.Errorf("%s: list %d was signed, %v", when, number, err)
		}
	}
	published := b.Artifacts().List
	check("while it runs")
	if a := b.Artifacts(); !bytes.Equal(a.List, published) {
		t.Errorf("list %d was published in place of the old one", a.ListNumber)
	}
	// A bridge that has just started has the old list to show.
	b.close()
	b = open(t, dir, nil)
	check("after a restart")
	if a := b.Artifacts(); !bytes.Equal(a.List, before.DER) || len(a.Publication.Files) != len(before.Files) {
		t.Errorf("published list %d, want %d in every form", a.ListNumber, before.Number)
	}
	// Once somebody signs a list for whatever reason, all is well again.
	d := statedir.Dir(dir)
	cert, certErr := d.ReadCertificate(statedir.ListSigner)
	key, keyErr := keys.Open(d.Key(statedir.ListSigner), nil)
	if err := errors.Join(certErr, keyErr); err != nil {
		t.Fatal(err)
	}
	decided := func(signedlist.Entry) string { return "decided by hand" }
	if _, err := signedlist.NewPublisher(signedlist.Signer{Cert: cert, Key: key}, b.lists, signedlist.Options{}).
		Publish(t.Context(), before.Entries[:1], decided); err != nil {
		t.Fatal(err)
	}
	b.reconcile(t)
}

// TestWhyEntriesLeave has the audit log tell it.
func TestWhyEntriesLeave(t *testing.T) {
	dir := found(t)
	b := open(t, dir, nil)
	d := statedir.Dir(dir)
	cert, certErr := d.ReadCertificate(statedir.ListSigner)
	key, keyErr := keys.Open(d.Key(statedir.ListSigner), nil)
	if err := errors.Join(certErr, keyErr); err != nil {
		t.Fatal(err)
	}
	var why string
	b.Publisher = signedlist.NewPublisher(signedlist.Signer{Cert: cert, Key: key}, b.lists, signedlist.Options{
		Now: func() time.Time { return b.now },
		Audit: func(_ context.Context, e auditlog.Event) error {
			why = e.Details["removed"]
			return nil
		},
	})
	b.admit(t, application("alpha", newCA(t, "alpha root", nil).cert.Raw))
	two := application("beta", newCA(t, "beta root", nil).cert.Raw)
	two.Anchors = append(two.Anchors, membership.CA{Certificate: newCAUntil(t, "beta root 2", nil, b.now.Add(48*time.Hour)).cert.Raw})
	b.admit(t, two)
	step := func(name, want string) {
		t.Helper()
		b.reconcile(t)
		if why != want {
			t.Errorf("%s: got %q, want %q", name, why, want)
		}
	}
	step("nobody left", "")
	if _, err := b.Decide(t.Context(), "alpha", suspension("drill")); err != nil {
		t.Fatal(err)
	}
	step("suspended", "alpha: suspended")
	b.now = b.now.Add(72 * time.Hour)
	step("expired", "beta: expired")
}
