package federation_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/federation"
	"bridge.example/membership"
)

// TestBuildPath goes from alpha's anchor over the bridge to a subscriber of
// beta's, while beta is a member.
func TestBuildPath(t *testing.T) {
	b := open(t, found(t), nil)
	alpha, beta := newCA(t, "alpha root", nil), newCA(t, "beta root", nil)
	issuing := newCA(t, "beta issuing", beta)
	a := application("alpha", alpha.cert.Raw)
	a.CrossCertificates = [][]byte{certifyBridge(t, alpha, b.BridgeCA, func(*x509.Certificate) {})}
	b.admit(t, a)
	a = application("beta", beta.cert.Raw)
	a.Intermediates = []membership.CA{{Certificate: crossCertify(t, beta, issuing.cert, memberPolicy), OCSP: a.Anchors[0].OCSP}}
	b.admit(t, a)

	bob, err := pathval.ParseCertificate(certify(t, issuing, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Bob"}, EmailAddresses: []string{"bob@beta.example"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}, alpha.cert.PublicKey, memberPolicy))
	if err != nil {
		t.Fatal(err)
	}
	build := func(a *federation.Artifacts, anchor *x509.Certificate) error {
		from, err := pathval.ParseCertificate(anchor.Raw)
		if err != nil {
			t.Fatal(err)
		}
		r, err := a.BuildPath(t.Context(), bob, pathval.Inputs{
			Anchors: []*pathval.Certificate{from}, At: time.Now(), Email: "bob@beta.example", Purpose: pathval.EmailProtection(),
		})
		if err == nil && r.Path[len(r.Path)-1] != bob {
			t.Errorf("the path leads to %s", r.Path[len(r.Path)-1])
		}
		return err
	}
	before := b.Artifacts()
	for _, anchor := range []*x509.Certificate{alpha.cert, b.BridgeCA, beta.cert} {
		if err := build(before, anchor); err != nil {
			t.Errorf("from %s: %v", anchor.Subject, err)
		}
	}
	if err := build(before, newCA(t, "stranger", nil).cert); !errors.Is(err, pathval.ErrNoPath) {
		t.Errorf("from a stranger's anchor: %v", err)
	}
	if _, err := b.Decide(t.Context(), "beta", suspension("drill")); err != nil {
		t.Fatal(err)
	}
	after := b.Artifacts()
	if err := build(after, alpha.cert); !errors.Is(err, pathval.ErrNoPath) {
		t.Errorf("to a member suspended: %v", err)
	}

	// The CRL counts by itself, and nothing counts without one.
	mixed := &federation.Artifacts{BridgeCA: before.BridgeCA, Trusted: before.Trusted, Generations: after.Generations}
	if err := build(mixed, alpha.cert); rejectedFor(err) != pathval.Revoked {
		t.Errorf("over a cross-certificate that is revoked: %v", err)
	}
	garbage := slices.Clone(before.Generations)
	garbage[0].CRL = &x509.RevocationList{Raw: []byte("garbage")}
	mixed = &federation.Artifacts{BridgeCA: before.BridgeCA, Trusted: before.Trusted, Generations: garbage}
	if err := build(mixed, alpha.cert); !errors.Is(err, pathval.ErrStatusUnknown) {
		t.Errorf("without a CRL: %v", err)
	}
	if err := build(&federation.Artifacts{}, alpha.cert); !errors.Is(err, pathval.ErrNoPath) {
		t.Errorf("before anything is published: %v", err)
	}
}

func rejectedFor(err error) pathval.Reason {
	none, ok := errors.AsType[*pathval.NoPathError](err)
	if !ok || len(none.Rejections) == 0 {
		return 0
	}
	return none.Rejections[0].Reason
}

// certify makes issuer's certificate by template, under policy.
func certify(t *testing.T, issuer *ca, template *x509.Certificate, key crypto.PublicKey, policy string) []byte {
	t.Helper()
	id, err := x509.ParseOID(policy)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.Policies = big.NewInt(time.Now().UnixNano()), []x509.OID{id}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// crossCertify makes issuer's certificate for another CA.
func crossCertify(t *testing.T, issuer *ca, subject *x509.Certificate, policy string) []byte {
	t.Helper()
	return certify(t, issuer, &x509.Certificate{
		RawSubject: subject.RawSubject, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, subject.PublicKey, policy)
}
