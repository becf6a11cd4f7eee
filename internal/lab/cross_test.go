package lab_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"reflect"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
	"bridge.example/internal/wire/certext"
)

// bridgeCA is a bridge and its key.
func bridgeCA(t *testing.T) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Bridge"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		SubjectKeyId: []byte("bridge"),
	}
	return signed(t, c, c, key, key), key
}

func signed(t *testing.T, c, parent *x509.Certificate, subject, issuer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, subject.Public(), issuer)
	if err == nil {
		c, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func testCross(t *testing.T, o *lab.Organisation) {
	bridge, key := bridgeCA(t)
	der, err := o.CrossCertify(bridge, bridgePolicy)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := o.CrossCertify(bridge, bridgePolicy); err != nil || !bytes.Equal(again, der) {
		t.Errorf("asked again: got another certificate, %v", err)
	}
	cross, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	in := crosscert.Inbound{
		Bridge: bridge, Anchors: []*x509.Certificate{o.Root.Certificate}, MailDomains: []string{o.Spec.Domain},
		Mappings: []crosscert.Mapping{{Bridge: oid(t, bridgePolicy), Member: oid(t, o.Spec.Policy)}},
	}
	for _, f := range crosscert.CheckInbound(cross, in, time.Now()) {
		// Where the bridge publishes, the organisation was not told.
		if f.Rule != "subjectInfoAccess" {
			t.Error(f)
		}
	}
	mappings, err := certext.ParsePolicyMappings(cross)
	if err != nil || len(mappings) != 1 || mappings[0].Issuer.String() != o.Spec.Policy || mappings[0].Subject.String() != bridgePolicy {
		t.Errorf("got mappings %v, %v", mappings, err)
	}
	own := certext.NameConstraints{Excluded: []certext.Subtree{
		{Form: certext.RFC822Name, Value: o.Spec.Domain}, {Form: certext.RFC822Name, Value: "." + o.Spec.Domain},
	}}
	if n, err := certext.ParseNameConstraints(cross); err != nil || !reflect.DeepEqual(n, own) {
		t.Errorf("got names %v, %v, want %v", n, err, own)
	}
	if c, err := certext.ParsePolicyConstraints(cross); err != nil || c != (certext.PolicyConstraints{InhibitMapping: 1}) {
		t.Errorf("got %+v, %v", c, err)
	}
	if n, err := certext.ParseInhibitAnyPolicy(cross); err != nil || n != 0 || cross.MaxPathLen != -1 {
		t.Errorf("got inhibitAnyPolicy %d, %v, pathLen %d", n, err, cross.MaxPathLen)
	}
	if got := status(t, o.Root, cross.SerialNumber); got != "good" {
		t.Errorf("its status: got %s, want good", got)
	}
	testReach(t, o, cross, bridge, key)

	other, _ := bridgeCA(t)
	if der2, err := o.CrossCertify(other, bridgePolicy); err != nil || bytes.Equal(der2, der) {
		t.Errorf("another key: got the same certificate, %v", err)
	}
	if _, err := o.CrossCertify(bridge); fault.KindOf(err) != fault.Invalid {
		t.Errorf("no policy: got %v, want Invalid", err)
	}
	if b, err := os.ReadFile(o.CrossFile()); err != nil || len(b) == 0 {
		t.Errorf("%s: %v", o.CrossFile(), err)
	}
}

// testReach goes from the member's root over the bridge to leaves of it.
func testReach(t *testing.T, o *lab.Organisation, cross, bridge *x509.Certificate, key *ecdsa.PrivateKey) {
	oid := func(s string) x509.OID {
		o, err := x509.ParseOID(s)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, tt := range []struct {
		name, mail, policy string
		ok                 bool
	}{
		{"elsewhere", "someone@gamma.example", bridgePolicy, true},
		{"another policy", "someone@gamma.example", "1.3.6.1.4.1.32473.9.9", false},
		{"the member's own address", "someone@" + o.Spec.Domain, bridgePolicy, false},
		{"below the member's own domain", "someone@sub." + o.Spec.Domain, bridgePolicy, false},
	} {
		leaf := signed(t, &x509.Certificate{
			NotBefore: bridge.NotBefore, NotAfter: bridge.NotAfter,
			EmailAddresses: []string{tt.mail}, Policies: []x509.OID{oid(tt.policy)},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		}, bridge, key, key)
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots: pool(o.Root.Certificate), Intermediates: pool(cross),
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, CertificatePolicies: []x509.OID{oid(o.Spec.Policy)},
		})
		if (err == nil) != tt.ok {
			t.Errorf("%s: got %v, want accepted: %v", tt.name, err, tt.ok)
		}
	}
}

func oid(t *testing.T, s string) x509.OID {
	t.Helper()
	o, err := x509.ParseOID(s)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
