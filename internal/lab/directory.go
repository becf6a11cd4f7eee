package lab

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"github.com/lor00x/goldap/message"
	ldapserver "github.com/vjeantet/ldapserver"
)

// directory is the content of a member's directory and the rules by which it is
// searched. It never changes.
type directory struct {
	suffix           *ldap.DN
	bindDN, password string
	reference        string // ends searches of the whole tree; may be empty
	rootDSE          entry
	entries          []entry
	known            map[string]bool // attribute types, lower case
}

type entry struct {
	dn         *ldap.DN
	name       string // dn as text
	attributes []attribute
}

// attribute has a description as it is stored, options included.
type attribute struct {
	description string
	values      []string
}

func newDirectory(o *Organisation) (*directory, error) {
	d := &directory{bindDN: o.Spec.BindDN, password: o.Spec.Password, known: map[string]bool{}}
	var err error
	if d.entries, err = o.entries(); err != nil {
		return nil, err
	}
	d.suffix = d.entries[0].dn
	for _, e := range d.entries {
		for _, a := range e.attributes {
			typ, _, _ := strings.Cut(strings.ToLower(a.description), ";")
			d.known[typ] = true
		}
	}
	d.rootDSE = entry{dn: &ldap.DN{}, attributes: []attribute{
		{"objectClass", []string{"top"}},
		{"namingContexts", []string{o.Spec.Suffix}},
		{"supportedLDAPVersion", []string{"3"}},
	}}
	if o.Spec.Dialect == ActiveDirectory {
		d.reference = "ldap://" + o.Spec.Domain + "/CN=Configuration," + o.Spec.Suffix
	}
	return d, nil
}

// bind returns the result code for a simple bind, and whether it proves who the
// client is (RFC 4513 §5.1).
func (d *directory) bind(name, password string) (code int, bound bool) {
	switch {
	case name == "" && password == "":
		return ldapserver.LDAPResultSuccess, false
	case password == "":
		return ldapserver.LDAPResultUnwillingToPerform, false
	case d.bindDN != "" && strings.EqualFold(name, d.bindDN) && password == d.password:
		return ldapserver.LDAPResultSuccess, true
	}
	return ldapserver.LDAPResultInvalidCredentials, false
}

// search returns the entries that req asks for and the result code, with an
// explanation where servers give one.
func (d *directory) search(req *message.SearchRequest, bound bool) (found []entry, code int, text string) {
	base, err := ldap.ParseDN(string(req.BaseObject()))
	if err != nil {
		return nil, ldapserver.LDAPResultInvalidDNSyntax, "invalid DN"
	}
	scope := int(req.Scope())
	if len(base.RDNs) == 0 && scope == ldapserver.SearchRequestScopeBaseObject {
		if d.match(d.rootDSE, req.Filter()) == yes {
			found = []entry{d.rootDSE}
		}
		return found, ldapserver.LDAPResultSuccess, ""
	}
	if d.bindDN != "" && !bound {
		return nil, ldapserver.LDAPResultOperationsError,
			"000004DC: In order to perform this operation a successful bind must be completed on the connection."
	}
	if !slices.ContainsFunc(d.entries, func(e entry) bool { return e.dn.EqualFold(base) }) {
		return nil, ldapserver.LDAPResultNoSuchObject, ""
	}
	for _, e := range d.entries {
		if !inScope(e.dn, base, scope) || d.match(e, req.Filter()) != yes {
			continue
		}
		if limit := int(req.SizeLimit()); limit > 0 && len(found) == limit {
			return found, ldapserver.LDAPResultSizeLimitExceeded, ""
		}
		found = append(found, e)
	}
	return found, ldapserver.LDAPResultSuccess, ""
}

// refers reports whether a search ends with the reference.
func (d *directory) refers(req *message.SearchRequest) bool {
	base, err := ldap.ParseDN(string(req.BaseObject()))
	return err == nil && d.reference != "" && int(req.Scope()) == ldapserver.SearchRequestHomeSubtree && base.EqualFold(d.suffix)
}

func inScope(dn, base *ldap.DN, scope int) bool {
	switch scope {
	case ldapserver.SearchRequestScopeBaseObject:
		return dn.EqualFold(base)
	case ldapserver.SearchRequestSingleLevel:
		return len(dn.RDNs) == len(base.RDNs)+1 && base.AncestorOfFold(dn)
	}
	return dn.EqualFold(base) || base.AncestorOfFold(dn)
}

// selected returns the attributes of e that a list asks for: all when it is
// empty or has "*", none for "1.1" (RFC 4511 §4.5.1.8).
func (e entry) selected(asked message.AttributeSelection) (out []attribute) {
	all := len(asked) == 0 || slices.Contains(asked, "*")
	for _, a := range e.attributes {
		if all || slices.ContainsFunc(asked, func(s message.LDAPString) bool { return describes(string(s), a.description) }) {
			out = append(out, a)
		}
	}
	return out
}

// describes reports whether an attribute stored as stored is one of those that
// asked names: the same type with at least the same options (RFC 4512 §2.5.2).
// So userCertificate finds userCertificate;binary, and not the reverse.
func describes(asked, stored string) bool {
	a, s := strings.Split(strings.ToLower(asked), ";"), strings.Split(strings.ToLower(stored), ";")
	return a[0] == s[0] && !slices.ContainsFunc(a[1:], func(option string) bool { return !slices.Contains(s[1:], option) })
}

// entries builds the tree of the organisation's dialect; the first is the suffix.
func (o *Organisation) entries() (out []entry, err error) {
	add := func(dn string, attributes ...attribute) {
		parsed, perr := ldap.ParseDN(dn)
		if perr != nil && err == nil {
			err = fmt.Errorf("parsing name %q: %w", dn, perr)
		}
		out = append(out, entry{parsed, dn, attributes})
	}
	suffix := o.Spec.Suffix
	if o.Spec.Dialect == ActiveDirectory {
		domain, _, _ := strings.Cut(o.Spec.Domain, ".")
		add(suffix, attribute{"objectClass", []string{"top", "domainDNS"}}, attribute{"dc", []string{domain}})
		add("CN=Users,"+suffix, attribute{"objectClass", []string{"top", "container"}}, attribute{"cn", []string{"Users"}})
	} else {
		add(suffix, attribute{"objectClass", []string{"top", "organization"}}, attribute{"o", []string{o.Spec.Name}})
		add("ou=People,"+suffix, attribute{"objectClass", []string{"top", "organizationalUnit"}}, attribute{"ou", []string{"People"}})
	}
	users := o.Users()
	for i, spec := range o.Spec.Users {
		given, surname := spec.names()
		der := string(users[i].Certificate.Raw)
		// The telephone number and what follows are nobody else's business: a
		// bridge must not let them out.
		common := []attribute{
			{"cn", []string{spec.CN}}, {"sn", []string{surname}}, {"givenName", []string{given}}, {"mail", []string{users[i].Mail}},
			{"telephoneNumber", []string{fmt.Sprintf("+49 30 5550%d", 100+i)}},
		}
		if o.Spec.Dialect == ActiveDirectory {
			add("CN="+spec.CN+",CN=Users,"+suffix, append(common,
				attribute{"objectClass", []string{"top", "person", "organizationalPerson", "user"}},
				attribute{"sAMAccountName", []string{spec.Local}},
				attribute{"userPrincipalName", []string{spec.Local + "@" + o.Spec.Domain}},
				attribute{"proxyAddresses", []string{"SMTP:" + users[i].Mail, "smtp:" + surname + "@" + o.Spec.Domain, "SIP:" + users[i].Mail}},
				attribute{"userCertificate", []string{der}})...)
		} else {
			add("uid="+spec.Local+",ou=People,"+suffix, append(common,
				attribute{"objectClass", []string{"top", "person", "organizationalPerson", "inetOrgPerson"}},
				attribute{"uid", []string{spec.Local}},
				attribute{"employeeNumber", []string{fmt.Sprint(7100 + i)}},
				attribute{"userCertificate;binary", []string{der}})...)
		}
	}
	return out, err
}
