package crosscert

import (
	"context"
	"iter"
	"math/big"
	"time"
)

// Stage is how far a certificate of the bridge CA has come.
type Stage string

const (
	// Intended means that serial and to-be-signed bytes are recorded and the
	// key may have been used; whether a certificate exists is not known.
	Intended Stage = "intended"
	// Issued means that the certificate is recorded.
	Issued Stage = "issued"
	// Revoked means that the certificate, or an intent given up, is on the CRL.
	Revoked Stage = "revoked"
)

// Record is one certificate of the bridge CA, from intent to revocation.
type Record struct {
	Serial *big.Int
	// Generation is the number of the key that signs; 0 means 1, in records of
	// before there were others.
	Generation int
	Member     string // the member it was issued to; empty for the bridge's own
	Stage      Stage
	At         time.Time // of the intent
	// ToBeSigned is the DER TBSCertificate that was intended.
	ToBeSigned []byte
	// Certificate is the DER certificate; nil while only intended.
	Certificate []byte
	RevokedAt   time.Time // zero unless Revoked
	Reason      Reason    // RFC 5280 §5.3.1; meaningful when Revoked
	// Revision is the store's; zero in a record not yet stored.
	Revision uint64
}

// Ledger keeps every record for ever, and the CRLs. An implementation is
// durable when a method returns, and safe for concurrent use. Values returned
// are the caller's own.
type Ledger interface {
	// Put stores r by compare-and-swap: with Revision 0 it creates it, and a
	// serial that is already there is a Conflict; otherwise r.Revision must be
	// the stored one, or it is a Conflict. It returns r with its new Revision.
	Put(ctx context.Context, r Record) (Record, error)
	// Get returns the record of a serial, or NotFound.
	Get(ctx context.Context, serial *big.Int) (Record, error)
	// Records yields all records in the order in which they were created.
	Records(ctx context.Context) iter.Seq2[Record, error]
	// RecordsOf yields those of one member, and RecordsIn those in one stage, in
	// the same order. Their cost does not grow with the other records. A record
	// that changes its stage meanwhile may come or not.
	RecordsOf(ctx context.Context, member string) iter.Seq2[Record, error]
	RecordsIn(ctx context.Context, s Stage) iter.Seq2[Record, error]
	// NextCRLNumber returns a number greater than any it has returned before,
	// across restarts and crashes; the first is 1.
	NextCRLNumber(ctx context.Context) (int64, error)
	// PutCRL stores the CRL of a generation that carries number. A number not
	// above the stored one of that generation is a Conflict.
	PutCRL(ctx context.Context, generation int, number int64, der []byte) error
	// LatestCRL returns the stored CRL of a generation with the highest number,
	// or NotFound.
	LatestCRL(ctx context.Context, generation int) (number int64, der []byte, err error)
	// State returns the stored state; the zero one while none is stored.
	State(ctx context.Context) (State, error)
	// PutState replaces the state by compare-and-swap: s.Revision must be the
	// stored one, or it is a Conflict. It returns s with its new Revision.
	PutState(ctx context.Context, s State) (State, error)
}
