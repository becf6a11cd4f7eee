package federation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// generations obtains certificates and CRLs of all keys of the bridge CA for
// next. A CRL that cannot be renewed stays as it was.
func (f *Federation) generations(ctx context.Context, next *Artifacts) error {
	old := f.artifacts.Load()
	next.CRL, next.CRLNumber, next.CRLThisUpdate, next.CRLNextUpdate = old.CRL, old.CRLNumber, old.CRLThisUpdate, old.CRLNextUpdate
	next.Generations = old.Generations
	all, err := f.Authority.Generations(ctx)
	if err != nil {
		return fmt.Errorf("reading the bridge CA's keys: %w", err)
	}
	crls, err := f.Authority.CRLs(ctx)
	if err != nil {
		err = fmt.Errorf("issuing the CRL: %w", err)
	}
	current := map[int]*x509.RevocationList{}
	for _, g := range old.Generations {
		current[g.Number] = g.CRL
	}
	for _, crl := range crls {
		current[crl.Generation] = crl.RevocationList
	}
	next.Generations = nil
	for _, g := range all {
		out := Generation{Generation: g, CRL: current[g.Number]}
		var parseErr error
		if out.Parsed, parseErr = x509.ParseCertificate(g.Certificate); parseErr != nil {
			return errors.Join(err, fault.New(fault.Internal, "generation %d of the bridge CA: %w", g.Number, parseErr))
		}
		for _, der := range [][]byte{g.OldWithNew, g.NewWithOld} {
			if link, err := x509.ParseCertificate(der); err == nil {
				out.Links = append(out.Links, link)
			}
		}
		out.Links = valid(membership.Member{}, out.Links, f.Now())
		next.Generations = append(next.Generations, out)
		if crl := out.CRL; crl != nil && out.Parsed.Equal(f.BridgeCA) {
			next.CRL, next.CRLNumber = crl.Raw, crl.Number.Int64()
			next.CRLThisUpdate, next.CRLNextUpdate = crl.ThisUpdate, crl.NextUpdate
		}
	}
	return err
}

// afterTheEnd publishes what is left of a bridge that ended, and signs nothing:
// the last list, the last CRLs, and no member.
func (f *Federation) afterTheEnd(ctx context.Context) error {
	next := &Artifacts{BridgeCA: f.BridgeCA, Root: f.Root(), Signers: f.Signers, Ended: true}
	errs := []error{f.Directory.SetMounts(nil), f.Responder.SetRoutes(nil), f.generations(ctx, next)}
	p, err := f.Publisher.Latest(ctx)
	if err != nil {
		errs = append(errs, fmt.Errorf("reading the last list: %w", err))
	}
	next.show(p)
	f.artifacts.Store(next)
	return errors.Join(errs...)
}

// alive is Denied once the bridge has ended: its records are closed.
func (f *Federation) alive(ctx context.Context) error {
	ended, err := f.Authority.Ended(ctx)
	if err == nil && !ended.IsZero() {
		err = fault.New(fault.Denied, "the bridge ended on %s: its records are closed", ended.Format(time.RFC3339))
	}
	return err
}

// generationStatus is for [Status].
func (f *Federation) generationStatus(ctx context.Context, a *Artifacts) (out []GenerationStatus, err error) {
	for _, g := range a.Generations {
		s := GenerationStatus{Number: g.Number, Phase: g.Phase, Since: g.Since, NotAfter: g.Parsed.NotAfter}
		if g.CRL != nil {
			s.CRLNumber, s.CRLNextUpdate = g.CRL.Number.Int64(), g.CRL.NextUpdate
		}
		if s.InForce, _, err = f.Authority.InForce(ctx, g.Number); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}
