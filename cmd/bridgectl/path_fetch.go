package main

import (
	"context"
	"fmt"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/engine/retrieve"
	"bridge.example/internal/outbound"
	"bridge.example/internal/wire/crl"
)

// maxPointers bounds the URLs of one kind that are followed in one certificate,
// so that it cannot use up what others need.
const maxPointers = 4

func some(urls []string) []string { return urls[:min(len(urls), maxPointers)] }

// fetcher follows the URLs in certificates, and notes what came of each. It is
// the source of certificates for a search and, where no CRLs are given, what
// knows about revocation.
type fetcher struct {
	run  *retrieve.Run
	note func(format string, args ...any)
	seen map[string]bool // URLs noted

	pool   *pathval.Pool // of CRL signers
	lists  []*crl.List
	listed map[string]bool // URLs that lists are from
	known  *pathval.CRLs   // of lists; nil when there is a new one
}

// newFetcher allows public addresses and hosts, HOST or HOST:PORT each.
func (t *tool) newFetcher(hosts []string) (*fetcher, error) {
	policy := outbound.Policy{Ports: retrieve.Ports()}
	for _, s := range hosts {
		h, err := outbound.ParseHost(s)
		if err != nil {
			return nil, fmt.Errorf("--allow-host: %w", err)
		}
		policy.Hosts = append(policy.Hosts, h)
	}
	return &fetcher{
		run: retrieve.New(policy, retrieve.Limits{Reply: t.timeout}), note: t.note,
		seen: map[string]bool{}, listed: map[string]bool{},
	}, nil
}

// Issuers fetches by caIssuers (RFC 5280 §4.2.2.1).
func (f *fetcher) Issuers(ctx context.Context, c *pathval.Certificate) ([]*pathval.Certificate, error) {
	return f.certificates(ctx, c.CAIssuers)
}

// Issued fetches by caRepository (RFC 5280 §4.2.2.2).
func (f *fetcher) Issued(ctx context.Context, c *pathval.Certificate) ([]*pathval.Certificate, error) {
	return f.certificates(ctx, c.CARepository)
}

func (f *fetcher) certificates(ctx context.Context, urls []string) (certs []*pathval.Certificate, err error) {
	for _, url := range some(urls) {
		found, failed := f.get(ctx, url)
		for _, der := range found.Certificates {
			if c, malformed := pathval.ParseCertificate(der); malformed != nil {
				failed = also(failed, fmt.Errorf("%s: %w", url, malformed))
			} else {
				certs = append(certs, c)
			}
		}
		err = also(err, failed)
	}
	return certs, err
}

// Check fetches the CRLs that the certificate points to and asks all there are.
func (f *fetcher) Check(ctx context.Context, q pathval.StatusQuery) error {
	var failed error
	for _, url := range some(q.Certificate.CRLPoints) {
		failed = also(failed, f.addLists(ctx, url))
	}
	if f.known == nil {
		var err error
		if f.known, err = pathval.NewCRLs(f.pool, f.lists...); err != nil {
			return err
		}
	}
	if err := f.known.Check(ctx, q); err != nil {
		return also(err, failed)
	}
	return nil
}

func (f *fetcher) addLists(ctx context.Context, url string) (err error) {
	found, err := f.get(ctx, url)
	if f.listed[url] {
		return err
	}
	f.listed[url] = true
	for _, der := range found.CRLs {
		l, malformed := crl.Parse(der)
		if malformed == nil {
			// One that cannot be used must not stand in the way of the others.
			_, malformed = pathval.NewCRLs(nil, l)
		}
		if malformed != nil {
			err = also(err, fmt.Errorf("%s: %w", url, malformed))
			continue
		}
		f.lists, f.known = append(f.lists, l), nil
	}
	return err
}

func (f *fetcher) get(ctx context.Context, url string) (retrieve.Found, error) {
	found, err := f.run.Get(ctx, url)
	if !f.seen[url] {
		f.seen[url] = true
		if err != nil {
			f.note("%v", err)
		} else {
			f.note("fetched %s: certificates %d, CRLs %d", url, len(found.Certificates), len(found.CRLs))
		}
	}
	return found, err
}

// also is both errors in one line.
func also(err, more error) error {
	switch {
	case err == nil:
		return more
	case more == nil:
		return err
	}
	return fmt.Errorf("%w; %w", err, more)
}

var _ pathval.Source = (*fetcher)(nil)
var _ pathval.Revocation = (*fetcher)(nil)
