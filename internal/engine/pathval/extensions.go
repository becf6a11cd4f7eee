package pathval

import (
	"crypto/x509"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/wire/crl"
)

// distributionPoint is one of RFC 5280 §4.2.1.13.
type distributionPoint struct {
	name    crl.DistributionPoint
	reasons crl.Reasons
	issuers []Name // cRLIssuer; nil: the issuer of the certificate
}

// mapping is one of RFC 5280 §4.2.1.5.
type mapping struct{ issuer, subject string }

// parseExtensions reads the content of the [3] element and names the first
// extension that is malformed.
func (c *Certificate) parseExtensions(exts cryptobyte.String) string {
	var list cryptobyte.String
	if !exts.ReadASN1(&list, cbasn1.SEQUENCE) || !exts.Empty() || list.Empty() {
		return "extensions"
	}
	var seen []string
	for !list.Empty() {
		var ext, value cryptobyte.String
		var id string
		var critical bool
		if len(seen) == maxExtensions || !list.ReadASN1(&ext, cbasn1.SEQUENCE) || !readOID(&ext, &id) {
			return "extensions"
		}
		if ext.PeekASN1Tag(cbasn1.BOOLEAN) && !ext.ReadASN1Boolean(&critical) ||
			!ext.ReadASN1(&value, cbasn1.OCTET_STRING) || !ext.Empty() {
			return "extensions"
		}
		// §4.2: no extension twice.
		if slices.Contains(seen, id) {
			return "extension " + dotted(id) + " is there twice"
		}
		seen = append(seen, id)
		if !c.parseExtension(id, critical, value) {
			return "extension " + dotted(id)
		}
	}
	return ""
}

// parseExtension reads one extension; it reports false if it is known and
// malformed.
func (c *Certificate) parseExtension(id string, critical bool, s cryptobyte.String) bool {
	switch id {
	case oidSubjectKeyID:
		return s.ReadASN1((*cryptobyte.String)(&c.subjectKeyID), cbasn1.OCTET_STRING) && s.Empty()
	case oidAuthorityKeyID:
		var seq cryptobyte.String
		return s.ReadASN1(&seq, cbasn1.SEQUENCE) && s.Empty() &&
			seq.ReadOptionalASN1((*cryptobyte.String)(&c.authorityKeyID), nil, cbasn1.Tag(0).ContextSpecific())
	case oidKeyUsage:
		return c.parseKeyUsage(s)
	case oidBasicConstraints:
		return c.parseBasicConstraints(s)
	case oidExtKeyUsage:
		return readAll(s, maxPolicies, func(s *cryptobyte.String) bool {
			var p string
			ok := readOID(s, &p)
			c.purposes = append(c.purposes, p)
			return ok
		})
	case oidSubjectAltName:
		return readAll(s, maxNames, func(s *cryptobyte.String) bool {
			n, ok := readGeneralName(s)
			c.names = append(c.names, n)
			if n.form == formMail {
				c.Emails = append(c.Emails, n.text)
			}
			return ok
		})
	case oidNameConstraints:
		var ok bool
		c.constraints, ok = parseNameConstraints(s)
		return ok
	case oidPolicies:
		return c.parsePolicies(s, critical)
	case oidPolicyMappings:
		return readAll(s, maxPolicies, func(s *cryptobyte.String) bool {
			var pair cryptobyte.String
			var m mapping
			ok := s.ReadASN1(&pair, cbasn1.SEQUENCE) && readOID(&pair, &m.issuer) && readOID(&pair, &m.subject) && pair.Empty()
			c.mappings = append(c.mappings, m)
			return ok
		})
	case oidPolicyConstraints:
		return c.parsePolicyConstraints(s)
	case oidInhibitAnyPolicy:
		return readSkip(&s, cbasn1.INTEGER, &c.inhibitAny) && s.Empty()
	case oidCRLDistPoints:
		return readAll(s, maxPoints, c.parsePoint)
	case oidAuthorityAccess:
		c.CAIssuers = accessURIs(s, oidCAIssuers)
	case oidSubjectAccess:
		c.CARepository = accessURIs(s, oidCARepository)
	}
	if critical {
		c.unknownCritical = append(c.unknownCritical, dotted(id))
	}
	return true
}

// readAll reads a SEQUENCE OF with one to limit elements.
func readAll(s cryptobyte.String, limit int, item func(*cryptobyte.String) bool) bool {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() || seq.Empty() {
		return false
	}
	for n := 0; !seq.Empty(); n++ {
		if n == limit || !item(&seq) {
			return false
		}
	}
	return true
}

// accessURIs reads RFC 5280 §4.2.2 as far as it can be read: it decides nothing.
func accessURIs(s cryptobyte.String, method string) (uris []string) {
	readAll(s, maxPoints, func(s *cryptobyte.String) bool {
		var description, uri cryptobyte.String
		var id string
		ok := s.ReadASN1(&description, cbasn1.SEQUENCE) && readOID(&description, &id)
		if ok && id == method && description.ReadASN1(&uri, tagURI) {
			uris = append(uris, string(uri))
		}
		return ok
	})
	return uris
}

const tagURI = cbasn1.Tag(formURI | 0x80)

func (c *Certificate) parseKeyUsage(s cryptobyte.String) bool {
	var bits cryptobyte.String
	if !s.ReadASN1(&bits, cbasn1.BIT_STRING) || !s.Empty() || len(bits) == 0 || bits[0] > 7 {
		return false
	}
	c.hasKeyUsage = true
	for i := range min(9, 8*(len(bits)-1)) {
		if bits[1+i/8]>>(7-i%8)&1 == 1 {
			c.keyUsage |= 1 << i
		}
	}
	return true
}

func (c *Certificate) parseBasicConstraints(s cryptobyte.String) bool {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() {
		return false
	}
	if seq.PeekASN1Tag(cbasn1.BOOLEAN) && !seq.ReadASN1Boolean(&c.ca) {
		return false
	}
	if seq.PeekASN1Tag(cbasn1.INTEGER) && !readSkip(&seq, cbasn1.INTEGER, &c.pathLen) {
		return false
	}
	return seq.Empty()
}

// readSkip reads a SkipCerts or path length: 0 to whatever, and whatever does
// not fit means the same as a million.
func readSkip(s *cryptobyte.String, tag cbasn1.Tag, out *int) bool {
	var content cryptobyte.String
	if !s.ReadASN1(&content, tag) || len(content) == 0 || len(content) > 8 || content[0] >= 0x80 ||
		len(content) > 1 && content[0] == 0 && content[1] < 0x80 {
		return false
	}
	*out = int(min(new(big.Int).SetBytes(content).Int64(), 1_000_000))
	return true
}

func (c *Certificate) parsePolicies(s cryptobyte.String, critical bool) bool {
	c.hasPolicies = true
	known := true
	ok := readAll(s, maxPolicies, func(s *cryptobyte.String) bool {
		var info cryptobyte.String
		var p string
		if !s.ReadASN1(&info, cbasn1.SEQUENCE) || !readOID(&info, &p) {
			return false
		}
		if !info.Empty() {
			if !readAll(info, maxPolicies, func(s *cryptobyte.String) bool {
				var q cryptobyte.String
				var id string
				ok := s.ReadASN1(&q, cbasn1.SEQUENCE) && readOID(&q, &id)
				known = known && (id == oidCPS || id == oidUserNotice)
				return ok
			}) {
				return false
			}
		}
		// §4.2.1.4: no policy twice.
		if p == oidAnyPolicy {
			twice := c.anyPolicy
			c.anyPolicy = true
			return !twice
		}
		twice := slices.Contains(c.policies, p)
		c.policies = append(c.policies, p)
		return !twice
	})
	// A critical extension must be understood with its qualifiers (§4.2.1.4).
	if critical && !known {
		c.unknownCritical = append(c.unknownCritical, dotted(oidPolicies)+" with an unknown qualifier")
	}
	return ok
}

func (c *Certificate) parsePolicyConstraints(s cryptobyte.String) bool {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() || seq.Empty() {
		return false
	}
	for n, out := range []*int{&c.requireExplicit, &c.inhibitMapping} {
		tag := cbasn1.Tag(n).ContextSpecific()
		if seq.PeekASN1Tag(tag) && !readSkip(&seq, tag, out) {
			return false
		}
	}
	return seq.Empty()
}

func (c *Certificate) parsePoint(s *cryptobyte.String) bool {
	var seq, name, some, issuers cryptobyte.String
	var hasName, hasSome, hasIssuers bool
	tag := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific() }
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadOptionalASN1(&name, &hasName, tag(0).Constructed()) ||
		!seq.ReadOptionalASN1(&some, &hasSome, tag(1)) ||
		!seq.ReadOptionalASN1(&issuers, &hasIssuers, tag(2).Constructed()) || !seq.Empty() {
		return false
	}
	p := distributionPoint{reasons: crl.AllReasons}
	ok := true
	if hasName {
		p.name, ok = crl.ParseDistributionPoint(name)
	}
	if ok && hasSome {
		p.reasons, ok = crl.ParseReasons(some)
	}
	if ok && hasIssuers {
		p.issuers, ok = directoryNames(issuers)
		// §4.2.1.13: it MUST be the distinguished name of the CRL issuer.
		ok = ok && len(p.issuers) > 0
	}
	for _, name := range p.name.FullName {
		var uri cryptobyte.String
		if s := cryptobyte.String(name); s.ReadASN1(&uri, tagURI) {
			c.CRLPoints = append(c.CRLPoints, string(uri))
		}
	}
	c.points = append(c.points, p)
	return ok
}

// directoryNames returns the distinguished names among the content of a
// GeneralNames.
func directoryNames(s cryptobyte.String) (out []Name, ok bool) {
	names, ok := crl.ParseNames(s)
	for _, der := range names {
		n := cryptobyte.String(der)
		g, good := readGeneralName(&n)
		if !good {
			return nil, false
		}
		if g.form == formDirectory {
			out = append(out, g.dn)
		}
	}
	return out, ok
}

// mailUsages are the key usages of which a mail certificate needs one: to sign,
// or to be encrypted to (RFC 8550 §4.4.2).
const mailUsages = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement
