// Package people keeps the persons of the bridge: their roles, and the client
// certificates by which the administrative interface knows them.
//
// Duties are separated by person, never by credential. Nobody makes another
// person alone: what adds a role or a credential is proposed by one and
// confirmed by another. What takes them away needs one person, and works at
// once.
package people

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// ID names a person for ever, in the letters of a [membership.ID]: no two ids
// look alike by case, spaces or foreign letters.
type ID string

// ParseID checks s. The error is Invalid.
func ParseID(s string) (ID, error) {
	if _, err := membership.ParseID(s); err != nil {
		return "", fault.New(fault.Invalid, "person %q: want 2 to 32 lower-case letters, digits or hyphens, starting with a letter", s)
	}
	return ID(s), nil
}

// Person is one human being. The record stays when all roles are gone: others
// name it.
type Person struct {
	ID    ID                `json:"id"`
	Name  string            `json:"name,omitempty"` // for people
	Roles []membership.Role `json:"roles,omitempty"`
	// Member is the one for whom an applicant or member acts; empty for others.
	Member membership.ID `json:"member,omitempty"`
	// Credentials are all there ever were, oldest first.
	Credentials []Credential `json:"credentials,omitempty"`
	// Proposal waits for a second person; nil when none does.
	Proposal *Proposal `json:"proposal,omitempty"`

	// Revision is that of the last save; zero in a record not yet stored.
	Revision uint64 `json:"-"`
}

// Credential is one client certificate of a person.
type Credential struct {
	SHA256    string    `json:"sha256"` // of the certificate, lower-case hex
	Key       string    `json:"key"`    // SHA-256 of its SubjectPublicKeyInfo, lower-case hex
	Serial    string    `json:"serial"` // lower-case hex
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	// Certificate is the DER, for whoever hands it over.
	Certificate []byte    `json:"certificate"`
	IssuedAt    time.Time `json:"issued_at"`
	// IssuedBy are those who proposed and confirmed it, or the person alone who
	// renewed; none at the founding of the bridge.
	IssuedBy []membership.Actor `json:"issued_by,omitempty"`
	// Withdrawal is nil while nobody withdrew it.
	Withdrawal *Withdrawal `json:"withdrawal,omitempty"`
}

// Withdrawal is the early end of a credential.
type Withdrawal struct {
	At     time.Time        `json:"at"`
	By     membership.Actor `json:"by"`
	Reason string           `json:"reason"`
}

// Proposal is what a person shall be once another than its author confirms it.
// It says the whole: roles that it does not name are lost.
type Proposal struct {
	By     membership.Actor  `json:"by"`
	At     time.Time         `json:"at"`
	Reason string            `json:"reason"`
	Name   string            `json:"name,omitempty"`
	Roles  []membership.Role `json:"roles"`
	Member membership.ID     `json:"member,omitempty"`
	// Request is the PKCS #10 of a new credential, DER; empty when only the
	// roles change.
	Request []byte `json:"request,omitempty"`
}

// Hash is the hex SHA-256 over everything proposed for the person id: what a
// confirmation binds.
func (p Proposal) Hash(id ID) string {
	b, err := json.Marshal(struct {
		Person   ID
		Proposal Proposal
	}{id, p})
	if err != nil {
		panic(err) // plain data; cannot fail
	}
	return fingerprint(b)
}

// NewCredential describes c, issued at an instant by those who agreed on it.
func NewCredential(c *x509.Certificate, at time.Time, by ...membership.Actor) Credential {
	return Credential{
		SHA256: fingerprint(c.Raw), Key: fingerprint(c.RawSubjectPublicKeyInfo), Serial: c.SerialNumber.Text(16),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, Certificate: c.Raw, IssuedAt: at, IssuedBy: by,
	}
}

// InForce reports whether c opens doors at an instant.
func (c Credential) InForce(at time.Time) bool {
	return c.Withdrawal == nil && !at.Before(c.NotBefore) && !at.After(c.NotAfter)
}

// Has reports whether the person holds one of roles.
func (p Person) Has(roles ...membership.Role) bool {
	return slices.ContainsFunc(roles, func(r membership.Role) bool { return slices.Contains(p.Roles, r) })
}

// Reachable reports whether the person can act at an instant: with a role, and
// a credential in force.
func (p Person) Reachable(at time.Time) bool {
	return len(p.Roles) > 0 && slices.ContainsFunc(p.Credentials, func(c Credential) bool { return c.InForce(at) })
}

func fingerprint(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

const maxText = 500 // bytes of a name or reason

// cleanText trims s, and refuses what a terminal would obey or not show.
func cleanText(what, s string, required bool) (string, error) {
	s = strings.TrimSpace(s)
	if required && s == "" {
		return "", fault.New(fault.Invalid, "%s: missing", what)
	}
	if len(s) > maxText || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return "", fault.New(fault.Invalid, "%s: want at most %d bytes of printable text", what, maxText)
	}
	return s, nil
}
