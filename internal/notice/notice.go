// Package notice says in good time what is going to end: one digest a day, in
// which nothing stands twice for the same reason.
package notice

import (
	"cmp"
	"slices"
	"time"
)

// Item is something that ends, or that is wrong.
type Item struct {
	// Key is the same for the same thing with the same end, and for nothing else.
	Key string
	// Member is whose it is; empty for the bridge's own.
	Member string
	// Kind is what it is, in a word: "ca-certificate", "contract".
	Kind string
	// Text says the rest, in one line.
	Text string
	// Ends is when it ends; zero for what is wrong now.
	Ends time.Time
	// Ahead is how long before its end it is announced, from long to short. It is
	// announced once more when it has ended. Without any it is announced at once.
	Ahead []time.Duration
}

const day = 24 * time.Hour

// Usual is how long ahead most things are announced.
func Usual() []time.Duration {
	return []time.Duration{90 * day, 60 * day, 30 * day, 14 * day, 7 * day, day}
}

// stage counts how often i should have been announced until now.
func (i Item) stage(now time.Time) (n int) {
	if i.Ends.IsZero() {
		return 1
	}
	for _, d := range append(slices.Clip(i.Ahead), 0) {
		if !now.Before(i.Ends.Add(-d)) {
			n++
		}
	}
	return n
}

// Overdue reports whether i has ended.
func (i Item) Overdue(now time.Time) bool { return !i.Ends.IsZero() && !now.Before(i.Ends) }

// Due returns those that are to be known of at an instant, the most urgent
// first: what is wrong, then what ended, then what ends next.
func Due(items []Item, now time.Time) (out []Item) {
	for _, i := range items {
		if i.stage(now) > 0 {
			out = append(out, i)
		}
	}
	Sort(out)
	return out
}

// Sort puts the most urgent first.
func Sort(items []Item) {
	slices.SortStableFunc(items, func(a, b Item) int {
		return cmp.Or(a.Ends.Compare(b.Ends), cmp.Compare(a.Member, b.Member), cmp.Compare(a.Key, b.Key))
	})
}

// Sent is what was announced so far.
type Sent struct {
	At     time.Time      `json:"at"`     // of the last digest
	Stages map[string]int `json:"stages"` // by key
}

// fresh returns what of due was not announced yet, or not for this long ahead,
// and what is remembered once it is. What is due no more is forgotten.
func (s Sent) fresh(due []Item, now time.Time) (out []Item, next Sent) {
	next = Sent{At: now, Stages: map[string]int{}}
	for _, i := range due {
		n := i.stage(now)
		next.Stages[i.Key] = max(n, s.Stages[i.Key])
		if n > s.Stages[i.Key] {
			out = append(out, i)
		}
	}
	return out, next
}
