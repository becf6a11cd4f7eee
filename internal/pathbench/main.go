// Pathbench compares path building side by side: pathval with cold and warm
// caches, crypto/x509 and openssl verify, on the same generated certificates.
// The graphs are meshes of members around one bridge and around three, and
// some that are hard on purpose. It counts the paths found and not found, and
// gives times and their ratios; it judges neither.
package main

import (
	"context"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pathbench:", err)
		stop()
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	sizes  []int
	pairs  int
	decoys int
	seed   uint64
	limits limits
	hard   bool
	json   string
}

func parseFlags(args []string) (o options, err error) {
	f := flag.NewFlagSet("pathbench", flag.ContinueOnError)
	sizes := f.String("sizes", "5,10,60,100,300,1000", "members of the meshes, with commas")
	f.IntVar(&o.pairs, "pairs", 25_000, "pairs of a mesh with warm caches: every leaf, from as many random anchors as it takes")
	f.IntVar(&o.limits.cold, "cold", 200, "pairs with cold caches")
	f.IntVar(&o.limits.standard, "x509", 200, "pairs for crypto/x509")
	f.IntVar(&o.limits.openssl, "openssl", 20, "pairs for openssl verify; 0 leaves it out")
	f.IntVar(&o.decoys, "decoys", 10_000, "forged certificates among which to find one")
	f.BoolVar(&o.hard, "hard", true, "also the graphs that are hard on purpose")
	f.Uint64Var(&o.seed, "seed", 1, "of the choice of pairs")
	f.StringVar(&o.json, "json", "", "`file` to write the figures to")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if min(o.pairs, o.limits.cold, o.limits.standard, o.decoys) < 1 || o.limits.openssl < 0 {
		return o, errors.New("there must be at least one pair for each verifier, and one decoy")
	}
	for s := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 2 {
			return o, fmt.Errorf("-sizes: %q is not a number of at least two members", s)
		}
		o.sizes = append(o.sizes, n)
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseFlags(args)
	if err != nil {
		return err
	}
	if _, err := exec.LookPath("openssl"); err != nil && o.limits.openssl > 0 {
		fmt.Fprintln(out, "openssl is not installed here; without it")
		o.limits.openssl = 0
	}
	runtime.GOMAXPROCS(1) // one core, the garbage collector's share included
	at := time.Now()
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "graph\tverifier\tpairs\tfound\tfailed\tmedian µs\tp99 µs\tmax µs\tratio\tstart µs\t")
	var all []figures
	for _, draw := range graphs(o, at) {
		g, err := draw()
		if err != nil {
			return err
		}
		fs, err := measure(ctx, g, at, o.limits)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		for _, f := range fs {
			fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%.0f\t%.0f\t%.0f\t%.2f\t%.0f\t\n", f.Graph, f.Verifier, f.Pairs, f.Found, f.Failed, f.Median, f.P99, f.Max, f.Ratio, f.Start)
		}
		all = append(all, fs...)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if o.json == "" {
		return nil
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(b, '\n'), 0o644)
}

// graphs are drawn one at a time: the large ones take memory.
func graphs(o options, at time.Time) (out []func() (graph, error)) {
	add := func(draw func(*drawing) graph) {
		out = append(out, func() (graph, error) {
			d := newDrawing(at)
			g := draw(d)
			return g, d.err
		})
	}
	for _, bridges := range []int{1, 3} {
		for _, n := range o.sizes {
			add(func(d *drawing) graph {
				g, members := d.mesh(n, bridges)
				g.pairs = sample(members, o.pairs, rand.New(rand.NewPCG(o.seed, uint64(n))))
				return g
			})
		}
	}
	if !o.hard {
		return out
	}
	add(func(d *drawing) graph { return d.deadEnds(12, 20) })
	add(func(d *drawing) graph { return d.loops(60, 15) })
	add(func(d *drawing) graph { return d.decoys(o.decoys, false) })
	add(func(d *drawing) graph { return d.decoys(o.decoys, true) })
	add(func(d *drawing) graph { return d.explosion(6, 6, elliptic.P256()) })
	add(func(d *drawing) graph { return d.explosion(5, 40, elliptic.P256()) })
	add(func(d *drawing) graph { return d.explosion(4, 20, elliptic.P521()) })
	return out
}

// sample pairs random anchors with every leaf but their own, until there are n
// or no more, in random order.
func sample(members []member, n int, r *rand.Rand) (out []pair) {
	for _, i := range r.Perm(len(members)) {
		if len(out) >= n {
			break
		}
		for j, to := range members {
			if i != j {
				out = append(out, pair{members[i].anchor, to.leaf, members[i].policy})
			}
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
