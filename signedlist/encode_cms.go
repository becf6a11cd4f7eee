package signedlist

import (
	"crypto/sha1" // an identifier here, not a signature
	"crypto/x509"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

const (
	contentType = "1.2.840.113549.1.9.16.1.34" // id-ct-trustAnchorList, RFC 5914 §3

	arc            = "2.25.203099105519607916965137856595848328713"
	attrNumber     = arc + ".1"
	attrNextUpdate = arc + ".2"
	extMember      = arc + ".3"
	attrPrevious   = arc + ".4"
	attrViews      = arc + ".5"
	attrSigners    = arc + ".6"
	extLevels      = arc + ".7"
)

// Tags of TrustAnchorChoice, TrustAnchorInfo and CertPathControls.
const (
	tagInfo        = asn1.Tag(0xa2)
	tagExtensions  = asn1.Tag(0xa1)
	tagCertificate = asn1.Tag(0xa0)
	tagPolicySet   = asn1.Tag(0xa1)
	tagFlags       = asn1.Tag(0x82)
	tagNames       = asn1.Tag(0xa3)
)

// policyFlags is a BIT STRING with inhibitPolicyMapping, requireExplicitPolicy
// and inhibitAnyPolicy set: without them a policySet limits nothing
// (RFC 5280 §6.1.1), and the cross-certificates say the same.
const policyFlags = "\x05\xe0"

func oid(dotted string) x509.OID {
	o, err := x509.ParseOID(dotted)
	if err != nil {
		panic(err) // of the constants above
	}
	return o
}

// encode writes a TrustAnchorList of normalised entries.
func encode(entries []Entry) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, e := range entries {
			b.AddASN1(tagInfo, func(b *cryptobyte.Builder) { b.AddASN1(asn1.SEQUENCE, e.addTo) })
		}
	})
	return b.Bytes()
}

// addTo writes the fields of a TrustAnchorInfo (RFC 5914 §2).
func (e Entry) addTo(b *cryptobyte.Builder) {
	b.AddBytes(e.Certificate.RawSubjectPublicKeyInfo)
	b.AddASN1OctetString(keyID(e.Certificate))
	addUTF8(b, e.Title)
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(e.Certificate.RawSubject)
		retag(b, tagCertificate, e.Certificate.Raw)
		b.AddASN1(tagPolicySet, func(b *cryptobyte.Builder) {
			for _, p := range e.Policies {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addOID(b, p) })
			}
		})
		b.AddASN1(tagFlags, func(b *cryptobyte.Builder) { b.AddBytes([]byte(policyFlags)) })
		names, err := constraints(e.MailDomains).Extension()
		if err != nil {
			b.SetError(err)
			return
		}
		retag(b, tagNames, names.Value)
	})
	b.AddASN1(tagExtensions, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addExtension(b, extMember, func(b *cryptobyte.Builder) { addUTF8(b, e.Member) })
			if len(e.Levels) > 0 {
				addExtension(b, extLevels, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						for _, l := range e.Levels {
							addOID(b, l)
						}
					})
				})
			}
		})
	})
}

// constraints permits every address at domains and below them: a host alone
// means no more than itself (RFC 5280 §4.2.1.10).
func constraints(domains []string) (n certext.NameConstraints) {
	for _, d := range domains {
		n.Permitted = append(n.Permitted,
			certext.Subtree{Form: certext.RFC822Name, Value: d},
			certext.Subtree{Form: certext.RFC822Name, Value: "." + d})
	}
	return n
}

// keyID is the key identifier that certificates issued by c refer to
// (RFC 5914 §2.3): its own, or else the SHA-1 of its key (RFC 5280 §4.2.1.2).
func keyID(c *x509.Certificate) []byte {
	if len(c.SubjectKeyId) > 0 {
		return c.SubjectKeyId
	}
	spki := cryptobyte.String(c.RawSubjectPublicKeyInfo)
	var fields cryptobyte.String
	var key []byte
	_ = spki.ReadASN1(&fields, asn1.SEQUENCE) && fields.SkipASN1(asn1.SEQUENCE) &&
		fields.ReadASN1BitStringAsBytes(&key) // crypto/x509 has parsed it
	sum := sha1.Sum(key)
	return sum[:]
}

func addExtension(b *cryptobyte.Builder, id string, value cryptobyte.BuilderContinuation) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, oid(id))
		b.AddASN1(asn1.OCTET_STRING, value)
	})
}

func addUTF8(b *cryptobyte.Builder, s string) {
	b.AddASN1(asn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) })
}

func addOID(b *cryptobyte.Builder, o x509.OID) {
	b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) {
		octets, err := o.MarshalBinary()
		if err != nil {
			b.SetError(err)
		}
		b.AddBytes(octets)
	})
}

// retag writes the content of the SEQUENCE der under another tag: the module of
// RFC 5914 has implicit tags.
func retag(b *cryptobyte.Builder, tag asn1.Tag, der []byte) {
	s := cryptobyte.String(der)
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.SEQUENCE) {
		b.SetError(fault.New(fault.Invalid, "not a SEQUENCE"))
	}
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(content) })
}
