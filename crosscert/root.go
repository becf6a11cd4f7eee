package crosscert

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"time"
)

// maxRootValidity is the longest a CA key may be used (FBCA CP §6.3.2).
const maxRootValidity = 10*year + 3*day // three leap days

// NewRoot makes the self-signed certificate of a bridge CA, or of an offline
// root above one: a CA for certificates and CRLs without a limit of path length,
// valid from notBefore to notAfter, at most ten years. repository is the URL of
// the `.p7c` bundle with what it will issue, by which verifiers find the way down
// from it (RFC 5280 §4.2.2.2); it may be empty. Errors are Invalid, as [Lint]
// finds.
func NewRoot(key crypto.Signer, subject pkix.Name, repository string, notBefore, notAfter time.Time) (*x509.Certificate, error) {
	t := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               subject,
		NotBefore:             notBefore.UTC().Truncate(time.Second),
		NotAfter:              notAfter.UTC().Truncate(time.Second),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            -1,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if repository != "" {
		if err := extend(t, caRepository(repository)); err != nil {
			return nil, err
		}
	}
	c, err := sign(t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if err := lintError(c); err != nil {
		return nil, err
	}
	return c, nil
}
