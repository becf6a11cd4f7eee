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

// ParseCertsOnly returns the certificates and CRLs of a bundle, at most 50,000
// together, as they stand in it: what is not of X.509 is left out, what is may
// still be malformed, and nothing vouches for any. The bundle may be BER, as
// RFC 5652 §2 allows. The results refer to b. Errors: ErrFormat.
func ParseCertsOnly(b []byte) (certs, crls [][]byte, err error) {
	certSet, crlSet, ok := splitBundle(b)
	if ok {
		certs, ok = sequences(certSet, maxBundle)
	}
	if ok {
		crls, ok = sequences(crlSet, maxBundle-len(certs))
	}
	if !ok {
		return nil, nil, fmt.Errorf("%w: not a bundle of at most %d certificates and CRLs", ErrFormat, maxBundle)
	}
	return certs, crls, nil
}

// splitBundle finds the two sets in SignedData (RFC 5652 §5.1), which must have
// neither content nor signer.
func splitBundle(s ber) (certs, crls ber, ok bool) {
	const context1Container = asn1.Tag(0xa1)
	if len(s) > maxBytes {
		return nil, nil, false
	}
	seq, ok := s.read(asn1.SEQUENCE)
	if !ok || len(s) > 0 {
		return nil, nil, false
	}
	kind, ok := seq.read(asn1.OBJECT_IDENTIFIER)
	if !ok || string(kind) != oidSignedData {
		return nil, nil, false
	}
	explicit, ok := seq.read(context0Container)
	if !ok || len(seq) > 0 {
		return nil, nil, false
	}
	data, ok := explicit.read(asn1.SEQUENCE)
	if !ok || len(explicit) > 0 {
		return nil, nil, false
	}
	_, hasVersion := data.read(asn1.INTEGER)
	digests, hasDigests := data.read(asn1.SET)
	encap, hasEncap := data.read(asn1.SEQUENCE)
	contentType, hasType := encap.read(asn1.OBJECT_IDENTIFIER)
	if !hasVersion || !hasDigests || len(digests) > 0 || !hasEncap || !hasType || string(contentType) != oidData || len(encap) > 0 {
		return nil, nil, false
	}
	if data.peek() == context0Container {
		if certs, ok = data.read(context0Container); !ok {
			return nil, nil, false
		}
	}
	if data.peek() == context1Container {
		if crls, ok = data.read(context1Container); !ok {
			return nil, nil, false
		}
	}
	signers, ok := data.read(asn1.SET)
	return certs, crls, ok && len(signers) == 0 && len(data) == 0
}

// sequences are the elements of set that may be certificates or CRLs; the other
// choices (RFC 5652 §10.2) have other tags.
func sequences(set ber, limit int) (found [][]byte, ok bool) {
	for len(set) > 0 {
		tag := set.peek()
		_, whole, ok := set.next()
		if !ok {
			return nil, false
		}
		if tag != asn1.SEQUENCE {
			continue
		}
		if len(found) == limit {
			return nil, false
		}
		found = append(found, whole)
	}
	return found, true
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
