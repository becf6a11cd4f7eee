package notice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"bridge.example/internal/fault"
)

// Store keeps Sent. An implementation is durable when Save returns, and safe for
// concurrent use.
type Store interface {
	// Load returns what was saved last, or NotFound.
	Load(ctx context.Context) (Sent, error)
	Save(ctx context.Context, s Sent) error
}

// Board gathers items and announces them. All fields but Post, Now and Log are
// required.
type Board struct {
	// Sources say what there is.
	Sources []func(ctx context.Context) ([]Item, error)
	Store   Store
	// At is the time of the day, UTC, of the digest.
	At time.Duration
	// Post delivers a digest, at least once: after an error, or a crash, it gets
	// the same again. Nil when the log is enough.
	Post func(ctx context.Context, items []Item, now time.Time) error

	Now func() time.Time // time.Now when nil
	Log *slog.Logger     // slog.Default when nil
}

// Items returns all there is, the most urgent first. What one source prevents is
// in the error, the rest is returned.
func (b *Board) Items(ctx context.Context) (out []Item, err error) {
	var errs []error
	for _, source := range b.Sources {
		items, err := source(ctx)
		out, errs = append(out, items...), append(errs, err)
	}
	Sort(out)
	return out, errors.Join(errs...)
}

// Send announces what is due and was not announced before. It is remembered only
// when it was delivered.
func (b *Board) Send(ctx context.Context) error {
	items, err := b.Items(ctx)
	if err != nil {
		// Half of it would forget what the rest has sent.
		return fmt.Errorf("gathering the digest: %w", err)
	}
	sent, err := b.sent(ctx)
	if err != nil {
		return err
	}
	now := b.now()
	fresh, next := sent.fresh(Due(items, now), now)
	if len(fresh) > 0 && b.Post != nil {
		if err := b.Post(ctx, fresh, now); err != nil {
			return fmt.Errorf("sending the digest: %w", err)
		}
	}
	if err := b.Store.Save(ctx, next); err != nil {
		return err
	}
	overdue := 0
	for _, i := range fresh {
		if i.Overdue(now) {
			overdue++
		}
	}
	b.log().Info("digest", "due", len(next.Stages), "new", len(fresh), "overdue", overdue)
	for _, i := range fresh {
		b.log().Warn("notice", "member", i.Member, "kind", i.Kind, "ends", i.Ends, "what", i.Text)
	}
	return nil
}

func (b *Board) sent(ctx context.Context) (Sent, error) {
	s, err := b.Store.Load(ctx)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return Sent{}, nil
	}
	return s, err
}

// again is how soon a digest that failed is tried again.
const again = 15 * time.Minute

// Run sends the digest every day at its time, and at start when one was missed,
// until ctx ends. It returns nil then.
func (b *Board) Run(ctx context.Context) error {
	for {
		wait := again
		sent, err := b.sent(ctx)
		if err == nil && sent.At.Before(b.last()) {
			err = b.Send(ctx)
		}
		if err == nil {
			wait = b.last().Add(day).Sub(b.now())
		} else if ctx.Err() == nil {
			b.log().Error("no digest", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// last is when the newest digest should have been sent.
func (b *Board) last() time.Time {
	return b.now().UTC().Add(-b.At).Truncate(day).Add(b.At)
}

func (b *Board) now() time.Time {
	if b.Now == nil {
		return time.Now()
	}
	return b.Now()
}

func (b *Board) log() *slog.Logger {
	if b.Log == nil {
		return slog.Default()
	}
	return b.Log
}
