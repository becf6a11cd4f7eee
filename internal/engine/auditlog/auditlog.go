// Package auditlog is the tamper-evident record of what was done: the events
// are the leaves of an RFC 6962 Merkle tree, and every event comes with a
// signed checkpoint of the tree that it completes. Who acts, records first: no
// log, no act. docs/audit-log.md describes the formats for those who verify.
package auditlog

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"iter"
	"sort"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bridge.example/internal/fault"
)

// maxSkew is how far the clock may step back before nothing is recorded any
// more: an event may not lie before the last one.
const maxSkew = time.Minute

// Options of a [Log]; the zero value works.
type Options struct {
	Now func() time.Time // time.Now when nil
}

// Log is an open audit log. It is safe for concurrent use, by one process per
// store.
type Log struct {
	store  Store
	signer *signer
	now    func() time.Time

	mu         sync.Mutex
	size       uint64 // events, and number of the last one
	last       time.Time
	checkpoint []byte
	broken     error // of a write whose end is not known
}

// Open opens the log in s, whose checkpoints key signs: Ed25519 or ECDSA on
// P-256, else Invalid. An empty store begins a new log. The tail is compared
// with the last checkpoint; a log that has lost or gained events, or holds
// others than were signed, is a Conflict, and so is one of another key.
func Open(ctx context.Context, s Store, key crypto.Signer, o Options) (*Log, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	signer, err := newSigner(key)
	if err != nil {
		return nil, err
	}
	l := &Log{store: s, signer: signer, now: o.Now}
	l.size, l.checkpoint, err = s.Tree(ctx)
	if err != nil {
		return nil, err
	}
	if l.size == 0 && l.checkpoint == nil {
		l.checkpoint, err = signer.sign(0, emptyRoot)
		return l, err
	}
	return l, l.checkTail(ctx)
}

// checkTail compares what is stored with what was signed last.
func (l *Log) checkTail(ctx context.Context) error {
	c, err := openCheckpoint(l.checkpoint, l.signer)
	if err != nil {
		return fault.New(fault.Conflict, "audit log: the last checkpoint: %w", err)
	}
	if c.Size != l.size {
		return fault.New(fault.Conflict, "audit log: it holds %d events, but %d were signed; restore what is missing from a backup", l.size, c.Size)
	}
	root, err := tlog.TreeHash(int64(l.size), l.hashes(ctx))
	if err != nil {
		return fmt.Errorf("audit log: reading hashes: %w", err)
	}
	if root != c.Root {
		return fault.New(fault.Conflict, "audit log: its hashes are not those that were signed at event %d", c.Size)
	}
	for text, err := range l.store.Events(ctx, l.size) {
		if err != nil {
			return err
		}
		leaf, err := l.hashes(ctx)([]int64{tlog.StoredHashIndex(0, int64(l.size-1))})
		if err != nil {
			return err
		}
		e, err := DecodeEvent(text)
		if err != nil || tlog.RecordHash(text) != leaf[0] || e.Number != l.size {
			return fault.New(fault.Conflict, "audit log: event %d is not the one that was signed", l.size)
		}
		l.last = e.At
		return nil
	}
	return fault.New(fault.Conflict, "audit log: event %d is gone", l.size)
}

// Record appends e, whose Number and At it sets, and returns it as it stands in
// the log. It is durable on return; on error it is not known to be, and what it
// announces must not be done. Errors: Invalid for what [Event] does not allow;
// Unavailable when the clock stands more than a minute before the last event,
// or when the store failed, from then on until the log is opened again: what a
// failed write left behind is only known after a fresh start.
func (l *Log) Record(ctx context.Context, e Event) (Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.closed(); err != nil {
		return Event{}, err
	}
	if err := ctx.Err(); err != nil {
		return Event{}, fault.New(fault.Unavailable, "audit log: %w", err)
	}
	now := l.now().UTC().Truncate(time.Millisecond)
	if now.Before(l.last.Add(-maxSkew)) {
		return Event{}, fault.New(fault.Unavailable, "audit log: the clock was set back: it shows %s, event %d is of %s",
			now.Format(time.RFC3339), l.size, l.last.Format(time.RFC3339))
	}
	if now.Before(l.last) {
		now = l.last
	}
	e.Number, e.At = l.size+1, now
	text, err := e.Encode()
	if err != nil {
		return Event{}, err
	}
	return e, l.append(ctx, e, text)
}

// Act is Record for callers to whom only matters that they may act.
func (l *Log) Act(ctx context.Context, e Event) error {
	_, err := l.Record(ctx, e)
	return err
}

// append writes the event, the hashes that it completes and their checkpoint.
func (l *Log) append(ctx context.Context, e Event, text []byte) error {
	old := l.hashes(ctx)
	added, err := tlog.StoredHashes(int64(l.size), text, old)
	if err != nil {
		return fault.New(fault.Unavailable, "audit log: reading hashes: %w", err)
	}
	first := tlog.StoredHashIndex(0, int64(l.size))
	root, err := tlog.TreeHash(int64(e.Number), tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if index >= first {
				out[i] = added[index-first]
				continue
			}
			h, err := old([]int64{index})
			if err != nil {
				return nil, err
			}
			out[i] = h[0]
		}
		return out, nil
	}))
	if err != nil {
		return fault.New(fault.Unavailable, "audit log: reading hashes: %w", err)
	}
	checkpoint, err := l.signer.sign(e.Number, root)
	if err != nil {
		return fault.New(fault.Unavailable, "audit log: signing a checkpoint: %w", err)
	}
	// Once begun it is finished: a caller who goes away must not leave doubt.
	if err := l.store.Append(context.WithoutCancel(ctx), e.Number, text, first, added, checkpoint); err != nil {
		l.broken = err
		return fault.New(fault.Unavailable, "audit log: event %d could not be written, and the log is closed; make room on a sound disk and restart bridged: %w", e.Number, err)
	}
	l.size, l.last, l.checkpoint = e.Number, e.At, checkpoint
	return nil
}

// Closed returns why nothing is recorded any more, and what to do; nil while
// the log is open.
func (l *Log) Closed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed()
}

func (l *Log) closed() error {
	if l.broken == nil {
		return nil
	}
	return fault.New(fault.Unavailable, "audit log: closed since it could not be written; make room on a sound disk and restart bridged: %w", l.broken)
}

// Checkpoint returns the signed note of the log as it stands: origin, size and
// root hash, as in C2SP tlog-checkpoint.
func (l *Log) Checkpoint() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpoint
}

// Size returns how many events there are.
func (l *Log) Size() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

// Key returns the key that verifies checkpoints.
func (l *Log) Key() crypto.PublicKey { return l.signer.key.Public() }

// Events yields the events from number from to number to, both included, as far
// as there are any.
func (l *Log) Events(ctx context.Context, from, to uint64) iter.Seq2[Event, error] {
	to = min(to, l.Size())
	return func(yield func(Event, error) bool) {
		if from = max(from, 1); from > to {
			return
		}
		for text, err := range l.store.Events(ctx, from) {
			var e Event
			if err == nil {
				e, err = DecodeEvent(text)
			}
			if !yield(e, err) || err != nil || e.Number >= to {
				return
			}
		}
	}
}

// Since returns the number of the first event at or after at, or one more than
// there are events.
func (l *Log) Since(ctx context.Context, at time.Time) (uint64, error) {
	var failed error
	i := sort.Search(int(l.Size()), func(i int) bool {
		for e, err := range l.Events(ctx, uint64(i)+1, uint64(i)+1) {
			failed = errors.Join(failed, err)
			return !e.At.Before(at)
		}
		return true
	})
	return uint64(i) + 1, failed
}

func (l *Log) hashes(ctx context.Context) tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) { return l.store.Hashes(ctx, indexes) }
}
