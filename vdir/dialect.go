package vdir

import (
	"encoding/pem"
	"strings"

	"bridge.example/internal/wire/ldap"
)

// Dialect is how one kind of directory stores people and certificates: names
// and habits, no code. The outside never sees it.
type Dialect struct {
	Name string
	// Addresses are the places a mail address may be stored in.
	Addresses []AddressForm
	// Certificates are the descriptions to ask for. What comes back counts as a
	// certificate under any option, for servers disagree about ";binary".
	Certificates []string
	// T61 says that text which is not UTF-8 is T.61 (RFC 1778) and that
	// certificates may be PEM: directories older than LDAPv3. Elsewhere such
	// text is taken for Latin-1.
	T61 bool
	// Version of the LDAP to speak: 2 or 3.
	Version int
}

// AddressForm is an attribute that holds mail addresses after a prefix.
type AddressForm struct{ Attribute, Prefix string }

// LookupDialect returns the dialect of this name, in any case:
//
//	inetOrgPerson    RFC 2798: OpenLDAP, ApacheDS, Domino
//	389              389 DS, Sun and Netscape: certificates as stored, with or without ;binary
//	activeDirectory  userCertificate without ;binary, addresses in proxyAddresses too (MS-ADA3)
//	eDirectory       userCertificate as an octet string, "Internet EMail Address"
//	ldapv2           X.500 gateways speaking RFC 1777: rfc822Mailbox, T.61, PEM
func LookupDialect(name string) (*Dialect, bool) {
	mail := AddressForm{Attribute: "mail"}
	both := []string{"userCertificate", "userCertificate;binary"}
	for _, d := range []Dialect{
		{Name: "inetOrgPerson", Addresses: []AddressForm{mail}, Certificates: both, Version: 3},
		{Name: "389", Addresses: []AddressForm{mail}, Certificates: both, Version: 3},
		{Name: "activeDirectory", Addresses: []AddressForm{mail, {"proxyAddresses", "smtp:"}}, Certificates: both, Version: 3},
		{Name: "eDirectory", Addresses: []AddressForm{mail, {"internetEMailAddress", ""}}, Certificates: both, Version: 3},
		{Name: "ldapv2", Addresses: []AddressForm{{"rfc822Mailbox", ""}, mail}, Certificates: both[:1:1], Version: 2, T61: true},
	} {
		if strings.EqualFold(d.Name, name) {
			return &d, true
		}
	}
	return nil, false
}

// query is the lookup of a in the member's own words.
func (d *Dialect) query(base string, a address) Query {
	q := Query{Base: base, Scope: WholeSubtree, SizeLimit: maxEntries}
	q.Attributes = make([]string, 0, 1+len(d.Addresses)+len(d.Certificates))
	q.Attributes = append(q.Attributes, "cn")
	terms := make([]ldap.Filter, 0, len(d.Addresses))
	for _, f := range d.Addresses {
		q.Attributes = append(q.Attributes, f.Attribute)
		terms = append(terms, ldap.Filter{Op: ldap.Equality, Attribute: f.Attribute, Value: []byte(f.Prefix + a.folded)})
	}
	q.Attributes = append(q.Attributes, d.Certificates...)
	if q.Filter = terms[0]; len(terms) > 1 {
		q.Filter = ldap.Filter{Op: ldap.Or, Children: terms}
	}
	return q
}

// holds reports whether a value of an attribute is the address a.
func (d *Dialect) holds(typ string, value []byte, a address) bool {
	for _, f := range d.Addresses {
		if canonicalType(f.Attribute) != typ || len(value) != len(f.Prefix)+len(a.folded) {
			continue
		}
		prefix, rest := string(value[:len(f.Prefix)]), string(value[len(f.Prefix):])
		if strings.EqualFold(prefix, f.Prefix) && a.is(rest) {
			return true
		}
	}
	return false
}

// certificate returns the DER of a stored certificate.
func (d *Dialect) certificate(value []byte) []byte {
	if d.T61 && len(value) <= maxPEMBytes {
		if b, _ := pem.Decode(value); b != nil && b.Type == "CERTIFICATE" {
			return b.Bytes
		}
	}
	return value
}
