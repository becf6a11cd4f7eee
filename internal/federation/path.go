package federation

import (
	"context"
	"crypto/x509"
	"slices"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/wire/crl"
)

// paths is what is published, prepared for building paths.
type paths struct {
	pool *pathval.Pool
	own  []pathval.Name // of the bridge CA and the root above it
	crls *pathval.CRLs
}

// BuildPath finds a path to leaf as [pathval.Build] does, through the bridge CA,
// the members in force, and the cross-certificates between them. It sets
// in.Revocation: what the bridge and its root issued must not be on their CRLs,
// which must be current; what others issued is for the relying party to ask about.
func (a *Artifacts) BuildPath(ctx context.Context, leaf *pathval.Certificate, in pathval.Inputs) (*pathval.Result, error) {
	a.once.Do(a.preparePaths)
	p := &a.paths
	in.Revocation = pathval.StatusFunc(func(ctx context.Context, q pathval.StatusQuery) error {
		// By name: whoever only poses as the bridge has no list that verifies.
		if !slices.ContainsFunc(p.own, q.Issuer().Subject.Equal) {
			return nil
		}
		return p.crls.Check(ctx, q)
	})
	return pathval.Build(ctx, leaf, p.pool, in)
}

// preparePaths leaves out what pathval cannot read: no path leads through it,
// and the others are no worse off.
func (a *Artifacts) preparePaths() {
	var certs []*pathval.Certificate
	add := func(xs ...*x509.Certificate) {
		for _, x := range xs {
			if c, err := pathval.ParseCertificate(x.Raw); err == nil {
				certs = append(certs, c)
			}
		}
	}
	var ders [][]byte
	if a.BridgeCA != nil {
		add(a.BridgeCA)
	}
	if a.Root != nil {
		add(a.Root.Certificate)
		if a.Root.CRL != nil {
			ders = append(ders, a.Root.CRL.Raw)
		}
	}
	for _, c := range certs {
		a.paths.own = append(a.paths.own, c.Subject)
	}
	for _, g := range a.Generations {
		if !g.Parsed.Equal(a.BridgeCA) {
			add(g.Parsed)
		}
	}
	add(a.Links()...)
	for _, t := range a.Trusted {
		add(slices.Concat(t.Anchors, t.Intermediates, t.CrossTo, t.CrossFrom)...)
	}
	a.paths.pool = pathval.NewPool(certs...)
	// Without a list that can be used, nothing that the bridge issued is good.
	var lists []*crl.List
	for _, g := range a.Generations {
		if g.CRL != nil {
			ders = append(ders, g.CRL.Raw)
		}
	}
	for _, der := range ders {
		if l, err := crl.Parse(der); err == nil {
			lists = append(lists, l)
		}
	}
	var err error
	if a.paths.crls, err = pathval.NewCRLs(a.paths.pool, lists...); err != nil {
		a.paths.crls, _ = pathval.NewCRLs(a.paths.pool)
	}
}
