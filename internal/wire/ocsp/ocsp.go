// Package ocsp reads, checks and writes the messages of the Online Certificate
// Status Protocol (RFC 6960, RFC 9654): pure functions of bytes, no network and
// no clock.
//
// Parsing accepts DER only, bounds everything, and trusts nothing: what a
// response proves is for [Response.Check] to say.
package ocsp

import (
	"fmt"

	"bridge.example/internal/fault"
)

// What one message may hold; a larger one is Invalid.
const (
	MaxRequestBytes  = 10 << 10
	MaxResponseBytes = 64 << 10
	MaxCertIDs       = 64 // in a request
	MaxNonceBytes    = 128

	maxSingles      = 256 // in a response
	maxCertificates = 10
	maxExtensions   = 16
	maxSerialBytes  = 64
)

// Errors of checks, all Denied: the response proves nothing about the
// certificate asked for.
var (
	// ErrOtherCert means that the response is about other certificates.
	ErrOtherCert = fault.New(fault.Denied, "the response does not answer for this certificate")
	// ErrContradiction means that it says different things about this one.
	ErrContradiction = fault.New(fault.Denied, "the response contradicts itself")
	// ErrSigner means that nobody entitled to answer for the issuer signed it.
	ErrSigner = fault.New(fault.Denied, "the response is not signed by anybody entitled to answer for this issuer")
	// ErrEarly means that its time has not come.
	ErrEarly = fault.New(fault.Denied, "the response is not valid yet")
	// ErrStale means that its time has passed.
	ErrStale = fault.New(fault.Denied, "the response is no longer valid")
	// ErrNonce means that it answers another request.
	ErrNonce = fault.New(fault.Denied, "the response carries another nonce")
)

// Status is an OCSPResponseStatus (RFC 6960 §4.2.1); the numbers are those on
// the wire. All but Successful come without a signature.
type Status uint8

// The statuses of RFC 6960 §2.3.
const (
	Successful       Status = 0
	MalformedRequest Status = 1
	InternalError    Status = 2
	TryLater         Status = 3
	SigRequired      Status = 5
	Unauthorized     Status = 6
)

var statusNames = [...]string{
	Successful: "successful", MalformedRequest: "malformedRequest", InternalError: "internalError",
	TryLater: "tryLater", SigRequired: "sigRequired", Unauthorized: "unauthorized",
}

// known reports whether s is a status of the RFC; 4 is not used.
func (s Status) known() bool { return int(s) < len(statusNames) && statusNames[s] != "" }

// String returns the name the RFC gives s.
func (s Status) String() string {
	if s.known() {
		return statusNames[s]
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// CertStatus says what a response tells of one certificate (RFC 6960 §2.2).
type CertStatus uint8

const (
	// Unknown means that the responder does not know the certificate. It is the
	// zero value, so that nothing left out ever reads as good.
	Unknown CertStatus = iota
	// Good means that the certificate is not revoked, and says no more.
	Good
	// Revoked means that it is, for good or for a while.
	Revoked
)

// String returns the status in a word.
func (s CertStatus) String() string {
	switch s {
	case Good:
		return "good"
	case Revoked:
		return "revoked"
	default:
		return "unknown"
	}
}

// Reason is a CRLReason (RFC 5280 §5.3.1): 0 to 6 and 8 to 10.
type Reason uint8

// The reasons of RFC 5280 §5.3.1.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	CACompromise         Reason = 2
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
	RemoveFromCRL        Reason = 8
	PrivilegeWithdrawn   Reason = 9
	AACompromise         Reason = 10
)

func (r Reason) known() bool { return r <= AACompromise && r != 7 }
