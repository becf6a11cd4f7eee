package membership

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

// Bounds on what one application may carry. They are generous for an
// organisation and small for an attacker.
const (
	maxCAs         = 16
	maxURLs        = 4
	maxDomains     = 100
	maxPolicies    = 50
	maxDirectories = 8
	maxCertBytes   = 64 << 10
	maxText        = 500
	maxNames       = 20
	maxChain       = 8
)

// Application is what an organisation declares about itself. Approvals bind it:
// changing a field changes the record hash, except those that Bound leaves out.
type Application struct {
	ID          ID          `json:"id"`
	Name        string      `json:"name"`    // of the organisation
	Country     string      `json:"country"` // ISO 3166 alpha-2
	Contacts    []Contact   `json:"contacts"`
	MailDomains []string    `json:"mail_domains"` // lower-case DNS names, owned by one member each
	Policies    []Policy    `json:"policies"`
	Directories []Directory `json:"directories"` // in the order in which they are asked

	// Anchors are the CA certificates that the signed list carries and the
	// bridge cross-certifies: usually one self-signed root.
	Anchors []CA `json:"anchors"`
	// Intermediates are CA certificates below an anchor that issue to subscribers.
	Intermediates []CA `json:"intermediates"`
	// CrossCertificates are DER certificates that the member's CA issued to the
	// bridge CA.
	CrossCertificates [][]byte `json:"cross_certificates"`
	// DirectoryNames, if any, are those below which the subjects of all the
	// member's certificates lie (RFC 4514); the bridge's certificates for the
	// anchors permit no others.
	DirectoryNames []string `json:"directory_names,omitempty"`
	// ExcludedDomains are hosts below MailDomains for which the member's
	// certificates do not speak.
	ExcludedDomains []string `json:"excluded_domains,omitempty"`
	// CrossProfile is how strict the bridge's certificates for the anchors are:
	// empty, or Compatible.
	CrossProfile CrossProfile `json:"cross_profile,omitempty"`

	RegisterNumber string   `json:"register_number,omitempty"` // in the trade register or the like
	Address        string   `json:"address,omitempty"`
	Sector         string   `json:"sector,omitempty"`
	Website        string   `json:"website,omitempty"`
	Languages      []string `json:"languages,omitempty"` // RFC 5646

	// Services are those wanted; none means all.
	Services []Service `json:"services,omitempty"`
	// OneWay says that the bridge certifies the member and not the other way round.
	OneWay   bool     `json:"one_way,omitempty"`
	Delivery Delivery `json:"delivery,omitempty"` // empty means ToEnd
	// Escrow says that the member keeps copies of subscribers' decryption keys.
	Escrow bool `json:"escrow,omitempty"`
	// Documents are the certificate policy and the practice statement.
	Documents []Document `json:"documents,omitempty"`
}

// CrossProfile is a flavour of the bridge's certificates for a member.
type CrossProfile string

// Compatible has the limits of the certificates non-critical, so that GnuTLS and
// gpgsm accept them. Verifiers that do not know the limits then pass over them,
// where they would have refused the certificate.
const Compatible CrossProfile = "compatible"

// Contact is a person or role to reach.
type Contact struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Phone string `json:"phone,omitempty"`
	Role  string `json:"role,omitempty"`
}

// CA is one CA certificate of a member and where its status is published.
type CA struct {
	Certificate []byte   `json:"certificate"` // DER
	OCSP        []string `json:"ocsp"`        // http URLs of responders for what this CA issued
	CRL         []string `json:"crl"`         // http or ldap URLs of its CRL
	// Chain leads from the issuer of a CA that is not self-signed to a root, DER:
	// for a CA purchased from somebody else, who is no member by that.
	Chain [][]byte `json:"chain,omitempty"`
	// TestSerials let the bridge see that the status services tell the truth.
	TestSerials TestSerials `json:"test_serials,omitzero"`
}

// TestSerials are serial numbers of a CA whose status is known: hexadecimal, in
// lower case without leading zeros. Each may be empty.
type TestSerials struct {
	Valid   string `json:"valid,omitempty"`   // of a certificate that is not revoked
	Revoked string `json:"revoked,omitempty"` // of one that is
	Unused  string `json:"unused,omitempty"`  // of none
}

// Policy maps one certificate policy of the member to a level of the bridge.
// Both are dotted OIDs.
type Policy struct {
	Member string `json:"member"`
	Bridge string `json:"bridge"`
	// Section is where the member's policy says what maps it.
	Section string `json:"section,omitempty"`
}

// Directory is one endpoint of the member's directory.
type Directory struct {
	URL     string `json:"url"`     // ldap://host:port or ldaps://host:port
	Base    string `json:"base"`    // RFC 4514 name under which people are found
	Dialect string `json:"dialect"` // name of a vdir dialect
	// BindDN is the name the bridge binds with; empty means anonymous.
	BindDN string `json:"bind_dn,omitempty"`
	// Credential names the file with the password in the bridge's credential
	// directory: the register holds no secret.
	Credential string `json:"credential,omitempty"`
	StartTLS   bool   `json:"start_tls,omitempty"`
	// TestMailbox is an address below the mail domains whose entry, with a
	// certificate, must always be found.
	TestMailbox string `json:"test_mailbox,omitempty"`
}

// problems gathers everything wrong with an application, each with its place.
type problems []string

func (p *problems) addf(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

func (p *problems) check(where string, err error) {
	if err != nil {
		p.addf("%s: %v", where, err)
	}
}

// Normalize brings what has several spellings into one: mail domains lower
// case without a trailing dot, the country upper case, empty lists nil.
func (a *Application) Normalize() {
	a.Country = strings.ToUpper(strings.TrimSpace(a.Country))
	a.Name = strings.TrimSpace(a.Name)
	for _, domains := range [][]string{a.MailDomains, a.ExcludedDomains} {
		for i, d := range domains {
			domains[i] = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(d)), ".")
		}
	}
	for i := range a.Directories {
		a.Directories[i].TestMailbox = strings.ToLower(strings.TrimSpace(a.Directories[i].TestMailbox))
	}
	for _, cas := range [][]CA{a.Anchors, a.Intermediates} {
		for i := range cas {
			t := &cas[i].TestSerials
			t.Valid, t.Revoked, t.Unused = normalSerial(t.Valid), normalSerial(t.Revoked), normalSerial(t.Unused)
		}
	}
	dropEmpty(reflect.ValueOf(a).Elem())
}

// dropEmpty makes every empty slice in v nil, so that what says the same
// compares and hashes the same.
func dropEmpty(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			dropEmpty(v.Field(i))
		}
	case reflect.Slice:
		if v.Len() == 0 && v.CanSet() {
			v.SetZero()
		}
		for i := range v.Len() {
			if v.Type().Elem().Kind() != reflect.Uint8 {
				dropEmpty(v.Index(i))
			}
		}
	}
}

// normalSerial takes the colons and capitals out that tools write serial numbers with.
func normalSerial(s string) string {
	s = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(s), ":", ""))
	return strings.TrimLeft(strings.TrimPrefix(s, "0x"), "0")
}

// Validate reports everything that is wrong with a, in one Invalid error.
func (a *Application) Validate() error { return a.validate(false) }

// ValidateDraft is Validate for an application that is still being written:
// what is there must be right, and mail domains, policies and anchors may be
// missing.
func (a *Application) ValidateDraft() error { return a.validate(true) }

func (a *Application) validate(draft bool) error {
	var p problems
	if _, err := ParseID(string(a.ID)); err != nil {
		p.check("id", err)
	}
	checkText(&p, "name", a.Name, true)
	if len(a.Country) != 2 || strings.Trim(a.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		p.addf("country: %q is not a two-letter ISO 3166 code", a.Country)
	}
	if len(a.Contacts) == 0 || len(a.Contacts) > 20 {
		p.addf("contacts: want 1 to 20, got %d", len(a.Contacts))
	}
	for i, c := range a.Contacts {
		where := fmt.Sprintf("contacts[%d]", i)
		checkText(&p, where+".name", c.Name, true)
		checkText(&p, where+".phone", c.Phone, false)
		checkText(&p, where+".role", c.Role, false)
		if addr, err := mail.ParseAddress(c.Email); err != nil || addr.Address != c.Email {
			p.addf("%s.email: %q is not a mail address", where, c.Email)
		}
	}
	a.validateNames(&p, draft)
	a.validateCAs(&p, draft)
	a.validateRecord(&p)
	if a.CrossProfile != "" && a.CrossProfile != Compatible {
		p.addf("cross_profile: %q is not known; want nothing, or %q", a.CrossProfile, Compatible)
	}
	a.validateDirectories(&p)
	if len(p) > 0 {
		return fault.New(fault.Invalid, "application: %s", strings.Join(p, "; "))
	}
	return nil
}

func (a *Application) validateNames(p *problems, draft bool) {
	if len(a.MailDomains) == 0 && !draft || len(a.MailDomains) > maxDomains {
		p.addf("mail_domains: want 1 to %d, got %d", maxDomains, len(a.MailDomains))
	}
	for i, d := range a.MailDomains {
		p.check(fmt.Sprintf("mail_domains[%d]", i), checkDomain(d))
		if slices.Index(a.MailDomains, d) < i {
			p.addf("mail_domains[%d]: %q is there twice", i, d)
		}
	}
	if len(a.ExcludedDomains) > maxDomains {
		p.addf("excluded_domains: want at most %d, got %d", maxDomains, len(a.ExcludedDomains))
	}
	for i, d := range a.ExcludedDomains {
		where := fmt.Sprintf("excluded_domains[%d]", i)
		p.check(where, checkDomain(d))
		if !slices.ContainsFunc(a.MailDomains, func(m string) bool { return strings.HasSuffix(d, "."+m) }) {
			p.addf("%s: %q lies below none of the mail domains", where, d)
		}
	}
	if len(a.DirectoryNames) > maxNames {
		p.addf("directory_names: want at most %d, got %d", maxNames, len(a.DirectoryNames))
	}
	for i, n := range a.DirectoryNames {
		_, err := certext.EncodeName(n)
		p.check(fmt.Sprintf("directory_names[%d]", i), err)
	}
	if len(a.Policies) == 0 && !draft || len(a.Policies) > maxPolicies {
		p.addf("policies: want 1 to %d, got %d", maxPolicies, len(a.Policies))
	}
	for i, m := range a.Policies {
		p.check(fmt.Sprintf("policies[%d].member", i), checkPolicy(m.Member))
		p.check(fmt.Sprintf("policies[%d].bridge", i), checkPolicy(m.Bridge))
		checkText(p, fmt.Sprintf("policies[%d].section", i), m.Section, false)
		if slices.IndexFunc(a.Policies, m.same) < i {
			p.addf("policies[%d]: the same mapping is there twice", i)
		}
	}
}

func (a *Application) validateCAs(p *problems, draft bool) {
	if n := len(a.Anchors); n == 0 && !draft || n+len(a.Intermediates)+len(a.CrossCertificates) > maxCAs {
		p.addf("anchors: want at least one, and at most %d certificates in all", maxCAs)
	}
	seen := map[string]string{}
	list := func(field string, cas []CA) {
		for i, ca := range cas {
			where := fmt.Sprintf("%s[%d]", field, i)
			if _, err := parseCA(ca.Certificate); err != nil {
				p.addf("%s.certificate: %v", where, err)
			}
			if first, dup := seen[string(ca.Certificate)]; dup {
				p.addf("%s.certificate: same as %s", where, first)
			}
			seen[string(ca.Certificate)] = where
			checkURLs(p, where+".ocsp", ca.OCSP, "http", "https")
			checkURLs(p, where+".crl", ca.CRL, "http", "https", "ldap", "ldaps")
			if len(ca.Chain) > maxChain {
				p.addf("%s.chain: want at most %d certificates, got %d", where, maxChain, len(ca.Chain))
			}
			for j, der := range ca.Chain {
				_, err := parseCA(der)
				p.check(fmt.Sprintf("%s.chain[%d]", where, j), err)
			}
			checkTestSerials(p, where+".test_serials", ca.TestSerials)
		}
	}
	list("anchors", a.Anchors)
	list("intermediates", a.Intermediates)
	for i, der := range a.CrossCertificates {
		_, err := parseCA(der)
		p.check(fmt.Sprintf("cross_certificates[%d]", i), err)
	}
}

func (a *Application) validateDirectories(p *problems) {
	if len(a.Directories) > maxDirectories {
		p.addf("directories: want at most %d, got %d", maxDirectories, len(a.Directories))
	}
	for i, d := range a.Directories {
		where := fmt.Sprintf("directories[%d]", i)
		p.check(where+".url", checkURL(d.URL, "ldap", "ldaps"))
		if u, err := url.Parse(d.URL); err == nil && strings.Trim(u.Path, "/") != "" {
			p.addf("%s.url: name only host and port; the base has a field of its own", where)
		}
		checkText(p, where+".base", d.Base, false)
		checkText(p, where+".dialect", d.Dialect, true)
		checkText(p, where+".bind_dn", d.BindDN, false)
		if (d.BindDN == "") != (d.Credential == "") {
			p.addf("%s: bind_dn and credential go together", where)
		}
		// The credential becomes a file name: no separators, no dots first.
		if _, err := ParseID(d.Credential); d.Credential != "" && err != nil {
			p.addf("%s.credential: %q: want lower-case letters, digits and hyphens", where, d.Credential)
		}
		if d.TestMailbox != "" {
			p.check(where+".test_mailbox", a.checkMailbox(d.TestMailbox))
		}
	}
}

// checkMailbox wants an address that the member's directory is asked for: below
// one of its mail domains.
func (a *Application) checkMailbox(s string) error {
	addr, err := mail.ParseAddress(s)
	if err != nil || addr.Address != s || len(s) > 254 {
		return fmt.Errorf("%q is not a mail address", s)
	}
	if domain := s[strings.LastIndexByte(s, '@')+1:]; !slices.Contains(a.MailDomains, domain) {
		return fmt.Errorf("%q belongs to none of the mail domains", s)
	}
	return nil
}

func checkTestSerials(p *problems, where string, t TestSerials) {
	seen := map[string]string{}
	for _, f := range []struct{ name, serial string }{{"valid", t.Valid}, {"revoked", t.Revoked}, {"unused", t.Unused}} {
		if f.serial == "" {
			continue
		}
		// RFC 5280 §4.1.2.2: positive, at most 20 octets.
		if strings.Trim(f.serial, "0123456789abcdef") != "" || len(f.serial) > 40 {
			p.addf("%s: %s: %q is not a serial number in hexadecimal", where, f.name, f.serial)
		}
		if first, dup := seen[f.serial]; dup {
			p.addf("%s: %s: the same serial number as %s", where, f.name, first)
		}
		seen[f.serial] = f.name
	}
}

// Certificates returns the parsed anchors and intermediates. It panics on an
// application that was never validated.
func (a *Application) Certificates() (anchors, intermediates []*x509.Certificate) {
	parse := func(cas []CA) (out []*x509.Certificate) {
		for _, ca := range cas {
			c, err := parseCA(ca.Certificate)
			if err != nil {
				panic("membership: unvalidated application: " + err.Error())
			}
			out = append(out, c)
		}
		return out
	}
	return parse(a.Anchors), parse(a.Intermediates)
}

func parseCA(der []byte) (*x509.Certificate, error) {
	if len(der) > maxCertBytes {
		return nil, fmt.Errorf("%d bytes are more than the %d allowed", len(der), maxCertBytes)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("not a certificate: %w", err)
	}
	switch {
	case c.Version != 3:
		return nil, errors.New("not an X.509v3 certificate")
	case !c.BasicConstraintsValid || !c.IsCA:
		return nil, errors.New("not a CA certificate (RFC 5280 §4.2.1.9)")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, errors.New("its key may not sign certificates (RFC 5280 §4.2.1.3)")
	case len(bytes.TrimSpace(c.RawSubject)) <= 2:
		return nil, errors.New("it has no subject name (RFC 5280 §4.1.2.6)")
	}
	return c, nil
}

func checkText(p *problems, where, s string, required bool) {
	switch {
	case required && strings.TrimSpace(s) == "":
		p.addf("%s: missing", where)
	case len(s) > maxText:
		p.addf("%s: longer than %d bytes", where, maxText)
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' || r >= 0x80 && r < 0xa0 }):
		p.addf("%s: contains control characters or broken UTF-8", where)
	}
}

func checkDomain(d string) error {
	labels := strings.Split(d, ".")
	if len(d) > 253 || len(labels) < 2 {
		return fmt.Errorf("%q is not a mail domain", d)
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return fmt.Errorf("%q is not a mail domain (write internationalised names as A-labels)", d)
		}
	}
	if net.ParseIP(d) != nil {
		return fmt.Errorf("%q is an IP address", d)
	}
	return nil
}

func checkPolicy(s string) error {
	oid, err := x509.ParseOID(s)
	if err != nil {
		return fmt.Errorf("%q is not an object identifier", s)
	}
	if anyPolicy.Equal(oid) {
		return errors.New("anyPolicy may not be mapped (RFC 5280 §4.2.1.5)")
	}
	return nil
}

// anyPolicy is RFC 5280 §4.2.1.4.
var anyPolicy = func() x509.OID {
	oid, err := x509.OIDFromInts([]uint64{2, 5, 29, 32, 0})
	if err != nil {
		panic(err)
	}
	return oid
}()

func checkURLs(p *problems, where string, urls []string, schemes ...string) {
	if len(urls) > maxURLs {
		p.addf("%s: want at most %d, got %d", where, maxURLs, len(urls))
	}
	for i, u := range urls {
		p.check(fmt.Sprintf("%s[%d]", where, i), checkURL(u, schemes...))
	}
}

func checkURL(s string, schemes ...string) error {
	if len(s) > 2048 {
		return errors.New("longer than 2048 bytes")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("%q is not a URL", s)
	case !slices.Contains(schemes, u.Scheme):
		return fmt.Errorf("%q: want %s", s, strings.Join(schemes, " or "))
	case u.User != nil:
		return errors.New("a URL carries no user name or password here")
	case u.Fragment != "":
		return fmt.Errorf("%q: no fragment belongs here", s)
	}
	return nil
}
