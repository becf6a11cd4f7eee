package ocsp

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"time"

	"bridge.example/internal/fault"
)

// Skew is how far the clocks of responder and verifier may differ.
const Skew = 5 * time.Minute

// Check returns what r proves about the certificate id of issuer at the instant
// at.
//
// All four CertID fields must match and be the issuer's (RFC 6960 §4.1.1), and
// r must not contradict itself. The signature, with SHA-2 or better, must be the
// issuer's, or that of a delegate which the same key of the issuer certified for
// OCSP signing, which is valid at that instant and marked as needing no
// revocation check (§4.2.2.2); the responder ID must name the signer. The
// instant must lie between thisUpdate and nextUpdate, give or take [Skew]. An
// answer without nextUpdate counts for Skew after thisUpdate: newer information
// may exist at any time (§4.2.2.1).
//
// Errors: ErrOtherCert, ErrContradiction, ErrSigner, ErrStale, ErrEarly;
// Unavailable when r is not successful. The nonce is for [Response.CheckNonce].
func (r *Response) Check(id CertID, issuer *x509.Certificate, at time.Time) (*SingleResponse, error) {
	singles, err := Verifier{}.Check(r, issuer, at, id)
	if err != nil {
		return nil, err
	}
	return singles[0], nil
}

// CheckNonce returns ErrNonce when a nonce was sent and r carries another one. A
// response without any passes, since many responders answer from a store of
// responses; those who must know look at [Response.Nonce] (RFC 9654 §2.1).
func (r *Response) CheckNonce(sent []byte) error {
	if got := r.Nonce(); got != nil && sent != nil && !bytes.Equal(got, sent) {
		return ErrNonce
	}
	return nil
}

// Verifier checks as [Response.Check] does, but with exceptions; the zero value
// makes none.
type Verifier struct {
	// SHA1 accepts signatures with SHA-1, for archives: collisions are cheap.
	SHA1 bool
	// Responders are trusted to answer for every issuer, as a local
	// configuration may have it (§4.2.2.2). Whoever lists them sees to it that
	// they are valid.
	Responders []*x509.Certificate
	// DelegateStatus returns nil when a delegate that is not marked as needing
	// no revocation check is not revoked. When nil, no such delegate will do.
	DelegateStatus func(delegate *x509.Certificate) error
}

// Check returns what r proves about certificates of issuer, in the order of
// ids. Conditions and errors are those of [Response.Check].
func (v Verifier) Check(r *Response, issuer *x509.Certificate, at time.Time, ids ...CertID) ([]*SingleResponse, error) {
	if r.Status != Successful {
		return nil, fault.New(fault.Unavailable, "the responder says %s", r.Status)
	}
	if !v.signed(r, issuer, at) {
		return nil, ErrSigner
	}
	if r.ProducedAt.After(at.Add(Skew)) {
		return nil, ErrEarly
	}
	singles := make([]*SingleResponse, len(ids))
	for i, id := range ids {
		if !id.IssuedBy(issuer) {
			return nil, ErrOtherCert
		}
		s, err := r.Single(id)
		if err != nil {
			return nil, err
		}
		if err := s.current(at); err != nil {
			return nil, err
		}
		singles[i] = s
	}
	return singles, nil
}

// current checks the times of one answer.
func (r *SingleResponse) current(at time.Time) error {
	end := r.NextUpdate
	if end.IsZero() {
		end = r.ThisUpdate
	}
	switch {
	case r.ThisUpdate.After(at.Add(Skew)):
		return ErrEarly
	case end.Add(Skew).Before(at) || end.Before(r.ThisUpdate):
		return ErrStale
	}
	return nil
}

// signed reports whether somebody entitled to it signed r. The issuer is tried
// without looking at embedded certificates, since some issuers embed
// themselves.
func (v Verifier) signed(r *Response, issuer *x509.Certificate, at time.Time) bool {
	for _, c := range append([]*x509.Certificate{issuer}, v.Responders...) {
		if v.signedBy(r, c) {
			return true
		}
	}
	for _, der := range r.Certificates {
		c, err := x509.ParseCertificate(der)
		if err == nil && v.delegate(c, issuer, at) && v.signedBy(r, c) {
			return true
		}
	}
	return false
}

func (v Verifier) signedBy(r *Response, c *x509.Certificate) bool {
	key, err := subjectPublicKey(c)
	return err == nil && r.Responder.sentBy(c, digest(crypto.SHA1, key)) &&
		verifies(c, r.Algorithm, r.tbs, r.Signature, v.SHA1)
}

// oidNoCheck is id-pkix-ocsp-nocheck (§4.2.2.2.1).
var oidNoCheck = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}

// delegate reports whether issuer entitled c to answer for it at that instant.
// The signature is what counts, names alone can be forged; it comes before the
// delegate's own status, which costs more.
func (v Verifier) delegate(c, issuer *x509.Certificate, at time.Time) bool {
	const usage = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	return bytes.Equal(c.RawIssuer, issuer.RawSubject) &&
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) &&
		(c.KeyUsage == 0 || c.KeyUsage&usage != 0) &&
		!slices.ContainsFunc(c.UnhandledCriticalExtensions, func(id asn1.ObjectIdentifier) bool { return !id.Equal(oidNoCheck) }) &&
		!at.Before(c.NotBefore) && !at.After(c.NotAfter) &&
		verifies(issuer, c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature, v.SHA1) &&
		(contains(c.Extensions, oidNoCheck) || v.DelegateStatus != nil && v.DelegateStatus(c) == nil)
}
