package signedlist

import (
	"bytes"
	"crypto/sha1" // an identifier here, not a signature
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

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
)

// Bounds on a list.
const (
	maxEntries  = 50_000
	maxPolicies = 100
	maxDomains  = 400
	maxMember   = 64 // bytes
	maxTitle    = 64 // characters, RFC 5914 §2.3
	maxDomain   = 253
)

var (
	tagInfo        = asn1.Tag(2).ContextSpecific().Constructed() // of TrustAnchorChoice
	tagExtensions  = asn1.Tag(1).ContextSpecific().Constructed() // of TrustAnchorInfo
	tagCertificate = asn1.Tag(0).ContextSpecific().Constructed() // and these of CertPathControls
	tagPolicySet   = asn1.Tag(1).ContextSpecific().Constructed()
	tagFlags       = asn1.Tag(2).ContextSpecific()
	tagNames       = asn1.Tag(3).ContextSpecific().Constructed()
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

// normalise returns e in the one form that is written: equal entries must give
// equal bytes, or every reconciliation would publish a list.
func (e Entry) normalise() (Entry, error) {
	bad := func(format string, args ...any) (Entry, error) {
		return e, fault.New(fault.Invalid, "entry of %q: "+format, append([]any{e.Member}, args...)...)
	}
	if e.Member == "" || len(e.Member) > maxMember || strings.Trim(e.Member, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return bad("not the id of a member")
	}
	if r := []rune(e.Title); len(r) > maxTitle {
		e.Title = string(r[:maxTitle])
	}
	if e.Title == "" || !utf8.ValidString(e.Title) {
		return bad("no title, or one that is not UTF-8")
	}
	if e.Certificate == nil || !e.Certificate.IsCA {
		return bad("no CA certificate")
	}
	e.Policies = slices.SortedFunc(slices.Values(e.Policies), func(a, b x509.OID) int { return strings.Compare(a.String(), b.String()) })
	e.Policies = slices.CompactFunc(e.Policies, x509.OID.Equal)
	if len(e.Policies) == 0 || len(e.Policies) > maxPolicies {
		return bad("%d policies: want 1 to %d", len(e.Policies), maxPolicies)
	}
	e.MailDomains = slices.Compact(slices.Sorted(slices.Values(e.MailDomains)))
	if len(e.MailDomains) == 0 || len(e.MailDomains) > maxDomains {
		return bad("%d mail domains: want 1 to %d", len(e.MailDomains), maxDomains)
	}
	for _, d := range e.MailDomains {
		if d == "" || len(d) > maxDomain || strings.Trim(d, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || d[0] == '.' {
			return bad("%q is not a mail domain in lower case", d)
		}
	}
	return e, nil
}

// normalise orders entries. A certificate can be that of one entry only.
func normalise(entries []Entry) ([]Entry, error) {
	if len(entries) > maxEntries {
		return nil, fault.New(fault.Invalid, "%d entries are more than the %d allowed", len(entries), maxEntries)
	}
	out := make([]Entry, len(entries))
	owner := make(map[string]string, len(entries))
	for i, e := range entries {
		var err error
		if out[i], err = e.normalise(); err != nil {
			return nil, err
		}
		if other, ok := owner[string(e.Certificate.Raw)]; ok {
			return nil, fault.New(fault.Invalid, "the certificate of %q stands in the list for %q and for %q", e.Certificate.Subject, other, e.Member)
		}
		owner[string(e.Certificate.Raw)] = e.Member
	}
	slices.SortFunc(out, compare)
	return out, nil
}

// compare gives the order in a list.
func compare(a, b Entry) int {
	if c := strings.Compare(a.Member, b.Member); c != 0 {
		return c
	}
	return bytes.Compare(a.Certificate.Raw, b.Certificate.Raw)
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
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addOID(b, oid(extMember))
				b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) { addUTF8(b, e.Member) })
			})
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
// (RFC 5914 §2.2).
func keyID(c *x509.Certificate) []byte {
	if len(c.SubjectKeyId) > 0 {
		return c.SubjectKeyId
	}
	sum := sha1.Sum(c.RawSubjectPublicKeyInfo)
	return sum[:]
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

// decode reads a TrustAnchorList as encode writes it: entries in order, each
// complete. Extensions that are neither ours nor critical are passed over.
// Errors: ErrFormat.
func decode(der []byte) ([]Entry, error) {
	s := cryptobyte.String(der)
	var list cryptobyte.String
	if !s.ReadASN1(&list, asn1.SEQUENCE) || !s.Empty() {
		return nil, fmt.Errorf("%w: not a TrustAnchorList", ErrFormat)
	}
	var entries []Entry
	for !list.Empty() {
		var choice, info cryptobyte.String
		if !list.ReadASN1(&choice, tagInfo) || !choice.ReadASN1(&info, asn1.SEQUENCE) || !choice.Empty() || len(entries) == maxEntries {
			return nil, fmt.Errorf("%w: entry %d is not a TrustAnchorInfo, or one too many", ErrFormat, len(entries))
		}
		e, err := decodeEntry(info)
		if err != nil {
			return nil, fmt.Errorf("%w: entry %d: %w", ErrFormat, len(entries), err)
		}
		if n := len(entries); n > 0 && compare(entries[n-1], e) >= 0 {
			return nil, fmt.Errorf("%w: entry %d is out of order", ErrFormat, n)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func decodeEntry(info cryptobyte.String) (e Entry, err error) {
	var key, id, title, path, exts cryptobyte.String
	if !info.ReadASN1Element(&key, asn1.SEQUENCE) || !info.ReadASN1(&id, asn1.OCTET_STRING) ||
		!info.ReadASN1(&title, asn1.UTF8String) || !info.ReadASN1(&path, asn1.SEQUENCE) ||
		!info.ReadASN1(&exts, tagExtensions) || !info.Empty() {
		return e, fmt.Errorf("a field is missing, unknown or in another place")
	}
	e.Title = string(title)
	var name, cert, policies, flags, names cryptobyte.String
	if !path.ReadASN1Element(&name, asn1.SEQUENCE) || !path.ReadASN1(&cert, tagCertificate) ||
		!path.ReadASN1(&policies, tagPolicySet) || !path.ReadASN1(&flags, tagFlags) || string(flags) != policyFlags ||
		!path.ReadASN1(&names, tagNames) || !path.Empty() {
		return e, fmt.Errorf("a limit is missing, unknown or in another place")
	}
	if e.Certificate, err = x509.ParseCertificate(sequence(cert)); err != nil {
		return e, err
	}
	if !bytes.Equal(key, e.Certificate.RawSubjectPublicKeyInfo) || !bytes.Equal(name, e.Certificate.RawSubject) || !bytes.Equal(id, keyID(e.Certificate)) {
		return e, fmt.Errorf("key, name or key identifier are not those of the certificate")
	}
	for !policies.Empty() {
		var policy, octets cryptobyte.String
		var p x509.OID
		if !policies.ReadASN1(&policy, asn1.SEQUENCE) || !policy.ReadASN1(&octets, asn1.OBJECT_IDENTIFIER) ||
			!policy.Empty() || p.UnmarshalBinary(octets) != nil || len(e.Policies) == maxPolicies {
			return e, fmt.Errorf("policySet is malformed")
		}
		e.Policies = append(e.Policies, p)
	}
	if e.MailDomains, err = decodeDomains(sequence(names)); err != nil {
		return e, err
	}
	if e.Member, err = decodeMember(exts); err != nil {
		return e, err
	}
	return e.normalise()
}

// decodeDomains is the reverse of constraints.
func decodeDomains(der []byte) (domains []string, err error) {
	n, err := certext.ParseNameConstraints(&x509.Certificate{
		Extensions: []pkix.Extension{{Id: certext.OIDNameConstraints(), Value: der}},
	})
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(n.Permitted); i += 2 {
		domains = append(domains, n.Permitted[i].Value)
	}
	again := constraints(domains)
	if len(n.Excluded) != 0 || !slices.Equal(n.Permitted, again.Permitted) {
		return nil, fmt.Errorf("nameConstr is not a list of mail domains, each with all below it")
	}
	return domains, nil
}

// decodeMember finds the id of the member among the extensions.
func decodeMember(exts cryptobyte.String) (member string, err error) {
	malformed := fmt.Errorf("extensions are malformed or without the id of the member")
	var list cryptobyte.String
	if !exts.ReadASN1(&list, asn1.SEQUENCE) || !exts.Empty() {
		return "", malformed
	}
	for !list.Empty() {
		var ext, id, value, text cryptobyte.String
		var o x509.OID
		var critical bool
		if !list.ReadASN1(&ext, asn1.SEQUENCE) || !ext.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) || o.UnmarshalBinary(id) != nil ||
			!ext.ReadOptionalASN1Boolean(&critical, asn1.BOOLEAN, false) ||
			!ext.ReadASN1(&value, asn1.OCTET_STRING) || !ext.Empty() {
			return "", malformed
		}
		switch {
		case o.String() == extMember:
			if member != "" || !value.ReadASN1(&text, asn1.UTF8String) || !value.Empty() {
				return "", malformed
			}
			member = string(text)
		case critical:
			return "", fmt.Errorf("unknown critical extension %v", o)
		}
	}
	return member, nil // normalise refuses none
}

// sequence is the reverse of retag.
func sequence(content []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(content) })
	return b.BytesOrPanic()
}
