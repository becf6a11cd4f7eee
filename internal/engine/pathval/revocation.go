package pathval

import (
	"context"
	"errors"
	"time"
)

// Revocation is the caller's policy on revocation: CRLs, or a function that
// asks a responder. It is called for every certificate of a path that is valid
// otherwise, from the one issued by the anchor to the leaf.
type Revocation interface {
	// Check returns nil if q.Certificate was not revoked at q.At, an error that
	// is ErrRevoked if it was, and any other if that cannot be told. All but nil
	// reject the path. It must be safe for concurrent use.
	Check(ctx context.Context, q StatusQuery) error
}

// StatusQuery asks for the status of one certificate. Only Validate and Build
// can make one that CRLs answer.
type StatusQuery struct {
	Certificate *Certificate
	// Above is what stands above it: the anchor, then what was found valid and
	// not revoked, the issuer last.
	Above []*Certificate
	At    time.Time

	keys    []publicKey // of Above
	work    *work
	signers []*Certificate // whose own status is what this question serves
}

// Issuer is the certificate of whoever issued q.Certificate.
func (q StatusQuery) Issuer() *Certificate { return q.Above[len(q.Above)-1] }

// StatusFunc is a Revocation that asks f, which follows the rules of
// Revocation.Check.
type StatusFunc func(ctx context.Context, q StatusQuery) error

// Check calls f.
func (f StatusFunc) Check(ctx context.Context, q StatusQuery) error { return f(ctx, q) }

// revocation is RFC 5280 §6.1.3 (a)(3) for each certificate of a path.
func (w *work) revocation(ctx context.Context, anchor *Certificate, path []*Certificate, keys []publicKey) error {
	if w.in.Revocation == nil {
		return nil
	}
	above := append(make([]*Certificate, 0, len(path)), anchor)
	for i, c := range path {
		if err := ctx.Err(); err != nil {
			return err
		}
		if w.left.Statuses--; w.left.Statuses < 0 {
			return &Rejection{Reason: Exhausted, Detail: "questions about revocation", Path: path, Index: i}
		}
		err := w.in.Revocation.Check(ctx, StatusQuery{
			Certificate: c, Above: above, At: w.in.At, keys: keys[:i+1], work: w,
		})
		if err != nil {
			return revocationRejection(err, path, i)
		}
		above = append(above, c)
	}
	return nil
}

func revocationRejection(err error, path []*Certificate, i int) error {
	r := &Rejection{Reason: StatusUnknown, Path: path, Index: i, Err: err}
	if errors.Is(err, ErrRevoked) {
		r.Reason = Revoked
	}
	return r
}
