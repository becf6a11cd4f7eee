package boltstore

import (
	"bytes"
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
		var old membership.Member
		if v := members.Get([]byte(mem.ID)); v != nil {
			var err error
			if old, err = decodeMember(v); err != nil {
				return err
			}
		}
		stored := old.Revision
		switch {
		case stored != mem.Revision && mem.Revision == 0:
			return fault.New(fault.Conflict, "member %q exists", mem.ID)
		case stored != mem.Revision:
			return fault.New(fault.Conflict, "member %q was changed meanwhile", mem.ID)
		}
		if err := index(tx, &old, &mem); err != nil {
			return err
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

// index moves what finds a record by its state and by what it claims.
func index(tx *bolt.Tx, old, mem *membership.Member) error {
	states, claims := tx.Bucket(bucketStates), tx.Bucket(bucketClaims)
	if old.Revision != 0 {
		if err := states.Delete(stateKey(old.State, old.ID)); err != nil {
			return err
		}
		for _, c := range old.Claims() {
			if err := claims.Delete([]byte(c)); err != nil {
				return err
			}
		}
	}
	for _, c := range mem.Claims() {
		if owner := claims.Get([]byte(c)); owner != nil && string(owner) != string(mem.ID) {
			return c.Conflict(membership.ID(owner))
		}
		if err := claims.Put([]byte(c), []byte(mem.ID)); err != nil {
			return err
		}
	}
	return states.Put(stateKey(mem.State, mem.ID), nil)
}

func stateKey(s membership.State, id membership.ID) []byte {
	return append(append([]byte(s), 0), id...)
}

// Owner implements [membership.Store].
func (m *Members) Owner(ctx context.Context, c membership.Claim) (owner membership.ID, err error) {
	err = m.s.view(ctx, func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketClaims).Get([]byte(c))
		if v == nil {
			return fault.New(fault.NotFound, "nobody has %q", c)
		}
		owner = membership.ID(v)
		return nil
	})
	return owner, err
}

// All implements [membership.Store].
func (m *Members) All(ctx context.Context, after membership.ID) iter.Seq2[membership.Member, error] {
	from := []byte{}
	if after != "" {
		from = append([]byte(after), 0)
	}
	return scan(ctx, m.s, bucketMembers, from, func(_ *bolt.Tx, _, v []byte) (membership.Member, error) {
		return decodeMember(v)
	})
}

// In implements [membership.Store].
func (m *Members) In(ctx context.Context, states ...membership.State) iter.Seq2[membership.Member, error] {
	return func(yield func(membership.Member, error) bool) {
		for _, state := range states {
			read := func(tx *bolt.Tx, k, _ []byte) (membership.Member, error) {
				_, id, _ := bytes.Cut(k, []byte{0})
				return decodeMember(tx.Bucket(bucketMembers).Get(id))
			}
			for mem, err := range scanPrefix(ctx, m.s, bucketStates, stateKey(state, ""), read) {
				if !yield(mem, err) || err != nil {
					return
				}
			}
		}
	}
}

// Count implements [membership.Store].
func (m *Members) Count(ctx context.Context) (map[membership.State]int, error) {
	counts := map[membership.State]int{}
	err := m.s.view(ctx, func(tx *bolt.Tx) error {
		return tx.Bucket(bucketStates).ForEach(func(k, _ []byte) error {
			s, _, _ := bytes.Cut(k, []byte{0})
			counts[membership.State(s)]++
			return nil
		})
	})
	return counts, err
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
