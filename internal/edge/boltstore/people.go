package boltstore

import (
	"context"
	"encoding/json"
	"iter"

	bolt "go.etcd.io/bbolt"

	"bridge.example/internal/fault"
	"bridge.example/internal/people"
)

var _ people.Store = (*People)(nil)

// People implements [people.Store].
type People struct{ s *Store }

type personRecord struct {
	Revision uint64        `json:"revision"`
	Person   people.Person `json:"person"`
}

func decodePerson(v []byte) (people.Person, error) {
	var r personRecord
	if err := json.Unmarshal(v, &r); err != nil {
		return people.Person{}, fault.New(fault.Internal, "reading record of a person: %w", err)
	}
	r.Person.Revision = r.Revision
	return r.Person, nil
}

// Load implements [people.Store].
func (p *People) Load(ctx context.Context, id people.ID) (out people.Person, err error) {
	err = p.s.view(ctx, func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketPeople).Get([]byte(id))
		if v == nil {
			return fault.New(fault.NotFound, "no person %q", id)
		}
		out, err = decodePerson(v)
		return err
	})
	return out, err
}

// Save implements [people.Store].
func (p *People) Save(ctx context.Context, person people.Person) (people.Person, error) {
	err := p.s.update(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketPeople)
		var stored uint64
		if v := b.Get([]byte(person.ID)); v != nil {
			old, err := decodePerson(v)
			if err != nil {
				return err
			}
			stored = old.Revision
		}
		switch {
		case stored != person.Revision && person.Revision == 0:
			return fault.New(fault.Conflict, "person %q exists", person.ID)
		case stored != person.Revision:
			return fault.New(fault.Conflict, "person %q was changed meanwhile", person.ID)
		}
		next, err := b.NextSequence()
		if err != nil {
			return err
		}
		person.Revision = next
		v, err := json.Marshal(personRecord{next, person})
		if err != nil {
			return err
		}
		return b.Put([]byte(person.ID), v)
	})
	if err != nil {
		return people.Person{}, err
	}
	return person, nil
}

// All implements [people.Store].
func (p *People) All(ctx context.Context) iter.Seq2[people.Person, error] {
	return scan(ctx, p.s, bucketPeople, []byte{}, func(_ *bolt.Tx, _, v []byte) (people.Person, error) {
		return decodePerson(v)
	})
}
