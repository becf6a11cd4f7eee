// Package membership owns the register of decisions: which organisations
// applied, what they declared, who approved or suspended them, and in which
// state they are. Everything else the bridge shows the world is derived from it.
//
// It knows no certificates beyond parsing those a member declares, and no
// network: what an application claims is examined elsewhere.
package membership

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"bridge.example/internal/fault"
)

// Quorum is how many different persons must approve the same record before a
// member is admitted.
const Quorum = 2

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

// State is where a member stands. See table in decision.go.
type State string

const (
	Applied   State = "applied"
	Active    State = "active"
	Suspended State = "suspended"
)

// Revision counts the writes of a store; it never falls.
type Revision uint64

// Actor is who does something: a person, and the credential used. Two
// credentials of one person are one person.
type Actor struct {
	Person     string `json:"person"`
	Credential string `json:"credential"` // hex SHA-256 of the certificate presented
	// Roles are those the person held at the time.
	Roles []Role `json:"roles,omitempty"`
	// Member is on whose behalf an applicant or member acts; empty for others.
	Member ID `json:"member,omitempty"`
}

// Member is one record of the register.
type Member struct {
	Application
	AppliedBy Actor     `json:"applied_by"`
	AppliedAt time.Time `json:"applied_at"`

	State State     `json:"state"`
	Since time.Time `json:"since"`
	// Reason is why the member is in this state, in the words of whoever decided.
	Reason string `json:"reason,omitempty"`
	// Approvals are those given since the state last changed.
	Approvals []Decision `json:"approvals,omitempty"`
	// Decisions is the whole history, oldest first.
	Decisions []Decision `json:"decisions,omitempty"`
	// Inbound are certificates for the bridge accepted since the application.
	Inbound []Inbound `json:"inbound,omitempty"`

	// Revision is that of the last save; zero in a record not yet stored.
	Revision Revision `json:"-"`
}

// RecordHash is the hex SHA-256 over the application: what an approval binds.
func (m Member) RecordHash() string {
	b, err := json.Marshal(m.Application)
	if err != nil {
		panic(err) // plain data; cannot fail
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
