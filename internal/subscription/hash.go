package subscription

import (
	"crypto/sha1" // #nosec: OpenSSL's file names are made with it
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// subjectHash is the name that OpenSSL looks a CA certificate up by in a
// directory: the first four bytes, read from the last, of the SHA-1 over its
// subject in a canonical form. There each string is UTF-8, in lower case as far
// as it is ASCII, with white space trimmed and folded; and the SEQUENCE around
// the relative names is left out.
func subjectHash(c *x509.Certificate) (string, error) {
	malformed := errors.New("its subject is malformed")
	name := cryptobyte.String(c.RawSubject)
	var rdns cryptobyte.String
	if !name.ReadASN1(&rdns, asn1.SEQUENCE) {
		return "", malformed
	}
	var out []byte
	for !rdns.Empty() {
		var set cryptobyte.String
		if !rdns.ReadASN1(&set, asn1.SET) {
			return "", malformed
		}
		var pairs [][]byte
		for !set.Empty() {
			var pair, kind, value cryptobyte.String
			var tag asn1.Tag
			if !set.ReadASN1(&pair, asn1.SEQUENCE) || !pair.ReadASN1Element(&kind, asn1.OBJECT_IDENTIFIER) ||
				!pair.ReadAnyASN1(&value, &tag) {
				return "", malformed
			}
			pairs = append(pairs, canonicalPair(kind, tag, value))
		}
		slices.SortFunc(pairs, compareDER)
		var b cryptobyte.Builder
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			for _, p := range pairs {
				b.AddBytes(p)
			}
		})
		out = append(out, b.BytesOrPanic()...)
	}
	sum := sha1.Sum(out)
	return fmt.Sprintf("%08x", binary.LittleEndian.Uint32(sum[:4])), nil
}

func canonicalPair(kind []byte, tag asn1.Tag, value []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(kind)
		if text, ok := utf8Of(tag, value); ok {
			tag, value = asn1.UTF8String, []byte(fold(text))
		}
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(value) })
	})
	return b.BytesOrPanic()
}

// utf8Of is the text of a string of one of the types that are made canonical.
func utf8Of(tag asn1.Tag, value []byte) (string, bool) {
	switch tag {
	case asn1.UTF8String, asn1.PrintableString, asn1.IA5String, 26: // 26: VisibleString
		return string(value), true
	case asn1.T61String: // OpenSSL reads it as Latin-1
		var s strings.Builder
		for _, c := range value {
			s.WriteRune(rune(c))
		}
		return s.String(), true
	case 30: // BMPString
		units := make([]uint16, len(value)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(value[2*i:])
		}
		return string(utf16.Decode(units)), len(value)%2 == 0
	}
	return "", false
}

// fold does to a string what OpenSSL does: only ASCII has cases and white space.
func fold(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' })
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, strings.Join(words, " "))
}

// compareDER is the order of a SET OF in DER.
func compareDER(a, b []byte) int { return strings.Compare(string(a), string(b)) }
