package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"bridge.example/api/proto"
)

// member is a member as this program shows it; its JSON is documented in the
// help of "member show".
type member struct {
	ID              string     `json:"id"`
	Name            string     `json:"name"`
	Country         string     `json:"country"`
	State           string     `json:"state"`
	Since           time.Time  `json:"since,omitzero"`
	Reason          string     `json:"reason,omitempty"`
	RecordHash      string     `json:"record_hash"`
	AppliedBy       actor      `json:"applied_by"`
	AppliedAt       time.Time  `json:"applied_at,omitzero"`
	ApprovalsNeeded int        `json:"approvals_needed"`
	Approvals       []decision `json:"approvals"`
	Decisions       []decision `json:"decisions"`

	Contacts      []contact     `json:"contacts"`
	MailDomains   []string      `json:"mail_domains"`
	Policies      []policy      `json:"policies"`
	Directories   []directory   `json:"directories"`
	Anchors       []certificate `json:"anchors"`
	Intermediates []certificate `json:"intermediates"`
	CrossFrom     []certificate `json:"cross_from"`
	CrossProfile  string        `json:"cross_profile,omitempty"`

	DirectoryNames  []string   `json:"directory_names"`
	ExcludedDomains []string   `json:"excluded_domains"`
	Accepted        []accepted `json:"accepted"`

	Projection projection `json:"projection"`
	Pending    string     `json:"pending,omitempty"`
}

type actor struct {
	Person     string `json:"person"`
	Credential string `json:"credential"`
}

// accepted is a certificate for the bridge that came after the application, or
// that was withdrawn.
type accepted struct {
	certificate
	actor
	At        time.Time   `json:"at,omitzero"`
	Withdrawn *withdrawal `json:"withdrawn,omitempty"`
}

type withdrawal struct {
	actor
	At     time.Time `json:"at,omitzero"`
	Reason string    `json:"reason"`
}

type decision struct {
	Verb string `json:"verb"`
	actor
	RecordHash string    `json:"record_hash,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	At         time.Time `json:"at,omitzero"`
	To         string    `json:"to,omitempty"`
}

type contact struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Phone string `json:"phone,omitempty"`
	Role  string `json:"role,omitempty"`
}

type policy struct {
	Member string `json:"member"`
	Bridge string `json:"bridge"`
}

type directory struct {
	URL        string `json:"url"`
	Base       string `json:"base"`
	Dialect    string `json:"dialect"`
	BindDN     string `json:"bind_dn,omitempty"`
	Credential string `json:"credential,omitempty"`
	StartTLS   bool   `json:"start_tls,omitempty"`
}

type certificate struct {
	Subject     string    `json:"subject"`
	SHA256      string    `json:"sha256"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	Certificate []byte    `json:"certificate"`
	OCSP        []string  `json:"ocsp,omitempty"`
	CRL         []string  `json:"crl,omitempty"`
}

type projection struct {
	Listed           bool        `json:"listed"`
	ListNumber       int64       `json:"list_number,omitempty"`
	DirectoryDomains []string    `json:"directory_domains"`
	ResponderIssuers []string    `json:"responder_issuers"`
	CrossTo          []crossCert `json:"cross_to"`
}

type crossCert struct {
	Serial    string    `json:"serial"`
	Subject   string    `json:"subject"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	Reason    string    `json:"reason,omitempty"`
}

func newMember(p *proto.Member) member {
	a, pr := p.GetApplication(), p.GetProjection()
	return member{
		ID: a.GetId(), Name: a.GetName(), Country: a.GetCountry(),
		State: stateName(p.GetState()), Since: instant(p.GetSince()), Reason: p.GetReason(), RecordHash: p.GetRecordHash(),
		AppliedBy: newActor(p.GetAppliedBy()), AppliedAt: instant(p.GetAppliedAt()),
		ApprovalsNeeded: int(p.GetApprovalsNeeded()),
		Approvals:       each(p.GetApprovals(), newDecision), Decisions: each(p.GetDecisions(), newDecision),
		Contacts: each(a.GetContacts(), func(c *proto.Contact) contact {
			return contact{c.GetName(), c.GetEmail(), c.GetPhone(), c.GetRole()}
		}),
		MailDomains: each(a.GetMailDomains(), same),
		Policies:    each(a.GetPolicies(), func(p *proto.Policy) policy { return policy{p.GetMember(), p.GetBridge()} }),
		Directories: each(a.GetDirectories(), func(d *proto.Directory) directory {
			return directory{d.GetUrl(), d.GetBase(), d.GetDialect(), d.GetBindDn(), d.GetCredential(), d.GetStartTls()}
		}),
		Anchors: each(a.GetAnchors(), newCA), Intermediates: each(a.GetIntermediates(), newCA),
		CrossFrom: each(a.GetCrossCertificates(), newCertificate), CrossProfile: a.GetCrossProfile(),
		DirectoryNames: each(a.GetDirectoryNames(), same), ExcludedDomains: each(a.GetExcludedDomains(), same),
		Accepted: each(p.GetAccepted(), func(a *proto.AcceptedCertificate) accepted {
			out := accepted{newCertificate(a.GetCertificate()), newActor(a.GetBy()), instant(a.GetAt()), nil}
			if a.GetWithdrawnAt() != nil {
				out.Withdrawn = &withdrawal{newActor(a.GetWithdrawnBy()), instant(a.GetWithdrawnAt()), a.GetReason()}
			}
			return out
		}),
		Projection: projection{
			Listed: pr.GetListed(), ListNumber: pr.GetListNumber(),
			DirectoryDomains: each(pr.GetDirectoryDomains(), same), ResponderIssuers: each(pr.GetResponderIssuers(), same),
			CrossTo: each(pr.GetCrossCertificates(), func(c *proto.CrossCertificate) crossCert {
				return crossCert{c.GetSerial(), c.GetSubject(), instant(c.GetNotAfter()), instant(c.GetRevokedAt()), c.GetReason()}
			}),
		},
		Pending: p.GetPending(),
	}
}

// each converts a list; nothing becomes an empty list, which JSON shows as one.
func each[A, B any](in []A, convert func(A) B) []B {
	out := make([]B, 0, len(in))
	for _, a := range in {
		out = append(out, convert(a))
	}
	return out
}

func same(s string) string { return s }

func newActor(a *proto.Actor) actor { return actor{a.GetPerson(), a.GetCredential()} }

func newDecision(d *proto.Decision) decision {
	return decision{
		Verb: enumName(d.GetVerb().String(), "VERB_"), actor: newActor(d.GetBy()), RecordHash: d.GetRecordHash(),
		Reason: d.GetReason(), At: instant(d.GetAt()), To: stateName(d.GetTo()),
	}
}

func newCA(c *proto.CA) certificate {
	out := newCertificate(c.GetCertificate())
	out.OCSP, out.CRL = c.GetOcsp(), c.GetCrl()
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

// stateName is a state as people write it; an unspecified one is empty.
func stateName(s proto.State) string { return enumName(s.String(), "STATE_") }

func enumName(s, prefix string) string {
	if s = strings.ToLower(strings.TrimPrefix(s, prefix)); s == "unspecified" {
		return ""
	}
	return s
}

// instant converts an absent timestamp to the zero time.
func instant(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// rows gathers lines of a name and a value; empty values are left out.
type rows [][]string

func (r *rows) add(name, value string) {
	if value != "" {
		*r = append(*r, []string{name, value})
	}
}

// summary is how the member stands.
func (m member) summary() (r rows) {
	r.add("id", m.ID)
	r.add("state", m.State)
	r.add("since", stamp(m.Since))
	r.add("reason", m.Reason)
	r.add("record hash", m.RecordHash)
	persons := ""
	for _, a := range m.Approvals {
		persons += " " + a.Person
	}
	if m.State != "active" {
		r.add("approvals", fmt.Sprintf("%d of %d%s", len(m.Approvals), m.ApprovalsNeeded, persons))
	}
	r.add("pending", m.Pending)
	return r
}

// bound is what an approval binds.
func (m member) bound() (r rows) {
	r.add("id", m.ID)
	r.add("name", m.Name+", "+m.Country)
	for _, c := range m.Contacts {
		r.add("contact", strings.Join(strings.Fields(strings.Join([]string{c.Name, c.Email, c.Phone, c.Role}, " ")), " "))
	}
	for _, d := range m.MailDomains {
		r.add("mail domain", d)
	}
	for _, d := range m.ExcludedDomains {
		r.add("excluded domain", d)
	}
	for _, n := range m.DirectoryNames {
		r.add("directory name", n)
	}
	for _, p := range m.Policies {
		r.add("policy", p.Member+" equals level "+p.Bridge)
	}
	for _, d := range m.Directories {
		s := fmt.Sprintf("%s %q, %s", d.URL, d.Base, d.Dialect)
		if d.StartTLS {
			s += ", StartTLS"
		}
		if d.BindDN != "" {
			s += fmt.Sprintf(", as %q with %s", d.BindDN, d.Credential)
		}
		r.add("directory", s)
	}
	for _, c := range m.Anchors {
		r.addCA("anchor", c)
	}
	for _, c := range m.Intermediates {
		r.addCA("intermediate", c)
	}
	for _, c := range m.CrossFrom {
		r.addCA("for the bridge", c)
	}
	if m.CrossProfile != "" {
		r.add("cross-certificates", m.CrossProfile+": verifiers that do not know the limits in them pass over these")
	}
	r.add("record hash", m.RecordHash)
	return r
}

func (r *rows) addCA(name string, c certificate) {
	r.add(name, c.Subject+", until "+stamp(c.NotAfter))
	r.add(name+" SHA-256", c.SHA256)
	for _, u := range c.OCSP {
		r.add(name+" OCSP", u)
	}
	for _, u := range c.CRL {
		r.add(name+" CRL", u)
	}
}

// rows is everything.
func (m member) rows() rows {
	r := m.bound()
	for _, s := range m.summary() {
		if s[0] != "id" && s[0] != "record hash" {
			r = append(r, s)
		}
	}
	p := m.Projection
	if p.Listed {
		r.add("signed list", fmt.Sprintf("trusted by list %d", p.ListNumber))
	} else {
		r.add("signed list", "not trusted")
	}
	r.add("directory answers", strings.Join(p.DirectoryDomains, ", "))
	for _, s := range p.ResponderIssuers {
		r.add("responder answers", s)
	}
	for _, c := range p.CrossTo {
		s := fmt.Sprintf("serial %s to %s, until %s", c.Serial, c.Subject, stamp(c.NotAfter))
		if !c.RevokedAt.IsZero() {
			s += fmt.Sprintf(", revoked %s (%s)", stamp(c.RevokedAt), c.Reason)
		}
		r.add("cross-certificate", s)
	}
	for _, a := range m.Accepted {
		r.addCA("accepted for the bridge", a.certificate)
		r.add("accepted", stamp(a.At)+" by "+a.Person)
		if w := a.Withdrawn; w != nil {
			r.add("withdrawn", stamp(w.At)+" by "+w.Person+": "+w.Reason)
		}
	}
	r.add("applied", stamp(m.AppliedAt)+" by "+m.AppliedBy.Person)
	for _, d := range m.Decisions {
		s := fmt.Sprintf("%s %s by %s", stamp(d.At), d.Verb, d.Person)
		if d.To != "" {
			s += ", now " + d.To
		}
		if d.Reason != "" {
			s += ": " + d.Reason
		}
		r.add("decision", s)
	}
	return r
}
