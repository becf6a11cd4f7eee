package people

import (
	"context"
	"iter"
)

// Store keeps the records. An implementation is durable when Save returns and
// safe for concurrent use. Values returned are the caller's own.
type Store interface {
	// Load returns the record of id, or NotFound.
	Load(ctx context.Context, id ID) (Person, error)
	// Save stores p by compare-and-swap: with Revision 0 it creates it, and an
	// id already there is a Conflict; otherwise p.Revision must be the stored
	// one, or it is a Conflict. It returns p with its new Revision, which is
	// greater than every earlier one of this store.
	Save(ctx context.Context, p Person) (Person, error)
	// All yields every record, ordered by id.
	All(ctx context.Context) iter.Seq2[Person, error]
}
