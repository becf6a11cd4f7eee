package main

import (
	"bytes"
	"crypto/elliptic"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What is measured must be what it says: pathval finds every path there is, and
// none where there is none.
func TestGraphs(t *testing.T) {
	at := time.Now()
	for name, tc := range map[string]struct {
		draw func(*drawing) graph
		path bool
	}{
		"mesh": {func(d *drawing) graph {
			g, members := d.mesh(7, 3)
			g.pairs = sample(members, 1000, rand.New(rand.NewPCG(1, 1)))
			return g
		}, true},
		"dead ends": {func(d *drawing) graph { return d.deadEnds(12, 5) }, true},
		"loops":     {func(d *drawing) graph { return d.loops(20, 9) }, true},
		"decoys":    {func(d *drawing) graph { return d.decoys(50, false) }, true},
		"explosion": {func(d *drawing) graph { return d.explosion(5, 5, elliptic.P256()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDrawing(at)
			g := tc.draw(d)
			if d.err != nil {
				t.Fatal(d.err)
			}
			fs, err := measure(t.Context(), g, at, limits{cold: 20, standard: 5})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range fs {
				if f.Found+f.Failed != f.Pairs || f.Pairs == 0 || f.Max < f.P99 || f.P99 < f.Median || (f.Failed > 0) != (f.FirstFailure != "") {
					t.Errorf("figures do not fit together: %+v", f)
				}
				if strings.HasPrefix(f.Verifier, "pathval") && (tc.path && f.Failed > 0 || !tc.path && f.Found > 0) {
					t.Errorf("%s: %+v", name, f)
				}
			}
		})
	}
}

func TestEveryLeafIsAsked(t *testing.T) {
	d := newDrawing(time.Now())
	_, members := d.mesh(6, 2)
	if d.err != nil {
		t.Fatal(d.err)
	}
	for n, want := range map[int]int{1: 5, 5: 5, 6: 10, 1000: 30} {
		if got := len(sample(members, n, rand.New(rand.NewPCG(1, 1)))); got != want {
			t.Errorf("asked for %d: got %d pairs, want %d", n, got, want)
		}
	}
}

// Two meshes, three verifiers each.
func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "paths.json")
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-sizes", "3", "-hard=false", "-openssl", "0", "-json", file}, &out); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []figures
	if err := json.Unmarshal(b, &all); err != nil || len(all) != 6 || strings.Count(out.String(), "\n") != 7 {
		t.Errorf("%d figures (%v) and on stdout\n%s", len(all), err, &out)
	}
	for _, args := range [][]string{{"-sizes", "1"}, {"-sizes", "x"}, {"-sizes", ""}, {"-cold", "0"}} {
		if err := run(t.Context(), args, &out); err == nil {
			t.Errorf("%q accepted", args)
		}
	}
}
