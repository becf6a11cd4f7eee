package crosscert

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"time"

	"bridge.example/internal/fault"
)

const (
	maxCRLAge = 24 * time.Hour
	// maxSkew is how far the clock may step back before this CA stops signing
	// CRLs: an older thisUpdate would make the newer CRL look stale.
	maxSkew = time.Minute
)

// CRL returns the current CRL (RFC 5280 §5): the stored one if it is fresh and
// lists exactly what the ledger says is revoked, or else a new one under the
// next number, which is stored before it is returned. What was revoked once
// stays on every CRL, past its expiry too. Errors: those of the ledger;
// Unavailable while the clock stands more than a minute before the last CRL.
func (a *Authority) CRL(ctx context.Context) (*x509.RevocationList, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var entries []x509.RevocationListEntry
	for r, err := range a.ledger.Records(ctx) {
		if err != nil {
			return nil, err
		}
		if r.Stage == Revoked {
			entries = append(entries, x509.RevocationListEntry{SerialNumber: r.Serial, RevocationTime: r.RevokedAt, ReasonCode: int(r.Reason)})
		}
	}
	last, err := a.lastCRL(ctx)
	if err != nil {
		return nil, err
	}
	now := a.instant()
	if last != nil {
		if now.Before(last.ThisUpdate.Add(-maxSkew)) {
			return nil, fault.New(fault.Unavailable, "the clock reads %v, before the last CRL of %v", now, last.ThisUpdate)
		}
		if now.Before(last.ThisUpdate.Add(min(maxCRLAge, a.o.CRLValidity/2))) && sameEntries(last.RevokedCertificateEntries, entries) {
			return last, nil
		}
		now = latest(now, last.ThisUpdate)
	}
	return a.newCRL(ctx, entries, now)
}

// lastCRL returns the stored CRL, or nil when there is none that this CA would
// stand by.
func (a *Authority) lastCRL(ctx context.Context) (*x509.RevocationList, error) {
	number, der, err := a.ledger.LatestCRL(ctx)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	crl, err := x509.ParseRevocationList(der)
	if err == nil {
		err = crl.CheckSignatureFrom(a.cert)
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

func (a *Authority) newCRL(ctx context.Context, entries []x509.RevocationListEntry, now time.Time) (*x509.RevocationList, error) {
	number, err := a.ledger.NextCRLNumber(ctx)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number:                    big.NewInt(number),
		ThisUpdate:                now,
		NextUpdate:                now.Add(a.o.CRLValidity),
		RevokedCertificateEntries: entries,
	}, a.cert, a.key)
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
	if err := a.ledger.PutCRL(ctx, number, der); err != nil {
		return nil, err
	}
	a.o.Log.Info("CRL issued", "number", number, "entries", len(entries), "next_update", crl.NextUpdate)
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
