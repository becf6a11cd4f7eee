package notice_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/notice"
)

const day = 24 * time.Hour

// memory is a store that survives the boards of a test.
type memory struct{ sent *notice.Sent }

func (m *memory) Load(context.Context) (notice.Sent, error) {
	if m.sent == nil {
		return notice.Sent{}, fault.New(fault.NotFound, "nothing yet")
	}
	return *m.sent, nil
}

func (m *memory) Save(_ context.Context, s notice.Sent) error { m.sent = &s; return nil }

// office is a board whose clock and items a test sets.
type office struct {
	*notice.Board
	store  *memory
	now    time.Time
	items  []notice.Item
	posted []string // "day key", day counted from the start
	broken bool
}

func newOffice() *office {
	start := time.Date(2026, 3, 1, 7, 0, 0, 0, time.UTC)
	o := &office{store: &memory{}, now: start}
	o.Board = &notice.Board{
		Sources: []func(context.Context) ([]notice.Item, error){func(context.Context) ([]notice.Item, error) { return o.items, nil }},
		Store:   o.store, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return o.now },
		Post: func(_ context.Context, items []notice.Item, _ time.Time) error {
			if o.broken {
				return errors.New("the relay is down")
			}
			for _, i := range items {
				o.posted = append(o.posted, fmt.Sprintf("%d %s", o.now.Sub(start)/day, i.Key))
			}
			return nil
		},
	}
	return o
}

// TestOncePerThreshold: in the hundred days before and after the end of a
// certificate it is announced seven times, restarts or not.
func TestOncePerThreshold(t *testing.T) {
	o := newOffice()
	o.items = []notice.Item{{Key: "ca", Ends: o.now.Add(100*day + time.Hour), Ahead: notice.Usual()}}
	for range 200 {
		again := newOffice() // nothing but the store survives
		again.store, again.Store, again.now, again.items = o.store, o.store, o.now, o.items
		for range 3 {
			if err := again.Send(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		o.posted = append(o.posted, again.posted...)
		o.now = o.now.Add(day)
	}
	if want := []string{"11 ca", "41 ca", "71 ca", "87 ca", "94 ca", "100 ca", "101 ca"}; !slices.Equal(o.posted, want) {
		t.Errorf("got %q, want %q", o.posted, want)
	}
}

// TestWrongAndRight: what is wrong is announced once, and anew when it went away
// and came back; a bridge that was off for a month announces the latest only.
func TestWrongAndRight(t *testing.T) {
	o := newOffice()
	send := func() {
		t.Helper()
		if err := o.Send(t.Context()); err != nil {
			t.Fatal(err)
		}
		o.now = o.now.Add(day)
	}
	wrong := []notice.Item{{Key: "status"}}
	o.items = wrong
	send()
	send()
	o.items = nil
	send()
	o.items = wrong
	send()
	o.items = []notice.Item{{Key: "ca", Ends: o.now.Add(10 * day), Ahead: notice.Usual()}}
	send()
	if want := []string{"0 status", "3 status", "4 ca"}; !slices.Equal(o.posted, want) {
		t.Errorf("got %q, want %q", o.posted, want)
	}
}

// TestDeliveredAtLeastOnce: what could not be delivered is not taken for sent.
func TestDeliveredAtLeastOnce(t *testing.T) {
	o := newOffice()
	o.items = []notice.Item{{Key: "status"}}
	o.broken = true
	if err := o.Send(t.Context()); err == nil || o.store.sent != nil {
		t.Errorf("got %v, %+v: want the failure told and nothing remembered", err, o.store.sent)
	}
	o.broken = false
	if err := o.Send(t.Context()); err != nil || len(o.posted) != 1 {
		t.Errorf("got %v, %q", err, o.posted)
	}
	// Half of the sources is not all.
	o.Sources = append(o.Sources, func(context.Context) ([]notice.Item, error) { return nil, errors.New("no store") })
	if err := o.Send(t.Context()); err == nil || len(o.store.sent.Stages) != 1 {
		t.Errorf("got %v, %+v", err, o.store.sent)
	}
}

// TestOneDigestADay: at its time of the day, and at start when one was missed.
func TestOneDigestADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice()
		start := time.Now()
		o.Now, o.At = time.Now, 6*time.Hour
		var sent []time.Duration
		n := 0
		o.Sources = []func(context.Context) ([]notice.Item, error){func(context.Context) ([]notice.Item, error) {
			sent = append(sent, time.Since(start))
			if n++; n == 2 {
				return nil, errors.New("no store")
			}
			return nil, nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 2*day)
		defer cancel()
		if err := o.Run(ctx); err != nil {
			t.Fatal(err)
		}
		// The bubble begins at midnight: yesterday's was missed.
		if want := []time.Duration{0, 6 * time.Hour, 6*time.Hour + 15*time.Minute, day + 6*time.Hour}; !slices.Equal(sent, want) {
			t.Errorf("got %v, want %v", sent, want)
		}
	})
}
