package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// figures are what one verifier did on one graph; times are in microseconds.
type figures struct {
	Graph    string  `json:"graph"`
	Verifier string  `json:"verifier"`
	Pairs    int     `json:"pairs"`
	Found    int     `json:"found"`
	Failed   int     `json:"failed"`
	Median   float64 `json:"median_us"`
	P99      float64 `json:"p99_us"`
	Max      float64 `json:"max_us"`
	// Start is the median of starting a process and loading the files, which is
	// taken off the other times; 0 in process.
	Start float64 `json:"start_us,omitempty"`
	// Ratio is Median over that of pathval with cold caches.
	Ratio float64 `json:"ratio"`
	// FirstFailure is the error of the first pair without a path.
	FirstFailure string `json:"first_failure,omitempty"`
}

// limits are how many pairs each verifier gets.
type limits struct{ cold, standard, openssl int }

// measure runs every verifier on g. Each gets the first of the same pairs.
func measure(ctx context.Context, g graph, at time.Time, l limits) ([]figures, error) {
	v, err := newViews(g)
	if err != nil {
		return nil, err
	}
	first := func(n int) []pair { return g.pairs[:min(n, len(g.pairs))] }
	var out []figures
	add := func(f figures, err error) error {
		f.Graph = g.name
		out = append(out, f)
		return err
	}

	// Cold is a pool nobody has used: no signature known, no distance.
	shared := v.pool(g)
	cold := shared
	err = add(clock(ctx, "pathval, cold", first(l.cold), func(pair) error { cold = v.pool(g); return nil },
		func(ctx context.Context, p pair) error { return v.build(ctx, cold, p, at) }))
	if err != nil {
		return nil, err
	}
	warm := func(ctx context.Context, p pair) error { return v.build(ctx, shared, p, at) }
	for _, p := range g.pairs {
		_ = warm(ctx, p) // only to fill the caches; a failure is counted below
	}
	if err := add(clock(ctx, "pathval, warm", g.pairs, nil, warm)); err != nil {
		return nil, err
	}
	if err := add(clock(ctx, "crypto/x509", first(l.standard), nil, standard(g, at))); err != nil {
		return nil, err
	}
	if l.openssl > 0 {
		if err := add(clockOpenSSL(ctx, g, at, first(l.openssl))); err != nil {
			return nil, err
		}
	}
	for i := range out {
		out[i].Ratio = out[i].Median / out[0].Median
	}
	return out, nil
}

func clockOpenSSL(ctx context.Context, g graph, at time.Time, pairs []pair) (figures, error) {
	dir, err := os.MkdirTemp("", "pathbench")
	if err != nil {
		return figures{}, err
	}
	defer os.RemoveAll(dir)
	o, err := newOpenSSL(dir, g, at)
	if err != nil {
		return figures{}, err
	}
	start, err := clock(ctx, "", pairs, o.prepare, o.start)
	if err == nil && start.Failed > 0 {
		err = fmt.Errorf("openssl cannot verify an anchor: %s", start.FirstFailure)
	}
	if err != nil {
		return figures{}, err
	}
	f, err := clock(ctx, "openssl verify", pairs, o.prepare, o.verify)
	f.Start = start.Median
	f.Median, f.P99, f.Max = max(f.Median-f.Start, 0), max(f.P99-f.Start, 0), max(f.Max-f.Start, 0)
	return f, err
}

// clock times run on each pair, after prepare, whose error ends it.
func clock(ctx context.Context, verifier string, pairs []pair, prepare func(pair) error, run verify) (figures, error) {
	f := figures{Verifier: verifier, Pairs: len(pairs)}
	took := make([]time.Duration, 0, len(pairs))
	for _, p := range pairs {
		if prepare != nil {
			if err := prepare(p); err != nil {
				return f, err
			}
		}
		start := time.Now()
		err := run(ctx, p)
		took = append(took, time.Since(start))
		if ctx.Err() != nil {
			return f, ctx.Err()
		}
		if err == nil {
			f.Found++
		} else if f.Failed++; f.FirstFailure == "" {
			f.FirstFailure = err.Error()
		}
	}
	slices.Sort(took)
	at := func(i int) float64 { return float64(took[i].Nanoseconds()) / 1000 }
	f.Median, f.P99, f.Max = at(len(took)/2), at(len(took)*99/100), at(len(took)-1)
	return f, nil
}
