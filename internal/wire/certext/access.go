package certext

import (
	"crypto/x509"
	"crypto/x509/pkix"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// Access is an AccessDescription of RFC 5280 §4.2.2.1.
type Access struct {
	Method   x509.OID
	Location Name
}

// CARepository is id-ad-caRepository: where the certificates issued by the
// subject are found (RFC 5280 §4.2.2.2).
func CARepository() x509.OID {
	// The arc is constant, so this cannot fail.
	oid, _ := x509.OIDFromInts([]uint64{1, 3, 6, 1, 5, 5, 7, 48, 5})
	return oid
}

// SubjectInfoAccess encodes RFC 5280 §4.2.2.2, with one or more descriptions,
// non-critical as the RFC demands.
func SubjectInfoAccess(as []Access) (pkix.Extension, error) {
	const name = "subjectInfoAccess"
	if err := checkCount(len(as)); err != nil {
		return pkix.Extension{}, fault.New(fault.Invalid, "encoding %s: %w", name, err)
	}
	return write(OIDSubjectInfoAccess(), false, name, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, a := range as {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					addOID(b, a.Method)
					addName(b, a.Location, false)
				})
			}
		})
	})
}

// ParseSubjectInfoAccess returns the descriptions of c, none when it has no
// such extension.
func ParseSubjectInfoAccess(c *x509.Certificate) (as []Access, err error) {
	err = read(c, OIDSubjectInfoAccess(), "subjectInfoAccess", func(s *cryptobyte.String) (ok bool) {
		as, ok = sequence(s, cbasn1.SEQUENCE, func(s *cryptobyte.String) (a Access, ok bool) {
			var seq cryptobyte.String
			if ok = s.ReadASN1(&seq, cbasn1.SEQUENCE); !ok {
				return a, false
			}
			if a.Method, ok = readOID(&seq); !ok {
				return a, false
			}
			a.Location, ok = readName(&seq, false)
			return a, ok && seq.Empty()
		})
		return ok
	})
	return as, err
}
