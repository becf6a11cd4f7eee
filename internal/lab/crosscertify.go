package lab

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"bridge.example/internal/wire/certext"
)

// CrossFile is the PEM file of what [Organisation.CrossCertify] returned.
func (o *Organisation) CrossFile() string { return o.path("bridge.pem") }

// CrossCertify returns the DER certificate that the root issues to the bridge
// CA: it holds the member's policy to be equal to each of bridgePolicies
// (dotted OIDs), and bars the bridge from the member's own mail addresses
// (RFC 5280 §4.2.1.5, §4.2.1.10, §4.2.1.11, §4.2.1.14). Asked again for the
// same, it returns the same.
func (o *Organisation) CrossCertify(bridge *x509.Certificate, bridgePolicies ...string) ([]byte, error) {
	t, err := o.crossTemplate(bridge, bridgePolicies)
	if err != nil {
		return nil, fmt.Errorf("cross-certifying %q: %w", bridge.Subject, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	old, err := readCertificate(o.CrossFile())
	if err == nil && covers(old, t, bridge) {
		return old.Raw, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	c, err := o.Root.issue(t, bridge.PublicKey)
	if err != nil {
		return nil, err
	}
	return c.Raw, writePEM(o.CrossFile(), "CERTIFICATE", c.Raw)
}

// crossTemplate names only mail addresses in its constraints: a directoryName
// would make verifiers that cannot read one in a critical extension,
// crypto/x509 among them, refuse the certificate.
func (o *Organisation) crossTemplate(bridge *x509.Certificate, bridgePolicies []string) (*x509.Certificate, error) {
	own, err := x509.ParseOID(o.Spec.Policy)
	if err != nil {
		return nil, fmt.Errorf("parsing policy %q: %w", o.Spec.Policy, err)
	}
	var mappings []certext.Mapping
	for _, p := range bridgePolicies {
		oid, err := x509.ParseOID(p)
		if err != nil {
			return nil, fmt.Errorf("parsing policy %q: %w", p, err)
		}
		mappings = append(mappings, certext.Mapping{Issuer: own, Subject: oid})
	}
	now := time.Now().UTC().Truncate(time.Second)
	t := &x509.Certificate{
		RawSubject: bridge.RawSubject, SubjectKeyId: bridge.SubjectKeyId,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(3 * year),
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		Policies: []x509.OID{own},
	}
	if bridge.NotAfter.Before(t.NotAfter) {
		t.NotAfter = bridge.NotAfter
	}
	for _, encode := range []func() (pkix.Extension, error){
		func() (pkix.Extension, error) { return certext.PolicyMappings(mappings) },
		// The bridge's certificate for another member maps once more.
		certext.PolicyConstraints{RequireExplicit: 0, InhibitMapping: 1}.Extension,
		func() (pkix.Extension, error) { return certext.InhibitAnyPolicy(0) },
		certext.NameConstraints{Excluded: []certext.Subtree{
			{Form: certext.RFC822Name, Value: o.Spec.Domain},
			{Form: certext.RFC822Name, Value: "." + o.Spec.Domain},
		}}.Extension,
	} {
		e, err := encode()
		if err != nil {
			return nil, err
		}
		t.ExtraExtensions = append(t.ExtraExtensions, e)
	}
	// Where the bridge publishes what it issues, only the bridge can tell.
	if e, ok := certext.Find(bridge, certext.OIDSubjectInfoAccess()); ok {
		t.ExtraExtensions = append(t.ExtraExtensions, e)
	}
	return t, nil
}

// covers reports whether old still is what t would become.
func covers(old, t, bridge *x509.Certificate) bool {
	return bytes.Equal(old.RawSubject, t.RawSubject) &&
		bytes.Equal(old.RawSubjectPublicKeyInfo, bridge.RawSubjectPublicKeyInfo) &&
		time.Now().Before(old.NotAfter) &&
		!slices.ContainsFunc(t.ExtraExtensions, func(e pkix.Extension) bool {
			has, ok := certext.Find(old, e.Id)
			return !ok || !bytes.Equal(has.Value, e.Value)
		})
}
