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
	cert   *x509.Certificate
	key    crypto.Signer
	ledger Ledger
	o      Options

	// throwaway signs drafts, in the name of a CA certificate like cert that
	// exists nowhere.
	throwaway crypto.Signer
	draftCA   *x509.Certificate
	others    lint.Registry // of rules that are not ours

	mu sync.Mutex
}

// New returns the CA with this certificate, key and ledger. Errors are Invalid:
// a certificate that is not a CA's for certificates and CRLs or has no key
// identifier, a key that does not fit it or is neither RSA, ECDSA nor Ed25519,
// options out of range.
func New(cert *x509.Certificate, key crypto.Signer, l Ledger, o Options) (*Authority, error) {
	const usage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage&usage != usage:
		return nil, fault.New(fault.Invalid, "the bridge certificate %q is not that of a CA for certificates and CRLs", cert.Subject)
	case len(cert.SubjectKeyId) == 0:
		return nil, fault.New(fault.Invalid, "the bridge certificate %q has no key identifier", cert.Subject)
	case !sameKey(key.Public(), cert.PublicKey):
		return nil, fault.New(fault.Invalid, "the key does not fit the bridge certificate %q", cert.Subject)
	}
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
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	throwaway, err := likeKey(cert.PublicKey)
	if err != nil {
		return nil, err
	}
	draftCA := *cert
	draftCA.PublicKey = throwaway.Public()
	others, err := secondOpinion()
	if err != nil {
		return nil, err
	}
	return &Authority{cert: cert, key: key, ledger: l, o: o, throwaway: throwaway, draftCA: &draftCA, others: others}, nil
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
	for r, err := range a.ledger.Records(ctx) {
		if err != nil {
			return nil, err
		}
		if r.Member == member {
			out = append(out, r)
		}
	}
	return out, nil
}

// Live returns the certificates of a member that are issued, not revoked and
// not expired, the oldest first; those of the bridge's own signers when member
// is empty.
func (a *Authority) Live(ctx context.Context, member string) ([]*x509.Certificate, error) {
	records, err := a.Records(ctx, member)
	if err != nil {
		return nil, err
	}
	now := a.instant()
	var out []*x509.Certificate
	for _, r := range records {
		if r.Stage != Issued {
			continue
		}
		c, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			return nil, fault.New(fault.Internal, "parsing certificate %x of the ledger: %w", r.Serial, err)
		}
		if !now.After(c.NotAfter) {
			out = append(out, c)
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
	r.Stage, r.RevokedAt, r.Reason = Revoked, a.instant(), why
	if _, err := a.ledger.Put(ctx, r); err != nil {
		return err
	}
	a.o.Log.Info("certificate revoked", "member", r.Member, "serial", r.Serial.Text(16), "reason", why.String())
	return nil
}

// Recover revokes every intent of which no certificate is recorded: the
// signature may have escaped, so its serial belongs on the CRL. Call it at
// start; it may be called again at any time.
func (a *Authority) Recover(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var left []Record
	for r, err := range a.ledger.Records(ctx) {
		if err != nil {
			return err
		}
		if r.Stage == Intended {
			left = append(left, r)
		}
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
