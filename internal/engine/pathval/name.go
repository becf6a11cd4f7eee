package pathval

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// maxRDNs bounds a name, and the attributes of each of its parts.
const maxRDNs = 64

// textMark stands for every type of string; it is no tag.
const textMark = 0x1f

// Name is a distinguished name, prepared once for comparison by RFC 5280 §7.1:
// without regard to case, needless space and the type of string.
type Name struct {
	Raw []byte // DER

	// key is the normalised name, each RDN preceded by its length: equal names
	// have equal keys, and a subtree's key is a prefix of those within it.
	key    string
	emails []string // values of emailAddress (RFC 2985 §5.2.1), as written
}

// Equal compares by RFC 5280 §7.1.
func (n Name) Equal(o Name) bool { return n.key == o.key }

// IsEmpty reports whether n has no parts.
func (n Name) IsEmpty() bool { return n.key == "" }

// within reports whether n is base or lies below it (§7.1).
func (n Name) within(base Name) bool { return strings.HasPrefix(n.key, base.key) }

// String is n as in RFC 4514, for people: without control characters.
func (n Name) String() string {
	var rdns pkix.RDNSequence
	if _, err := asn1.Unmarshal(n.Raw, &rdns); err != nil {
		return fmt.Sprintf("#%x", n.Raw)
	}
	return printable(rdns.String())
}

// parseName reads a whole DER Name.
func parseName(der []byte) (n Name, ok bool) {
	s := cryptobyte.String(der)
	var rdns cryptobyte.String
	if !s.ReadASN1(&rdns, cbasn1.SEQUENCE) || !s.Empty() {
		return n, false
	}
	n.Raw = der
	var key []byte
	for i := 0; !rdns.Empty(); i++ {
		var rdn cryptobyte.String
		if i == maxRDNs || !rdns.ReadASN1(&rdn, cbasn1.SET) || rdn.Empty() {
			return n, false
		}
		part, ok := n.addRDN(rdn)
		if !ok {
			return n, false
		}
		key = appendCounted(key, part)
	}
	n.key = string(key)
	return n, true
}

// addRDN returns the normalised form of one RDN, given its content.
func (n *Name) addRDN(rdn cryptobyte.String) ([]byte, bool) {
	var parts [][]byte
	for !rdn.Empty() {
		var atv, oid, value cryptobyte.String
		var tag cbasn1.Tag
		if len(parts) == maxRDNs || !rdn.ReadASN1(&atv, cbasn1.SEQUENCE) || !atv.ReadASN1(&oid, cbasn1.OBJECT_IDENTIFIER) ||
			!atv.ReadAnyASN1(&value, &tag) || !atv.Empty() {
			return nil, false
		}
		text, isText := decodeText(tag, value)
		if isText && string(oid) == oidEmailAddress {
			n.emails = append(n.emails, text)
		}
		part := appendCounted(nil, oid)
		if isText {
			part = append(append(part, textMark), normalise(text)...)
		} else {
			part = append(append(part, byte(tag)), value...)
		}
		parts = append(parts, part)
	}
	if len(parts) == 1 {
		return parts[0], true
	}
	// A SET has no order that matters.
	slices.SortFunc(parts, bytes.Compare)
	var all []byte
	for _, p := range parts {
		all = appendCounted(all, p)
	}
	return all, true
}

// appendRelative returns base with one more RDN, given its content: the name
// that a nameRelativeToCRLIssuer means (RFC 5280 §4.2.1.13).
func (n Name) appendRelative(rdn []byte) (Name, bool) {
	var whole Name
	part, ok := whole.addRDN(rdn)
	if !ok {
		return Name{}, false
	}
	whole.key = n.key + string(appendCounted(nil, part))
	return whole, true
}

func appendCounted(to, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(to, uint32(len(b))), b...)
}

// decodeText returns the text of a string type; anything else, or what is not
// well-formed, is compared byte by byte.
func decodeText(tag cbasn1.Tag, value []byte) (string, bool) {
	switch tag {
	case cbasn1.UTF8String:
		return string(value), utf8.Valid(value)
	case cbasn1.PrintableString, cbasn1.IA5String, 18, 26: // NumericString, VisibleString
		return string(value), isASCII(string(value))
	case cbasn1.T61String:
		// What certificates call T.61 is Latin-1.
		runes := make([]rune, len(value))
		for i, b := range value {
			runes[i] = rune(b)
		}
		return string(runes), true
	case 30: // BMPString
		units := make([]uint16, len(value)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(value[2*i:])
		}
		return string(utf16.Decode(units)), len(value)%2 == 0
	case 28: // UniversalString
		var b []byte
		for i := 0; i+4 <= len(value); i += 4 {
			b = utf8.AppendRune(b, rune(binary.BigEndian.Uint32(value[i:])))
		}
		return string(b), len(value)%4 == 0
	}
	return "", false
}

// normalise prepares s for caseIgnoreMatch (RFC 4518 §2): characters that show
// nothing vanish, space is cut at the ends and single between words.
func normalise(s string) string {
	if isASCII(s) {
		s = strings.ToLower(s)
	} else {
		s = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
	}
	out := make([]byte, 0, len(s))
	space := false
	for _, r := range s {
		switch {
		case r == ' ' || r >= '\t' && r <= '\r' || r == 0x85 || r > unicode.MaxASCII && unicode.Is(unicode.Z, r):
			space = len(out) > 0
		case r < ' ' || r == 0x7f || r > unicode.MaxASCII && vanishes(r):
		default:
			if space {
				out, space = append(out, ' '), false
			}
			out = utf8.AppendRune(out, r)
		}
	}
	return string(out)
}

// vanishes reports whether RFC 4518 §2.2 maps r to nothing.
func vanishes(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Variation_Selector) || r == 0x034f || r == 0x1806 || r == 0xfffc
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
