package auditlog

import (
	"context"
	"iter"

	"golang.org/x/mod/sumdb/tlog"
)

// Store keeps a log. It only ever grows.
type Store interface {
	// Tree returns how many events are stored, and the last checkpoint; 0 and
	// nil when there are none.
	Tree(ctx context.Context) (size uint64, checkpoint []byte, err error)
	// Append stores, all or nothing and durable on return, the event with this
	// number, the hashes from index first on, and the checkpoint. Conflict
	// unless number is one more than the events stored and first is how many
	// hashes are.
	Append(ctx context.Context, number uint64, event []byte, first int64, hashes []tlog.Hash, checkpoint []byte) error
	// Events yields the stored events, in order, from number from on.
	Events(ctx context.Context, from uint64) iter.Seq2[[]byte, error]
	// Hashes returns those with these indexes ([tlog.StoredHashIndex]); NotFound
	// when one is missing.
	Hashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error)
}
