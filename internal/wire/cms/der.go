package cms

import (
	"bytes"
	"crypto/x509"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers, as the content octets of their DER.
const (
	oidData                 = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"         // 1.2.840.113549.1.7.1
	oidSignedData           = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"         // 1.2.840.113549.1.7.2
	oidEnvelopedData        = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"         // 1.2.840.113549.1.7.3
	oidContentType          = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"         // 1.2.840.113549.1.9.3
	oidMessageDigest        = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"         // 1.2.840.113549.1.9.4
	oidSigningTime          = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05"         // 1.2.840.113549.1.9.5
	oidSigningCertificateV2 = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f" // 1.2.840.113549.1.9.16.2.47
)

const (
	context0          = asn1.Tag(0x80)
	context0Container = asn1.Tag(0xa0)
)

// parseOID turns content octets into an OID; zero when they are none.
func parseOID(octets string) (o x509.OID) {
	_ = o.UnmarshalBinary([]byte(octets))
	return o
}

func octets(o x509.OID) string {
	b, _ := o.MarshalBinary()
	return string(b)
}

func addOID(b *cryptobyte.Builder, octets string) {
	b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(octets)) })
}

// addSet writes a SET OF, whose elements DER orders by their encoding
// (X.690 §11.6), under tag.
func addSet(b *cryptobyte.Builder, tag asn1.Tag, elements [][]byte) {
	elements = slices.SortedFunc(slices.Values(elements), bytes.Compare)
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, e := range elements {
			b.AddBytes(e)
		}
	})
}

// element is the DER of one element with content from f.
func element(tag asn1.Tag, f cryptobyte.BuilderContinuation) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tag, f)
	return b.Bytes()
}

// content is that of the one element der, which must have the tag.
func content(der []byte, tag asn1.Tag) (c cryptobyte.String, ok bool) {
	s := cryptobyte.String(der)
	return c, s.ReadASN1(&c, tag) && s.Empty()
}

// wrap puts a ContentInfo (RFC 5652 §3) around a content of the type given.
func wrap(contentType string, f cryptobyte.BuilderContinuation) ([]byte, error) {
	return element(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, contentType)
		b.AddASN1(context0Container, func(b *cryptobyte.Builder) { b.AddASN1(asn1.SEQUENCE, f) })
	})
}

// unwrap is the reverse of wrap.
func unwrap(der []byte, contentType string) (seq cryptobyte.String, ok bool) {
	var got, explicit cryptobyte.String
	if len(der) > maxBytes {
		return nil, false
	}
	info, ok := content(der, asn1.SEQUENCE)
	ok = ok && info.ReadASN1(&got, asn1.OBJECT_IDENTIFIER) && string(got) == contentType &&
		info.ReadASN1(&explicit, context0Container) && info.Empty() &&
		explicit.ReadASN1(&seq, asn1.SEQUENCE) && explicit.Empty()
	return seq, ok
}

// addIssuerAndSerial names c as RFC 5652 §10.2.4 does.
func addIssuerAndSerial(b *cryptobyte.Builder, c *x509.Certificate) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(c.RawIssuer)
		b.AddASN1BigInt(c.SerialNumber)
	})
}

// readIssuerAndSerial returns what tells whether a certificate is meant.
func readIssuerAndSerial(s *cryptobyte.String) (is func(*x509.Certificate) bool, ok bool) {
	var seq, issuer cryptobyte.String
	serial := new(big.Int)
	ok = s.ReadASN1(&seq, asn1.SEQUENCE) && seq.ReadASN1Element(&issuer, asn1.SEQUENCE) &&
		len(seq) <= maxSerialNumberBytes && seq.ReadASN1Integer(serial) && seq.Empty()
	return func(c *x509.Certificate) bool {
		return bytes.Equal(c.RawIssuer, issuer) && c.SerialNumber.Cmp(serial) == 0
	}, ok
}

// addTime writes UTCTime until 2049 and GeneralizedTime from then on
// (RFC 5652 §11.3).
func addTime(b *cryptobyte.Builder, t time.Time) {
	if t = t.UTC(); t.Year() < 2050 {
		b.AddASN1UTCTime(t)
	} else {
		b.AddASN1GeneralizedTime(t)
	}
}

func readTime(s *cryptobyte.String) (t time.Time, ok bool) {
	if s.PeekASN1Tag(asn1.UTCTime) {
		ok = s.ReadASN1UTCTime(&t)
	} else {
		ok = s.ReadASN1GeneralizedTime(&t)
	}
	return t.UTC(), ok
}
