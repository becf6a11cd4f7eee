// Package pathval builds certification paths through a mesh of
// cross-certified CAs (RFC 4158) and validates them (RFC 5280 §6, with the
// policy processing of RFC 9618).
//
// The standard library cannot serve a bridge: it stops after a hundred
// signatures, compares names byte by byte, knows no directoryName constraints
// and widens those on mail addresses. Here it verifies signatures and nothing
// else.
//
// Three things are stricter than RFC 5280. An anchor is given as a certificate
// and must itself be within its validity, allowed to sign certificates, and
// within its own name constraints and path length (RFC 5937 §3). Constraints on
// mail addresses bind the emailAddress of a subject even when there is a
// subjectAltName. And a purpose asked for binds every CA that limits its own.
package pathval

import (
	"context"
	"crypto/x509"
	"time"

	"bridge.example/internal/wire/crl"
)

// Inputs are those of RFC 5280 §6.1.1, and what a mail client asks besides.
type Inputs struct {
	// Anchors are trusted; a path must begin at one of them.
	Anchors []*Certificate
	// At is the instant at which everything must be valid. The zero time is
	// before every certificate.
	At time.Time

	// Policies is the user-initial-policy-set, in the domain of the anchor;
	// empty means anyPolicy. By itself it limits Result.Policies and rejects
	// nothing: that takes ExplicitPolicy, or a certificate that demands it.
	Policies             []x509.OID
	ExplicitPolicy       bool
	InhibitPolicyMapping bool
	InhibitAnyPolicy     bool

	// Purpose is an extended key usage the leaf must be good for, and every CA
	// with such an extension too; for EmailProtection the leaf's key usage must
	// also be one for mail. The zero OID asks for none.
	Purpose x509.OID
	// Email is an address that the leaf must have been issued for: the domain
	// regardless of case, the rest as written (RFC 5280 §7.5). Empty asks for
	// none.
	Email string

	// Revocation says whether certificates are revoked. Nil means that nobody
	// asks.
	Revocation Revocation

	// Source finds more than Build has in its pool; nil means that nobody looks.
	Source Source

	// Accept is which signature algorithms are; by default no SHA-1 and no DSA.
	Accept crl.Acceptance
	// Budget limits the work; zero fields mean the default of each.
	Budget Budget
	// Cache remembers signatures verified; nil means the pool's in Build, and
	// none in Validate.
	Cache *Cache
}

// Budget bounds the work of one call, whatever is offered to it.
type Budget struct {
	Signatures int // verified and not found in the cache, a slow kind of key counting for up to 20; default 500
	Steps      int // certificates looked at as the next of a path; default 3000
	Candidates int // possible issuers weighed; default 200,000
	Names      int // comparisons of a name with a constraint; default 250,000
	Statuses   int // questions to Revocation; default 200
	Length     int // certificates in a path; default 20
	Fetches    int // questions to Source; default 64
}

func (b Budget) withDefaults() Budget {
	for _, f := range []struct {
		v      *int
		normal int
	}{{&b.Signatures, 500}, {&b.Steps, 3000}, {&b.Candidates, 200_000}, {&b.Names, 250_000}, {&b.Statuses, 200}, {&b.Length, 20}, {&b.Fetches, 64}} {
		if *f.v <= 0 {
			*f.v = f.normal
		}
	}
	return b
}

// Work is what a call spent.
type Work struct{ Signatures, Steps, Candidates, Names, Statuses, Fetches int }

// Result is a valid path.
type Result struct {
	Anchor *Certificate
	// Path is from the certificate issued by the anchor to the leaf.
	Path []*Certificate
	// Policies is the user-constrained-policy-set: those policies, in the domain
	// of the anchor, under which the path is valid, among those the user accepts.
	// Empty means that it is valid, but under none.
	Policies []x509.OID
	Work     Work
}

// Validate checks path, from the certificate issued by an anchor to the leaf;
// if the anchor itself stands first it is left out. The error is a *Rejection,
// or that of ctx.
func Validate(ctx context.Context, path []*Certificate, in Inputs) (*Result, error) {
	w := newWork(in)
	if len(path) > 1 && isAnchor(path[0], in.Anchors) {
		path = path[1:]
	}
	if len(path) == 0 {
		return nil, &Rejection{Reason: NoIssuer, Detail: "the path is empty"}
	}
	var last error = &Rejection{Reason: NoIssuer, Path: path, Detail: "no anchor is " + path[0].Issuer.String()}
	for _, a := range in.Anchors {
		if !a.Subject.Equal(path[0].Issuer) {
			continue
		}
		r, err := w.validate(ctx, a, path)
		if err == nil {
			return r, nil
		}
		if last = err; ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

func isAnchor(c *Certificate, anchors []*Certificate) bool {
	for _, a := range anchors {
		if a.Fingerprint == c.Fingerprint {
			return true
		}
	}
	return false
}
