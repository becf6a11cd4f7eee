package membership

import (
	"context"
	"iter"
)

// Change is one saved record and the revision that saved it.
type Change struct {
	Revision Revision
	Member   Member
}

// Store keeps the records. An implementation is durable when Save returns and
// safe for concurrent use. Values returned are the caller's own.
type Store interface {
	// Load returns the record of id, or NotFound.
	Load(ctx context.Context, id ID) (Member, error)
	// Save stores m by compare-and-swap: with Revision 0 it creates it, and an
	// id already there is a Conflict; otherwise m.Revision must be the stored
	// one, or it is a Conflict. So is a claim of m that another record has. It
	// returns m with its new Revision, which is greater than every earlier one
	// of this store.
	Save(ctx context.Context, m Member) (Member, error)
	// Owner returns whose record has a claim, or NotFound.
	Owner(ctx context.Context, c Claim) (ID, error)
	// All yields every record with an id above after, ordered by id.
	All(ctx context.Context, after ID) iter.Seq2[Member, error]
	// In yields the records in each of the states in turn, ordered by id. Its
	// cost does not grow with the records in other states. A record that
	// changes meanwhile may come twice or not at all.
	In(ctx context.Context, states ...State) iter.Seq2[Member, error]
	// Count returns how many records are in each state.
	Count(ctx context.Context) (map[State]int, error)
	// Watch yields the newest change of each record with a revision above
	// from, in rising order, then waits for more until ctx ends, which ends the
	// sequence with ctx's error. A watcher that resumes from the last revision
	// it saw misses no record's newest state; states in between may be skipped.
	Watch(ctx context.Context, from Revision) iter.Seq2[Change, error]
}
