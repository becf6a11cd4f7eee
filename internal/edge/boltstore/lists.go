package boltstore

import (
	"context"

	bolt "go.etcd.io/bbolt"

	"bridge.example/internal/fault"
	"bridge.example/signedlist"
)

var _ signedlist.Archive = (*Lists)(nil)

// Lists implements [signedlist.Archive].
type Lists struct{ s *Store }

// Latest implements [signedlist.Archive].
func (l *Lists) Latest(ctx context.Context) (n int64, der []byte, err error) {
	err = l.s.view(ctx, func(tx *bolt.Tx) error {
		if n, der = latest(tx.Bucket(bucketLists)); n == 0 {
			return fault.New(fault.NotFound, "no list yet")
		}
		return nil
	})
	return n, der, err
}

// Get implements [signedlist.Archive].
func (l *Lists) Get(ctx context.Context, n int64) (der []byte, err error) {
	err = l.s.view(ctx, func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketLists).Get(number(uint64(n)))
		if v == nil {
			return fault.New(fault.NotFound, "no list %d", n)
		}
		der = append([]byte(nil), v...)
		return nil
	})
	return der, err
}

// Append implements [signedlist.Archive].
func (l *Lists) Append(ctx context.Context, n int64, der []byte) error {
	return l.s.update(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketLists)
		if last, _ := latest(b); n != last+1 {
			return fault.New(fault.Conflict, "archiving list %d: the latest is %d", n, last)
		}
		return b.Put(number(uint64(n)), der)
	})
}
