package crosscert

import (
	"bytes"
	"crypto"
	"crypto/x509"

	"bridge.example/internal/fault"
)

// rootTemplate is the self-signed certificate of a new key, with the name of
// the present one byte by byte.
func (a *Authority) rootTemplate(pub crypto.PublicKey) (*x509.Certificate, error) {
	id := keyIDOf(pub)
	if id == nil {
		return nil, fault.New(fault.Invalid, "the new key of the bridge CA is of a kind that is not supported")
	}
	now := a.instant()
	t := &x509.Certificate{
		SerialNumber: newSerial(),
		Subject:      a.signing.cert.Subject, RawSubject: a.signing.cert.RawSubject,
		NotBefore: now.Add(-backdate), NotAfter: now.AddDate(10, 0, 0).Add(-backdate),
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1,
		KeyUsage:     x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId: id, PublicKey: pub,
	}
	return t, extend(t, caRepository(a.o.BaseURL+IssuedByBridgePath))
}

// linkTemplate is a self-issued certificate by one key of the bridge CA for
// another. It costs a path nothing and passes every policy: self-issued
// certificates do not count for path lengths (RFC 5280 §6.1.4 (l)) nor for
// skipCerts ((h)), and keep anyPolicy where it is inhibited (§6.1.3 (d)(2)).
func (a *Authority) linkTemplate(by, of *generation) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: newSerial(),
		Subject:      of.cert.Subject, RawSubject: of.cert.RawSubject,
		// Both keys have to be valid for the link to mean anything. An
		// OldWithNew reaches back as far as the old key (RFC 4210 §4.4.1), for
		// signatures of before.
		NotBefore: of.cert.NotBefore, NotAfter: earliest(by.cert.NotAfter, of.cert.NotAfter),
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId:          of.cert.SubjectKeyId,
		AuthorityKeyId:        by.cert.SubjectKeyId, // crypto/x509 leaves it out of what is self-issued
		Policies:              []x509.OID{anyPolicy()},
		IssuingCertificateURL: []string{a.o.BaseURL + IssuedToPathOf(by.Number)},
		CRLDistributionPoints: []string{a.o.BaseURL + CRLPathOf(by.Number)},
	}
}

// selfIssued reports whether a CA issued c to itself (RFC 5280 §3.2).
func selfIssued(c *x509.Certificate) bool {
	return c.IsCA && bytes.Equal(c.RawSubject, c.RawIssuer)
}

// isLink reports whether c is self-issued and not self-signed.
func isLink(c *x509.Certificate) bool {
	return selfIssued(c) && len(c.AuthorityKeyId) > 0 && !bytes.Equal(c.AuthorityKeyId, c.SubjectKeyId)
}

// keyIDOf is keyID of a bare key; nil for kinds that cannot be encoded.
func keyIDOf(pub crypto.PublicKey) []byte {
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil
	}
	return keyID(&x509.Certificate{RawSubjectPublicKeyInfo: spki})
}
