package vdir

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"bridge.example/internal/fault"
)

// Bounds on a name a client may send.
const (
	maxDNBytes = 2048
	maxRDNs    = 32
	maxAVAs    = 8
)

// DN is a distinguished name in normal form, leaf first: attribute types are
// lower-case short names, values are folded as caseIgnoreMatch compares them
// (RFC 4517 §4.2.11). The zero DN is the root. Equal tells whether two names
// are the same.
type DN []RDN

// RDN is one component of a DN, ordered by type and value.
type RDN []AVA

// AVA is one attribute type and value of an RDN.
type AVA struct{ Type, Value string }

// ParseDN reads the string form of RFC 4514, and the spaces round separators
// that RFC 2253 §4 allowed. A value in hexadecimal must be the encoding of a
// string. The error is Invalid.
func ParseDN(s string) (DN, error) {
	if len(s) > maxDNBytes {
		return nil, fault.New(fault.Invalid, "name: longer than %d bytes", maxDNBytes)
	}
	if strings.Trim(s, " ") == "" {
		return nil, nil
	}
	var dn DN
	var rdn RDN
	for sep := byte(','); ; {
		a, rest, err := parseAVA(s)
		if err != nil {
			return nil, err
		}
		if sep == ',' {
			rdn = make(RDN, 0, 1)
		}
		if rdn = append(rdn, a); len(rdn) > maxAVAs {
			return nil, fault.New(fault.Invalid, "name: a component has more than %d values", maxAVAs)
		}
		if rest == "" || rest[0] == ',' {
			slices.SortFunc(rdn, func(a, b AVA) int {
				return strings.Compare(a.Type+"="+a.Value, b.Type+"="+b.Value)
			})
			if dn = append(dn, rdn); len(dn) > maxRDNs {
				return nil, fault.New(fault.Invalid, "name: more than %d components", maxRDNs)
			}
		}
		if rest == "" {
			return dn, nil
		}
		sep, s = rest[0], rest[1:]
	}
}

// parseAVA reads one type and value; rest is empty or starts with its separator.
func parseAVA(s string) (a AVA, rest string, err error) {
	typ, s, ok := strings.Cut(s, "=")
	typ = strings.ToLower(strings.Trim(typ, " "))
	if !ok || typ == "" || strings.Trim(typ, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
		return AVA{}, "", fault.New(fault.Invalid, "name: want type=value")
	}
	a.Type = canonicalType(strings.TrimPrefix(typ, "oid."))
	var value string
	if s = strings.TrimLeft(s, " "); strings.HasPrefix(s, "#") {
		end := strings.IndexAny(s, ",+")
		if end < 0 {
			end = len(s)
		}
		value, ok = decodeHexValue(strings.TrimRight(s[1:end], " "))
		rest = s[end:]
	} else {
		value, rest, ok = unescapeValue(s)
	}
	if !ok || !utf8.ValidString(value) {
		return AVA{}, "", fault.New(fault.Invalid, "name: malformed value of %s", a.Type)
	}
	a.Value = foldValue(value)
	return a, rest, nil
}

// decodeHexValue reads the "#" form (RFC 4514 §2.4): a BER encoding, here of a
// string whose octets can be read as UTF-8.
func decodeHexValue(s string) (string, bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) < 2 || b[1] >= 0x80 || int(b[1]) != len(b)-2 {
		return "", false
	}
	switch b[0] {
	case 0x04, 0x0c, 0x13, 0x16: // OCTET, UTF8, Printable and IA5 String
		return string(b[2:]), true
	}
	return "", false
}

// unescapeValue reads up to an unescaped separator (RFC 4514 §3).
func unescapeValue(s string) (value, rest string, ok bool) {
	if i := strings.IndexAny(s, "\\\"+,;<>\x00"); i < 0 {
		return s, "", true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ',', '+':
			return string(b), s[i:], true
		case '"', ';', '<', '>', 0:
			return "", "", false
		case '\\':
			i++
			if i < len(s) && strings.IndexByte(" \"#+,;<=>\\", s[i]) >= 0 {
				b = append(b, s[i])
				continue
			}
			if i+2 > len(s) {
				return "", "", false
			}
			x, err := hex.DecodeString(s[i : i+2])
			if err != nil {
				return "", "", false
			}
			b = append(b, x[0])
			i++
		default:
			b = append(b, c)
		}
	}
	return string(b), "", true
}

// foldValue prepares a value for comparison: lower case, spaces at the ends
// dropped and runs of them made one (RFC 4518 §2.6.1).
func foldValue(s string) string {
	s = strings.ToLower(strings.Trim(s, " "))
	for strings.Contains(s, "  ") {
		s = strings.ReplaceAll(s, "  ", " ")
	}
	return s
}

// escapeValue writes a value as RFC 4514 §2.4 has it.
func escapeValue(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.@_") == "" {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' || c == 0x7f:
			b.WriteString("\\" + hex.EncodeToString([]byte{c}))
		case strings.IndexByte("\"+,;<>\\", c) >= 0,
			i == 0 && (c == ' ' || c == '#'),
			i == len(s)-1 && c == ' ':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// String writes d as RFC 4514 has it; ParseDN reads an equal name from it.
func (d DN) String() string {
	var b strings.Builder
	for i, rdn := range d {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, a := range rdn {
			if j > 0 {
				b.WriteByte('+')
			}
			b.WriteString(a.Type + "=" + escapeValue(a.Value))
		}
	}
	return b.String()
}

// Equal reports whether d and e are the same name.
func (d DN) Equal(e DN) bool { return slices.EqualFunc(d, e, slices.Equal[RDN]) }

// under returns the components of d below base, and whether d is base or
// stands below it.
func (d DN) under(base DN) (DN, bool) {
	n := len(d) - len(base)
	if n < 0 || !d[n:].Equal(base) {
		return nil, false
	}
	return d[:n], true
}

// value returns the value of d's leaf when it is a single attribute of type
// typ; empty otherwise.
func (d DN) value(typ string) string {
	if len(d) == 0 || len(d[0]) != 1 || d[0][0].Type != typ {
		return ""
	}
	return d[0][0].Value
}

// canonicalType folds an attribute type to the name this package knows it by:
// lower case, with OIDs and synonyms of the types shown here replaced
// (RFC 4519 §2, RFC 4524 §2.16, RFC 4523 §4.1).
func canonicalType(s string) string {
	s = strings.ToLower(s)
	switch s {
	case "2.5.4.0":
		return "objectclass"
	case "2.5.4.3", "commonname":
		return "cn"
	case "2.5.4.4", "surname":
		return "sn"
	case "2.5.4.6", "countryname":
		return "c"
	case "2.5.4.10", "organizationname":
		return "o"
	case "2.5.4.11", "organizationalunitname":
		return "ou"
	case "2.5.4.36":
		return "usercertificate"
	case "2.5.4.42", "gn":
		return "givenname"
	case "0.9.2342.19200300.100.1.3", "rfc822mailbox":
		return "mail"
	case "0.9.2342.19200300.100.1.25", "domaincomponent":
		return "dc"
	}
	return s
}
