package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bridge.example/internal/edge/boltstore"
	"bridge.example/signedlist"
)

// writeLists writes bridge-ca.pem and lists signed below it: 1.p7s of
// 2026-01-02 trusts alpha, 2.p7s of 2026-01-03 nobody, fork.p7s is another list
// with the number 1, changed.p7s is 1.p7s with one bit changed. In force are
// now-1.p7s, which trusts alpha and beta and has the view now-1.pem, and
// now-2.p7s, which trusts beta; beta.pem is beta's CA.
func writeLists(t *testing.T, dir string) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	bridge := newAuthority(t, "Bridge")
	signer := listSigner(t, bridge)
	level, err := x509.ParseOID("1.3.6.1.4.1.32473.1.1")
	if err != nil {
		t.Fatal(err)
	}
	member := func(id, title string) signedlist.Entry {
		return signedlist.Entry{
			Member: id, Title: title, Certificate: newAuthority(t, title+" Root").cert,
			Policies: []x509.OID{level}, MailDomains: []string{id + ".example"},
		}
	}
	alpha, beta := member("alpha", "Alpha"), member("beta", "Beta")
	day := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	publish := func(store string, at time.Time, entries ...signedlist.Entry) *signedlist.Publication {
		s, err := boltstore.Open(store)
		if err != nil {
			s, err = boltstore.Create(store)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		now := func() time.Time { return at }
		left := func(signedlist.Entry) string { return "left" }
		p, err := signedlist.NewPublisher(signer, s.Lists(), signedlist.Options{Now: now}).Publish(context.Background(), entries, left)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := publish(filepath.Join(dir, "a.db"), day, alpha).DER
	changed := append([]byte(nil), first...)
	changed[len(changed)/2] ^= 1
	write(t, filepath.Join(dir, "bridge-ca.pem"), pemOf(bridge.cert.Raw))
	write(t, filepath.Join(dir, "bridge-ca.cer"), bridge.cert.Raw)
	write(t, filepath.Join(dir, "1.p7s"), first)
	write(t, filepath.Join(dir, "changed.p7s"), changed)
	write(t, filepath.Join(dir, "2.p7s"), publish(filepath.Join(dir, "a.db"), day.AddDate(0, 0, 1)).DER)
	write(t, filepath.Join(dir, "fork.p7s"), publish(filepath.Join(dir, "b.db"), day).DER)
	current := publish(filepath.Join(dir, "c.db"), time.Now().Add(-time.Hour), alpha, beta)
	write(t, filepath.Join(dir, "now-1.p7s"), current.DER)
	for _, f := range current.Files {
		if f.Name == "anchors.pem" {
			write(t, filepath.Join(dir, "now-1.pem"), f.Body)
		}
	}
	write(t, filepath.Join(dir, "now-2.p7s"), publish(filepath.Join(dir, "c.db"), time.Now(), beta).DER)
	write(t, filepath.Join(dir, "beta.pem"), pemOf(beta.Certificate.Raw))
}

func listSigner(t *testing.T, by authority) signedlist.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(by.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "List signer"}, SerialNumber: big.NewInt(3), NotBefore: by.cert.NotBefore, NotAfter: by.cert.NotAfter,
		KeyUsage:           x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{0, 4, 0, 2231, 3, 0}},
	}, key))
	if err != nil {
		t.Fatal(err)
	}
	return signedlist.Signer{Cert: cert, Chain: []*x509.Certificate{by.cert}, Key: key}
}
