package main

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
)

// member is the case of one member as this program shows it: what it declared,
// what was decided, and what the world sees of it. Its JSON is documented in the
// help of "member show".
type member struct {
	record
	State      string    `json:"state"`
	Since      time.Time `json:"since,omitzero"`
	Reason     string    `json:"reason,omitempty"`
	Halted     bool      `json:"halted"`
	RecordHash string    `json:"record_hash"`
	AppliedBy  actor     `json:"applied_by"`
	AppliedAt  time.Time `json:"applied_at,omitzero"`

	ActiveSince time.Time `json:"active_since,omitzero"`
	RenewBy     time.Time `json:"renew_by,omitzero"`
	ExitAt      time.Time `json:"exit_at,omitzero"`

	Amendment *amendment `json:"amendment,omitempty"`
	Prepared  []string   `json:"prepared"`
	Next      []next     `json:"next"`
	Report    *report    `json:"report,omitempty"`
	Barred    []barred   `json:"barred"`
	Approvals []decision `json:"approvals"`
	Decisions []decision `json:"decisions"`
	Accepted  []accepted `json:"accepted"`

	Projection projection `json:"projection"`
	Pending    string     `json:"pending,omitempty"`
}

// amendment is what is to take the place of the record in force.
type amendment struct {
	record
	Stage   string       `json:"stage"`
	Since   time.Time    `json:"since,omitzero"`
	Renewal bool         `json:"renewal"`
	Changes []difference `json:"changes"`
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
	Roles        []string   `json:"roles"`
	RecordHash   string     `json:"record_hash,omitempty"`
	Reason       string     `json:"reason,omitempty"`
	At           time.Time  `json:"at,omitzero"`
	To           string     `json:"to,omitempty"`
	Documents    []document `json:"documents"`
	Fingerprints []string   `json:"fingerprints"`
	Mappings     []policy   `json:"mappings"`
	Preview      string     `json:"preview,omitempty"`
	Date         time.Time  `json:"date,omitzero"`
}

type barred struct {
	Certificate string    `json:"certificate"`
	Reason      string    `json:"reason"`
	At          time.Time `json:"at,omitzero"`
}

type projection struct {
	Listed           bool        `json:"listed"`
	ListNumber       int64       `json:"list_number,omitempty"`
	DirectoryDomains []string    `json:"directory_domains"`
	ResponderIssuers []string    `json:"responder_issuers"`
	Untrusted        []string    `json:"untrusted"`
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
	pr := p.GetProjection()
	m := member{
		record: newRecord(p.GetApplication()),
		State:  stateName(p.GetState()), Since: instant(p.GetSince()), Reason: p.GetReason(), Halted: p.GetHalted(), RecordHash: p.GetRecordHash(),
		AppliedBy: newActor(p.GetAppliedBy()), AppliedAt: instant(p.GetAppliedAt()),
		ActiveSince: instant(p.GetActiveSince()), RenewBy: instant(p.GetRenewBy()), ExitAt: instant(p.GetExitAt()),
		Prepared: each(p.GetPrepared(), same), Next: each(p.GetNext(), newNext), Report: newReport(p.GetReport(), p.GetRecordHash()),
		Barred: each(p.GetBarred(), func(b *proto.Barred) barred {
			return barred{b.GetCertificate(), b.GetReason(), instant(b.GetAt())}
		}),
		Approvals: each(p.GetApprovals(), newDecision), Decisions: each(p.GetDecisions(), newDecision),
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
			Untrusted: each(pr.GetUntrusted(), same),
			CrossTo: each(pr.GetCrossCertificates(), func(c *proto.CrossCertificate) crossCert {
				return crossCert{c.GetSerial(), c.GetSubject(), instant(c.GetNotAfter()), instant(c.GetRevokedAt()), c.GetReason()}
			}),
		},
		Pending: p.GetPending(),
	}
	if a := p.GetAmendment(); a != nil {
		proposed := newRecord(a.GetApplication())
		m.Amendment = &amendment{proposed, stateName(a.GetStage()), instant(a.GetSince()), a.GetRenewal(), compare(m.record.rows(), proposed.rows())}
	}
	return m
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
		Verb: string(convert.ToVerb(d.GetVerb())), actor: newActor(d.GetBy()), Roles: each(d.GetBy().GetRoles(), roleName), RecordHash: d.GetRecordHash(),
		Reason: d.GetReason(), At: instant(d.GetAt()), To: stateName(d.GetTo()),
		Documents: each(d.GetDocuments(), newDocument), Fingerprints: each(d.GetFingerprints(), same),
		Mappings: each(d.GetMappings(), newPolicy), Preview: d.GetPreview(), Date: instant(d.GetDate()),
	}
}

// stateName is a state as people write it; an unspecified one is empty.
func stateName(s proto.State) string { return string(convert.ToState(s)) }

func enumName(s, prefix string) string {
	if s = strings.ToLower(strings.TrimPrefix(s, prefix)); s == "unspecified" {
		return ""
	}
	return s
}

// instant converts an absent timestamp to the zero time.
func instant(t *timestamppb.Timestamp) time.Time { return convert.ToTime(t) }

// candidate is the record that the next steps are about.
func (m member) candidate() record {
	if m.Amendment != nil {
		return m.Amendment.record
	}
	return m.record
}

// stands says in words how far the member is.
func (m member) stands() string {
	if m.Amendment == nil {
		return m.ID + " is " + m.State
	}
	return fmt.Sprintf("%s is %s, its %s %s", m.ID, m.State, m.Amendment.what(), m.Amendment.Stage)
}

func (a amendment) what() string {
	if a.Renewal {
		return "renewal"
	}
	return "amendment"
}

// summary is how the member stands.
func (m member) summary() (r rows) {
	r.add("id", m.ID)
	r.add("state", m.State)
	r.add("since", stamp(m.Since))
	r.add("reason", m.Reason)
	if m.Halted {
		r.add("halted", "nothing is answered for it")
	}
	if a := m.Amendment; a != nil {
		r.add(a.what(), fmt.Sprintf("%s since %s, %s", a.Stage, stamp(a.Since), counted(len(a.Changes), "change")))
	}
	r.add("active since", stamp(m.ActiveSince))
	r.add("renew by", stamp(m.RenewBy))
	r.add("leaves", stamp(m.ExitAt))
	r.add("pending", m.Pending)
	for _, n := range m.Next {
		r.add("next", n.String())
	}
	return r
}

// page is everything.
func (m member) page() []section {
	record := m.record.rows()[1:] // the id is said already
	record.add("record hash", m.RecordHash)
	record.add("prepared by", strings.Join(m.Prepared, ", "))
	page := []section{{"how it stands", m.summary()}, {"last check", m.Report.rows(true)}, {"record", record}}
	if m.Amendment != nil {
		page = append(page, section{"what is proposed", changeRows(m.Amendment.Changes)})
	}
	return append(page, section{"what the world sees", m.published()}, section{"decisions and evidence", m.history()})
}

// published is what the world sees of the member, and is not to see.
func (m member) published() (r rows) {
	for _, b := range m.Barred {
		r.add("barred", fmt.Sprintf("certificate %s since %s: %s", b.Certificate, stamp(b.At), b.Reason))
	}
	p := m.Projection
	if p.Listed {
		r.add("signed list", fmt.Sprintf("trusted by list %d", p.ListNumber))
	} else {
		r.add("signed list", "not trusted")
	}
	r.add("directory answers", strings.Join(p.DirectoryDomains, ", "))
	r.addEach("responder answers", p.ResponderIssuers)
	r.addEach("not trusted", p.Untrusted)
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
	return r
}

func (m member) history() (r rows) {
	r.add("applied", stamp(m.AppliedAt)+" by "+m.AppliedBy.Person)
	for _, d := range m.Decisions {
		r.add("decision", d.String())
		for _, e := range d.Documents {
			r.add("evidence", e.String())
		}
	}
	return r
}

func (d decision) String() string {
	s := fmt.Sprintf("%s %s by %s", stamp(d.At), d.Verb, d.Person)
	if d.To != "" {
		s += ", now " + d.To
	}
	if !d.Date.IsZero() {
		s += ", on " + d.Date.Format(time.DateOnly)
	}
	if d.Reason != "" {
		s += ": " + d.Reason
	}
	return s
}
