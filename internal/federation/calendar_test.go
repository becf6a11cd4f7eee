package federation_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bridge.example/membership"
)

// live runs b in a bubble: its clock goes on from where b.now stood.
func (b *bridge) live(t *testing.T) {
	t.Helper()
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
}

// tick makes the clock of b that of the bubble.
func (b *bridge) tick() {
	start, at := time.Now(), b.now
	b.clock = func() time.Time { return at.Add(time.Since(start)) }
}

// inBubble admits alpha, whose root is valid for the next four days, and lets
// the bridge run.
func inBubble(t *testing.T, edit func(b *bridge, a *membership.Application), f func(t *testing.T, b *bridge)) {
	dir := found(t)
	root := newCAUntil(t, "short root", nil, time.Now().Add(96*time.Hour))
	if err := os.WriteFile(filepath.Join(dir, "alpha.der"), root.cert.Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir, nil)
		b.now = now
		b.tick()
		b.Every = 30 * 24 * time.Hour // nothing comes on schedule
		if edit != nil {
			edit(b, &b.application)
		}
		b.admit(t, b.application)
		b.live(t)
		f(t, b)
	})
}

// TestExpiryAtTheSecond: an expired CA certificate leaves everything when it
// expires, not at the next reconciliation on schedule.
func TestExpiryAtTheSecond(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bridge) {
		end := b.Artifacts().Trusted[0].Anchors[0].NotAfter
		time.Sleep(end.Sub(b.clock()))
		synctest.Wait()
		if len(b.Artifacts().Trusted) != 1 || !b.mounted(t, "alpha") {
			t.Error("it left before its time")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		c, err := b.Case(t.Context(), "alpha")
		if err != nil {
			t.Fatal(err)
		}
		p := c.Projection
		if p.Listed || len(p.DirectoryDomains) != 0 || len(p.ResponderIssuers) != 0 || p.CrossCertificates[0].RevokedAt.IsZero() && p.CrossCertificates[0].NotAfter.After(b.clock()) || b.mounted(t, "alpha") {
			t.Errorf("2 s after its end, got %+v", p)
		}
		if c.Member.State != membership.Active || len(p.Untrusted) != 1 || !strings.Contains(c.Pending, "expired at "+end.Format(time.RFC3339)) {
			t.Errorf("got %s, untrusted %q, pending %q; want the case to say why", c.Member.State, p.Untrusted, c.Pending)
		}
	})
}

// TestBeginningAtTheSecond: a CA certificate that is not yet valid is served
// from its notBefore on.
func TestBeginningAtTheSecond(t *testing.T) {
	var begins time.Time
	inBubble(t, func(b *bridge, a *membership.Application) {
		begins = b.now.Add(time.Hour).Truncate(time.Second)
		next := newCABetween(t, "next root", nil, begins, begins.AddDate(1, 0, 0))
		a.Anchors = append(a.Anchors, membership.CA{Certificate: next.cert.Raw})
	}, func(t *testing.T, b *bridge) {
		if n := len(b.Artifacts().Trusted[0].Anchors); n != 1 {
			t.Fatalf("got %d anchors before the second begins", n)
		}
		time.Sleep(begins.Sub(b.clock()) + time.Second)
		synctest.Wait()
		if n := len(b.Artifacts().Trusted[0].Anchors); n != 2 {
			t.Errorf("got %d anchors after the second began", n)
		}
	})
}

// TestExitAtItsDate: a member that is to leave is gone at the instant agreed.
func TestExitAtItsDate(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bridge) {
		at := b.clock().Add(50 * time.Hour).UTC().Truncate(time.Second)
		_, err := b.Decide(t.Context(), "alpha", membership.Decision{
			Verb: membership.Exit, Reason: "we merge", Date: at,
			By: membership.Actor{Person: "m", Roles: []membership.Role{membership.MemberRole}, Member: "alpha"},
		})
		if err != nil {
			t.Fatal(err)
		}
		state := func() membership.State {
			synctest.Wait()
			c, err := b.Case(t.Context(), "alpha")
			if err != nil {
				t.Fatal(err)
			}
			return c.Member.State
		}
		time.Sleep(at.Sub(b.clock()) - time.Second)
		if s := state(); s != membership.Exiting {
			t.Errorf("a second before, got %s", s)
		}
		time.Sleep(2 * time.Second)
		if s := state(); s != membership.Left || b.mounted(t, "alpha") {
			t.Errorf("a second after, got %s, mounted %v", s, b.mounted(t, "alpha"))
		}
	})
}

// TestCertificateForAnother: one certificate ends as another begins, and the
// directory is told though their number stays.
func TestCertificateForAnother(t *testing.T) {
	b := open(t, found(t), nil)
	turn := b.now.Add(time.Hour)
	old := newCABetween(t, "alpha issuing", nil, b.now.Add(-time.Hour), turn)
	next := newCABetween(t, "alpha issuing two", nil, turn, b.now.AddDate(1, 0, 0))
	a := b.application
	a.Anchors = []membership.CA{{Certificate: old.cert.Raw}, {Certificate: next.cert.Raw}}
	b.admit(t, a)
	b.now = turn.Add(2 * time.Second)
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.mailboxes.set(leaf(t, next, "bob@alpha.example"))
	if got := b.lookup(t, "bob@alpha.example"); got != 1 {
		t.Errorf("got %d entries below the new certificate, want 1", got)
	}
}
