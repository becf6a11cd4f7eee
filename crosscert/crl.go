package crosscert

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"strconv"
	"time"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
)

const (
	maxCRLAge = 24 * time.Hour
	// maxSkew is how far the clock may step back before this CA stops signing
	// CRLs: an older thisUpdate would make the newer CRL look stale.
	maxSkew = time.Minute
)

// CRL returns the current CRL (RFC 5280 §5) of the generation that signs, as
// CRLs does.
func (a *Authority) CRL(ctx context.Context) (*x509.RevocationList, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.state(ctx); err != nil {
		return nil, err
	}
	return a.crl(ctx, a.signing)
}

// GenerationCRL is the CRL of one generation.
type GenerationCRL struct {
	Generation int
	*x509.RevocationList
}

// CRLs returns the current CRL of each generation, by number: the stored one if
// it is fresh and lists exactly what the ledger says is revoked of what that key
// signed, or else a new one under the next number, which is stored before it is
// returned. What was revoked once stays on every CRL, past its expiry too.
// Numbers are drawn from one counter, so they rise in each. Errors: those of the
// ledger; Unavailable while the clock stands more than a minute before the last
// CRL. What could be had is returned beside an error.
func (a *Authority) CRLs(ctx context.Context) (out []GenerationCRL, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.state(ctx); err != nil {
		return nil, err
	}
	for _, g := range a.gens {
		crl, crlErr := a.crl(ctx, g)
		if crlErr != nil {
			err = errors.Join(err, crlErr)
			continue
		}
		out = append(out, GenerationCRL{g.Number, crl})
	}
	return out, err
}

func (a *Authority) crl(ctx context.Context, g *generation) (*x509.RevocationList, error) {
	if g.kept == nil {
		entries, err := a.revokedBy(ctx, g)
		if err != nil {
			return nil, err
		}
		g.kept = &crlState{entries: entries}
	}
	entries := g.kept.entries
	last, err := a.lastCRL(ctx, g)
	if err != nil {
		return nil, err
	}
	g.kept.last = last
	final := g.Phase == Closing || g.Phase == Closed
	if last != nil && final && last.NextUpdate.Equal(forever()) {
		return last, nil
	}
	if g.Phase == Closed {
		return nil, fault.New(fault.Internal, "the last CRL of generation %d of the bridge CA is not in the store", g.Number)
	}
	now := a.instant()
	if last != nil {
		if now.Before(last.ThisUpdate.Add(-maxSkew)) {
			return nil, fault.New(fault.Unavailable, "the clock reads %v, before the last CRL of %v", now, last.ThisUpdate)
		}
		if !final && now.Before(last.ThisUpdate.Add(min(maxCRLAge, a.o.CRLValidity/2))) && sameEntries(last.RevokedCertificateEntries, entries) {
			return last, nil
		}
		now = latest(now, last.ThisUpdate)
	}
	until := now.Add(a.o.CRLValidity)
	if final {
		until = forever()
	}
	return a.newCRL(ctx, g, entries, now, until)
}

// crlState is what a CRL is made from. It is kept because all that was ever
// revoked belongs on it, and most reconciliations revoke nothing.
type crlState struct {
	entries []x509.RevocationListEntry // in the order of creation
	last    *x509.RevocationList       // that was read last; nil without a usable one
}

// forget has the next CRLs made from what the ledger says then.
func (a *Authority) forget() {
	for _, g := range a.gens {
		g.kept = nil
	}
}

// revokedBy reads all that belongs on the CRL of g.
func (a *Authority) revokedBy(ctx context.Context, g *generation) (out []x509.RevocationListEntry, err error) {
	for r, err := range a.ledger.RecordsIn(ctx, Revoked) {
		if err != nil {
			return nil, err
		}
		if max(r.Generation, 1) != g.Number {
			continue
		}
		out = append(out, x509.RevocationListEntry{SerialNumber: r.Serial, RevocationTime: r.RevokedAt, ReasonCode: int(r.Reason)})
	}
	return out, nil
}

// lastCRL returns the stored CRL of g, or nil when there is none that this CA
// would stand by.
func (a *Authority) lastCRL(ctx context.Context, g *generation) (*x509.RevocationList, error) {
	number, der, err := a.ledger.LatestCRL(ctx, g.Number)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if last := g.kept.last; last != nil && bytes.Equal(last.Raw, der) {
		return last, nil
	}
	crl, err := x509.ParseRevocationList(der)
	if err == nil {
		err = crl.CheckSignatureFrom(g.cert)
	}
	if err == nil && (crl.Number == nil || crl.Number.Cmp(big.NewInt(number)) != 0) {
		err = fault.New(fault.Internal, "it carries the number %v", crl.Number)
	}
	if err != nil {
		a.o.Log.Error("the stored CRL is unusable", "number", number, "err", err)
		return nil, nil
	}
	return crl, nil
}

func (a *Authority) newCRL(ctx context.Context, g *generation, entries []x509.RevocationListEntry, now, until time.Time) (*x509.RevocationList, error) {
	err := a.o.Audit(ctx, auditlog.Event{
		Kind:    "crl.issue",
		Details: map[string]string{"entries": strconv.Itoa(len(entries)), "this_update": now.Format(time.RFC3339)},
	})
	if err != nil {
		return nil, err
	}
	number, err := a.ledger.NextCRLNumber(ctx)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number:                    big.NewInt(number),
		ThisUpdate:                now,
		NextUpdate:                until,
		RevokedCertificateEntries: entries,
	}, g.cert, g.key)
	if err != nil {
		return nil, fault.New(fault.Internal, "signing CRL %d: %w", number, err)
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fault.New(fault.Internal, "parsing CRL %d just made: %w", number, err)
	}
	if !sameEntries(crl.RevokedCertificateEntries, entries) {
		return nil, fault.New(fault.Internal, "CRL %d does not list what was revoked", number)
	}
	if err := a.ledger.PutCRL(ctx, g.Number, number, der); err != nil {
		return nil, err
	}
	a.o.Log.Info("CRL issued", "generation", g.Number, "number", number, "entries", len(entries), "next_update", crl.NextUpdate)
	return crl, nil
}

// sameEntries compares in order; the ledger keeps that of creation.
func sameEntries(a, b []x509.RevocationListEntry) bool {
	if len(a) != len(b) {
		return false
	}
	for i, e := range a {
		f := b[i]
		if e.SerialNumber.Cmp(f.SerialNumber) != 0 || !e.RevocationTime.Equal(f.RevocationTime) || e.ReasonCode != f.ReasonCode {
			return false
		}
	}
	return true
}
