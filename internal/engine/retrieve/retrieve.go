// Package retrieve fetches the certificates and CRLs that certificates point
// to: caIssuers, caRepository and CRL distribution points (RFC 5280 §4.2.1.13,
// §4.2.2), over HTTP and LDAP (RFC 4516, RFC 4523).
//
// A URL in a certificate is a stranger's wish. It is followed only through the
// guarded dialer, without credentials, within bounds, and what comes back is
// trusted no more than the URL was.
package retrieve

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/outbound"
)

// Limits bound one run. A zero field takes its default.
type Limits struct {
	URLs       int           // different ones followed; default 32
	ReplyBytes int64         // of one answer; default 16 MiB
	Bytes      int64         // of all answers; default 64 MiB
	Reply      time.Duration // for one answer, redirects included; default 10s
	Total      time.Duration // spent on all of them; default 30s
}

func (l Limits) withDefaults() Limits {
	fill(&l.URLs, 32)
	fill(&l.ReplyBytes, 16<<20)
	fill(&l.Bytes, 64<<20)
	fill(&l.Reply, 10*time.Second)
	fill(&l.Total, 30*time.Second)
	return l
}

func fill[N int | int64 | time.Duration](field *N, normal N) {
	if *field <= 0 {
		*field = normal
	}
}

// Ports returns those that URLs in certificates have use for. Through any other
// a certificate could have its reader speak to whatever listens at a stranger's.
func Ports() []uint16 { return []uint16{80, 443, 389} }

// Found is what was at a URL: DER that is not looked into and that nothing
// vouches for.
type Found struct {
	Certificates [][]byte
	CRLs         [][]byte
}

// Run fetches for one question, such as one path, and remembers what it found
// or why not as long as that takes. It is for one goroutine.
type Run struct {
	dial   outbound.DialFunc
	client *http.Client
	left   Limits
	known  map[string]outcome
}

type outcome struct {
	found Found
	err   error
}

// New starts a run within the bounds of p and l.
func New(p outbound.Policy, l Limits) *Run {
	return &Run{
		dial: outbound.Dial(p), client: outbound.Client(p),
		left: l.withDefaults(), known: map[string]outcome{},
	}
}

// Close ends the connections that are kept for another question.
func (r *Run) Close() { r.client.CloseIdleConnections() }

// Get fetches what is at an http, https or ldap URL; asked again it knows.
//
// An http body is a certificate, a CRL, both as certs-only CMS, or any of these
// as PEM, whatever the Content-Type: it is often wrong. An ldap URL names an
// entry and attributes of pkiCA or cRLDistributionPoint (RFC 4523); without
// attributes all of those are asked for. References are not followed.
//
// Errors: Denied for an address or port that no rule allows and for a run that
// is over its limits, Invalid for URLs and answers that are no such thing or
// too long, otherwise Unavailable.
func (r *Run) Get(ctx context.Context, rawURL string) (Found, error) {
	if o, ok := r.known[rawURL]; ok {
		return o.found, o.err
	}
	found, err := r.get(ctx, rawURL)
	if ctx.Err() == nil { // a caller that gave up is no property of the URL
		r.known[rawURL] = outcome{found, err}
	}
	return found, err
}

func (r *Run) get(ctx context.Context, rawURL string) (Found, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return Found{}, err
	}
	if r.left.URLs == 0 || r.left.Bytes <= 0 || r.left.Total <= 0 {
		return Found{}, fault.New(fault.Denied, "fetching %s: enough was fetched for one question", u)
	}
	r.left.URLs--
	start := time.Now()
	defer func() { r.left.Total -= time.Since(start) }()
	ctx, cancel := context.WithTimeout(ctx, min(r.left.Reply, r.left.Total))
	defer cancel()
	fetch := r.http
	if u.Scheme == "ldap" {
		fetch = r.ldap
	}
	found, err := fetch(ctx, u)
	if err != nil {
		return Found{}, fault.New(kindOf(err), "fetching %s: %w", u, err)
	}
	return found, nil
}

// kindOf takes what nobody classified for a failure on the way.
func kindOf(err error) fault.Kind {
	if k := fault.KindOf(err); k != fault.Internal {
		return k
	}
	return fault.Unavailable
}

const maxURLBytes = 2048

func parseURL(s string) (*url.URL, error) {
	if len(s) > maxURLBytes {
		return nil, fault.New(fault.Invalid, "a URL of %d bytes is longer than %d", len(s), maxURLBytes)
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, fault.New(fault.Invalid, "%q is no URL", s)
	case u.User != nil:
		return nil, fault.New(fault.Invalid, "%s has credentials in it", u.Redacted())
	case u.Hostname() == "":
		return nil, fault.New(fault.Invalid, "%q names no host", s)
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "ldap":
		return nil, fault.New(fault.Invalid, "%q is neither http, https nor ldap", s)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// spend takes bytes that arrived off what is left.
func (r *Run) spend(n int64) { r.left.Bytes -= n }

// room is how long the next answer may be.
func (r *Run) room() int64 { return min(r.left.ReplyBytes, r.left.Bytes) }
