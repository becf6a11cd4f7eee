package pathval_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/wire/certext"
)

// below is an attack by member 1 with CAs under its root: the last of them
// issues the leaf.
func below(want pathval.Reason, leaf func(p *profile), chain func(t *testing.T, x *member) (ca *entity, certs []*pathval.Certificate)) attack {
	return attack{func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
		ca, certs := chain(t, m.members[1])
		p := m.members[1].user()
		leaf(&p)
		return ca.issue(t, newEntity(t, "Member 1", "User"), p), certs
	}, want}
}

// undemanding is a, asked by somebody who demands no policy: the certificates
// do.
func undemanding(a attack) attack {
	return attack{func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
		in.ExplicitPolicy, in.Policies = false, nil
		return a.graph(t, m, in)
	}, a.want}
}

// subs is two CAs, one below the other.
func subs(change func(x *member, upper, lower *profile)) func(*testing.T, *member) (*entity, []*pathval.Certificate) {
	return func(t *testing.T, x *member) (*entity, []*pathval.Certificate) {
		a, b := newEntity(t, "Member 1", "Upper"), newEntity(t, "Member 1", "Lower")
		upper := profile{ca: true, policies: []x509.OID{x.policy}}
		lower := upper
		change(x, &upper, &lower)
		return b, []*pathval.Certificate{x.root.issue(t, a, upper), a.issue(t, b, lower)}
	}
}

// selfIssued is a new key of the issuing CA.
func selfIssued(t *testing.T, x *member) (*entity, []*pathval.Certificate) {
	next := x.issuing.rekeyed(t)
	return next, []*pathval.Certificate{x.issuing.issue(t, next, profile{ca: true, policies: []x509.OID{x.policy}})}
}

func TestNoChainSmuggled(t *testing.T) {
	honest := func(*profile) {}
	noPolicy := func(p *profile) { p.policies = nil }
	stranger := func(p *profile) { p.policies = []x509.OID{oid(t, 77)} }
	foreign := func(p *profile) { p.emails = []string{"user@m2.example"} }
	// sub is one more CA below the root.
	sub := func(change func(x *member, p *profile)) func(*testing.T, *member) (*entity, []*pathval.Certificate) {
		return func(t *testing.T, x *member) (*entity, []*pathval.Certificate) {
			ca, p := newEntity(t, "Member 1", "Sub"), profile{ca: true, policies: []x509.OID{x.policy}}
			change(x, &p)
			return ca, []*pathval.Certificate{x.root.issue(t, ca, p)}
		}
	}
	// linked is a new key of the issuing CA, whose pathLen is 0, and a CA below.
	linked := func(pathLen int) func(*testing.T, *member) (*entity, []*pathval.Certificate) {
		return func(t *testing.T, x *member) (*entity, []*pathval.Certificate) {
			next, ca := x.issuing.rekeyed(t), newEntity(t, "Member 1", "Sub")
			p := profile{ca: true, policies: []x509.OID{x.policy}}
			link := p
			link.pathLen = pathLen
			return ca, []*pathval.Certificate{x.issuing.issue(t, next, link), next.issue(t, ca, p)}
		}
	}
	ten := 10
	for name, a := range map[string]attack{
		"a third bridge in a row": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			third, far := newEntity(t, "", "Third bridge"), newEntity(t, "Far", "Root")
			policy := oid(t, 77)
			leaf := far.issue(t, newEntity(t, "Far", "User"), profile{policies: []x509.OID{policy}, emails: []string{"user@far.example"}})
			return leaf, []*pathval.Certificate{
				m.bridges[1].issue(t, third, m.crossProfile(m.policy, m.policy, 1, nil)),
				third.issue(t, far, m.crossProfile(m.policy, policy, 0, nil)),
			}
		}, pathval.PolicyMissing},
		"a stranger's bridge that takes the policy of this one": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			other, far := newEntity(t, "", "Other bridge"), newEntity(t, "Far", "Root")
			leaf := far.issue(t, newEntity(t, "Far", "User"), profile{policies: []x509.OID{m.policy}, emails: []string{"user@far.example"}})
			return leaf, []*pathval.Certificate{
				m.members[1].root.issue(t, other, m.crossProfile(m.members[1].policy, m.policy, 2, nil)),
				other.issue(t, far, m.crossProfile(m.policy, m.policy, 0, nil)),
			}
		}, pathval.NameConstraint},
		"another bridge that maps within the member's own names": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x, other, far := m.members[1], newEntity(t, "Member 1", "Other bridge"), newEntity(t, "Member 1", "Far root")
			p := x.user()
			p.policies = []x509.OID{oid(t, 77)}
			return far.issue(t, newEntity(t, "Member 1", "User"), p), []*pathval.Certificate{
				x.root.issue(t, other, m.crossProfile(x.policy, m.policy, 2, nil)),
				other.issue(t, far, m.crossProfile(m.policy, oid(t, 77), 0, nil)),
			}
		}, pathval.PolicyMissing},
		"a bridge that issues a user itself": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			return m.bridges[1].issue(t, newEntity(t, "Member 0", "User"), profile{policies: []x509.OID{m.policy}, emails: []string{"boss@m0.example"}}), nil
		}, pathval.NameConstraint},
		"mapping from anyPolicy": below(pathval.MappingAnyPolicy, stranger, sub(func(_ *member, p *profile) {
			p.mappings = []certext.Mapping{{Issuer: pathval.AnyPolicy(), Subject: oid(t, 77)}}
		})),
		"mapping to anyPolicy beside an honest one": below(pathval.MappingAnyPolicy, stranger, sub(func(x *member, p *profile) {
			p.mappings = []certext.Mapping{{Issuer: x.policy, Subject: x.policy}, {Issuer: x.policy, Subject: pathval.AnyPolicy()}}
		})),
		"inhibitPolicyMapping raised further below": below(pathval.PolicyMissing, stranger, subs(func(x *member, upper, lower *profile) {
			upper.constraints = &certext.PolicyConstraints{RequireExplicit: certext.Absent, InhibitMapping: ten}
			lower.mappings = []certext.Mapping{{Issuer: x.policy, Subject: oid(t, 77)}}
		})),
		"inhibitAnyPolicy raised further below": below(pathval.PolicyMissing, honest, subs(func(_ *member, upper, lower *profile) {
			upper.inhibitAny, lower.policies = &ten, []x509.OID{pathval.AnyPolicy()}
		})),
		"a CA without policies in between": below(pathval.PolicyMissing, honest, subs(func(_ *member, upper, lower *profile) { upper.policies = nil })),
		"a leaf without policies where the bridge demands them": undemanding(below(pathval.PolicyMissing, noPolicy,
			func(_ *testing.T, x *member) (*entity, []*pathval.Certificate) { return x.issuing, nil })),
		"requireExplicitPolicy raised further below": undemanding(below(pathval.PolicyMissing, noPolicy, sub(func(_ *member, p *profile) {
			p.constraints = &certext.PolicyConstraints{RequireExplicit: ten, InhibitMapping: certext.Absent}
		}))),
		"requireExplicitPolicy past a self-issued CA":            undemanding(below(pathval.PolicyMissing, noPolicy, selfIssued)),
		"a CA below a self-issued one at pathLen 0":              below(pathval.PathTooLong, honest, linked(0)),
		"a CA below a self-issued one with a pathLen of its own": below(pathval.PathTooLong, honest, linked(ten)),
		"a self-issued CA as a break in name constraints":        below(pathval.NameConstraint, foreign, selfIssued),
		"a self-issued leaf with another's address": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			p := m.members[1].user()
			foreign(&p)
			return m.members[1].issuing.issue(t, m.members[1].issuing.rekeyed(t), p), nil
		}, pathval.NameConstraint},
		"mail below a CA for clients": below(pathval.Purpose, honest, subs(func(_ *member, upper, lower *profile) {
			upper.eku, lower.eku = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		})),
		"any purpose below a CA for servers": below(pathval.Purpose, func(p *profile) { p.eku = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, subs(func(_ *member, upper, lower *profile) {
			upper.eku, lower.eku = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		})),
		"purposes that have nothing in common": below(pathval.Purpose, func(p *profile) { p.eku = nil }, subs(func(_ *member, upper, lower *profile) {
			upper.eku, lower.eku = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		})),
	} {
		t.Run(name, a.run)
	}
}

// The same graphs without the trick open, so it is the trick that closes them.
func TestHonestNeighboursPass(t *testing.T) {
	honest := func(*profile) {}
	for name, a := range map[string]attack{
		"own address":           named(certext.RFC822Name, func(*testing.T) string { return "User@M1.example" }, 0),
		"own host below":        named(certext.RFC822Name, func(*testing.T) string { return "user@sub.m1.example" }, 0),
		"own UTF-8 mailbox":     named(certext.OtherName, func(t *testing.T) string { return smtpUTF8(t, "ü@m1.example") }, 0),
		"own directory name":    named(certext.DirectoryName, func(t *testing.T) string { return rdnSequence(t, pkix.Name{Organization: []string{"Member 1"}}) }, 0),
		"a CA below another":    below(0, honest, subs(func(*member, *profile, *profile) {})),
		"a CA with a new key":   below(0, honest, selfIssued),
		"policies not demanded": undemanding(below(0, honest, selfIssued)),
		"a CA for mail": below(0, honest, subs(func(_ *member, upper, lower *profile) {
			upper.eku, lower.eku = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		})),
	} {
		t.Run(name, func(t *testing.T) {
			if err := a.build(t); err != nil {
				t.Error(err)
			}
		})
	}
}
