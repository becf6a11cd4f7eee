package daemon_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"bridge.example/internal/daemon"
	"bridge.example/internal/lab"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/subscription"
)

// TestSubscriber follows a bridge from outside: whoever is suspended is gone from
// the subscriber's files with its next update, and a bridge that stands still
// takes nobody away.
func TestSubscriber(t *testing.T) {
	alpha, beta := organisation(t, alphaSpec()), organisation(t, betaSpec())
	b := start(t, "o=bridge", func(*config.Config) {}, alpha, beta)
	for _, m := range []*lab.Organisation{alpha, beta} {
		b.admit(t, b.application(t, m))
	}
	address := "http://" + b.Repository
	resp, err := oneShot.Get(address + daemon.BridgeCAPath)
	if err != nil {
		t.Fatal(err)
	}
	var der bytes.Buffer
	_, err = der.ReadFrom(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	anchor, err := x509.ParseCertificate(der.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "subscription")
	s, err := subscription.Create(dir, subscription.Config{
		URL: address + daemon.ListPath, Fingerprint: subscription.Fingerprint(anchor),
		Targets:    []subscription.Target{{Kind: "pem"}},
		CheckViews: []string{"anchors.pem", "anchors.p12", "trustlist.txt"},
	}, anchor, subscription.Options{})
	if err != nil {
		t.Fatal(err)
	}
	trusts := func(state subscription.State, members ...*lab.Organisation) {
		t.Helper()
		r, err := s.Update(t.Context(), 0)
		if err != nil || r.State != state || r.Selected != len(members) {
			t.Fatalf("got %+v, %v; want %s, and %d trusted", r, err, state, len(members))
		}
		text, err := os.ReadFile(filepath.Join(dir, "current", "anchors.pem"))
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			got++
		}
		if got != len(members) {
			t.Errorf("got %d certificates, want %d", got, len(members))
		}
		for _, m := range members {
			if !bytes.Contains(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.Root.Certificate.Raw})) {
				t.Errorf("%s is not trusted", m.Spec.ID)
			}
		}
	}
	trusts(subscription.Changed, alpha, beta)
	trusts(subscription.UpToDate, alpha, beta)
	b.suspend(t, "beta")
	trusts(subscription.Changed, alpha)
	b.resume(t, "beta")
	trusts(subscription.Changed, alpha, beta)
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	trusts(subscription.Unreachable, alpha, beta)
}
