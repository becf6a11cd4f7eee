package crosscert_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"log/slog"
	"math/big"
	"slices"
	"testing"
	"time"

	"bridge.example/crosscert"
)

const baseURL = "http://repository.bridge.example"

func oid(t testing.TB, s string) x509.OID {
	t.Helper()
	o, err := x509.ParseOID(s)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certify makes a certificate that needs no profile.
func certify(t testing.TB, template, issuer *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	if template.SerialNumber == nil {
		template.SerialNumber = big.NewInt(time.Now().UnixNano())
	}
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(8, 0, 0)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func caTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{Country: []string{"XX"}, Organization: []string{name}, CommonName: name + " Root CA"},
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// newCA makes a self-signed CA of a member.
func newCA(t testing.TB, name string) (*x509.Certificate, crypto.Signer) {
	key, template := newKey(t), caTemplate(name)
	return certify(t, template, template, key.Public(), key), key
}

// spy is the bridge's key. It remembers what it signed and holds the ledger to
// the promise that every certificate was intended before.
type spy struct {
	crypto.Signer
	t      testing.TB
	ledger *memory

	serials map[string]bool
}

func (s *spy) SignMessage(rand io.Reader, msg []byte, o crypto.SignerOpts) ([]byte, error) {
	s.check(msg)
	return crypto.SignMessage(s.Signer, rand, msg, o)
}

func (s *spy) check(msg []byte) {
	var tbs asn1.RawValue
	if _, err := asn1.Unmarshal(msg, &tbs); err != nil || tbs.Bytes[0] != 0xa0 {
		return // a CRL: it does not begin with the tag of a certificate's version
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	i := slices.IndexFunc(s.ledger.records, func(r crosscert.Record) bool { return bytes.Equal(r.ToBeSigned, msg) })
	if i < 0 {
		s.t.Error("the key signs a certificate that was not intended")
		return
	}
	r := s.ledger.records[i]
	if s.serials[r.Serial.String()] || r.Stage != crosscert.Intended {
		s.t.Errorf("the key signs serial %x again", r.Serial)
	}
	s.serials[r.Serial.String()] = true
}

// bridge is a bridge CA whose clock stands still.
type bridge struct {
	*crosscert.Authority
	cert   *x509.Certificate
	key    *spy
	later  []*spy // keys of the generations after the first
	ledger *memory
	now    time.Time
	o      crosscert.Options
}

func newBridge(t testing.TB) *bridge {
	t.Helper()
	b := &bridge{ledger: &memory{}, now: time.Now().Truncate(time.Second)}
	b.key = &spy{Signer: newKey(t), t: t, ledger: b.ledger, serials: map[string]bool{}}
	var err error
	b.cert, err = crosscert.NewRoot(b.key.Signer, pkix.Name{Organization: []string{"Bridge"}, CommonName: "Bridge CA"}, "http://repository.example"+crosscert.IssuedByBridgePath, b.now.Add(-time.Hour), b.now.AddDate(10, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	b.o = crosscert.Options{BaseURL: baseURL, Now: func() time.Time { return b.now }, Log: slog.New(slog.DiscardHandler)}
	b.restart(t)
	return b
}

// restart begins a new life over the same ledger.
func (b *bridge) restart(t testing.TB) {
	t.Helper()
	a, err := crosscert.Open(t.Context(), b.cert, func(generation int) (crypto.Signer, error) {
		return append([]*spy{b.key}, b.later...)[generation-1], nil
	}, b.ledger, b.o)
	if err != nil {
		t.Fatal(err)
	}
	b.Authority = a
}

// check holds the bridge to all it promises about its ledger.
func (b *bridge) check(t testing.TB) {
	t.Helper()
	recorded := map[string]bool{}
	for _, r := range b.ledger.records {
		recorded[r.Serial.String()] = true
		if r.Stage == crosscert.Intended {
			t.Errorf("serial %x is left intended", r.Serial)
		}
		if r.Certificate == nil {
			continue
		}
		c, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(c.RawTBSCertificate, r.ToBeSigned) || c.SerialNumber.Cmp(r.Serial) != 0 {
			t.Errorf("serial %x: the certificate is not the one intended", r.Serial)
		}
		if f := crosscert.Lint(c); f != nil {
			t.Errorf("serial %x: %v", r.Serial, f)
		}
	}
	for serial := range b.key.serials {
		if !recorded[serial] {
			t.Errorf("serial %s was signed and has no record", serial)
		}
	}
	generations, err := b.Generations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	crls, err := b.CRLs(t.Context())
	if err != nil || len(crls) != len(generations) {
		t.Fatalf("got %d CRLs, %v, for %d generations", len(crls), err, len(generations))
	}
	for i, g := range generations {
		b.checkGeneration(t, g, crls[i])
	}
}

// checkGeneration holds the CRLs of one generation against the ledger.
func (b *bridge) checkGeneration(t testing.TB, g crosscert.Generation, crl crosscert.GenerationCRL) {
	t.Helper()
	listed := map[string]bool{}
	for _, e := range crl.RevokedCertificateEntries {
		listed[e.SerialNumber.String()] = true
	}
	for _, r := range b.ledger.records {
		if listed[r.Serial.String()] != (r.Stage == crosscert.Revoked && max(r.Generation, 1) == g.Number) {
			t.Errorf("serial %x of generation %d is %s; on CRL %d: %v", r.Serial, r.Generation, r.Stage, g.Number, listed[r.Serial.String()])
		}
	}
	cert := parse(t, g.Certificate)
	if err := crl.CheckSignatureFrom(cert); err != nil {
		t.Error(err)
	}
	var before *x509.RevocationList
	for _, stored := range b.ledger.crls[g.Number] {
		crl, err := x509.ParseRevocationList(stored.der)
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && (crl.Number.Cmp(before.Number) <= 0 || crl.ThisUpdate.Before(before.ThisUpdate)) {
			t.Errorf("CRL %v of %v follows %v of %v", crl.Number, crl.ThisUpdate, before.Number, before.ThisUpdate)
		}
		if before != nil && before.NextUpdate.Year() == 9999 {
			t.Errorf("CRL %v follows the last one of generation %d", crl.Number, g.Number)
		}
		before = crl
	}
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// request asks for the certificate of a member that is just as it should be.
func request(t testing.TB, member string, subject *x509.Certificate) crosscert.Request {
	return crosscert.Request{
		Member: member, Subject: subject, MailDomains: []string{member + ".example"}, MaxPathLen: 1,
		Mappings: []crosscert.Mapping{{Bridge: oid(t, "1.3.6.1.4.1.32473.1.1"), Member: oid(t, "1.3.6.1.4.1.32473.2.1")}},
	}
}
