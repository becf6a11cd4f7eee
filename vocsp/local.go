package vocsp

import (
	"context"
	"crypto/x509"
	"math/big"
	"time"

	"bridge.example/internal/wire/ocsp"
)

// localValidity is nextUpdate minus thisUpdate of the bridge's own answers:
// long enough for clients to keep them through a conversation, short beside the
// years a cross-certificate lives.
const localValidity = time.Hour

// LocalStatus is what a CA knows of a serial number. The zero value says that
// it never issued it.
type LocalStatus struct {
	Status    ocsp.CertStatus
	RevokedAt time.Time // when Revoked
	Reason    ocsp.Reason
}

// Local answers for the certificates of issuer from lookup, signed by
// what signer returns at that time: issuer itself or its delegate, with
// id-kp-OCSPSigning and nocheck (RFC 6960 §4.2.2.2). An error of lookup is returned as it is; certificates of other
// issuers are unknown.
func Local(issuer *x509.Certificate, signer func() *ocsp.Signer, lookup func(ctx context.Context, serial *big.Int) (LocalStatus, error)) Source {
	return local{issuer, signer, lookup}
}

type local struct {
	issuer *x509.Certificate
	signer func() *ocsp.Signer
	lookup func(ctx context.Context, serial *big.Int) (LocalStatus, error)
}

func (l local) Status(ctx context.Context, r *ocsp.Request) (*ocsp.Response, error) {
	now := time.Now()
	singles := make([]ocsp.SingleResponse, len(r.Singles))
	for i := range r.Singles {
		id := r.Singles[i].ID
		var s LocalStatus
		if id.IssuedBy(l.issuer) {
			var err error
			if s, err = l.lookup(ctx, id.Serial); err != nil {
				return nil, err
			}
		}
		singles[i] = ocsp.SingleResponse{
			ID: id, Status: s.Status, RevokedAt: s.RevokedAt, Reason: s.Reason,
			ThisUpdate: now, NextUpdate: now.Add(localValidity),
		}
	}
	return sign(l.signer(), now, singles, r.Nonce())
}
