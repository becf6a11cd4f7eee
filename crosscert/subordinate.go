package crosscert

import (
	"bytes"
	"context"
	"crypto/x509"
	"time"

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
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.permit(ctx); err != nil {
		return nil, err
	}
	switch own := a.signing.cert; {
	case r.CheckSignature() != nil:
		return nil, fault.New(fault.Invalid, "the request of %q is not signed with the key it is for", r.Subject)
	case bytes.Equal(r.RawSubject, own.RawSubject):
		return nil, fault.New(fault.Invalid, "the request is for the root's own name %q", r.Subject)
	case sameKey(r.PublicKey, own.PublicKey):
		return nil, fault.New(fault.Invalid, "the request of %q is for the root's own key", r.Subject)
	}
	t, err := a.subordinateTemplate(r, policies)
	if err != nil {
		return nil, err
	}
	return a.issue(ctx, a.signing, "", t, r.PublicKey)
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

// OfflineRoot is what a bridge holds of the root above it: all but the key.
type OfflineRoot struct {
	Certificate *x509.Certificate
	CRL         *x509.RevocationList
}

// Certifies reports whether this root is one, and has certified ca as the
// bridge CA below it. Whether it still stands by that, [OfflineRoot.Supports]
// tells. Errors are Invalid.
func (r *OfflineRoot) Certifies(ca *x509.Certificate) error {
	c := r.Certificate
	switch {
	case kindOf(c) != root || c.CheckSignatureFrom(c) != nil:
		return fault.New(fault.Invalid, "the root certificate %q is not that of a self-signed CA", c.Subject)
	case !bytes.Equal(ca.RawIssuer, c.RawSubject) || ca.CheckSignatureFrom(c) != nil:
		return fault.New(fault.Invalid, "the certificate of the bridge CA %q was not issued by the root %q", ca.Subject, c.Subject)
	case kindOf(ca) != subordinate:
		return fault.New(fault.Invalid, "the certificate of %q is none for a bridge CA below a root", ca.Subject)
	}
	if err := lintError(c); err != nil {
		return err
	}
	return lintError(ca)
}

// Replaces reports whether l may take the place of the CRL in use: it is the
// root's own (else Invalid), and its number is no lower (else Conflict).
func (r *OfflineRoot) Replaces(l *x509.RevocationList) error {
	switch {
	case l.Number == nil || !bytes.Equal(l.RawIssuer, r.Certificate.RawSubject) || l.CheckSignatureFrom(r.Certificate) != nil:
		return fault.New(fault.Invalid, "the CRL is not one of the root %q", r.Certificate.Subject)
	case r.CRL != nil && l.Number.Cmp(r.CRL.Number) < 0:
		return fault.New(fault.Conflict, "the root's CRL %v is older than %v, which is in use", l.Number, r.CRL.Number)
	}
	return nil
}

// Supports reports whether the root's CRL says, at the instant now, that ca is
// not revoked. Errors: Invalid for a CRL that is not the root's; Unavailable for
// one that is not in force, which says nothing; Denied when ca is revoked.
func (r *OfflineRoot) Supports(ca *x509.Certificate, now time.Time) error {
	if r.CRL == nil {
		return fault.New(fault.Unavailable, "there is no CRL of the root")
	}
	if err := r.Replaces(r.CRL); err != nil {
		return err
	}
	for _, e := range r.CRL.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(ca.SerialNumber) == 0 {
			return fault.New(fault.Denied, "the root revoked the bridge CA's certificate %x at %s", ca.SerialNumber, e.RevocationTime.Format(time.RFC3339))
		}
	}
	switch {
	case now.Before(r.CRL.ThisUpdate.Add(-backdate)):
		return fault.New(fault.Unavailable, "the root's CRL %v is of %s, which is still to come", r.CRL.Number, r.CRL.ThisUpdate.Format(time.RFC3339))
	case now.After(r.CRL.NextUpdate):
		return fault.New(fault.Unavailable, "the root's CRL %v ran out at %s", r.CRL.Number, r.CRL.NextUpdate.Format(time.RFC3339))
	}
	return nil
}
