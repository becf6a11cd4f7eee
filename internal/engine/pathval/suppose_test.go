package pathval_test

import (
	"errors"
	"slices"
	"testing"

	"bridge.example/internal/engine/pathval"
)

// TestSuppose: what is supposed opens a path in its own cache, and nowhere else,
// and nothing but the signature is supposed.
func TestSuppose(t *testing.T) {
	m := newMesh(t, 2, 1)
	from, to := m.members[0], m.members[1]
	// What the bridge would sign, made with another key.
	own := m.crossProfile(m.policy, to.policy, 0, nil)
	draft := m.bridges[0].rekeyed(t).issue(t, to.root, own)
	var certs []*pathval.Certificate
	for _, c := range m.certs {
		if c != to.fromBridge {
			certs = append(certs, c)
		}
	}
	pool := pathval.NewPool(append(certs, draft)...)
	in := from.inputs()
	search := func(leaf *pathval.Certificate, c *pathval.Cache) error {
		in.Cache = c
		_, err := pathval.Build(t.Context(), leaf, pool, in)
		return err
	}
	supposed := func() *pathval.Cache {
		return pathval.Suppose(pathval.Supposition{Certificate: draft, Issuer: from.toBridge})
	}
	if err := search(to.leaf, supposed()); err != nil {
		t.Errorf("supposed: got %v", err)
	}
	for name, c := range map[string]*pathval.Cache{"the pool's cache": nil, "another": pathval.NewCache(10), "one of nothing": pathval.Suppose()} {
		if err := search(to.leaf, c); !errors.Is(err, pathval.ErrNoPath) {
			t.Errorf("%s: got %v, want no path", name, err)
		}
	}
	// The signatures of others are verified as ever.
	forged := to.issuing.rekeyed(t).issue(t, newEntity(t, "", "Mallory"), to.user())
	if err := search(forged, supposed()); !errors.Is(err, pathval.ErrNoPath) {
		t.Errorf("a forged leaf below what is supposed: got %v, want no path", err)
	}
	// Nor does a key believed for one certificate vouch for another.
	expired := own
	expired.until = now.AddDate(0, 0, -1)
	late := m.bridges[0].rekeyed(t).issue(t, to.root, expired)
	pool = pathval.NewPool(slices.Concat(certs, []*pathval.Certificate{late})...)
	for name, c := range map[string]*pathval.Cache{
		"another draft":    supposed(),
		"an expired draft": pathval.Suppose(pathval.Supposition{Certificate: late, Issuer: from.toBridge}),
	} {
		if err := search(to.leaf, c); !errors.Is(err, pathval.ErrNoPath) {
			t.Errorf("%s: got %v, want no path", name, err)
		}
	}
}
