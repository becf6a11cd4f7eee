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

// Form implements [signedlist.Archive].
func (l *Lists) Form(ctx context.Context, n int64, name string) (form []byte, err error) {
	err = l.s.view(ctx, func(tx *bolt.Tx) error {
		if b := tx.Bucket(bucketForms); b != nil { // stores of before there were any have none
			form = append(form, b.Get(append(number(uint64(n)), name...))...)
		}
		if form == nil {
			return fault.New(fault.NotFound, "no %s of list %d", name, n)
		}
		return nil
	})
	return form, err
}

// Append implements [signedlist.Archive].
func (l *Lists) Append(ctx context.Context, n int64, der []byte, forms map[string][]byte) error {
	return l.s.update(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketLists)
		if last, _ := latest(b); n != last+1 {
			return fault.New(fault.Conflict, "archiving list %d: the latest is %d", n, last)
		}
		beside, err := tx.CreateBucketIfNotExists(bucketForms)
		if err != nil {
			return err
		}
		for name, form := range forms {
			if err := beside.Put(append(number(uint64(n)), name...), form); err != nil {
				return err
			}
		}
		return b.Put(number(uint64(n)), der)
	})
}
