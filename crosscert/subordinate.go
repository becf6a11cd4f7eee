package crosscert

import (
	"bytes"
	"context"
	"crypto/x509"

	"bridge.example/internal/fault"
)

// Where a bridge with an offline root publishes what is the root's, below
// [Options].BaseURL.
const (
	// RootPath has the root's certificate.
	RootPath = "/root.cer"
	// RootCRLPath has the root's current CRL.
	RootCRLPath = "/root.crl"
)

// subordinateValidity lets one root certify two bridge CAs, one after the
// other, each of which can issue cross-certificates of full length meanwhile.
const subordinateValidity = maxValidity

// IssueSubordinate certifies, for five years, the CA that asks by r as the
// bridge CA below this one, which is then an offline root. policies are all the
// bridge's levels: a path from the root is valid under no other. Whoever calls
// has made sure that r comes from the bridge. Errors: Invalid for a request
// that does not prove possession of its key, or names this CA or uses its key;
// else as for Issue.
func (a *Authority) IssueSubordinate(ctx context.Context, r *x509.CertificateRequest, policies []x509.OID) (*x509.Certificate, error) {
	switch {
	case r.CheckSignature() != nil:
		return nil, fault.New(fault.Invalid, "the request of %q is not signed with the key it is for", r.Subject)
	case bytes.Equal(r.RawSubject, a.cert.RawSubject):
		return nil, fault.New(fault.Invalid, "the request is for the root's own name %q", r.Subject)
	case sameKey(r.PublicKey, a.cert.PublicKey):
		return nil, fault.New(fault.Invalid, "the request of %q is for the root's own key", r.Subject)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t, err := a.subordinateTemplate(r, policies)
	if err != nil {
		return nil, err
	}
	return a.issue(ctx, "", t, r.PublicKey)
}

// subordinateTemplate is the profile of a bridge CA below an offline root. It
// sets no path length, purpose or name: what limits members stands in each
// cross-certificate, and a limit up here would only break paths.
func (a *Authority) subordinateTemplate(r *x509.CertificateRequest, policies []x509.OID) (*x509.Certificate, error) {
	t := a.base(subordinateValidity)
	if !t.NotAfter.After(a.instant()) {
		return nil, fault.New(fault.Invalid, "the root's certificate has expired")
	}
	t.RawSubject, t.Subject = r.RawSubject, r.Subject
	t.SubjectKeyId = keyID(&x509.Certificate{RawSubjectPublicKeyInfo: r.RawSubjectPublicKeyInfo})
	t.BasicConstraintsValid, t.IsCA, t.MaxPathLen = true, true, -1
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	t.Policies = sortUnique(policies, x509.OID.String)
	t.IssuingCertificateURL = []string{a.o.BaseURL + RootPath}
	t.CRLDistributionPoints = []string{a.o.BaseURL + RootCRLPath}
	return t, extend(t, caRepository(a.o.BaseURL+IssuedByBridgePath))
}
