package vocsp

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ocsp"
)

// UpstreamOptions tune what asks a member's responder; the zero value works.
type UpstreamOptions struct {
	// Timeout bounds one question, all URLs together; 5 s when zero. Each URL
	// gets an equal share of what is left, so that one that hangs leaves time
	// for the next.
	Timeout time.Duration
	// Concurrency is how many questions may be open at once; 32 when zero.
	// Further ones wait, and keep a slow member from taking every connection.
	Concurrency int
	Now         func() time.Time // the instant at which answers must be valid; time.Now when nil
}

// Upstream asks a member's responder, which has one or several equivalent URLs,
// about certificates of issuer. The one that answered last is asked first.
//
// It sends CertIDs and nonce, and no more of what the client sent. An answer
// counts only if [ocsp.Response.Check] holds for every CertID, at 64 KB at most,
// and if its nonce is the one sent; one without nonce is passed on, and the
// client decides (RFC 9654 §2.1). Redirects are not followed: only registered URLs
// are contacted. All errors are Unavailable, and wrap what was wrong with each
// URL's answer.
func Upstream(urls []string, issuer *x509.Certificate, c *http.Client, o UpstreamOptions) Source {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Concurrency == 0 {
		o.Concurrency = 32
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	client := *c
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &upstream{urls: urls, issuer: issuer, client: &client, o: o, open: make(chan struct{}, o.Concurrency)}
}

type upstream struct {
	urls   []string
	issuer *x509.Certificate
	client *http.Client
	o      UpstreamOptions
	open   chan struct{}
	last   atomic.Int32 // index of the URL that answered last
}

func (u *upstream) Status(ctx context.Context, r *ocsp.Request) (*ocsp.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, u.o.Timeout)
	defer cancel()
	select {
	case u.open <- struct{}{}:
		defer func() { <-u.open }()
	case <-ctx.Done():
		return nil, fault.New(fault.Unavailable, "waiting for a busy responder: %w", ctx.Err())
	}
	ids := make([]ocsp.CertID, len(r.Singles))
	for i := range r.Singles {
		ids[i] = r.Singles[i].ID
	}
	body, err := question(r.Nonce(), ids...).Encode()
	if err != nil {
		return nil, err
	}
	var errs []error
	first := int(u.last.Load())
	for i := range u.urls {
		at := (first + i) % len(u.urls)
		resp, err := u.ask(ctx, u.urls[at], len(u.urls)-i, body)
		if err == nil {
			err = u.check(resp, r.Nonce(), ids)
		}
		if err == nil {
			u.last.Store(int32(at))
			return resp, nil
		}
		errs = append(errs, fmt.Errorf("asking %s: %w", u.urls[at], err))
	}
	return nil, fault.New(fault.Unavailable, "no valid answer from the responder: %w", errors.Join(errs...))
}

func (u *upstream) check(resp *ocsp.Response, nonce []byte, ids []ocsp.CertID) error {
	if _, err := (ocsp.Verifier{}).Check(resp, u.issuer, u.o.Now(), ids...); err != nil {
		return err
	}
	return resp.CheckNonce(nonce)
}

// ask posts body to url, within its share of the time when so many URLs are
// left.
func (u *upstream) ask(ctx context.Context, url string, left int, body []byte) (*ocsp.Response, error) {
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", requestType)
	req.Header.Set("Accept", responseType)
	resp, err := u.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	der, err := io.ReadAll(io.LimitReader(resp.Body, ocsp.MaxResponseBytes+1))
	if err != nil {
		return nil, err
	}
	return ocsp.ParseResponse(der)
}
