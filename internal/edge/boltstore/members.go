package boltstore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"iter"

	bolt "go.etcd.io/bbolt"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

var _ membership.Store = (*Members)(nil)

// Members implements [membership.Store].
type Members struct{ s *Store }

type memberRecord struct {
	Revision membership.Revision `json:"revision"`
	Member   membership.Member   `json:"member"`
}

func decodeMember(v []byte) (membership.Member, error) {
	var r memberRecord
	if err := json.Unmarshal(v, &r); err != nil {
		return membership.Member{}, fault.New(fault.Internal, "reading member record: %w", err)
	}
	r.Member.Revision = r.Revision
	return r.Member, nil
}

// Load implements [membership.Store].
func (m *Members) Load(ctx context.Context, id membership.ID) (out membership.Member, err error) {
	err = m.s.view(ctx, func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketMembers).Get([]byte(id))
		if v == nil {
			return fault.New(fault.NotFound, "no member %q", id)
		}
		out, err = decodeMember(v)
		return err
	})
	return out, err
}

// Save implements [membership.Store].
func (m *Members) Save(ctx context.Context, mem membership.Member) (membership.Member, error) {
	err := m.s.update(ctx, func(tx *bolt.Tx) error {
		members, revisions := tx.Bucket(bucketMembers), tx.Bucket(bucketRevisions)
		var stored membership.Revision
		if v := members.Get([]byte(mem.ID)); v != nil {
			old, err := decodeMember(v)
			if err != nil {
				return err
			}
			stored = old.Revision
		}
		switch {
		case stored != mem.Revision && mem.Revision == 0:
			return fault.New(fault.Conflict, "member %q exists", mem.ID)
		case stored != mem.Revision:
			return fault.New(fault.Conflict, "member %q was changed meanwhile", mem.ID)
		}
		next, err := revisions.NextSequence()
		if err != nil {
			return err
		}
		if stored != 0 {
			if err := revisions.Delete(number(uint64(stored))); err != nil {
				return err
			}
		}
		mem.Revision = membership.Revision(next)
		v, err := json.Marshal(memberRecord{mem.Revision, mem})
		if err != nil {
			return err
		}
		if err := revisions.Put(number(next), []byte(mem.ID)); err != nil {
			return err
		}
		return members.Put([]byte(mem.ID), v)
	})
	if err != nil {
		return membership.Member{}, err
	}
	m.s.announce()
	return mem, nil
}

// All implements [membership.Store].
func (m *Members) All(ctx context.Context) iter.Seq2[membership.Member, error] {
	return scan(ctx, m.s, bucketMembers, []byte{}, func(_ *bolt.Tx, _, v []byte) (membership.Member, error) {
		return decodeMember(v)
	})
}

// Watch implements [membership.Store].
func (m *Members) Watch(ctx context.Context, from membership.Revision) iter.Seq2[membership.Change, error] {
	return func(yield func(membership.Change, error) bool) {
		for {
			changed := m.s.wait() // before reading, so that no write falls between
			for c, err := range m.since(ctx, from) {
				if !yield(c, err) || err != nil {
					return
				}
				from = c.Revision
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(membership.Change{}, ctx.Err())
				return
			}
		}
	}
}

func (m *Members) since(ctx context.Context, from membership.Revision) iter.Seq2[membership.Change, error] {
	return scan(ctx, m.s, bucketRevisions, number(uint64(from)+1), func(tx *bolt.Tx, k, id []byte) (membership.Change, error) {
		mem, err := decodeMember(tx.Bucket(bucketMembers).Get(id))
		return membership.Change{Revision: membership.Revision(binary.BigEndian.Uint64(k)), Member: mem}, err
	})
}
