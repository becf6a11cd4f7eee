package vdir_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/vdir"
)

func TestFailover(t *testing.T) {
	broken := func() *backend { return &backend{err: fault.New(fault.Unavailable, "connection refused")} }
	for _, c := range []struct {
		name        string
		first       *backend
		found       bool
		secondAsked int32
	}{
		{"first answers", alice(t), true, 0},
		{"first fails", broken(), true, 1},
		{"first refuses", &backend{err: fault.New(fault.Denied, "bind first")}, true, 1},
		{"first fails in the middle", &backend{entries: alice(t).entries, err: errors.New("reset")}, true, 1},
		{"first hangs", &backend{hang: true}, true, 1},
		{"first is a bridge with a member down", &backend{out: vdir.Outcome{Unavailable: []string{"x"}}}, true, 1},
		{"first knows nobody", &backend{}, false, 0},
		{"first knows no such base", &backend{err: fault.New(fault.NotFound, "no such object")}, false, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			second := alice(t)
			got, out, err := ask(t, directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", c.first, second)))
			if (len(got) == 1) != c.found || err != nil || len(out.Unavailable) > 0 || second.calls.Load() != c.secondAsked {
				t.Errorf("%s: got %q, %v, %v, second asked %d times", c.name, names(got), out, err, second.calls.Load())
			}
		})
	}
}

// A member that fails is named, and only named; in time; and nobody else's
// entry waits for it.
func TestUnavailable(t *testing.T) {
	for name, dead := range map[string]*backend{
		"fails": {err: fault.New(fault.Unavailable, "matched dc=secret: disk full")},
		"hangs": {hang: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", alice(t)), mountOf(t, "beta", "activeDirectory", dead, dead))
			start := time.Now()
			var first time.Duration
			out, err := d.Search(t.Context(), vdir.Query{Scope: vdir.WholeSubtree,
				Filter: filter(t, "(|(mail=bob@beta.example)(mail=carol@beta.example)(mail=alice@alpha.example))")},
				func(e vdir.Entry) error { first = time.Since(start); return nil })
			if err != nil || strings.Join(out.Unavailable, " ") != "beta" || first != 0 || time.Since(start) > 5*time.Second {
				t.Errorf("%s: got %v, %v; first entry after %v, end after %v", name, out, err, first, time.Since(start))
			}
			_, out, err = search(t, d, vdir.Query{Base: "mail=bob@beta.example,ou=People,o=beta,o=bridge", Filter: filter(t, "(objectClass=*)")})
			if err != nil || strings.Join(out.Unavailable, " ") != "beta" {
				t.Errorf("%s, by name: got %v, %v", name, out, err)
			}
		})
	}
}

func TestCallerGivesUp(t *testing.T) {
	d := directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", &backend{hang: true}))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		q := vdir.Query{Scope: vdir.WholeSubtree, Filter: filter(t, "(|(mail=a@alpha.example)(mail=b@alpha.example))")}
		if _, err := d.Search(ctx, q, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: got %v", err)
		}
		q.TimeLimit = 2 * time.Second
		start := time.Now()
		if _, err := d.Search(t.Context(), q, nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != q.TimeLimit {
			t.Errorf("time limit: got %v after %v", err, time.Since(start))
		}
	})
}

// gauge counts how many searches are at the member at the same time.
type gauge struct {
	mu       sync.Mutex
	now, max int
}

func (g *gauge) Search(context.Context, vdir.Query, func(vdir.Entry) error) (vdir.Outcome, error) {
	g.add(1)
	defer g.add(-1)
	time.Sleep(time.Second) // of the bubble's clock
	return vdir.Outcome{}, nil
}

func (g *gauge) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += n
	g.max = max(g.max, g.now)
}

func TestMemberSearchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := quiet()
		o.MemberSearches = 3
		g := &gauge{}
		m := mountOf(t, "alpha", "inetOrgPerson")
		m.Endpoints = []vdir.Endpoint{{Backend: g, Dialect: dialect(t, "inetOrgPerson")}}
		d := directory(t, o, m)
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				if _, out, err := ask(t, d); err != nil || len(out.Unavailable) > 0 {
					t.Errorf("got %v, %v", out, err)
				}
			})
		}
		wg.Wait()
		if g.max != 3 {
			t.Errorf("%d searches at the same time, want 3", g.max)
		}
	})
}

func TestMountWithoutDirectoryHasNobody(t *testing.T) {
	if got, out, err := ask(t, directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson"))); len(got) > 0 || len(out.Unavailable) > 0 || err != nil {
		t.Errorf("got %v, %v, %v", got, out, err)
	}
}

// A Directory is a Backend: one bridge behind another.
func TestChained(t *testing.T) {
	m := mountOf(t, "alpha", "inetOrgPerson")
	m.Endpoints = []vdir.Endpoint{{Backend: two(t), Dialect: dialect(t, "inetOrgPerson")}}
	if got := shown(t, directory(t, quiet(), m)); len(got) != 1 {
		t.Errorf("%d certificates through two bridges, want 1", len(got))
	}
}

func TestMountsSwapUnderLoad(t *testing.T) {
	alpha := mountOf(t, "alpha", "inetOrgPerson", alice(t))
	d := directory(t, quiet(), alpha)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if _, _, err := ask(t, d); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 50 {
		if err := d.SetMounts([]vdir.Mount{alpha}); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func BenchmarkSearch(b *testing.B) {
	d := directory(b, quiet(), mountOf(b, "alpha", "inetOrgPerson", alice(b)), mountOf(b, "beta", "activeDirectory", bob(b)))
	q := vdir.Query{Base: "o=bridge", Scope: vdir.WholeSubtree, Filter: filter(b, "(mail=alice@alpha.example)"), Attributes: []string{"usercertificate;binary"}}
	b.ReportAllocs()
	for b.Loop() {
		found := 0
		if _, err := d.Search(b.Context(), q, func(vdir.Entry) error { found++; return nil }); err != nil || found != 1 {
			b.Fatal(found, err)
		}
	}
}

// A member that is taken away while it is asked is not answered for.
func TestTakenAwayMeanwhile(t *testing.T) {
	var d *vdir.Directory
	leaving := alice(t)
	leaving.meanwhile = func() {
		if err := d.SetMounts(nil); err != nil {
			t.Error(err)
		}
	}
	d = directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", leaving))
	if got, out, err := ask(t, d); len(got) != 0 || len(out.Unavailable) != 0 || err != nil {
		t.Errorf("got %q, %v, %v; want nothing", names(got), out, err)
	}
}
