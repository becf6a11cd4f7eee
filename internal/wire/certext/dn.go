package certext

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"bridge.example/internal/fault"
)

const maxNameText = 2048 // bytes of a distinguished name as text

// EncodeName returns the DER Name that the text s stands for (RFC 4514), as it
// goes into a DirectoryName. Types are those of RFC 4514 §3, SERIALNUMBER,
// emailAddress, or dotted OIDs; values in hexadecimal are not read. It is
// strict where lenience could mean another name: no spaces round separators
// and no empty values. The empty text, which names everything, is Invalid, as
// is whatever cannot be read.
func EncodeName(s string) ([]byte, error) {
	invalid := fault.New(fault.Invalid, "%q is no distinguished name such as O=Example,C=DE (RFC 4514)", s)
	if s == "" || len(s) > maxNameText || !utf8.ValidString(s) {
		return nil, invalid
	}
	var name pkix.RDNSequence
	var rdn pkix.RelativeDistinguishedNameSET
	for {
		typ, rest, ok := strings.Cut(s, "=")
		id := attributeType(typ)
		value, rest, ok2 := unescape(rest)
		if !ok || !ok2 || id == nil {
			return nil, invalid
		}
		v, ok := attributeValue(id, value)
		if !ok {
			return nil, invalid
		}
		rdn = append(rdn, pkix.AttributeTypeAndValue{Type: id, Value: v})
		if rest == "" || rest[0] == ',' {
			name, rdn = append(name, rdn), nil
		}
		if rest == "" {
			break
		}
		s = rest[1:]
	}
	slices.Reverse(name) // the text begins at the leaf, the encoding at the root
	der, err := asn1.Marshal(name)
	if err != nil {
		return nil, fault.New(fault.Invalid, "encoding the name: %w", err)
	}
	return der, nil
}

// attributeType is the OID of a type; nil when it is not known.
func attributeType(s string) asn1.ObjectIdentifier {
	switch strings.ToUpper(s) {
	case "CN":
		return asn1.ObjectIdentifier{2, 5, 4, 3}
	case "SERIALNUMBER":
		return asn1.ObjectIdentifier{2, 5, 4, 5}
	case "C":
		return asn1.ObjectIdentifier{2, 5, 4, 6}
	case "L":
		return asn1.ObjectIdentifier{2, 5, 4, 7}
	case "ST":
		return asn1.ObjectIdentifier{2, 5, 4, 8}
	case "STREET":
		return asn1.ObjectIdentifier{2, 5, 4, 9}
	case "O":
		return asn1.ObjectIdentifier{2, 5, 4, 10}
	case "OU":
		return asn1.ObjectIdentifier{2, 5, 4, 11}
	case "UID":
		return asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	case "DC":
		return oidDomainComponent()
	case "EMAILADDRESS":
		return oidEmailAddress()
	}
	oid, err := x509.ParseOID(s)
	if err != nil {
		return nil
	}
	var out asn1.ObjectIdentifier
	der, err := oid.MarshalBinary()
	if err != nil || len(der) > 127 {
		return nil
	}
	// An arc beyond an int has no place in encoding/asn1.
	if _, err := asn1.Unmarshal(append([]byte{asn1.TagOID, byte(len(der))}, der...), &out); err != nil {
		return nil
	}
	return out
}

func oidDomainComponent() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
}

func oidEmailAddress() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
}

// attributeValue chooses the string type: IA5String where RFC 5280 appendix A
// wants it, or else what encoding/asn1 does: PrintableString, or UTF8String.
func attributeValue(id asn1.ObjectIdentifier, value string) (v any, ok bool) {
	if !id.Equal(oidDomainComponent()) && !id.Equal(oidEmailAddress()) {
		return value, true
	}
	beyond := strings.ContainsFunc(value, func(r rune) bool { return r >= utf8.RuneSelf })
	return asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(value)}, !beyond
}

// unescape reads a value up to an unescaped separator (RFC 4514 §3).
func unescape(s string) (value, rest string, ok bool) {
	const special = `"+,;<>\`
	if strings.HasPrefix(s, " ") || strings.HasPrefix(s, "#") {
		return "", "", false
	}
	var b []byte
	spaceEnds := false
	i := 0
	for ; i < len(s) && s[i] != ',' && s[i] != '+'; i++ {
		c := s[i]
		spaceEnds = c == ' '
		switch {
		case c == '\\' && i+1 < len(s) && strings.IndexByte(special+" #=", s[i+1]) >= 0:
			i++
			c = s[i]
		case c == '\\' && i+2 < len(s):
			pair, err := hex.DecodeString(s[i+1 : i+3])
			if err != nil {
				return "", "", false
			}
			i += 2
			c = pair[0]
		case c == 0 || strings.IndexByte(special, c) >= 0:
			return "", "", false
		}
		b = append(b, c)
	}
	value, rest = string(b), s[i:]
	return value, rest, value != "" && !spaceEnds && utf8.ValidString(value) && rest != "," && rest != "+"
}
