package crosscert

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/zmap/zlint/v3/lint"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
)

const (
	day             = 24 * time.Hour
	year            = 365 * day
	defaultValidity = 3 * year
	maxValidity     = 5 * year
	signerValidity  = year
	defaultCRL      = 7 * day
)

// Authority is the bridge CA. It is safe for concurrent use, by one process per
// ledger: issuance, revocation and CRLs happen one at a time.
type Authority struct {
	gens    []*generation // by number, at least one
	signing *generation   // the one that issues
	ledger  Ledger
	o       Options
	others  lint.Registry // rules that are not ours

	mu sync.Mutex
}

// New returns the CA with this certificate, key and ledger, in which no key has
// ever rolled over; see [Open]. Errors are Invalid: a certificate that is not a
// CA's for certificates and CRLs or has no key identifier, a key that does not
// fit it or is neither RSA, ECDSA nor Ed25519, options out of range.
func New(cert *x509.Certificate, key crypto.Signer, l Ledger, o Options) (*Authority, error) {
	a, err := newAuthority(l, o)
	if err != nil {
		return nil, err
	}
	first, err := newGeneration(Generation{Number: 1, Phase: Signing, Certificate: cert.Raw}, cert, key)
	if err != nil {
		return nil, err
	}
	a.gens, a.signing = []*generation{first}, first
	return a, nil
}

// Open returns the CA as the ledger knows it, with every generation of its key.
// first is the certificate of the first; key opens the key of a generation, and
// is not asked for closed ones. Errors: those of New, of the ledger and of key.
func Open(ctx context.Context, first *x509.Certificate, key func(generation int) (crypto.Signer, error), l Ledger, o Options) (*Authority, error) {
	a, err := newAuthority(l, o)
	if err != nil {
		return nil, err
	}
	s, err := l.State(ctx)
	if err != nil {
		return nil, err
	}
	if len(s.Generations) == 0 {
		s.Generations = []Generation{{Number: 1, Phase: Signing, Certificate: first.Raw}}
	}
	for i, g := range s.Generations {
		cert, err := x509.ParseCertificate(g.Certificate)
		if err != nil || g.Number != i+1 {
			return nil, fault.New(fault.Internal, "reading generation %d of the bridge CA in the ledger: %w", i+1, err)
		}
		if i == 0 && !cert.Equal(first) {
			return nil, fault.New(fault.Invalid, "the bridge certificate %q is not the one of the ledger", first.Subject)
		}
		var signer crypto.Signer
		if g.Phase != Closed {
			if signer, err = key(g.Number); err != nil {
				return nil, err
			}
		}
		next, err := newGeneration(g, cert, signer)
		if err != nil {
			return nil, err
		}
		a.gens, a.signing = append(a.gens, next), next
	}
	return a, a.adopt(s)
}

func newAuthority(l Ledger, o Options) (*Authority, error) {
	if u, err := url.Parse(o.BaseURL); err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(o.BaseURL, "/") {
		return nil, fault.New(fault.Invalid, "repository URL %q: want http://host without a trailing slash", o.BaseURL)
	}
	if o.Validity < 0 || o.Validity > maxValidity || o.CRLValidity < 0 {
		return nil, fault.New(fault.Invalid, "validity %v and %v for CRLs: want positive durations, the first of at most %v", o.Validity, o.CRLValidity, maxValidity)
	}
	if o.Validity == 0 {
		o.Validity = defaultValidity
	}
	if o.CRLValidity == 0 {
		o.CRLValidity = defaultCRL
	}
	if o.Audit == nil {
		o.Audit = func(context.Context, auditlog.Event) error { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	others, err := secondOpinion()
	if err != nil {
		return nil, err
	}
	return &Authority{ledger: l, o: o, others: others}, nil
}

// sameKey reports whether two public keys are equal.
func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// likeKey makes a key with which certificates get the same algorithm
// identifiers as with the one of pub.
func likeKey(pub crypto.PublicKey) (crypto.Signer, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		return rsa.GenerateKey(rand.Reader, 2048)
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P224() {
			return ecdsa.GenerateKey(pub.Curve, rand.Reader)
		}
	case ed25519.PublicKey:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fault.New(fault.Invalid, "the bridge CA's key is of a kind that is not supported")
}

// Records returns all records of a member, the oldest first; those of the
// bridge's own signers when member is empty.
func (a *Authority) Records(ctx context.Context, member string) ([]Record, error) {
	var out []Record
	for r, err := range a.ledger.RecordsOf(ctx, member) {
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Live returns the certificates of a member that are neither revoked nor
// expired, oldest first; those of the bridge's own signers when member is empty.
func (a *Authority) Live(ctx context.Context, member string) ([]*x509.Certificate, error) {
	all, err := a.LiveByMember(ctx)
	return all[member], err
}

// LiveByMember returns what Live does for each member that has any.
func (a *Authority) LiveByMember(ctx context.Context) (map[string][]*x509.Certificate, error) {
	now := a.instant()
	out := map[string][]*x509.Certificate{}
	for r, err := range a.ledger.RecordsIn(ctx, Issued) {
		if err != nil {
			return nil, err
		}
		c, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			return nil, fault.New(fault.Internal, "parsing certificate %x of the ledger: %w", r.Serial, err)
		}
		if !now.After(c.NotAfter) {
			out[r.Member] = append(out[r.Member], c)
		}
	}
	return out, nil
}

// Status returns the record of a certificate, Issued or Revoked. A serial of
// which no certificate is known, be it never used or only intended, is
// NotFound: nothing good may be said about it.
func (a *Authority) Status(ctx context.Context, serial *big.Int) (Record, error) {
	r, err := a.ledger.Get(ctx, serial)
	if err == nil && r.Stage != Issued && r.Stage != Revoked {
		err = fault.New(fault.NotFound, "no certificate with serial %x", serial)
	}
	if err != nil {
		return Record{}, err
	}
	return r, nil
}

// Revoke revokes a certificate for ever. It takes effect with the next
// [Authority.CRL]. Doing it again does nothing: the first instant and reason
// stand. Errors: NotFound; Invalid for a reason that is none of the constants.
func (a *Authority) Revoke(ctx context.Context, serial *big.Int, why Reason) error {
	if _, ok := reasons[why]; !ok {
		return fault.New(fault.Invalid, "revoking %x: %v is not a reason for which this CA revokes", serial, why)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.ledger.Get(ctx, serial)
	if err != nil {
		return err
	}
	return a.revoke(ctx, r, why)
}

func (a *Authority) revoke(ctx context.Context, r Record, why Reason) error {
	if r.Stage == Revoked {
		return nil
	}
	if a.closed(r) {
		return fault.New(fault.Conflict, "certificate %x cannot be revoked: generation %d of the bridge CA is closed", r.Serial, max(r.Generation, 1))
	}
	err := a.o.Audit(ctx, auditlog.Event{
		Kind: "certificate.revoke", Member: r.Member,
		Details: map[string]string{"serial": r.Serial.Text(16), "reason": why.String()},
	})
	if err != nil {
		return err
	}
	a.forget()
	r.Stage, r.RevokedAt, r.Reason = Revoked, a.instant(), why
	if _, err := a.ledger.Put(ctx, r); err != nil {
		return err
	}
	a.o.Log.Info("certificate revoked", "member", r.Member, "serial", r.Serial.Text(16), "reason", why.String())
	return nil
}

// Recover revokes every intent of which no certificate is recorded: the
// signature may have escaped, so its serial belongs on the CRL. Call it at
// start; it may be called again at any time. An end or a retirement that was
// begun is finished.
func (a *Authority) Recover(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.state(ctx)
	switch {
	case err != nil:
		return err
	case !s.EndedAt.IsZero():
		return a.finish(ctx)
	}
	return errors.Join(a.recover(ctx), a.close(ctx))
}

func (a *Authority) recover(ctx context.Context) error {
	var left []Record
	for r, err := range a.ledger.RecordsIn(ctx, Intended) {
		if err != nil {
			return err
		}
		left = append(left, r)
	}
	var errs []error
	for _, r := range left {
		a.o.Log.Warn("intent without a certificate", "member", r.Member, "serial", r.Serial.Text(16))
		errs = append(errs, a.revoke(ctx, r, CessationOfOperation))
	}
	return errors.Join(errs...)
}

// instant is the time of what is signed or recorded: UTC, whole seconds, as
// certificates and CRLs hold it.
func (a *Authority) instant() time.Time { return a.o.Now().UTC().Truncate(time.Second) }
