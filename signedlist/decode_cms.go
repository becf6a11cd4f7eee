package signedlist

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/wire/certext"
)

// decode reads a TrustAnchorList as encode writes it: entries in order, each
// complete. Extensions that are neither ours nor critical are passed over, so
// that later lists may have them. Errors: ErrFormat.
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
		entries = append(entries, e)
	}
	if err := inOrder(entries); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return entries, nil
}

func decodeEntry(info cryptobyte.String) (e Entry, err error) {
	var key, id, title, path, exts cryptobyte.String
	if !info.ReadASN1Element(&key, asn1.SEQUENCE) || !info.ReadASN1(&id, asn1.OCTET_STRING) ||
		!info.ReadASN1(&title, asn1.UTF8String) || !info.ReadASN1(&path, asn1.SEQUENCE) ||
		!info.ReadASN1(&exts, tagExtensions) || !info.Empty() {
		return e, errors.New("a field is missing, unknown or in another place")
	}
	e.Title = string(title)
	var name, cert, policies, flags, names cryptobyte.String
	if !path.ReadASN1Element(&name, asn1.SEQUENCE) || !path.ReadASN1(&cert, tagCertificate) ||
		!path.ReadASN1(&policies, tagPolicySet) || !path.ReadASN1(&flags, tagFlags) || string(flags) != policyFlags ||
		!path.ReadASN1(&names, tagNames) || !path.Empty() {
		return e, errors.New("a limit is missing, unknown or in another place")
	}
	if e.Certificate, err = x509.ParseCertificate(sequence(cert)); err != nil {
		return e, err
	}
	if !bytes.Equal(key, e.Certificate.RawSubjectPublicKeyInfo) || !bytes.Equal(name, e.Certificate.RawSubject) || !bytes.Equal(id, keyID(e.Certificate)) {
		return e, errors.New("key, name or key identifier are not those of the certificate")
	}
	for !policies.Empty() {
		var policy, octets cryptobyte.String
		var p x509.OID
		if !policies.ReadASN1(&policy, asn1.SEQUENCE) || !policy.ReadASN1(&octets, asn1.OBJECT_IDENTIFIER) ||
			!policy.Empty() || p.UnmarshalBinary(octets) != nil || len(e.Policies) == maxPolicies {
			return e, errors.New("policySet is malformed")
		}
		e.Policies = append(e.Policies, p)
	}
	if e.MailDomains, err = decodeDomains(sequence(names)); err != nil {
		return e, err
	}
	return e, e.readExtensions(exts)
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
		return nil, errors.New("nameConstr is not a list of mail domains, each with all below it")
	}
	return domains, nil
}

// readExtensions finds member and levels. An extension marked critical is
// refused: it would be another than ours, which are not.
func (e *Entry) readExtensions(exts cryptobyte.String) error {
	malformed := errors.New("extensions are malformed, critical or say something twice")
	var list cryptobyte.String
	if !exts.ReadASN1(&list, asn1.SEQUENCE) || !exts.Empty() {
		return malformed
	}
	for !list.Empty() {
		var ext, id, value, content cryptobyte.String
		var o x509.OID
		if !list.ReadASN1(&ext, asn1.SEQUENCE) || !ext.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) || o.UnmarshalBinary(id) != nil ||
			!ext.ReadASN1(&value, asn1.OCTET_STRING) || !ext.Empty() {
			return malformed
		}
		switch o.String() {
		case extMember: // none is refused with the other fields
			if e.Member != "" || !value.ReadASN1(&content, asn1.UTF8String) || !value.Empty() {
				return malformed
			}
			e.Member = string(content)
		case extLevels:
			if e.Levels != nil || !value.ReadASN1(&content, asn1.SEQUENCE) || !value.Empty() || content.Empty() {
				return malformed
			}
			for !content.Empty() {
				var octets cryptobyte.String
				var l x509.OID
				if !content.ReadASN1(&octets, asn1.OBJECT_IDENTIFIER) || l.UnmarshalBinary(octets) != nil || len(e.Levels) == maxPolicies {
					return malformed
				}
				e.Levels = append(e.Levels, l)
			}
		}
	}
	return nil
}

// sequence is the reverse of retag.
func sequence(content []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(content) })
	return b.BytesOrPanic()
}
