package storetest

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"sync"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// Memory is a membership.Store that forgets: for tests that need no disk.
type Memory struct {
	mu       sync.Mutex
	revision membership.Revision
	records  map[membership.ID]record
	claims   map[membership.Claim]membership.ID
	changed  chan struct{}
}

type record struct {
	revision membership.Revision
	content  []byte // JSON, so that nobody shares what is stored
}

var _ membership.Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{records: map[membership.ID]record{}, claims: map[membership.Claim]membership.ID{}, changed: make(chan struct{})}
}

func (r record) member() membership.Member {
	var m membership.Member
	if err := json.Unmarshal(r.content, &m); err != nil {
		panic(err) // we wrote it
	}
	m.Revision = r.revision
	return m
}

// Load implements [membership.Store].
func (s *Memory) Load(_ context.Context, id membership.ID) (membership.Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[id]
	if !ok {
		return membership.Member{}, fault.New(fault.NotFound, "no member %q", id)
	}
	return r.member(), nil
}

// Save implements [membership.Store].
func (s *Memory) Save(_ context.Context, m membership.Member) (membership.Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.records[m.ID]
	if old.revision != m.Revision {
		return membership.Member{}, fault.New(fault.Conflict, "member %q was changed meanwhile", m.ID)
	}
	for _, c := range m.Claims() {
		if owner, taken := s.claims[c]; taken && owner != m.ID {
			return membership.Member{}, c.Conflict(owner)
		}
	}
	if ok {
		for _, c := range old.member().Claims() {
			delete(s.claims, c)
		}
	}
	for _, c := range m.Claims() {
		s.claims[c] = m.ID
	}
	content, err := json.Marshal(m)
	if err != nil {
		return membership.Member{}, err
	}
	s.revision++
	s.records[m.ID] = record{s.revision, content}
	close(s.changed)
	s.changed = make(chan struct{})
	m.Revision = s.revision
	return m, nil
}

// Owner implements [membership.Store].
func (s *Memory) Owner(_ context.Context, c membership.Claim) (membership.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if owner, ok := s.claims[c]; ok {
		return owner, nil
	}
	return "", fault.New(fault.NotFound, "nobody has %q", c)
}

// All implements [membership.Store].
func (s *Memory) All(_ context.Context, after membership.ID) iter.Seq2[membership.Member, error] {
	return func(yield func(membership.Member, error) bool) {
		for _, m := range s.sorted() {
			if m.ID > after && !yield(m, nil) {
				return
			}
		}
	}
}

// In implements [membership.Store].
func (s *Memory) In(_ context.Context, states ...membership.State) iter.Seq2[membership.Member, error] {
	return func(yield func(membership.Member, error) bool) {
		for _, m := range s.sorted() {
			if slices.Contains(states, m.State) && !yield(m, nil) {
				return
			}
		}
	}
}

// Count implements [membership.Store].
func (s *Memory) Count(context.Context) (map[membership.State]int, error) {
	out := map[membership.State]int{}
	for _, m := range s.sorted() {
		out[m.State]++
	}
	return out, nil
}

func (s *Memory) sorted() []membership.Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []membership.Member
	for _, id := range slices.Sorted(maps.Keys(s.records)) {
		out = append(out, s.records[id].member())
	}
	return out
}

// Watch implements [membership.Store].
func (s *Memory) Watch(ctx context.Context, from membership.Revision) iter.Seq2[membership.Change, error] {
	return func(yield func(membership.Change, error) bool) {
		for {
			s.mu.Lock()
			changed := s.changed
			s.mu.Unlock()
			all := s.sorted()
			slices.SortFunc(all, func(a, b membership.Member) int { return cmp.Compare(a.Revision, b.Revision) })
			for _, m := range all {
				if m.Revision <= from {
					continue
				}
				from = m.Revision
				if !yield(membership.Change{Revision: from, Member: m}, nil) {
					return
				}
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
