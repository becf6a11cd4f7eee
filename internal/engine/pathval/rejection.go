package pathval

import (
	"fmt"
	"strings"

	"bridge.example/internal/fault"
)

// Reason is why a path, or a branch on the way to one, was rejected.
type Reason uint8

// The reasons, each with the rule behind it in Reason.Rule.
const (
	BadSignature Reason = iota + 1
	WeakAlgorithm
	UnusableKey
	NotYetValid
	Expired
	Revoked
	StatusUnknown
	NameChaining
	NameConstraint
	PolicyMissing
	MappingAnyPolicy
	NotCA
	PathTooLong
	KeyUsage
	UnknownCritical
	Purpose
	Address
	Loop
	NoIssuer
	Exhausted
	NotFetched
)

var reasons = [...]struct{ text, rule string }{
	BadSignature:     {"signature does not verify", "RFC 5280 §6.1.3 (a)(1)"},
	WeakAlgorithm:    {"signature algorithm is not accepted", "RFC 8551 §2.2"},
	UnusableKey:      {"issuer's key is of a kind that verifies nothing here", "RFC 5280 §6.1.4 (d)"},
	NotYetValid:      {"not yet valid", "RFC 5280 §6.1.3 (a)(2)"},
	Expired:          {"expired", "RFC 5280 §6.1.3 (a)(2)"},
	Revoked:          {"revoked", "RFC 5280 §6.1.3 (a)(3)"},
	StatusUnknown:    {"revocation status cannot be told", "RFC 5280 §6.3.3"},
	NameChaining:     {"issuer is not the subject above", "RFC 5280 §6.1.3 (a)(4)"},
	NameConstraint:   {"name outside the constraints of a CA above", "RFC 5280 §6.1.3 (b), (c)"},
	PolicyMissing:    {"no acceptable policy", "RFC 9618 §5.3 (f), §5.5 (g)"},
	MappingAnyPolicy: {"anyPolicy is mapped", "RFC 5280 §6.1.4 (a)"},
	NotCA:            {"not a CA certificate", "RFC 5280 §6.1.4 (k)"},
	PathTooLong:      {"path length constraint exceeded", "RFC 5280 §6.1.4 (l), (m)"},
	KeyUsage:         {"key usage does not allow it", "RFC 5280 §6.1.4 (n)"},
	UnknownCritical:  {"unknown critical extension", "RFC 5280 §6.1.4 (o), §6.1.5 (f)"},
	Purpose:          {"not for this purpose", "RFC 5280 §4.2.1.12"},
	Address:          {"not issued for this mail address", "RFC 8550 §3"},
	Loop:             {"same name and key twice", "RFC 4158 §2.4.2"},
	NoIssuer:         {"no issuer leads to an anchor", "RFC 4158 §2.4"},
	Exhausted:        {"work budget is used up", "RFC 5280 §8"},
	NotFetched:       {"what it points to cannot be fetched", "RFC 5280 §4.2.2"},
}

// String is the reason in words.
func (r Reason) String() string {
	if int(r) < len(reasons) && reasons[r].text != "" {
		return reasons[r].text
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Rule is the passage that demands the rejection.
func (r Reason) Rule() string {
	if int(r) < len(reasons) {
		return reasons[r].rule
	}
	return ""
}

// Sentinels for errors.Is. A Rejection is ErrRejected (Denied), unless it is
// for want of knowledge: ErrStatusUnknown and ErrBudget are Unavailable, since
// later the answer may be another. ErrNoPath is Denied.
var (
	ErrRejected      = fault.New(fault.Denied, "the certification path is not acceptable")
	ErrNoPath        = fault.New(fault.Denied, "no certification path to an anchor")
	ErrStatusUnknown = fault.New(fault.Unavailable, "revocation status is not known")
	ErrBudget        = fault.New(fault.Unavailable, "the work budget is used up")
)

// Rejection is why a path is not acceptable.
type Rejection struct {
	Reason Reason
	// Path is the path, or as much of it as had been found, the leaf last. It is
	// empty when no certificate is at fault.
	Path []*Certificate
	// Index is that of the certificate at fault in Path; one below 0 is the
	// anchor.
	Index  int
	Detail string // more about it; may be empty
	Err    error  // what a Revocation said; nil for other reasons
}

// Certificate is the one at fault; nil when that is the anchor, or none.
func (r *Rejection) Certificate() *Certificate {
	if r.Index < 0 || r.Index >= len(r.Path) {
		return nil
	}
	return r.Path[r.Index]
}

// Error says certificate, reason and rule in one line.
func (r *Rejection) Error() string {
	var b strings.Builder
	if c := r.Certificate(); c != nil {
		fmt.Fprintf(&b, "%s: ", c)
	} else if len(r.Path) > 0 {
		b.WriteString("anchor: ")
	}
	switch {
	case r.Err != nil:
		b.WriteString(r.Err.Error())
	case r.Detail != "":
		b.WriteString(r.Reason.String() + ": " + r.Detail)
	default:
		b.WriteString(r.Reason.String())
	}
	b.WriteString(" [" + r.Reason.Rule() + "]")
	return b.String()
}

// Unwrap gives the sentinel of the reason, and what a Revocation said.
func (r *Rejection) Unwrap() []error {
	kind := ErrRejected
	switch r.Reason {
	case StatusUnknown:
		kind = ErrStatusUnknown
	case Exhausted:
		kind = ErrBudget
	}
	if r.Err == nil {
		return []error{kind}
	}
	return []error{kind, r.Err}
}

// maxRejections bounds what NoPathError keeps of a search.
const maxRejections = 50

// NoPathError is the outcome of a search that found nothing: ErrBudget if it
// was cut short, ErrStatusUnknown if a path failed for nothing else, and
// otherwise ErrNoPath.
type NoPathError struct {
	Rejections []*Rejection // of each branch, in the order tried; the first fifty
	Omitted    int          // how many more there were
	Work       Work
	cause      error
}

// Error tells the first reasons.
func (e *NoPathError) Error() string {
	var b strings.Builder
	b.WriteString(e.cause.Error())
	for i, r := range e.Rejections {
		if i == 3 {
			break
		}
		b.WriteString("; " + r.Error())
	}
	if more := len(e.Rejections) + e.Omitted - 3; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return b.String()
}

// Unwrap gives the sentinel.
func (e *NoPathError) Unwrap() error { return e.cause }
