// Package certext encodes and parses the X.509 extensions that crypto/x509
// drops without a word when it creates a certificate, or cannot express: policy
// mappings and constraints, name constraints with every form of name, subject
// information access; and the pair of cross-certificates that directories hold.
//
// It keeps to the encoding and leaves judgement to its callers: what the
// standards allow to be written but forbid to be meant (a mapping to anyPolicy,
// say) passes here. Whatever parses encodes to the same bytes again.
//
// The Parse functions read one extension of a certificate, of at most
// 64 KiB; a certificate without it gives the documented empty value. Their
// errors, and those of the encoders, are Invalid.
package certext

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// Bounds on one extension; the largest seen in practice are far below.
const (
	maxBytes = 64 << 10
	maxItems = 1000
)

// OIDs of the extensions (RFC 5280 §4.2). They are functions because a slice
// cannot be a constant.

// OIDNameConstraints is id-ce-nameConstraints.
func OIDNameConstraints() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 30} }

// OIDPolicyMappings is id-ce-policyMappings.
func OIDPolicyMappings() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 33} }

// OIDPolicyConstraints is id-ce-policyConstraints.
func OIDPolicyConstraints() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 36} }

// OIDInhibitAnyPolicy is id-ce-inhibitAnyPolicy.
func OIDInhibitAnyPolicy() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 54} }

// OIDSubjectInfoAccess is id-pe-subjectInfoAccess.
func OIDSubjectInfoAccess() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 11}
}

// Find returns the extension id of c.
func Find(c *x509.Certificate, id asn1.ObjectIdentifier) (pkix.Extension, bool) {
	for _, e := range c.Extensions {
		if e.Id.Equal(id) {
			return e, true
		}
	}
	return pkix.Extension{}, false
}

// read passes the value of extension id of c to parse, which must consume it.
// Absent, it does nothing.
func read(c *x509.Certificate, id asn1.ObjectIdentifier, name string, parse func(*cryptobyte.String) bool) error {
	e, ok := Find(c, id)
	if !ok {
		return nil
	}
	s := cryptobyte.String(e.Value)
	if len(s) > maxBytes || !parse(&s) || !s.Empty() {
		return fault.New(fault.Invalid, "malformed %s", name)
	}
	return nil
}

// write builds an extension.
func write(id asn1.ObjectIdentifier, critical bool, name string, build cryptobyte.BuilderContinuation) (pkix.Extension, error) {
	var b cryptobyte.Builder
	build(&b)
	der, err := b.Bytes()
	if err == nil && len(der) > maxBytes {
		err = fault.New(fault.Invalid, "%d bytes are more than %d", len(der), maxBytes)
	}
	if err != nil {
		return pkix.Extension{}, fault.New(fault.Invalid, "encoding %s: %w", name, err)
	}
	return pkix.Extension{Id: id, Critical: critical, Value: der}, nil
}

// sequence reads a SEQUENCE OF with one to maxItems elements.
func sequence[T any](s *cryptobyte.String, tag cbasn1.Tag, item func(*cryptobyte.String) (T, bool)) ([]T, bool) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, tag) {
		return nil, false
	}
	var out []T
	for len(out) == 0 || !seq.Empty() {
		v, ok := item(&seq)
		if !ok || len(out) == maxItems {
			return nil, false
		}
		out = append(out, v)
	}
	return out, true
}

// checkCount refuses what sequence would not read back.
func checkCount(n int) error {
	if n < 1 || n > maxItems {
		return fault.New(fault.Invalid, "want 1 to %d elements, got %d", maxItems, n)
	}
	return nil
}

func readOID(s *cryptobyte.String) (oid x509.OID, ok bool) {
	var der cryptobyte.String
	ok = s.ReadASN1(&der, cbasn1.OBJECT_IDENTIFIER) && oid.UnmarshalBinary(der) == nil
	return oid, ok
}

func addOID(b *cryptobyte.Builder, oid x509.OID) {
	der, err := oid.MarshalBinary()
	if err == nil && len(der) == 0 {
		err = fault.New(fault.Invalid, "an object identifier is empty")
	}
	if err != nil {
		b.SetError(err)
		return
	}
	b.AddASN1(cbasn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(der) })
}
