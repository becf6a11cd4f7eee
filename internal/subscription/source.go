package subscription

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/outbound"
)

// MaxListBytes is the longest list that is fetched: 10,000 entries take about 10 MiB.
const MaxListBytes = 64 << 20

// source is where lists come from.
type source struct {
	client  *http.Client
	timeout time.Duration // of one fetch
}

// Answer is what came from a repository. Body is nil when it is what the caller
// has already.
type Answer struct {
	Body []byte
	ETag string
}

func newSource(c Config, o Options) (source, error) {
	policy := o.Outbound
	policy.Hosts = slices.Clone(policy.Hosts)
	for _, s := range c.AllowHosts {
		h, err := outbound.ParseHost(s)
		if err != nil {
			return source{}, err
		}
		policy.Hosts = append(policy.Hosts, h)
	}
	return source{Client(c.URL, policy), o.Timeout}, nil
}

// Client is an HTTP client for the repository at the address rawURL. It reaches
// public addresses, what p allows, and an address that rawURL itself has for a
// host: nobody can lead that elsewhere, as they can a name.
func Client(rawURL string, p outbound.Policy) *http.Client {
	if u, err := url.Parse(rawURL); err == nil {
		if _, err := netip.ParseAddr(u.Hostname()); err == nil {
			if h, err := outbound.ParseHost(u.Host); err == nil {
				p.Hosts = append(slices.Clone(p.Hosts), h)
			}
		}
	}
	return outbound.Client(p)
}

// get is Get within the time allowed. Errors: a *Refusal, or unreachable.
func (s source) get(ctx context.Context, address, etag string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	got, err := Get(ctx, s.client, address, etag)
	if err != nil && !isRefusal(err) {
		err = unreachable{err}
	}
	return got, err
}

// unreachable is that nothing came, as opposed to a fault of this machine.
type unreachable struct{ error }

func (u unreachable) Unwrap() error { return u.error }

// Get fetches what is at an address, at most [MaxListBytes] of it; ctx bounds
// the time. With an etag that still holds the body is nil. Errors: a *[Refusal]
// named EndlessBody, Truncated or OtherHost; otherwise Unavailable, or NotFound.
func Get(ctx context.Context, client *http.Client, address, etag string) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Answer{}, fault.New(fault.Invalid, "fetching the list: %w", err)
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := client.Do(req)
	if err != nil {
		if fault.KindOf(err) == fault.Denied {
			return Answer{}, &Refusal{OtherHost, err}
		}
		return Answer{}, fault.New(fault.Unavailable, "fetching the list: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		if etag != "" {
			return Answer{nil, etag}, nil
		}
		fallthrough
	default:
		kind := fault.Unavailable
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
			kind = fault.NotFound
		}
		return Answer{}, fault.New(kind, "%s says %s", req.URL.Redacted(), resp.Status)
	}
	b, err := readBody(ctx, resp)
	return Answer{b, resp.Header.Get("ETag")}, err
}

func readBody(ctx context.Context, resp *http.Response) ([]byte, error) {
	tooLong := refuse(EndlessBody, "more than %d bytes came", MaxListBytes)
	if resp.ContentLength > MaxListBytes {
		return nil, tooLong
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, MaxListBytes+1))
	switch {
	case len(b) > MaxListBytes:
		return nil, tooLong
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, refuse(Truncated, "the connection ended after %d bytes", len(b))
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, refuse(EndlessBody, "after %d bytes the time was over", len(b))
	case err != nil:
		return nil, fault.New(fault.Unavailable, "fetching the list: %w", err)
	case len(b) == 0:
		return nil, &Refusal{Truncated, fmt.Errorf("no bytes came")}
	}
	return b, nil
}
