// Package vocsp is the virtual responder: one address for the status of every
// certificate in the federation. A question is routed by its CertID to the
// member whose CA issued the certificate, and the member's own signed answer is
// passed on untouched once it has been checked. Only an answer that spans
// members is put together and signed by the bridge.
//
// Whatever answers is a [Source]: a member's responder, the bridge's own ledger,
// a cache before either, and the [Proxy] over all of them.
package vocsp

import (
	"context"
	"crypto"
	"crypto/x509"
	"log/slog"
	"sync/atomic"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ocsp"
)

// Source answers questions about certificates. It is safe for concurrent use.
//
// Status returns a successful response whose Raw goes to the client as it is:
// it answers every CertID of r, its signature and times have been checked, and
// its nonce, if any, is that of r. Whatever is less is an error: Unavailable
// when a fresh answer cannot be had now, NotFound when the issuer is not known
// here, Denied, Internal. There is no answer from old knowledge.
type Source interface {
	Status(ctx context.Context, r *ocsp.Request) (*ocsp.Response, error)
}

// Route says who is asked about the certificates of one CA.
type Route struct {
	Member string            // id, for the log
	Issuer *x509.Certificate // the CA
	Source Source
}

// Options tune a Proxy; the zero value works.
type Options struct {
	// Signer returns what signs answers that span members. It is asked for each,
	// so that a renewed certificate needs no restart; the first must be there for
	// New. When it is nil such requests are refused.
	Signer func() *ocsp.Signer
	// Timeout bounds the work for one request over HTTP; 10 s when zero.
	Timeout time.Duration
	Now     func() time.Time // the instant of signatures and of cache headers; time.Now when nil
	Log     *slog.Logger     // slog.Default when nil
}

const defaultTimeout = 10 * time.Second

// Proxy is the virtual responder, a Source and an http.Handler. It is safe for
// concurrent use; a new one has no routes.
type Proxy struct {
	o     Options
	table atomic.Pointer[table]
}

var _ Source = (*Proxy)(nil)

// New returns a Proxy without routes. The error is Invalid when the signer's
// key does not belong to its certificate.
func New(o Options) (*Proxy, error) {
	if o.Signer != nil {
		if s := o.Signer(); s == nil || s.Cert == nil || s.Key == nil || !sameKey(s.Key.Public(), s.Cert.PublicKey) {
			return nil, fault.New(fault.Invalid, "the key of the OCSP signer does not belong to its certificate")
		}
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	p := &Proxy{o: o}
	p.table.Store(&table{})
	return p, nil
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// SetRoutes replaces all routes, or none of them when there is an error. What
// the new sources have cached is forgotten, so that no answer outlives the
// decision behind the change. Errors: Invalid for a route without issuer or source,
// Conflict for two with the same key (RFC 6960 §4.1.2: two CAs may share a name,
// never a key).
func (p *Proxy) SetRoutes(rs []Route) error {
	next, err := newTable(rs)
	if err != nil {
		return err
	}
	p.table.Store(next)
	next.forget()
	return nil
}
