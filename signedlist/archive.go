package signedlist

import "context"

// Archive keeps every list that was ever published. An implementation is
// durable when a method returns, and safe for concurrent use.
type Archive interface {
	// Latest returns the list with the highest number, or NotFound.
	Latest(ctx context.Context) (number int64, der []byte, err error)
	// Get returns one list, or NotFound.
	Get(ctx context.Context, number int64) ([]byte, error)
	// Form returns another form that a list was signed in, by the name of its
	// file, or NotFound.
	Form(ctx context.Context, number int64, name string) ([]byte, error)
	// Append stores a list with its other forms, all or nothing. A number that is
	// not the latest plus one (1 in an empty archive) is a Conflict.
	Append(ctx context.Context, number int64, der []byte, forms map[string][]byte) error
}
