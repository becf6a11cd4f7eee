package federation

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"

	"bridge.example/crosscert"
	"bridge.example/membership"
)

// certify makes the bridge's cross-certificates those that the members in
// force need, and notes in trusted what stands. Who is not in force loses its
// certificates first. Who is gets the new one before the one it replaces is
// revoked, so that a path exists throughout. A cross-certificate cannot be held
// (S/MIME BR §7.2.2): suspension revokes it, and resuming issues a new one.
// When halt is set, it is why nobody gets a new one.
func (f *Federation) certify(ctx context.Context, members []membership.Member, trusted []Trusted, halt error) error {
	live, err := f.Authority.LiveByMember(ctx)
	if err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	byID := map[membership.ID]*Trusted{}
	for i := range trusted {
		if trusted[i].wants(membership.CrossCertificate) {
			byID[trusted[i].ID] = &trusted[i]
		}
	}
	var errs []error
	note := func(id membership.ID, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("cross-certificates of %s: %w", id, err))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(live)) {
		// Without a member it is one of the bridge's own signers'.
		if id := membership.ID(id); id != "" && byID[id] == nil {
			note(id, f.revoke(ctx, live[string(id)], crosscert.PrivilegeWithdrawn))
		}
	}
	for _, m := range members {
		if t := byID[m.ID]; t != nil {
			note(m.ID, f.renew(ctx, t, m, live[string(m.ID)], halt))
		}
	}
	return errors.Join(errs...)
}

func (f *Federation) revoke(ctx context.Context, certs []*x509.Certificate, why crosscert.Reason) error {
	var errs []error
	for _, c := range certs {
		errs = append(errs, f.Authority.Revoke(ctx, c.SerialNumber, why))
	}
	return errors.Join(errs...)
}

// renew issues what a member in force needs and does not have, then revokes
// what it has and does not need: superseded, or cessationOfOperation where its
// CA of that name is gone from the record. What the bridge's key before the
// present one issued stays beside while it still says the same.
func (f *Federation) renew(ctx context.Context, t *Trusted, m membership.Member, live []*x509.Certificate, halt error) error {
	wanted, err := f.requests(t, &m.Application)
	if err != nil {
		return err
	}
	for _, r := range wanted {
		covers := func(c *x509.Certificate) bool { return f.Authority.Covers(c, r) }
		if i := slices.IndexFunc(live, covers); i >= 0 {
			t.CrossTo = append(t.CrossTo, live[i])
			live = slices.Delete(live, i, i+1)
			continue
		}
		if halt != nil {
			return halt
		}
		cert, err := f.Authority.Issue(ctx, r)
		if err != nil {
			return err
		}
		t.CrossTo = append(t.CrossTo, cert)
	}
	var errs []error
	for _, c := range live {
		remains := func(r crosscert.Request) bool { return f.Authority.Remains(c, r) }
		named := func(r crosscert.Request) bool { return bytes.Equal(r.Subject.RawSubject, c.RawSubject) }
		switch {
		case slices.ContainsFunc(wanted, remains):
			t.CrossTo = append(t.CrossTo, c)
		case slices.ContainsFunc(wanted, named):
			errs = append(errs, f.Authority.Revoke(ctx, c.SerialNumber, crosscert.Superseded))
		default:
			errs = append(errs, f.Authority.Revoke(ctx, c.SerialNumber, crosscert.CessationOfOperation))
		}
	}
	return errors.Join(errs...)
}

// requests are the cross-certificates that a member in force needs.
func (f *Federation) requests(t *Trusted, a *membership.Application) (out []crosscert.Request, err error) {
	mappings, err := mappingsOf(a)
	if err != nil {
		return nil, err
	}
	r := crosscert.Request{
		Member: string(a.ID), Mappings: mappings, Compatible: a.CrossProfile == membership.Compatible,
		MailDomains: a.MailDomains, ExcludedDomains: a.ExcludedDomains, DirectoryNames: a.DirectoryNames,
	}
	for _, anchor := range t.Anchors {
		r.Subject, r.MaxPathLen = anchor, 0
		for _, i := range t.Intermediates {
			r.MaxPathLen = max(r.MaxPathLen, depth(i, []*x509.Certificate{anchor}, t.Intermediates))
		}
		out = append(out, r)
	}
	return out, nil
}

// mappingsOf are the rows of policies of an application.
func mappingsOf(a *membership.Application) (out []crosscert.Mapping, err error) {
	for _, p := range a.Policies {
		bridge, err1 := x509.ParseOID(p.Bridge)
		member, err2 := x509.ParseOID(p.Member)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		out = append(out, crosscert.Mapping{Bridge: bridge, Member: member})
	}
	return out, nil
}
