package main

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"bridge.example/api/proto"
)

// record is an application as this program shows it; its JSON is documented in
// the help of "member show".
type record struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Country string `json:"country"`

	RegisterNumber string    `json:"register_number,omitempty"`
	Address        string    `json:"address,omitempty"`
	Sector         string    `json:"sector,omitempty"`
	Website        string    `json:"website,omitempty"`
	Languages      []string  `json:"languages"`
	Contacts       []contact `json:"contacts"`

	Services []string `json:"services"`
	OneWay   bool     `json:"one_way"`
	Delivery string   `json:"delivery"`
	Escrow   bool     `json:"escrow"`

	MailDomains     []string `json:"mail_domains"`
	ExcludedDomains []string `json:"excluded_domains"`
	DirectoryNames  []string `json:"directory_names"`

	Policies      []policy      `json:"policies"`
	Documents     []document    `json:"documents"`
	Directories   []directory   `json:"directories"`
	Anchors       []certificate `json:"anchors"`
	Intermediates []certificate `json:"intermediates"`
	CrossFrom     []certificate `json:"cross_from"`
	CrossProfile  string        `json:"cross_profile,omitempty"`
}

type contact struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Phone string `json:"phone,omitempty"`
	Role  string `json:"role,omitempty"`
}

type policy struct {
	Member  string `json:"member"`
	Bridge  string `json:"bridge"`
	Section string `json:"section,omitempty"`
}

type document struct {
	Kind    string    `json:"kind"`
	Hash    string    `json:"hash"`
	Name    string    `json:"name"`
	Title   string    `json:"title,omitempty"`
	Version string    `json:"version,omitempty"`
	Date    string    `json:"date,omitempty"`
	OID     string    `json:"oid,omitempty"`
	Link    string    `json:"link,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

type directory struct {
	URL        string `json:"url"`
	Base       string `json:"base"`
	Dialect    string `json:"dialect"`
	BindDN     string `json:"bind_dn,omitempty"`
	Credential string `json:"credential,omitempty"`
	StartTLS   bool   `json:"start_tls,omitempty"`

	TestMailbox string `json:"test_mailbox,omitempty"`
}

type certificate struct {
	Subject     string    `json:"subject"`
	SHA256      string    `json:"sha256"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	Certificate []byte    `json:"certificate"`
	OCSP        []string  `json:"ocsp,omitempty"`
	CRL         []string  `json:"crl,omitempty"`

	TestSerials *testSerials  `json:"test_serials,omitempty"`
	Chain       []certificate `json:"chain,omitempty"`
}

type testSerials struct {
	Valid   string `json:"valid,omitempty"`
	Revoked string `json:"revoked,omitempty"`
	Unused  string `json:"unused,omitempty"`
}

func newRecord(a *proto.Application) record {
	return record{
		ID: a.GetId(), Name: a.GetName(), Country: a.GetCountry(),
		RegisterNumber: a.GetRegisterNumber(), Address: a.GetAddress(), Sector: a.GetSector(), Website: a.GetWebsite(), Languages: each(a.GetLanguages(), same),
		Contacts: each(a.GetContacts(), func(c *proto.Contact) contact {
			return contact{c.GetName(), c.GetEmail(), c.GetPhone(), c.GetRole()}
		}),
		Services: each(a.GetServices(), same), OneWay: a.GetOneWay(), Delivery: cmp.Or(a.GetDelivery(), "to-end"), Escrow: a.GetEscrow(),
		MailDomains: each(a.GetMailDomains(), same), ExcludedDomains: each(a.GetExcludedDomains(), same), DirectoryNames: each(a.GetDirectoryNames(), same),
		Policies: each(a.GetPolicies(), newPolicy), Documents: each(a.GetDocuments(), newDocument),
		Directories: each(a.GetDirectories(), func(d *proto.Directory) directory {
			return directory{d.GetUrl(), d.GetBase(), d.GetDialect(), d.GetBindDn(), d.GetCredential(), d.GetStartTls(), d.GetTestMailbox()}
		}),
		Anchors: each(a.GetAnchors(), newCA), Intermediates: each(a.GetIntermediates(), newCA),
		CrossFrom: each(a.GetCrossCertificates(), newCertificate), CrossProfile: a.GetCrossProfile(),
	}
}

func newPolicy(p *proto.Policy) policy { return policy{p.GetMember(), p.GetBridge(), p.GetSection()} }

func newDocument(d *proto.Document) document {
	return document{
		d.GetKind(), d.GetHash(), d.GetName(), d.GetTitle(), d.GetVersion(), d.GetDate(), d.GetOid(), d.GetLink(), instant(d.GetExpires()),
	}
}

func newCA(c *proto.CA) certificate {
	out := newCertificate(c.GetCertificate())
	out.OCSP, out.CRL = c.GetOcsp(), c.GetCrl()
	if t := c.GetTestSerials(); t != nil {
		out.TestSerials = &testSerials{t.GetValid(), t.GetRevoked(), t.GetUnused()}
	}
	out.Chain = each(c.GetChain(), newCertificate)
	return out
}

// newCertificate describes what it can of a certificate.
func newCertificate(der []byte) certificate {
	sum := sha256.Sum256(der)
	out := certificate{Subject: "not a certificate", SHA256: hex.EncodeToString(sum[:]), Certificate: der}
	if c, err := x509.ParseCertificate(der); err == nil {
		out.Subject, out.NotAfter = c.Subject.String(), c.NotAfter
	}
	return out
}

// rows gathers lines of a name and a value; empty values are left out.
type rows [][]string

func (r *rows) add(name, value string) {
	if value != "" {
		*r = append(*r, []string{name, value})
	}
}

func (r *rows) addEach(name string, values []string) {
	for _, v := range values {
		r.add(name, v)
	}
}

// rows is all that was declared. Records that differ differ in their rows.
func (a record) rows() (r rows) {
	r.add("id", a.ID)
	r.add("name", a.Name+", "+a.Country)
	r.add("register number", a.RegisterNumber)
	r.add("address", a.Address)
	r.add("sector", a.Sector)
	r.add("website", a.Website)
	r.add("languages", strings.Join(a.Languages, ", "))
	for _, c := range a.Contacts {
		r.add("contact", strings.Join(strings.Fields(strings.Join([]string{c.Name, c.Email, c.Phone, c.Role}, " ")), " "))
	}
	r.add("services", cmp.Or(strings.Join(a.Services, ", "), "all"))
	if a.OneWay {
		r.add("one-way", "the bridge certifies the member, and not the other way round")
	}
	r.add("delivery", a.Delivery)
	if a.Escrow {
		r.add("escrow", "the member keeps copies of decryption keys")
	}
	r.addEach("mail domain", a.MailDomains)
	r.addEach("excluded domain", a.ExcludedDomains)
	r.addEach("directory name", a.DirectoryNames)
	for _, p := range a.Policies {
		r.add("policy", p.String())
	}
	for _, d := range a.Documents {
		r.add("document", d.String())
	}
	for _, d := range a.Directories {
		r.add("directory", d.String())
	}
	for _, c := range a.Anchors {
		r.addCA("anchor", c)
	}
	for _, c := range a.Intermediates {
		r.addCA("intermediate", c)
	}
	for _, c := range a.CrossFrom {
		r.addCA("for the bridge", c)
	}
	if a.CrossProfile != "" {
		r.add("cross-certificates", a.CrossProfile+": verifiers that do not know the limits in them pass over these")
	}
	return r
}

func (r *rows) addCA(name string, c certificate) {
	r.add(name, c.Subject+", until "+stamp(c.NotAfter))
	r.add(name+" SHA-256", c.SHA256)
	r.addEach(name+" OCSP", c.OCSP)
	r.addEach(name+" CRL", c.CRL)
	if t := c.TestSerials; t != nil {
		r.add(name+" test serials", fmt.Sprintf("valid %s, revoked %s, unused %s", cmp.Or(t.Valid, "none"), cmp.Or(t.Revoked, "none"), cmp.Or(t.Unused, "none")))
	}
	for _, above := range c.Chain {
		r.add(name+" chain", fmt.Sprintf("%s, until %s, SHA-256 %s", above.Subject, stamp(above.NotAfter), above.SHA256))
	}
}

func (p policy) String() string {
	s := p.Member + " equals level " + p.Bridge
	if p.Section != "" {
		s += ", by " + p.Section
	}
	return s
}

func (d document) String() string {
	s := d.Kind + " " + d.Hash + " " + d.Name
	for _, part := range []struct{ name, value string }{
		{"", d.Title}, {"version ", d.Version}, {"of ", d.Date}, {"OID ", d.OID}, {"at ", d.Link}, {"until ", stamp(d.Expires)},
	} {
		if part.value != "" {
			s += ", " + part.name + part.value
		}
	}
	return s
}

func (d directory) String() string {
	s := fmt.Sprintf("%s %q, %s", d.URL, d.Base, d.Dialect)
	if d.StartTLS {
		s += ", StartTLS"
	}
	if d.BindDN != "" {
		s += fmt.Sprintf(", as %q with %s", d.BindDN, d.Credential)
	}
	if d.TestMailbox != "" {
		s += ", tested with " + d.TestMailbox
	}
	return s
}
