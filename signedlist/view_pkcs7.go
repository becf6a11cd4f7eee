package signedlist

import (
	"crypto/x509"

	"bridge.example/internal/wire/cms"
)

// encodePKCS7 writes a bundle (RFC 8551 §3.8), which Windows calls .p7b and
// everybody else .p7c.
func encodePKCS7(s *sheet) ([]byte, error) {
	certs := make([]*x509.Certificate, len(s.rows))
	for i, r := range s.rows {
		certs[i] = r.Certificate
	}
	return cms.CertsOnly(certs)
}
