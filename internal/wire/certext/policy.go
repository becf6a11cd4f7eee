package certext

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// Mapping says that the issuer of a certificate holds one of its policies to be
// equivalent to one of the subject's.
type Mapping struct {
	Issuer  x509.OID // issuerDomainPolicy
	Subject x509.OID // subjectDomainPolicy
}

// PolicyMappings encodes RFC 5280 §4.2.1.5, with one or more mappings, non-critical.
// The RFC would rather have it critical, but common verifiers then refuse the
// certificate, and those that know the extension honour it either way.
func PolicyMappings(ms []Mapping) (pkix.Extension, error) {
	const name = "policyMappings"
	if err := checkCount(len(ms)); err != nil {
		return pkix.Extension{}, fault.New(fault.Invalid, "encoding %s: %w", name, err)
	}
	return write(OIDPolicyMappings(), false, name, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, m := range ms {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					addOID(b, m.Issuer)
					addOID(b, m.Subject)
				})
			}
		})
	})
}

// ParsePolicyMappings returns the mappings of c, none when it has no such
// extension.
func ParsePolicyMappings(c *x509.Certificate) (ms []Mapping, err error) {
	err = read(c, OIDPolicyMappings(), "policyMappings", func(s *cryptobyte.String) (ok bool) {
		ms, ok = sequence(s, cbasn1.SEQUENCE, func(s *cryptobyte.String) (m Mapping, ok bool) {
			var pair cryptobyte.String
			if ok = s.ReadASN1(&pair, cbasn1.SEQUENCE); !ok {
				return m, false
			}
			if m.Issuer, ok = readOID(&pair); !ok {
				return m, false
			}
			m.Subject, ok = readOID(&pair)
			return m, ok && pair.Empty()
		})
		return ok
	})
	return ms, err
}

// Absent stands for a number of certificates that is not given.
const Absent = -1

// PolicyConstraints is RFC 5280 §4.2.1.11. Both fields count the further
// certificates of a path after which they take effect, or are [Absent]. The
// zero value is the strictest: both at once.
type PolicyConstraints struct {
	RequireExplicit int // requireExplicitPolicy
	InhibitMapping  int // inhibitPolicyMapping
}

// Extension encodes p, critical as the RFC demands. At least one field must be
// present.
func (p PolicyConstraints) Extension() (pkix.Extension, error) {
	const name = "policyConstraints"
	if p.RequireExplicit < Absent || p.InhibitMapping < Absent || p.RequireExplicit == Absent && p.InhibitMapping == Absent {
		return pkix.Extension{}, fault.New(fault.Invalid, "encoding %s: want a count of certificates in at least one field, got %d and %d",
			name, p.RequireExplicit, p.InhibitMapping)
	}
	return write(OIDPolicyConstraints(), true, name, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for tag, n := range []int{p.RequireExplicit, p.InhibitMapping} {
				if n != Absent {
					b.AddASN1Int64WithTag(int64(n), cbasn1.Tag(tag).ContextSpecific())
				}
			}
		})
	})
}

// ParsePolicyConstraints returns the policy constraints of c, both fields
// Absent when it has no such extension.
func ParsePolicyConstraints(c *x509.Certificate) (PolicyConstraints, error) {
	p := PolicyConstraints{Absent, Absent}
	err := read(c, OIDPolicyConstraints(), "policyConstraints", func(s *cryptobyte.String) bool {
		var seq cryptobyte.String
		if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || seq.Empty() {
			return false
		}
		for i, field := range []*int{&p.RequireExplicit, &p.InhibitMapping} {
			tag := cbasn1.Tag(i).ContextSpecific()
			if seq.PeekASN1Tag(tag) && !readCount(&seq, field, tag) {
				return false
			}
		}
		return seq.Empty()
	})
	return p, err
}

// InhibitAnyPolicy encodes RFC 5280 §4.2.1.14, critical: anyPolicy counts for
// nothing after skip further certificates, which is at least 0.
func InhibitAnyPolicy(skip int) (pkix.Extension, error) {
	const name = "inhibitAnyPolicy"
	if skip < 0 {
		return pkix.Extension{}, fault.New(fault.Invalid, "encoding %s: %d is not a count of certificates", name, skip)
	}
	return write(OIDInhibitAnyPolicy(), true, name, func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(skip)) })
}

// ParseInhibitAnyPolicy returns the count of certificates in c's
// inhibitAnyPolicy, Absent when it has no such extension.
func ParseInhibitAnyPolicy(c *x509.Certificate) (int, error) {
	skip := Absent
	err := read(c, OIDInhibitAnyPolicy(), "inhibitAnyPolicy", func(s *cryptobyte.String) bool {
		return readCount(s, &skip, cbasn1.INTEGER)
	})
	return skip, err
}

// readCount reads a SkipCerts: an INTEGER (0..MAX).
func readCount(s *cryptobyte.String, out *int, tag cbasn1.Tag) bool {
	var n int64
	if !s.ReadASN1Int64WithTag(&n, tag) || n < 0 || n > math.MaxInt32 {
		return false
	}
	*out = int(n)
	return true
}
