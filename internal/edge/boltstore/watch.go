package boltstore

import (
	"context"
	"encoding/json"

	bolt "go.etcd.io/bbolt"

	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/notice"
)

var _ federation.Memory = (*Seen)(nil)

// Seen implements [federation.Memory].
type Seen struct{ s *Store }

var keySeen = []byte("seen")

// Load implements [federation.Memory].
func (m *Seen) Load(ctx context.Context) (out federation.Seen, err error) {
	err = m.s.loadWatch(ctx, keySeen, &out)
	return out, err
}

// Save implements [federation.Memory].
func (m *Seen) Save(ctx context.Context, v federation.Seen) error {
	return m.s.saveWatch(ctx, keySeen, v)
}

var _ notice.Store = (*Sent)(nil)

// Sent implements [notice.Store].
type Sent struct{ s *Store }

var keySent = []byte("sent")

// Load implements [notice.Store].
func (n *Sent) Load(ctx context.Context) (out notice.Sent, err error) {
	err = n.s.loadWatch(ctx, keySent, &out)
	return out, err
}

// Save implements [notice.Store].
func (n *Sent) Save(ctx context.Context, v notice.Sent) error {
	return n.s.saveWatch(ctx, keySent, v)
}

func (s *Store) loadWatch(ctx context.Context, key []byte, into any) error {
	return s.view(ctx, func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketWatch).Get(key)
		if v == nil {
			return fault.New(fault.NotFound, "nothing is kept as %q", key)
		}
		if err := json.Unmarshal(v, into); err != nil {
			return fault.New(fault.Internal, "reading what is kept as %q: %w", key, err)
		}
		return nil
	})
}

func (s *Store) saveWatch(ctx context.Context, key []byte, from any) error {
	v, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return s.update(ctx, func(tx *bolt.Tx) error { return tx.Bucket(bucketWatch).Put(key, v) })
}
