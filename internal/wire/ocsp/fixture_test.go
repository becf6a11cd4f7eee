package ocsp_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"bridge.example/internal/wire/ocsp"
)

// now is the instant of all checks; answers are from an hour before to an hour
// after.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (p pair) signer() *ocsp.Signer { return &ocsp.Signer{Cert: p.cert, Key: p.key} }

func p256(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newCA makes a self-signed CA with this key.
func newCA(t testing.TB, name string, key crypto.Signer) pair {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return sign(t, template, pair{template, key}, key)
}

var noCheck = pkix.Extension{Id: []int{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}

// delegate is a responder as RFC 6960 §4.2.2.2 wants it, but for what change
// does to it.
func (p pair) delegate(t testing.TB, change func(*x509.Certificate)) pair {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "responder"},
		NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 1, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		ExtraExtensions: []pkix.Extension{noCheck},
	}
	if change != nil {
		change(template)
	}
	return sign(t, template, p, p256(t))
}

func sign(t testing.TB, template *x509.Certificate, issuer pair, key crypto.Signer) pair {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return pair{cert, key}
}

func newID(t testing.TB, h crypto.Hash, issuer pair, serial int64) ocsp.CertID {
	t.Helper()
	id, err := ocsp.NewCertID(h, issuer.cert, big.NewInt(serial))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// good is what an ordinary answer says about id.
func good(id ocsp.CertID) ocsp.SingleResponse {
	return ocsp.SingleResponse{ID: id, Status: ocsp.Good, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
}

func template(singles ...ocsp.SingleResponse) *ocsp.Response {
	return &ocsp.Response{ProducedAt: now.Add(-time.Hour), Singles: singles}
}

func mustSign(t testing.TB, r *ocsp.Response, p pair) *ocsp.Response {
	t.Helper()
	signed, err := ocsp.Sign(r, p.signer())
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
