package signedlist

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha1" // an index here, not a signature
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// encodeHashed writes a directory as OpenSSL looks certificates up in (-CApath),
// in a tar file: names are the hash of the subject and a number.
func encodeHashed(s *sheet) ([]byte, error) {
	type file struct {
		name string
		body []byte
	}
	count := map[uint32]int{}
	var files []file
	for _, r := range s.rows {
		hash, err := subjectHash(r.Certificate.RawSubject)
		if err != nil {
			return nil, err
		}
		files = append(files, file{fmt.Sprintf("anchors/%08x.%d", hash, count[hash]), r.pem})
		count[hash]++
	}
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	files = slices.Insert(files, 0, file{"anchors/README", []byte(s.heading())})

	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Size: int64(len(f.body)), Mode: 0o644, ModTime: s.IssuedAt, Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(f.body); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// subjectHash is what `openssl x509 -subject_hash` prints: the first four bytes,
// little-endian, of the SHA-1 of the name in a canonical form, whose text is
// UTF-8 in lower case with single spaces.
func subjectHash(name []byte) (uint32, error) {
	malformed := fmt.Errorf("name %x is malformed", name)
	s := cryptobyte.String(name)
	var rdns cryptobyte.String
	if !s.ReadASN1(&rdns, asn1.SEQUENCE) {
		return 0, malformed
	}
	var canonical cryptobyte.Builder
	for !rdns.Empty() {
		var rdn cryptobyte.String
		if !rdns.ReadASN1(&rdn, asn1.SET) {
			return 0, malformed
		}
		var attributes [][]byte
		for !rdn.Empty() {
			var attribute, id, value cryptobyte.String
			var tag asn1.Tag
			if !rdn.ReadASN1(&attribute, asn1.SEQUENCE) || !attribute.ReadASN1Element(&id, asn1.OBJECT_IDENTIFIER) || !attribute.ReadAnyASN1(&value, &tag) {
				return 0, malformed
			}
			text, tag := fold(value, tag)
			var b cryptobyte.Builder
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(id)
				b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(text) })
			})
			attributes = append(attributes, b.BytesOrPanic())
		}
		slices.SortFunc(attributes, bytes.Compare) // DER, a SET OF
		canonical.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(slices.Concat(attributes...)) })
	}
	sum := sha1.Sum(canonical.BytesOrPanic())
	return binary.LittleEndian.Uint32(sum[:]), nil
}

// fold returns a string in the canonical form; other types stay as they are.
func fold(value []byte, tag asn1.Tag) ([]byte, asn1.Tag) {
	var text []rune
	switch tag {
	case asn1.UTF8String:
		text = []rune(string(value))
	case asn1.PrintableString, asn1.IA5String, asn1.T61String, asn1.Tag(26): // VisibleString
		for _, c := range value {
			text = append(text, rune(c))
		}
	case asn1.Tag(28): // UniversalString
		for ; len(value) >= 4; value = value[4:] {
			text = append(text, rune(binary.BigEndian.Uint32(value)))
		}
	case asn1.Tag(30): // BMPString
		var units []uint16
		for ; len(value) >= 2; value = value[2:] {
			units = append(units, binary.BigEndian.Uint16(value))
		}
		text = utf16.Decode(units)
	default:
		return value, tag
	}
	words := strings.FieldsFunc(string(text), func(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' })
	return []byte(strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, strings.Join(words, " "))), asn1.UTF8String
}
