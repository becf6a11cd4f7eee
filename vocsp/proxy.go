package vocsp

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ocsp"
)

const (
	// maxParallel bounds how many questions one request puts at once.
	maxParallel = 8
	// unknownValidity is how long nobody need ask again about an issuer that
	// has no route. Soon, since a member may join.
	unknownValidity = time.Minute
)

// Status answers r. Questions about one CA go to its member in one request, and
// the member's answer is returned as it came; with it comes the nonce, if the
// member knows how. Others are asked one by one, in parallel, and the answers
// are signed by the bridge: with the nonce, with the earliest nextUpdate of all,
// and "unknown" where no route leads; when one of them fails, so does the whole,
// since there is no partial answer (RFC 6960 §4.2.2.3). So is a member asked
// whose responder answers one question at a time only.
//
// Errors: NotFound when no route leads anywhere, Denied when a combined answer
// is needed and there is no signer, those of the sources.
func (p *Proxy) Status(ctx context.Context, r *ocsp.Request) (*ocsp.Response, error) {
	return p.answer(ctx, r, p.routes(r))
}

// routes returns the route for each certificate, nil where there is none.
func (p *Proxy) routes(r *ocsp.Request) []*Route {
	t := p.table.Load()
	routes := make([]*Route, len(r.Singles))
	for i := range r.Singles {
		routes[i] = t.find(r.Singles[i].ID)
	}
	return routes
}

// answer asks along routes. What came back counts only if the routes are still
// there: a member may have been taken away while it was asked, and whoever did
// that must be able to rely on it.
func (p *Proxy) answer(ctx context.Context, r *ocsp.Request, routes []*Route) (*ocsp.Response, error) {
	resp, err := p.ask(ctx, r, routes)
	if err != nil {
		return nil, err
	}
	for i, now := range p.routes(r) {
		if then := routes[i]; then != nil && (now == nil || now.Member != then.Member) {
			return nil, fault.New(fault.NotFound, "no member answers for this issuer any more")
		}
	}
	return resp, nil
}

func (p *Proxy) ask(ctx context.Context, r *ocsp.Request, routes []*Route) (*ocsp.Response, error) {
	if !slices.ContainsFunc(routes, func(r *Route) bool { return r != nil }) {
		return nil, fault.New(fault.NotFound, "no member answers for this issuer")
	}
	first := routes[0]
	if slices.ContainsFunc(routes, func(r *Route) bool { return r != first }) {
		return p.combine(ctx, r, routes)
	}
	resp, err := first.Source.Status(ctx, r)
	if len(routes) > 1 && p.o.Signer != nil && errors.Is(err, ocsp.ErrOtherCert) {
		return p.combine(ctx, r, routes)
	}
	return resp, err
}

func (p *Proxy) combine(ctx context.Context, r *ocsp.Request, routes []*Route) (*ocsp.Response, error) {
	if p.o.Signer == nil {
		return nil, fault.New(fault.Denied, "requests that span issuers are not answered here")
	}
	now := p.o.Now()
	singles := make([]ocsp.SingleResponse, len(routes))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxParallel)
	for i, route := range routes {
		id := r.Singles[i].ID
		if route == nil {
			singles[i] = ocsp.SingleResponse{ID: id, ThisUpdate: now, NextUpdate: now.Add(unknownValidity)}
			continue
		}
		g.Go(func() (err error) {
			singles[i], err = askOne(ctx, route.Source, id, r.Nonce())
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	least := singles[0].NextUpdate
	for _, s := range singles {
		if s.NextUpdate.Before(least) {
			least = s.NextUpdate
		}
	}
	for i := range singles {
		singles[i].NextUpdate = least
	}
	return sign(p.o.Signer(), now, singles, r.Nonce())
}

// askOne asks about one certificate. The answer bears the CertID as the client
// spelled it.
func askOne(ctx context.Context, s Source, id ocsp.CertID, nonce []byte) (ocsp.SingleResponse, error) {
	resp, err := s.Status(ctx, question(nonce, id))
	if err != nil {
		return ocsp.SingleResponse{}, err
	}
	found, err := resp.Single(id)
	if err != nil {
		return ocsp.SingleResponse{}, fault.New(fault.Internal, "combining answers: %w", err)
	}
	single := *found
	single.ID = id
	if single.NextUpdate.IsZero() {
		single.NextUpdate = single.ThisUpdate.Add(ocsp.Skew) // as long as Check would take it
	}
	return single, nil
}

// question is a request with nothing in it but what a source needs.
func question(nonce []byte, ids ...ocsp.CertID) *ocsp.Request {
	r := ocsp.NewRequest(ids...)
	if nonce != nil {
		r.Extensions = append(r.Extensions, ocsp.NonceExtension(nonce))
	}
	return r
}

// sign makes the bridge's own answer. No part of it outlives the signer's
// certificate. Errors: Unavailable when a part ended before now, Internal.
func sign(s *ocsp.Signer, now time.Time, singles []ocsp.SingleResponse, nonce []byte) (*ocsp.Response, error) {
	if now.Before(s.Cert.NotBefore) || now.After(s.Cert.NotAfter) {
		return nil, fault.New(fault.Internal, "the certificate of the OCSP signer is valid from %s to %s, which is not now",
			s.Cert.NotBefore.Format(time.RFC3339), s.Cert.NotAfter.Format(time.RFC3339))
	}
	for i := range singles {
		if singles[i].NextUpdate.After(s.Cert.NotAfter) {
			singles[i].NextUpdate = s.Cert.NotAfter
		}
		if singles[i].NextUpdate.Before(now) {
			return nil, fault.New(fault.Unavailable, "combining answers: one has ended at %s", singles[i].NextUpdate.Format(time.RFC3339))
		}
	}
	t := &ocsp.Response{ProducedAt: now, Singles: singles, Extensions: question(nonce).Extensions}
	return ocsp.Sign(t, s)
}
