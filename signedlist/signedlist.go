// Package signedlist is the bridge's list of the member CAs it trusts, signed
// and numbered: its content, its publication, and its verification, for which
// relying parties may import it.
//
// # Format
//
// A list is CMS SignedData (RFC 5652) over a TrustAnchorList (RFC 5914) of
// TrustAnchorInfo, each with the CA's certificate and the limits of the trust
// in it. The certificates in the CMS bag are the signer's own; no member is
// ever taken from there. What RFC 5914 has no place for has object identifiers
// of our own, below
//
//	2.25.203099105519607916965137856595848328713
//	1  signed attribute, INTEGER: the number of the list
//	2  signed attribute, GeneralizedTime: nextUpdate
//	3  extension of TrustAnchorInfo, UTF8String: the id of the member
//	4  signed attribute, OCTET STRING: SHA-256 of the list before; absent in the first
//	5  signed attribute, SEQUENCE OF SEQUENCE { name UTF8String, hash OCTET STRING }:
//	   the views of the list with their SHA-256, ordered by name
//	6  signed attribute, SEQUENCE OF OCTET STRING: SHA-256 of the SubjectPublicKeyInfo
//	   of each key that may sign the next list, ordered
//	7  extension of TrustAnchorInfo, SEQUENCE OF OBJECT IDENTIFIER: the bridge's
//	   levels of assurance that the CA reaches, ordered as text; may be absent
//
// The time of issue is the signing time. A list without members is a sequence
// of none, though RFC 5914 wants at least one: that nobody is trusted any more
// must be something a bridge can say.
//
// In the format of TS 119 612 (see [OpenXML]), with the same number and times, they
// are URIs of AdditionalServiceInformation, as urn:oid:2.25.203….8
//
//	8   of a service, critical: a policy; one for each
//	9   of a service: a level of assurance
//	10  of a service, critical: a mail domain
//	11  of the scheme: SHA-256 of the list in CMS
//	12  of the scheme: SHA-256 of the list before, in CMS; absent in the first
//	13  of the scheme: SHA-256 of a key that may sign the next list
//
// There the id of the member is its trade name. A CA that leaves the list stays
// in sight as withdrawn, with the times of all that was.
//
// The same list is signed as JSON for programs (see [OpenJSON]), and there are
// views of it in the formats that software imports, which are not signed: their
// hashes stand in the list.
package signedlist

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/cms"
)

// Signer signs lists: its certificate comes from the bridge CA itself and has
// the extended key usage id-tsl-kp-tslSigning (TS 119 612 §5.7.1), which no
// member can obtain.
type Signer = cms.Signer

// Entry is one CA certificate of a member, and the limits of the trust in it.
type Entry struct {
	Member string // id: 1 to 64 lower-case letters, digits and hyphens
	// Title is the member's name for people; a list holds its first 64
	// characters.
	Title       string
	Certificate *x509.Certificate
	// Policies are those that paths from this certificate may be valid under
	// (policySet); at least one. Paths under none are not to be accepted, and
	// policies not to be mapped on the way.
	Policies []x509.OID
	// Levels are the bridge's levels of assurance that those policies stand for;
	// none when not known.
	Levels []x509.OID
	// MailDomains are the domains whose addresses, and those of all domains
	// below, the member speaks for (nameConstr); lower case, at least one.
	MailDomains []string
}

// List is a list that was opened or published.
type List struct {
	Number     int64 // from 1, without gaps
	IssuedAt   time.Time
	NextUpdate time.Time // nothing may be newly trusted after it
	// Entries are ordered by member, then by certificate; the policies and mail
	// domains of each are ordered too.
	Entries []Entry

	Hash     [sha256.Size]byte // of the list as it was signed
	Previous [sha256.Size]byte // Hash of the list before; zero in the first

	Issuer string            // name of the CA that certified the signer: the bridge
	Signer [sha256.Size]byte // of the SubjectPublicKeyInfo that signed
	// Signers are the keys that may sign the next list, the same way; none in
	// lists of before there were any.
	Signers [][sha256.Size]byte
	Views   []View // ordered by name
}

// Reasons for refusing a list, all of them Invalid.
var (
	// ErrFormat: not a list, or one that exceeds a bound.
	ErrFormat = fault.New(fault.Invalid, "malformed list")
	// ErrSignature: changed, or not signed by whom the anchor allows to.
	ErrSignature = fault.New(fault.Invalid, "signature of the list does not hold")
	// ErrExpired: its nextUpdate has passed.
	ErrExpired = fault.New(fault.Invalid, "list has expired")
	// ErrEarly: issued in the future, so either clock is wrong.
	ErrEarly = fault.New(fault.Invalid, "list is not valid yet")
	// ErrRollback: older than the one already seen.
	ErrRollback = fault.New(fault.Invalid, "list is older than the one in use")
	// ErrFork: does not continue the history already seen.
	ErrFork = fault.New(fault.Invalid, "list contradicts the one in use")
	// ErrUnannounced: by a key that the list in use does not announce. It may have
	// been announced in between.
	ErrUnannounced = fault.New(fault.Invalid, "signer of the list was not announced")
	// ErrView: a file is not the one that the list vouches for.
	ErrView = fault.New(fault.Invalid, "view does not fit the list")
)

// ErrLost: an entry would leave the list though nothing was decided about it.
var ErrLost = fault.New(fault.Conflict, "no decision says why an entry would leave the list")

// Supersedes checks that l may follow old, which was in use: it is the same
// list, the next one with its hash, or a later one, by a signer that old
// announces. Errors: ErrRollback, ErrFork, ErrUnannounced.
func (l *List) Supersedes(old *List) error {
	switch {
	case l.Number < old.Number:
		return fault.New(fault.Invalid, "number %d after %d: %w", l.Number, old.Number, ErrRollback)
	case l.Number == old.Number && l.Hash != old.Hash:
		return fault.New(fault.Invalid, "two lists with number %d: %w", l.Number, ErrFork)
	case l.Number == old.Number+1 && l.Previous != old.Hash:
		return fault.New(fault.Invalid, "number %d was not made from the number %d in use: %w", l.Number, old.Number, ErrFork)
	case l.Number > old.Number && len(old.Signers) > 0 && !slices.Contains(old.Signers, l.Signer):
		return fault.New(fault.Invalid, "number %d is signed with key %x, which number %d does not announce: %w", l.Number, l.Signer, old.Number, ErrUnannounced)
	}
	return nil
}
