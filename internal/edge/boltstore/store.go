// Package boltstore keeps the bridge's records in one bbolt file: members,
// persons, the ledger of the bridge CA, every signed list, and the audit log. Each
// write is one transaction, durable on return.
package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"iter"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"bridge.example/internal/fault"
)

// The buckets of the file. Their keys are big-endian, so that the order of
// bytes is the order of numbers.
var (
	bucketMeta      = []byte("meta")
	bucketMembers   = []byte("members")          // id → memberRecord
	bucketRevisions = []byte("member_revisions") // revision → id, newest of each record only
	bucketPeople    = []byte("people")           // id → personRecord
	bucketStates    = []byte("member_states")    // state, 0, id → nothing
	bucketClaims    = []byte("member_claims")    // claim → id
	bucketDocuments = []byte("documents")        // SHA-256 → content
	bucketKeepers   = []byte("document_keepers") // member, 0, SHA-256 → 1
	bucketLedger    = []byte("ledger")           // serial → ledgerRecord
	bucketOrder     = []byte("ledger_order")     // sequence → serial
	bucketOwners    = []byte("ledger_owners")    // member, 0, sequence → serial
	bucketStages    = []byte("ledger_stages")    // stage, 0, sequence → serial
	bucketWatch     = []byte("watch")            // what is kept, as JSON, by its name
	bucketCRLs      = []byte("crls")             // number → DER; of later generations in crls_2 and so on
	bucketLists     = []byte("lists")            // number → DER
	bucketForms     = []byte("list_forms")       // number, name of the file → its bytes
	bucketEvents    = []byte("audit_events")     // number → event
	bucketHashes    = []byte("audit_hashes")     // index → hash of the tree over them

	keyFormat     = []byte("format")
	keyCRLNumber  = []byte("crl_number")
	keyState      = []byte("bridge_ca") // JSON of crosscert.State
	keyCheckpoint = []byte("audit_checkpoint")
)

const (
	// format is the file's. With formatRolled, the ledger has a state: a program
	// that knows none would sign with a key that has rolled over, or after the end.
	format       = 3
	formatRolled = 4

	lockTimeout = time.Second
)

// Store is an open file. It is safe for concurrent use; one process at a time
// can have it open.
type Store struct {
	db *bolt.DB

	mu      sync.Mutex
	changed chan struct{} // closed and replaced after every write to members

	broken atomic.Pointer[error] // of a write whose end is not known
}

// Create makes the file, which must not exist (Conflict).
func Create(path string) (*Store, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fault.New(fault.Conflict, "creating store %s: it exists", path)
	}
	s, err := open(path)
	if err != nil {
		return nil, err
	}
	err = s.db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketMembers, bucketRevisions, bucketPeople, bucketStates, bucketClaims, bucketDocuments, bucketKeepers, bucketLedger, bucketWatch, bucketOrder, bucketOwners, bucketStages, bucketCRLs, bucketLists, bucketForms, bucketEvents, bucketHashes} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keyFormat, number(format))
	})
	if err != nil {
		return nil, errors.Join(fault.New(kindOf(err), "creating store %s: %w", path, err), s.Close())
	}
	return s, nil
}

// Open opens an existing file. It never makes a new one: a store that is gone
// took the numbers of serials, CRLs and lists with it, and starting over would
// repeat them. Errors: NotFound, Denied (permissions), Unavailable (another
// process has it), Invalid (not a store, or of a later format).
func Open(path string) (*Store, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fault.New(kindOf(err), "opening store: %w", err)
	}
	s, err := open(path)
	if err != nil {
		return nil, err
	}
	err = s.db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			return fault.New(fault.Invalid, "no store of a bridge")
		}
		v := meta.Get(keyFormat)
		if len(v) != 8 || binary.BigEndian.Uint64(v) != format && binary.BigEndian.Uint64(v) != formatRolled {
			return fault.New(fault.Invalid, "format %x is neither %d nor %d; if an earlier version made it, found the bridge anew", v, format, formatRolled)
		}
		if tx.Bucket(bucketEvents) == nil || tx.Bucket(bucketHashes) == nil {
			return fault.New(fault.Invalid, "its audit log is gone")
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fault.New(fault.KindOf(err), "opening store %s: %w", path, err), s.Close())
	}
	return s, nil
}

func open(path string) (*Store, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout, FreelistType: bolt.FreelistMapType})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fault.New(fault.Unavailable, "opening store %s: another process has it open", path)
	}
	if err != nil {
		return nil, fault.New(kindOf(err), "opening store %s: %w", path, err)
	}
	return &Store{db: db, changed: make(chan struct{})}, nil
}

// kindOf classifies what the operating system and bbolt say.
func kindOf(err error) fault.Kind {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.NotFound
	case errors.Is(err, fs.ErrPermission):
		return fault.Denied
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return fault.Invalid
	}
	return fault.Internal
}

// Close waits for running transactions and closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Members returns the register's part of the file.
func (s *Store) Members() *Members { return &Members{s} }

// People returns the part of the file with the persons of the bridge.
func (s *Store) People() *People { return &People{s} }

// Documents returns the part of the file that holds evidence.
func (s *Store) Documents() *Documents { return &Documents{s} }

// Ledger returns the bridge CA's part of the file.
func (s *Store) Ledger() *Ledger { return &Ledger{s} }

// Seen returns the part of the file with what watching members learnt.
func (s *Store) Seen() *Seen { return &Seen{s} }

// Sent returns the part of the file with what was announced.
func (s *Store) Sent() *Sent { return &Sent{s} }

// Lists returns the signed lists' part of the file.
func (s *Store) Lists() *Lists { return &Lists{s} }

// Audit returns the audit log's part of the file.
func (s *Store) Audit() *Audit { return &Audit{s} }

// update runs f in a transaction that is durable on return. It is Unavailable
// when the disk does not take it. Where the disk is only full, nothing was
// written, and the next may succeed; after any other failure nothing more is
// written until the file is opened again: a page that was lost, as after a
// failed fsync, may still be read from memory, and what is built upon it would
// be lost with it.
func (s *Store) update(ctx context.Context, f func(*bolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if broken := s.broken.Load(); broken != nil {
		return fault.New(fault.Unavailable, "the store is closed since a write failed; see to the disk and restart: %w", *broken)
	}
	var refused error
	err := s.db.Update(func(tx *bolt.Tx) error {
		refused = f(tx)
		return refused
	})
	switch {
	case err == nil || refused != nil:
		return err
	case full(err):
		return fault.New(fault.Unavailable, "the disk of the store is full; make room: %w", err)
	}
	s.broken.CompareAndSwap(nil, &err)
	return fault.New(fault.Unavailable, "writing the store failed; see to the disk and restart: %w", err)
}

// full reports whether a write found no room. An fsync that says so has lost
// pages, and is no write.
func full(err error) bool {
	_, write := errors.AsType[*fs.PathError](err)
	return write && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG))
}

func (s *Store) view(ctx context.Context, f func(*bolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.db.View(f)
}

// announce wakes every watcher.
func (s *Store) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Store) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// pageSize bounds how long one read transaction of scan stays open: pages that
// a reader holds cannot be reused by writers.
const pageSize = 256

// scan yields what read makes of each pair in bucket whose key is at or above
// from. No transaction is open while the consumer runs, so it may write.
func scan[T any](ctx context.Context, s *Store, bucket, from []byte, read func(tx *bolt.Tx, k, v []byte) (T, error)) iter.Seq2[T, error] {
	return scanWhile(ctx, s, bucket, from, nil, read)
}

// scanPrefix is scan for the keys that begin with prefix.
func scanPrefix[T any](ctx context.Context, s *Store, bucket, prefix []byte, read func(tx *bolt.Tx, k, v []byte) (T, error)) iter.Seq2[T, error] {
	return scanWhile(ctx, s, bucket, prefix, prefix, read)
}

func scanWhile[T any](ctx context.Context, s *Store, bucket, from, prefix []byte, read func(tx *bolt.Tx, k, v []byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		from := from // a sequence may be walked again
		for from != nil {
			var page []T
			err := s.view(ctx, func(tx *bolt.Tx) error {
				c := tx.Bucket(bucket).Cursor()
				k, v := c.Seek(from)
				for ; k != nil && bytes.HasPrefix(k, prefix) && len(page) < pageSize; k, v = c.Next() {
					t, err := read(tx, k, v)
					if err != nil {
						return err
					}
					page = append(page, t)
				}
				from = nil
				if bytes.HasPrefix(k, prefix) {
					from = append(from, k...) // nil at the end
				}
				return nil
			})
			for _, t := range page {
				if !yield(t, nil) {
					return
				}
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
		}
	}
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
