package cms

import (
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// CertsOnly returns a bundle of certificates: SignedData without content or
// signer (RFC 5652 §5.1, RFC 8551 §3.8), a .p7c file. It may be empty. DER
// orders the certificates, so their order here is lost.
func CertsOnly(certs []*x509.Certificate) ([]byte, error) {
	if len(certs) > maxBundle {
		return nil, fault.New(fault.Invalid, "%d certificates are too many for one bundle", len(certs))
	}
	raw := make([][]byte, len(certs))
	for i, c := range certs {
		raw[i] = c.Raw
	}
	return wrap(oidSignedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(asn1.SET, func(*cryptobyte.Builder) {})
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addOID(b, oidData) })
		if len(raw) > 0 {
			addSet(b, context0Container, raw)
		}
		b.AddASN1(asn1.SET, func(*cryptobyte.Builder) {})
	})
}

// ParseCertsOnly returns the certificates of a bundle, at most 10,000. Nothing
// vouches for them. Errors: ErrFormat.
func ParseCertsOnly(der []byte) ([]*x509.Certificate, error) {
	d, ok := parseSignedData(der)
	if !ok || d.version != 1 || d.hasContent || string(d.contentType) != oidData || !d.digests.Empty() || !d.signers.Empty() {
		return nil, fmt.Errorf("%w: not a bundle of certificates", ErrFormat)
	}
	return parseCertificates(d.certs, maxBundle)
}

// parseCertificates reads the certificates of SignedData, at most limit.
func parseCertificates(set cryptobyte.String, limit int) (certs []*x509.Certificate, err error) {
	for !set.Empty() {
		var der cryptobyte.String
		// The other choices, all of them obsolete or not of X.509, have other tags.
		if !set.ReadASN1Element(&der, asn1.SEQUENCE) || len(certs) == limit {
			return nil, fmt.Errorf("%w: more than %d certificates, or something else among them", ErrFormat, limit)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		certs = append(certs, c)
	}
	return certs, nil
}
