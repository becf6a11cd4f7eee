package pathval_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
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

// Slow keys use the budget up sooner.
func TestSlowKeysCountForMore(t *testing.T) {
	root := newEntity(t, "", "Root")
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	slow := &entity{pkix.Name{CommonName: "Slow root"}, key}
	for _, by := range []*entity{root, slow} {
		in := pathval.Inputs{Anchors: []*pathval.Certificate{by.issue(t, by, profile{ca: true})}, At: now, Budget: pathval.Budget{Signatures: 10}}
		_, err := pathval.Build(t.Context(), by.issue(t, newEntity(t, "", "User"), profile{}), pathval.NewPool(), in)
		if errors.Is(err, pathval.ErrBudget) != (by == slow) {
			t.Errorf("%s: got %v", by.name, err)
		}
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

// TestForgedKeyIdentifiers: many who claim the identifier of the true CA,
// nearer to the anchor by their names, do not keep it from being found, as long
// as its identifier is the hash of its key.
func TestForgedKeyIdentifiers(t *testing.T) {
	m := newMesh(t, 2, 1)
	a, b := m.members[0], m.members[1]
	bits, err := b.issuing.key.(*ecdsa.PrivateKey).PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(b.issuing.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	one, two, three, four, five := sha1.Sum(bits), sha256.Sum256(bits), sha512.Sum384(bits), sha512.Sum512(bits), sha256.Sum256(spki)
	for _, tt := range []struct {
		name  string
		id    []byte
		found bool
	}{
		{"RFC 5280 (1)", one[:], true},
		{"RFC 7093 (1)", two[:20], true},
		{"RFC 7093 (2)", three[:20], true},
		{"RFC 7093 (3)", four[:20], true},
		{"RFC 7093 (4)", five[:], true},
		{"drawn at random", []byte("twenty octets of it."), false},
		{"short", two[:8], false},
	} {
		withID := func(issuer, to *entity, id pkix.Extension) *pathval.Certificate {
			return issuer.issue(t, to, profile{ca: true, policies: []x509.OID{b.policy}, extra: []pkix.Extension{id}})
		}
		id, err := asn1.Marshal(tt.id)
		if err != nil {
			t.Fatal(err)
		}
		subject := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 14}, Value: id}
		aki, err := asn1.Marshal(struct {
			ID []byte `asn1:"tag:0"`
		}{tt.id})
		if err != nil {
			t.Fatal(err)
		}
		forger := a.root.rekeyed(t) // the anchor, by its name
		var certs []*pathval.Certificate
		for range 100 {
			certs = append(certs, withID(forger, b.issuing.rekeyed(t), subject))
		}
		certs = append(certs, m.certs...)
		certs = append(certs, withID(b.root, b.issuing, subject))
		leaf := b.issuing.issue(t, newEntity(t, "Member 1", "User"), profile{
			policies: []x509.OID{b.policy}, extra: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Value: aki}},
		})
		in := a.inputs()
		in.Budget.Signatures = 50
		r, err := pathval.Build(t.Context(), leaf, pathval.NewPool(certs...), in)
		if (err == nil) != tt.found || err != nil && !errors.Is(err, pathval.ErrBudget) {
			t.Errorf("%s: got %v, want found %v, or the end of the budget", tt.name, err, tt.found)
		}
		if err == nil && r.Work.Signatures > 20 {
			t.Errorf("%s: %d signatures verified", tt.name, r.Work.Signatures)
		}
	}
}
