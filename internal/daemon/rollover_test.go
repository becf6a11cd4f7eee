package daemon_test

import (
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/daemon"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/statedir"
	"bridge.example/internal/wire/cms"
	"bridge.example/signedlist"
)

// fetch gets a file that the repository must have.
func (b *bridge) fetch(t *testing.T, path string) []byte {
	t.Helper()
	resp, err := oneShot.Get("http://" + b.Repository + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return body
}

// TestRollOver rolls the bridge's key over between runs of the daemon. Throughout,
// whatever a published certificate points to is published, each certificate is
// on no CRL of the key that signed it, and the list opens under every anchor
// that has been announced.
func TestRollOver(t *testing.T) {
	alpha := organisation(t, alphaSpec())
	b := start(t, "o=bridge", func(*config.Config) {}, alpha)
	b.admit(t, b.application(t, alpha))
	c, err := config.LoadFile(b.dir.Config())
	if err != nil {
		t.Fatal(err)
	}
	var anchors []*x509.Certificate
	look := func(phase string, issued int) {
		t.Helper()
		list := b.fetch(t, daemon.ListPath)
		for i, anchor := range anchors {
			pool := x509.NewCertPool()
			pool.AddCert(anchor)
			if l, err := signedlist.Open(list, pool, time.Now()); err != nil || len(l.Entries) != 1 {
				t.Errorf("%s: the list under anchor %d: %v", phase, i+1, err)
			}
		}
		certs, _, err := cms.ParseCertsOnly(b.fetch(t, crosscert.IssuedByBridgePath))
		if err != nil || len(certs) != issued {
			t.Errorf("%s: %d certificates issued by the bridge, %v, want %d", phase, len(certs), err, issued)
		}
		for _, der := range certs {
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			for _, url := range append(cert.IssuingCertificateURL, cert.CRLDistributionPoints...) {
				b.fetch(t, strings.TrimPrefix(url, "http://repository.bridge.example"))
			}
			crl, err := x509.ParseRevocationList(b.fetch(t, strings.TrimPrefix(cert.CRLDistributionPoints[0], "http://repository.bridge.example")))
			if err != nil {
				t.Fatal(err)
			}
			for _, anchor := range anchors {
				if (cert.CheckSignatureFrom(anchor) == nil) != (crl.CheckSignatureFrom(anchor) == nil) {
					t.Errorf("%s: %q points to the CRL of another key", phase, cert.Subject)
				}
			}
			for _, e := range crl.RevokedCertificateEntries {
				if e.SerialNumber.Cmp(cert.SerialNumber) == 0 {
					t.Errorf("%s: %q is published and revoked", phase, cert.Subject)
				}
			}
		}
	}
	between := func(do func(*daemon.Stopped, context.Context) error) {
		t.Helper()
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		s, err := daemon.OpenStopped(t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := do(s, t.Context()); err != nil {
			t.Fatal(err)
		}
		standing, err := s.Standing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		anchors = nil
		for _, g := range standing {
			anchors = append(anchors, g.Parsed)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		b.run(t, c)
	}

	first, err := b.dir.ReadCertificate(statedir.BridgeCA)
	if err != nil {
		t.Fatal(err)
	}
	anchors = []*x509.Certificate{first}
	cross := len(alpha.Application(level).Anchors)
	look("before", cross+2)
	between((*daemon.Stopped).Announce)
	look("announced", cross+2+2)
	between((*daemon.Stopped).Switch)
	look("switched", 2*cross+2+2)
	between((*daemon.Stopped).End)
	if list, err := x509.ParseRevocationList(b.fetch(t, crosscert.CRLPathOf(2))); err != nil || list.NextUpdate.Year() != 9999 {
		t.Errorf("after the end, the CRL of the new key: %v", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(first)
	if l, err := signedlist.Open(b.fetch(t, daemon.ListPath), pool, time.Now()); err != nil || len(l.Entries) != 0 {
		t.Errorf("after the end, the list under the old anchor: %v", err)
	}
}
