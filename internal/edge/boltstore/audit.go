package boltstore

import (
	"context"
	"encoding/binary"
	"iter"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
)

var _ auditlog.Store = (*Audit)(nil)

// Audit implements [auditlog.Store].
type Audit struct{ s *Store }

// Tree implements [auditlog.Store].
func (a *Audit) Tree(ctx context.Context) (size uint64, checkpoint []byte, err error) {
	err = a.s.view(ctx, func(tx *bolt.Tx) error {
		size = next(tx.Bucket(bucketEvents), 1) - 1
		if v := tx.Bucket(bucketMeta).Get(keyCheckpoint); v != nil {
			checkpoint = append([]byte(nil), v...)
		}
		return nil
	})
	return size, checkpoint, err
}

// Append implements [auditlog.Store].
func (a *Audit) Append(ctx context.Context, n uint64, event []byte, first int64, hashes []tlog.Hash, checkpoint []byte) error {
	return a.s.update(ctx, func(tx *bolt.Tx) error {
		events, stored := tx.Bucket(bucketEvents), tx.Bucket(bucketHashes)
		if want, wantHash := next(events, 1), next(stored, 0); n != want || uint64(first) != wantHash {
			return fault.New(fault.Conflict, "storing audit event %d with hash %d: the next are %d and %d", n, first, want, wantHash)
		}
		// Keys only ever rise: full pages need no room.
		events.FillPercent, stored.FillPercent = 1, 1
		if err := events.Put(number(n), event); err != nil {
			return err
		}
		for i, h := range hashes {
			if err := stored.Put(number(uint64(first)+uint64(i)), h[:]); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keyCheckpoint, checkpoint)
	})
}

// next returns the number after the highest in b; first when b is empty.
func next(b *bolt.Bucket, first uint64) uint64 {
	k, _ := b.Cursor().Last()
	if k == nil {
		return first
	}
	return binary.BigEndian.Uint64(k) + 1
}

// Events implements [auditlog.Store].
func (a *Audit) Events(ctx context.Context, from uint64) iter.Seq2[[]byte, error] {
	return scan(ctx, a.s, bucketEvents, number(from), func(_ *bolt.Tx, _, v []byte) ([]byte, error) {
		return append([]byte(nil), v...), nil
	})
}

// Hashes implements [auditlog.Store].
func (a *Audit) Hashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	err := a.s.view(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketHashes)
		for i, index := range indexes {
			v := b.Get(number(uint64(index)))
			if len(v) != tlog.HashSize {
				return fault.New(fault.NotFound, "no hash %d of the audit log", index)
			}
			out[i] = tlog.Hash(v)
		}
		return nil
	})
	return out, err
}
