package pathval_test

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

// attack is a graph made to smuggle a path.
type attack struct {
	// graph returns the leaf that must not be accepted, and what the attacker
	// adds to the pool.
	graph func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate)
	want  pathval.Reason // among the reasons
}

// build asks for the leaf in an honest mesh of three members around two
// bridges, with what the attacker adds.
func (a attack) build(t *testing.T) error {
	m := newMesh(t, 3, 2)
	in := m.members[0].inputs()
	leaf, more := a.graph(t, m, &in)
	_, err := pathval.Build(t.Context(), leaf, pathval.NewPool(append(m.certs, more...)...), in)
	return err
}

// run demands that nothing opens, for the reason wanted.
func (a attack) run(t *testing.T) {
	err := a.build(t)
	if err == nil {
		t.Fatal("accepted")
	}
	if !slices.Contains(reasonsOf(err), a.want) || fault.KindOf(err) != fault.Denied {
		t.Errorf("got %v (kind %v), want among the reasons: %v", err, fault.KindOf(err), a.want)
	}
	var b strings.Builder
	if e := pathval.Explain(&b, nil, err); e != nil || !strings.Contains(b.String(), a.want.Rule()) {
		t.Errorf("explained without the rule %q:\n%s", a.want.Rule(), b.String())
	}
}

// Graphs that try to open what was not agreed, each against a mesh of its own
// that is honest otherwise. Member 0 asks; 1 is at the other bridge.
func TestNothingSmuggled(t *testing.T) {
	zero := 0
	for name, a := range map[string]attack{
		"a foreign policy": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			in.Policies = []x509.OID{oid(t, 77)}
			return m.members[1].leaf, nil
		}, pathval.PolicyMissing},
		"a leaf of another policy": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x := m.members[1]
			p := x.user()
			p.policies = []x509.OID{oid(t, 77)}
			return x.issuing.issue(t, newEntity(t, "Member 1", "User"), p), nil
		}, pathval.PolicyMissing},
		"a leaf of anyPolicy": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x := m.members[1]
			p := x.user()
			p.policies = []x509.OID{pathval.AnyPolicy()}
			return x.issuing.issue(t, newEntity(t, "Member 1", "User"), p), nil
		}, pathval.PolicyMissing},
		"a member maps to anyPolicy": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x := m.members[1]
			sub := newEntity(t, "Member 1", "Sub")
			p := x.user()
			p.policies = []x509.OID{oid(t, 77)}
			return sub.issue(t, newEntity(t, "Member 1", "User"), p), []*pathval.Certificate{x.root.issue(t, sub, profile{
				ca: true, policies: []x509.OID{x.policy}, mappings: []certext.Mapping{{Issuer: x.policy, Subject: pathval.AnyPolicy()}}})}
		}, pathval.MappingAnyPolicy},
		"a member maps on to a stranger's policy": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x, stranger := m.members[1], newEntity(t, "Member 1", "Stranger")
			p := x.user()
			p.policies = []x509.OID{oid(t, 77)}
			return stranger.issue(t, newEntity(t, "Member 1", "User"), p), []*pathval.Certificate{x.root.issue(t, stranger, profile{
				ca: true, policies: []x509.OID{x.policy}, mappings: []certext.Mapping{{Issuer: x.policy, Subject: oid(t, 77)}}})}
		}, pathval.PolicyMissing},
		"a member cross-certifies another bridge": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x, bridge, far := m.members[1], newEntity(t, "", "Other bridge"), newEntity(t, "Far", "Root")
			leaf := far.issue(t, newEntity(t, "Far", "User"), profile{policies: []x509.OID{x.policy}, emails: []string{"user@far.example"}})
			return leaf, []*pathval.Certificate{
				x.root.issue(t, bridge, profile{ca: true, policies: []x509.OID{x.policy}}),
				bridge.issue(t, far, profile{ca: true, policies: []x509.OID{x.policy}}),
			}
		}, pathval.NameConstraint},
		"the name of another member's user": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x := m.members[1]
			p := x.user()
			p.emails = []string{"user@" + m.members[2].domain()}
			return x.issuing.issue(t, newEntity(t, "Member 1", "User"), p), nil
		}, pathval.NameConstraint},
		"the directory name of another member": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			return m.members[1].issuing.issue(t, newEntity(t, "Member 2", "User"), m.members[1].user()), nil
		}, pathval.NameConstraint},
		"the asker's own name from outside": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			p := m.members[1].user()
			p.emails = append(p.emails, "boss@"+m.members[0].domain())
			return m.members[1].issuing.issue(t, newEntity(t, "Member 1", "User"), p), nil
		}, pathval.NameConstraint},
		"a sub-CA below pathLen 0": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x, sub := m.members[1], newEntity(t, "Member 1", "Sub")
			return sub.issue(t, newEntity(t, "Member 1", "User"), x.user()),
				[]*pathval.Certificate{x.issuing.issue(t, sub, profile{ca: true, policies: []x509.OID{x.policy}})}
		}, pathval.PathTooLong},
		"a user as CA": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x, user := m.members[1], newEntity(t, "Member 1", "User")
			return user.issue(t, newEntity(t, "Member 1", "Friend"), x.user()), []*pathval.Certificate{x.issuing.issue(t, user, x.user())}
		}, pathval.NotCA},
		"a CA without keyCertSign": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x, sub := m.members[1], newEntity(t, "Member 1", "Sub")
			return sub.issue(t, newEntity(t, "Member 1", "User"), x.user()),
				[]*pathval.Certificate{x.root.issue(t, sub, profile{ca: true, usage: x509.KeyUsageCRLSign, policies: []x509.OID{x.policy}})}
		}, pathval.KeyUsage},
		"mail from a CA for servers": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x, sub := m.members[1], newEntity(t, "Member 1", "Sub")
			return sub.issue(t, newEntity(t, "Member 1", "User"), x.user()), []*pathval.Certificate{x.root.issue(t, sub, profile{
				ca: true, policies: []x509.OID{x.policy}, eku: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})}
		}, pathval.Purpose},
		"a server's certificate for mail": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			p := m.members[1].user()
			p.eku = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			return m.members[1].issuing.issue(t, newEntity(t, "Member 1", "User"), p), nil
		}, pathval.Purpose},
		"a CRL key for mail": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			p := m.members[1].user()
			p.usage = x509.KeyUsageCRLSign
			return m.members[1].issuing.issue(t, newEntity(t, "Member 1", "User"), p), nil
		}, pathval.KeyUsage},
		"an expired user": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			p := m.members[1].user()
			p.until = now.AddDate(0, 0, -1)
			return m.members[1].issuing.issue(t, newEntity(t, "Member 1", "User"), p), nil
		}, pathval.Expired},
		"another user's address": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			in.Email = "other@" + m.members[1].domain()
			return m.members[1].leaf, nil
		}, pathval.Address},
		"a forged issuing CA": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x := m.members[1]
			forger := x.issuing.rekeyed(t)
			return forger.issue(t, newEntity(t, "Member 1", "User"), x.user()),
				[]*pathval.Certificate{x.root.rekeyed(t).issue(t, forger, profile{ca: true, policies: []x509.OID{x.policy}})}
		}, pathval.BadSignature},
		"a stranger under the name of the anchor": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			fake := m.members[0].root.rekeyed(t)
			return fake.issue(t, newEntity(t, "Member 0", "User"), m.members[0].user()), []*pathval.Certificate{fake.issue(t, fake, profile{ca: true})}
		}, pathval.BadSignature},
		"a self-signed stranger": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			s := newEntity(t, "", "Stranger")
			return s.issue(t, newEntity(t, "", "User"), m.members[1].user()), []*pathval.Certificate{s.issue(t, s, profile{ca: true})}
		}, pathval.NoIssuer},
		"self-issued certificates do not lengthen mapping": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x := m.members[1]
			next := x.root.rekeyed(t)
			p := x.user()
			p.policies = []x509.OID{oid(t, 77)}
			return next.issue(t, newEntity(t, "Member 1", "User"), p), []*pathval.Certificate{x.root.issue(t, next, profile{
				ca: true, policies: []x509.OID{x.policy}, mappings: []certext.Mapping{{Issuer: x.policy, Subject: oid(t, 77)}}})}
		}, pathval.PolicyMissing},
		"anyPolicy from the member's CA": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x, sub := m.members[1], newEntity(t, "Member 1", "Sub")
			p := x.user()
			return sub.issue(t, newEntity(t, "Member 1", "User"), p),
				[]*pathval.Certificate{x.root.issue(t, sub, profile{ca: true, policies: []x509.OID{pathval.AnyPolicy()}})}
		}, pathval.PolicyMissing},
		"an unknown critical extension": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			p := m.members[1].user()
			p.extra = append(p.extra, critical(t, 2, 999, 5))
			return m.members[1].issuing.issue(t, newEntity(t, "Member 1", "User"), p), nil
		}, pathval.UnknownCritical},
		"an anchor that ended": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x := m.members[0]
			in.Anchors = []*pathval.Certificate{x.root.issue(t, x.root, profile{ca: true, until: now.AddDate(0, 0, -1)})}
			return x.leaf, nil
		}, pathval.Expired},
		"an anchor that excludes": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x := m.members[0]
			in.Anchors = []*pathval.Certificate{x.root.issue(t, x.root, profile{ca: true, names: &certext.NameConstraints{
				Excluded: []certext.Subtree{{Form: certext.RFC822Name, Value: m.members[1].domain()}}}})}
			return m.members[1].leaf, nil
		}, pathval.NameConstraint},
		"the anchor's own inhibited mapping": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			in.InhibitPolicyMapping = true
			return m.members[1].leaf, nil
		}, pathval.PolicyMissing},
		"explicit policy at the very leaf": {func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			in.ExplicitPolicy, in.Policies = false, nil
			x := m.members[0]
			return x.root.issue(t, newEntity(t, "", "User"), profile{emails: []string{"a@b.example"},
				constraints: &certext.PolicyConstraints{RequireExplicit: zero, InhibitMapping: certext.Absent}}), nil
		}, pathval.PolicyMissing},
	} {
		t.Run(name, a.run)
	}
}
