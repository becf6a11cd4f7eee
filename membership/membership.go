// Package membership owns the register of decisions: which organisations
// applied, what they declared, who examined, approved or stopped them, and in
// which state they are. Everything else the bridge shows the world is derived
// from it.
//
// It knows no certificates beyond parsing those a member declares, and no
// network: what an application claims is examined elsewhere. Who may decide
// what, on which evidence, stands in one table, in table.go.
package membership

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"bridge.example/internal/fault"
)

// ID names a member for ever: two to thirty-two lower-case letters, digits and
// hyphens, starting with a letter and not ending with a hyphen.
type ID string

// ParseID checks s. The error is Invalid.
func ParseID(s string) (ID, error) {
	ok := len(s) >= 2 && len(s) <= 32 && s[0] >= 'a' && s[0] <= 'z' && s[len(s)-1] != '-'
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
	}
	if !ok {
		return "", fault.New(fault.Invalid, "member id %q: want 2 to 32 lower-case letters, digits or hyphens, starting with a letter", s)
	}
	return ID(s), nil
}

// Revision counts the writes of a store; it never falls.
type Revision uint64

// Actor is who does something: a person, and the credential used. Two
// credentials of one person are one person.
type Actor struct {
	Person     string `json:"person"`
	Credential string `json:"credential"` // hex SHA-256 of the certificate presented
	// Roles are those the person held when acting.
	Roles []Role `json:"roles,omitempty"`
	// Member is on whose behalf an applicant or member acts.
	Member ID `json:"member,omitempty"`
}

// Bridge is the service itself, where a rule decides.
func Bridge() Actor { return Actor{Person: "bridge", Roles: []Role{System}} }

// Member is one record of the register.
type Member struct {
	// Application is in force from the first activation on; before, it is what
	// the applicant declares.
	Application
	State State     `json:"state"`
	Since time.Time `json:"since"`
	// Reason is why the member is in this state, in the words of whoever decided.
	Reason string `json:"reason,omitempty"`
	// Halted says that nothing is answered for the member, though it is not gone.
	Halted bool `json:"halted,omitempty"`
	// Amendment is what is to take the place of Application; nil without one.
	Amendment *Amendment `json:"amendment,omitempty"`

	// Round counts how often the record was opened for decisions. It is part of
	// the record hash, so that no approval fits twice.
	Round int `json:"round"`
	// Prepared names the persons who had a hand in what is under way; none of
	// them may approve it.
	Prepared []string `json:"prepared,omitempty"`
	// Approvals are decisions short of the number of persons they need.
	Approvals []Decision `json:"approvals,omitempty"`
	// Report is the newest examination; nil before the first.
	Report *Report `json:"report,omitempty"`
	// Polls are the newest examinations of this record or earlier ones, oldest
	// first, whether or not they found anything new: eight at most, and four
	// hours between two. What failed in between is part of the one before.
	Polls []Poll `json:"polls,omitempty"`
	// Barred are CA certificates that are not to be trusted, whatever was
	// decided.
	Barred []Barred `json:"barred,omitempty"`

	AppliedBy Actor     `json:"applied_by"`
	AppliedAt time.Time `json:"applied_at"`
	// ActiveSince is the first activation; zero before.
	ActiveSince time.Time `json:"active_since,omitzero"`
	RenewBy     time.Time `json:"renew_by,omitzero"`
	ExitAt      time.Time `json:"exit_at,omitzero"`
	// Decisions is the whole history, oldest first.
	Decisions []Decision `json:"decisions,omitempty"`
	// Inbound are certificates for the bridge accepted since the application.
	Inbound []Inbound `json:"inbound,omitempty"`

	// Revision is that of the last save; zero in a record not yet stored.
	Revision Revision `json:"-"`
}

// Amendment is an application on its way to replace the one in force.
type Amendment struct {
	Application Application `json:"application"`
	Stage       State       `json:"stage"` // Draft to Approved
	Since       time.Time   `json:"since"`
	// Renewal says that every step is due again, whether or not its subject
	// changed.
	Renewal bool `json:"renewal,omitempty"`
}

// Report is the outcome of one examination of a record.
type Report struct {
	Document   string    `json:"document"` // hex SHA-256 of the report
	RecordHash string    `json:"record_hash"`
	Passed     bool      `json:"passed"`           // every check that must hold, holds
	Failed     []string  `json:"failed,omitempty"` // ids of those that do not
	At         time.Time `json:"at"`
}

// Poll is what is remembered of an examination that is not the newest.
type Poll struct {
	At     time.Time `json:"at"`
	Failed []string  `json:"failed,omitempty"` // ids of checks that must hold and did not
}

const (
	maxPolls  = 8
	pollSpace = 4 * time.Hour
)

// poll remembers r. Whoever checks again and again moves nothing out.
func (m *Member) poll(r *Report) {
	n := len(m.Polls)
	if n == 0 || r.At.Sub(m.Polls[n-1].At) >= pollSpace {
		m.Polls = append(slices.Clone(m.Polls[max(0, n-maxPolls+1):]), Poll{At: r.At, Failed: slices.Sorted(slices.Values(r.Failed))})
		return
	}
	m.Polls = slices.Clone(m.Polls)
	last := &m.Polls[n-1]
	last.Failed = slices.Compact(slices.Sorted(slices.Values(slices.Concat(last.Failed, r.Failed))))
}

// Barred is one CA certificate that lost trust by itself: revoked by its issuer.
type Barred struct {
	Certificate string    `json:"certificate"` // hex SHA-256
	Reason      string    `json:"reason"`
	At          time.Time `json:"at"`
}

// Candidate is the application that the next steps are about.
func (m Member) Candidate() *Application {
	if m.Amendment != nil {
		return &m.Amendment.Application
	}
	return &m.Application
}

// Stage is how far the candidate has come: the stage of the amendment, or the
// member's own state.
func (m Member) Stage() State {
	if m.Amendment != nil {
		return m.Amendment.Stage
	}
	return m.State
}

// Served reports whether the world is to see the member: listed,
// cross-certified, answered for.
func (m Member) Served() bool { return m.State.live() && !m.Halted }

// IsBarred reports whether the CA certificate with this DER lost trust.
func (m Member) IsBarred(der []byte) bool {
	h := hashOf(der)
	return slices.ContainsFunc(m.Barred, func(b Barred) bool { return b.Certificate == h })
}

// RecordHash is the hex SHA-256 over Record.
func (m Member) RecordHash() string { return hashOf(m.Record()) }

// Record is what an approval binds, as JSON: the candidate but for its free
// fields (see [Application.Bound]), and the round.
func (m Member) Record() []byte {
	b, err := json.Marshal(struct {
		Application Application `json:"application"`
		Round       int         `json:"round"`
	}{m.Candidate().Bound(), m.Round})
	if err != nil {
		panic(err) // plain data; cannot fail
	}
	return b
}

func hashOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
