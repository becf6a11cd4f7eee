package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"bridge.example/internal/engine/pathval"
)

// verify answers one question; the error is why there is no path.
type verify func(ctx context.Context, p pair) error

// views are the certificates as pathval sees them, each parsed once.
type views map[*x509.Certificate]*pathval.Certificate

func newViews(g graph) (views, error) {
	v := views{}
	certs := slices.Clone(g.pool)
	for _, p := range g.pairs {
		certs = append(certs, p.anchor, p.leaf)
	}
	for _, c := range certs {
		if v[c] != nil {
			continue
		}
		view, err := pathval.ParseCertificate(c.Raw)
		if err != nil {
			return nil, err
		}
		v[c] = view
	}
	return v, nil
}

func (v views) pool(g graph) *pathval.Pool {
	certs := make([]*pathval.Certificate, len(g.pool))
	for i, c := range g.pool {
		certs[i] = v[c]
	}
	return pathval.NewPool(certs...)
}

func (v views) build(ctx context.Context, pool *pathval.Pool, p pair, at time.Time) error {
	_, err := pathval.Build(ctx, v[p.leaf], pool, pathval.Inputs{
		Anchors: []*pathval.Certificate{v[p.anchor]}, At: at, Policies: []x509.OID{p.policy}, ExplicitPolicy: true,
		Purpose: pathval.EmailProtection(), Email: p.leaf.EmailAddresses[0],
	})
	return err
}

// standard is crypto/x509, asked the same.
func standard(g graph, at time.Time) verify {
	pool := x509.NewCertPool()
	for _, c := range g.pool {
		pool.AddCert(c)
	}
	return func(_ context.Context, p pair) error {
		roots := x509.NewCertPool()
		roots.AddCert(p.anchor)
		_, err := p.leaf.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: pool, CurrentTime: at, CertificatePolicies: []x509.OID{p.policy},
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		})
		return err
	}
}

// openssl is its verify program, on the same certificates in files below dir.
type openssl struct {
	dir string
	at  time.Time
}

// newOpenSSL writes the pool.
func newOpenSSL(dir string, g graph, at time.Time) (*openssl, error) {
	o := &openssl{dir, at}
	return o, o.write("pool.pem", g.pool...)
}

func (o *openssl) write(name string, certs ...*x509.Certificate) error {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return os.WriteFile(filepath.Join(o.dir, name), out, 0o600)
}

// prepare writes the files of one question, before the clock runs.
func (o *openssl) prepare(p pair) error {
	if err := o.write("anchor.pem", p.anchor); err != nil {
		return err
	}
	return o.write("leaf.pem", p.leaf)
}

func (o *openssl) verify(ctx context.Context, p pair) error {
	return o.run(ctx, p, "leaf.pem")
}

// start does everything but search: it loads the same files, and verifies the
// anchor.
func (o *openssl) start(ctx context.Context, p pair) error {
	return o.run(ctx, p, "anchor.pem")
}

func (o *openssl) run(ctx context.Context, p pair, target string) error {
	args := []string{"verify", "-no-CApath", "-no-CAstore", "-attime", fmt.Sprint(o.at.Unix()), "-CAfile", "anchor.pem", "-untrusted", "pool.pem"}
	if target == "leaf.pem" {
		args = append(args, "-purpose", "smimesign", "-policy_check", "-explicit_policy", "-policy", p.policy.String())
	}
	cmd := exec.CommandContext(ctx, "openssl", append(args, target)...)
	cmd.Dir = o.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("openssl verify: %w: %s", err, out)
	}
	return nil
}
