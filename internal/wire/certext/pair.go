package certext

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// CertificatePair is a value of the attribute crossCertificatePair of a CA's
// directory entry (RFC 4523 §2.3, §3.2). Its halves are DER certificates,
// nil when absent; one is always there.
type CertificatePair struct {
	IssuedToThisCA []byte // by another CA
	IssuedByThisCA []byte // to another CA
}

// Encode returns the DER value. The tags are explicit: ITU-T X.509 imports the
// type from a module with that default, and so is it found in directories.
func (p CertificatePair) Encode() ([]byte, error) {
	if !p.wellFormed() {
		return nil, fault.New(fault.Invalid, "a certificate pair needs one or two certificates of at most %d bytes", maxBytes)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for tag, cert := range [][]byte{p.IssuedToThisCA, p.IssuedByThisCA} {
			if cert != nil {
				b.AddASN1(cbasn1.Tag(tag).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(cert) })
			}
		}
	})
	return b.Bytes()
}

// ParseCertificatePair reads a DER value; the halves are copies. The
// certificates themselves are not looked into.
func ParseCertificatePair(der []byte) (p CertificatePair, err error) {
	malformed := fault.New(fault.Invalid, "malformed certificate pair")
	s, seq := cryptobyte.String(der), cryptobyte.String(nil)
	if len(der) > 2*maxBytes+32 || !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() {
		return p, malformed
	}
	for i, half := range []*[]byte{&p.IssuedToThisCA, &p.IssuedByThisCA} {
		var cert cryptobyte.String
		var present bool
		if !seq.ReadOptionalASN1(&cert, &present, cbasn1.Tag(i).ContextSpecific().Constructed()) {
			return CertificatePair{}, malformed
		}
		if present {
			*half = append([]byte{}, cert...)
		}
	}
	if !seq.Empty() || !p.wellFormed() {
		return CertificatePair{}, malformed
	}
	return p, nil
}

// wellFormed reports whether each half present is one SEQUENCE, and one is.
func (p CertificatePair) wellFormed() bool {
	for _, cert := range [][]byte{p.IssuedToThisCA, p.IssuedByThisCA} {
		s := cryptobyte.String(cert)
		if cert != nil && (len(cert) > maxBytes || !s.SkipASN1(cbasn1.SEQUENCE) || !s.Empty()) {
			return false
		}
	}
	return p.IssuedToThisCA != nil || p.IssuedByThisCA != nil
}
