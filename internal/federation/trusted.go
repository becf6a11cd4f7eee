package federation

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"bridge.example/membership"
	"bridge.example/signedlist"
)

// trusted selects the members in force: served, with at least one anchor that
// is valid now. Expired and barred certificates leave at once, whatever was
// decided.
func (f *Federation) trusted(members []membership.Member) (out []Trusted) {
	now := f.Now()
	for _, m := range members {
		if !m.Served() {
			continue
		}
		if t := trust(m, &m.Application, now); len(t.Anchors) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// trust is what of an application of m is valid at an instant, whatever m's
// state. CrossTo is for others to fill in.
func trust(m membership.Member, a *membership.Application, at time.Time) Trusted {
	anchors, intermediates := a.Certificates()
	t := Trusted{
		ID: m.ID, Name: a.Name, MailDomains: a.MailDomains, Services: a.Services,
		Anchors: valid(m, anchors, at), Intermediates: valid(m, intermediates, at),
	}
	for _, p := range a.Policies {
		if oid, err := x509.ParseOID(p.Member); err == nil && !slices.ContainsFunc(t.Policies, oid.Equal) {
			t.Policies = append(t.Policies, oid)
		}
		if oid, err := x509.ParseOID(p.Bridge); err == nil && !slices.ContainsFunc(t.Levels, oid.Equal) {
			t.Levels = append(t.Levels, oid)
		}
	}
	if a.OneWay {
		return t
	}
	for _, der := range m.CertificatesForBridge() {
		// Parsed and checked when it was applied for.
		if c, err := x509.ParseCertificate(der); err == nil && !at.After(c.NotAfter) {
			t.CrossFrom = append(t.CrossFrom, c)
		}
	}
	return t
}

func valid(m membership.Member, cs []*x509.Certificate, at time.Time) (out []*x509.Certificate) {
	for _, c := range cs {
		if !at.Before(c.NotBefore) && !at.After(c.NotAfter) && !m.IsBarred(c.Raw) {
			out = append(out, c)
		}
	}
	return out
}

// entries is what the signed list says of the members in force.
func entries(trusted []Trusted) (out []signedlist.Entry) {
	for _, t := range trusted {
		if !t.wants(membership.OnList) {
			continue
		}
		for _, anchor := range t.Anchors {
			out = append(out, signedlist.Entry{
				Member: string(t.ID), Title: t.Name, Certificate: anchor,
				Policies: t.Policies, Levels: t.Levels, MailDomains: t.MailDomains,
			})
		}
	}
	return out
}

// whyLost says which decision took an entry off the list; "" when none did, which
// no reconciliation should ever see.
func (f *Federation) whyLost(ctx context.Context, lost signedlist.Entry) string {
	m, err := f.Register.Member(ctx, membership.ID(lost.Member))
	if err != nil {
		return ""
	}
	now, c := f.Now(), lost.Certificate
	anchors, _ := m.Certificates()
	switch {
	case m.Halted && m.State != membership.Suspended:
		return "halted"
	case !m.Served():
		return string(m.State)
	case m.IsBarred(c.Raw):
		return "barred"
	case !slices.ContainsFunc(anchors, c.Equal) || !m.Wants(membership.OnList):
		return "amended"
	case now.After(c.NotAfter):
		return "expired"
	}
	if root := f.Root(); root != nil && root.Supports(f.BridgeCA, now) != nil {
		return "the root does not vouch for the bridge CA" // so that nobody is certified
	}
	return ""
}

// depth is how many certificates lie between c and an anchor that issued it,
// c included: 1 when an anchor signed it, 0 when none did.
func depth(c *x509.Certificate, anchors, intermediates []*x509.Certificate) int {
	reached := anchors
	for d := 1; d <= len(intermediates); d++ {
		var next []*x509.Certificate
		for _, i := range intermediates {
			if !issuedBy(i, reached) {
				continue
			}
			if i.Equal(c) {
				return d
			}
			next = append(next, i)
		}
		reached = next
	}
	return 0
}

func issuedBy(c *x509.Certificate, issuers []*x509.Certificate) bool {
	for _, i := range issuers {
		if string(c.RawIssuer) == string(i.RawSubject) && c.CheckSignatureFrom(i) == nil {
			return true
		}
	}
	return false
}
