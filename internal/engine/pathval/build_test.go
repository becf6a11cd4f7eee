package pathval_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

// checkPath holds a result against what must be true of every one.
func checkPath(t testing.TB, r *pathval.Result, in pathval.Inputs, leaf *pathval.Certificate) {
	t.Helper()
	if !slices.Contains(in.Anchors, r.Anchor) || len(r.Path) == 0 || r.Path[len(r.Path)-1] != leaf {
		t.Fatalf("path %v from %v", r.Path, r.Anchor)
	}
	again, err := pathval.Validate(t.Context(), r.Path, in)
	if err != nil {
		t.Fatalf("what Build found is not valid: %v", err)
	}
	if !slices.EqualFunc(again.Policies, r.Policies, x509.OID.Equal) {
		t.Fatalf("policies: Build %v, Validate %v", r.Policies, again.Policies)
	}
	if in.ExplicitPolicy && len(r.Policies) == 0 {
		t.Fatal("valid under no policy")
	}
}

// reasonsOf are those of every rejection in err.
func reasonsOf(err error) (out []pathval.Reason) {
	if e, ok := errors.AsType[*pathval.NoPathError](err); ok {
		for _, r := range e.Rejections {
			out = append(out, r.Reason)
		}
	} else if r, ok := errors.AsType[*pathval.Rejection](err); ok {
		out = append(out, r.Reason)
	}
	return out
}

func TestEveryPairFindsItsPath(t *testing.T) {
	m := newMesh(t, 9, 3)
	pool := pathval.NewPool(m.certs...)
	for _, a := range m.members {
		for _, b := range m.members {
			in := a.inputs()
			in.Email = "user@" + strings.ToUpper(b.domain())
			r, err := pathval.Build(t.Context(), b.leaf, pool, in)
			if err != nil {
				t.Fatalf("%d to %d: %v", a.id, b.id, err)
			}
			checkPath(t, r, in, b.leaf)
			want := 4 // to the bridge, to the root, the issuing CA, the leaf
			switch {
			case a == b:
				want = 2
			case a.bridge != b.bridge:
				want = 5
			}
			if len(r.Path) != want || len(r.Policies) != 1 || !r.Policies[0].Equal(a.policy) {
				t.Errorf("%d to %d: %d certificates under %v, want %d under %v", a.id, b.id, len(r.Path), r.Policies, want, a.policy)
			}
		}
	}
}

// Graphs that try to open what was not agreed, each against a mesh of its own
// that is honest otherwise. Member 0 asks; 1 is at the other bridge.
func TestNothingSmuggled(t *testing.T) {
	zero := 0
	for name, tc := range map[string]struct {
		// attack returns the leaf that must not be accepted, and what the
		// attacker adds to the pool.
		attack func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate)
		want   pathval.Reason // among the reasons
	}{
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
		t.Run(name, func(t *testing.T) {
			m := newMesh(t, 3, 2)
			in := m.members[0].inputs()
			leaf, more := tc.attack(t, m, &in)
			_, err := pathval.Build(t.Context(), leaf, pathval.NewPool(append(m.certs, more...)...), in)
			if err == nil {
				t.Fatal("accepted")
			}
			if !slices.Contains(reasonsOf(err), tc.want) || fault.KindOf(err) != fault.Denied {
				t.Errorf("got %v (kind %v), want among the reasons: %v", err, fault.KindOf(err), tc.want)
			}
			var b strings.Builder
			if e := pathval.Explain(&b, nil, err); e != nil || !strings.Contains(b.String(), tc.want.Rule()) {
				t.Errorf("explained without the rule %q:\n%s", tc.want.Rule(), b.String())
			}
		})
	}
}

// The obvious way is blocked; the search must go back and find the other.
func TestBacktracking(t *testing.T) {
	for name, block := range map[string]func(t *testing.T, m *mesh, in *pathval.Inputs){
		"an expired cross-certificate": func(t *testing.T, m *mesh, in *pathval.Inputs) {
			m.replace(t, func(p *profile) { p.until = now.AddDate(0, 0, -1) })
		},
		"a cross-certificate under another policy": func(t *testing.T, m *mesh, in *pathval.Inputs) {
			m.replace(t, func(p *profile) { p.policies = []x509.OID{oid(t, 78)} })
		},
		"a cross-certificate for other names": func(t *testing.T, m *mesh, in *pathval.Inputs) {
			m.replace(t, func(p *profile) {
				p.names = &certext.NameConstraints{Permitted: []certext.Subtree{{Form: certext.RFC822Name, Value: "elsewhere.example"}}}
			})
		},
		"a revoked cross-certificate": func(t *testing.T, m *mesh, in *pathval.Inputs) {
			direct := m.members[1].fromBridge
			in.Revocation = pathval.StatusFunc(func(_ context.Context, q pathval.StatusQuery) error {
				if q.Certificate == direct {
					return fmt.Errorf("%w: says the responder", pathval.ErrRevoked)
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t, 2, 1)
			in := m.members[0].inputs()
			block(t, m, &in)
			a, b := m.members[0], m.members[1]
			if _, err := pathval.Build(t.Context(), b.leaf, pathval.NewPool(m.certs...), in); err == nil {
				t.Fatal("the way is not blocked")
			}
			// A second bridge, known to both, one step further.
			first, second := m.bridges[0], newEntity(t, "", "Second bridge")
			detour := []*pathval.Certificate{
				first.issue(t, second, m.crossProfile(m.policy, m.policy, 1, nil)),
				second.issue(t, b.root, m.crossProfile(m.policy, b.policy, 0, nil)),
			}
			r, err := pathval.Build(t.Context(), b.leaf, pathval.NewPool(append(m.certs, detour...)...), in)
			if err != nil {
				t.Fatal(err)
			}
			checkPath(t, r, in, b.leaf)
			if len(r.Path) != 5 || r.Anchor != a.rootCert {
				t.Errorf("got %v", r.Path)
			}
		})
	}
}

// replace issues the cross-certificate to member 1 anew, changed.
func (m *mesh) replace(t *testing.T, change func(*profile)) {
	x := m.members[1]
	p := m.crossProfile(m.policy, x.policy, 0, nil)
	change(&p)
	replaced := m.bridges[x.bridge].issue(t, x.root, p)
	m.certs[slices.Index(m.certs, x.fromBridge)] = replaced
	x.fromBridge = replaced
}

func TestLoopsAndDecoys(t *testing.T) {
	m := newMesh(t, 4, 3)
	a, b := m.members[0], m.members[1]
	certs := slices.Clone(m.certs)
	for range 300 {
		// Of the right names, by forgers: signatures and keys are wrong.
		forger := b.issuing.rekeyed(t)
		certs = append(certs, b.root.rekeyed(t).issue(t, forger, profile{ca: true, policies: []x509.OID{b.policy}}))
	}
	for range 50 {
		// Cross-certificates in circles, by CAs nobody trusts.
		x, y := newEntity(t, "", "X"), newEntity(t, "", "Y")
		certs = append(certs, x.issue(t, y, profile{ca: true}), y.issue(t, x, profile{ca: true}),
			x.issue(t, b.issuing, profile{ca: true, policies: []x509.OID{b.policy}}))
	}
	pool := pathval.NewPool(certs...)
	in := a.inputs()
	r, err := pathval.Build(t.Context(), b.leaf, pool, in)
	if err != nil {
		t.Fatal(err)
	}
	checkPath(t, r, in, b.leaf)
	if r.Work.Signatures > 50 {
		t.Errorf("%d signatures verified: the key identifiers did not lead", r.Work.Signatures)
	}
	again, err := pathval.Build(t.Context(), b.leaf, pool, in)
	if err != nil || again.Work.Signatures != 0 {
		t.Errorf("the second time: %+v, %v", again, err)
	}
}

// explosion is layers of CAs, each certified by every one above: width to the
// power of depth paths, of which none is valid.
func explosion(t testing.TB, depth, width int) (anchor, leaf *pathval.Certificate, pool *pathval.Pool) {
	root := newEntity(t, "", "Root")
	anchor = root.issue(t, root, profile{ca: true})
	above := []*entity{root}
	var certs []*pathval.Certificate
	for d := range depth {
		var layer []*entity
		for w := range width {
			e := newEntity(t, "", fmt.Sprintf("CA %d", d))
			layer = append(layer, e)
			for _, by := range above {
				certs = append(certs, by.issue(t, e, profile{ca: true, policies: []x509.OID{oid(t, 3, uint64(d*width+w))}}))
			}
		}
		above = layer
	}
	return anchor, above[0].issue(t, newEntity(t, "", "User"), profile{}), pathval.NewPool(certs...)
}

func TestExplosionEndsInItsBudget(t *testing.T) {
	anchor, leaf, pool := explosion(t, 6, 6)
	in := pathval.Inputs{Anchors: []*pathval.Certificate{anchor}, At: now, ExplicitPolicy: true}
	for name, b := range map[string]pathval.Budget{
		"default":    {},
		"signatures": {Signatures: 10},
		"steps":      {Steps: 10},
		"candidates": {Candidates: 10},
		"length":     {Length: 3},
	} {
		in.Budget, in.Cache = b, pathval.NewCache(1)
		_, err := pathval.Build(t.Context(), leaf, pool, in)
		if !errors.Is(err, pathval.ErrBudget) || fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: got %v, want ErrBudget", name, err)
		}
		e, ok := errors.AsType[*pathval.NoPathError](err)
		if !ok || len(e.Rejections) == 0 || e.Work.Steps > 3001 || e.Work.Signatures > 501 {
			t.Errorf("%s: work %+v", name, e)
		}
	}
	in.Budget, in.ExplicitPolicy = pathval.Budget{}, false
	if r, err := pathval.Build(t.Context(), leaf, pool, in); err != nil || r.Work.Steps > 20 {
		t.Errorf("with nothing against it: %+v, %v", r, err)
	}
	asked := 0
	in.Budget = pathval.Budget{Statuses: 7}
	in.Revocation = pathval.StatusFunc(func(context.Context, pathval.StatusQuery) error { asked++; return pathval.ErrStatusUnknown })
	if _, err := pathval.Build(t.Context(), leaf, pool, in); !errors.Is(err, pathval.ErrBudget) || asked != 7 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pathval.Build(ctx, leaf, pool, in); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	m := newMesh(t, 6, 2)
	pool := pathval.NewPool(m.certs...)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 12 {
				a, b := m.members[i%6], m.members[j%6]
				if _, err := pathval.Build(t.Context(), b.leaf, pool, a.inputs()); err != nil {
					t.Errorf("%d to %d: %v", a.id, b.id, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestExplainPath(t *testing.T) {
	m := newMesh(t, 2, 1)
	in := m.members[0].inputs()
	r, err := pathval.Build(t.Context(), m.members[1].leaf, pathval.NewPool(m.certs...), in)
	var b strings.Builder
	if e := pathval.Explain(&b, r, err); e != nil {
		t.Fatal(e)
	}
	for _, want := range []string{m.members[0].policy.String(), "anchor CN=Root,O=Member 0", "4 CN=User,O=Member 1"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	evil := newEntity(t, "", "\x1b[2Jevil")
	_, err = pathval.Build(t.Context(), evil.issue(t, evil, profile{}), pathval.NewPool(), in)
	b.Reset()
	if e := pathval.Explain(&b, nil, err); e != nil || strings.Contains(b.String(), "\x1b") {
		t.Errorf("%v, %q", e, b.String())
	}
}

func BenchmarkValidateBridgePath(b *testing.B) {
	m := newMesh(b, 2, 2)
	in := m.members[0].inputs()
	in.Cache = pathval.NewCache(100)
	r, err := pathval.Build(b.Context(), m.members[1].leaf, pathval.NewPool(m.certs...), in)
	if err != nil || len(r.Path) != 5 {
		b.Fatal(r, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pathval.Validate(b.Context(), r.Path, in); err != nil {
			b.Fatal(err)
		}
	}
}

// Every pair in turn, the cache warm after the first round.
func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprintf("members=%d,bridges=3", n), func(b *testing.B) {
			m := newMesh(b, n, 3)
			pool := pathval.NewPool(m.certs...)
			pair := func(i int) (*member, *member) { return m.members[i*7%n], m.members[i%n] }
			for i := range n {
				x, y := pair(i)
				if _, err := pathval.Build(b.Context(), y.leaf, pool, x.inputs()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			var slowest time.Duration
			i := 0
			for b.Loop() {
				x, y := pair(i)
				i++
				start := time.Now()
				if _, err := pathval.Build(b.Context(), y.leaf, pool, x.inputs()); err != nil {
					b.Fatal(err)
				}
				slowest = max(slowest, time.Since(start))
			}
			b.ReportMetric(float64(slowest.Microseconds()), "µs-slowest")
		})
	}
}

func BenchmarkExplosion(b *testing.B) {
	anchor, leaf, pool := explosion(b, 6, 6)
	in := pathval.Inputs{Anchors: []*pathval.Certificate{anchor}, At: now, ExplicitPolicy: true}
	for b.Loop() {
		in.Cache = pathval.NewCache(1000)
		if _, err := pathval.Build(b.Context(), leaf, pool, in); !errors.Is(err, pathval.ErrBudget) {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecoys(b *testing.B) {
	m := newMesh(b, 3, 1)
	y := m.members[1]
	certs := slices.Clone(m.certs)
	forger := y.root.rekeyed(b)
	for range 10_000 {
		certs = append(certs, forger.issue(b, y.issuing.rekeyed(b), profile{ca: true, policies: []x509.OID{y.policy}}))
	}
	pool := pathval.NewPool(certs...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pathval.Build(b.Context(), y.leaf, pool, m.members[0].inputs()); err != nil {
			b.Fatal(err)
		}
	}
}
