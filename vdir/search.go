package vdir

import (
	"context"
	"errors"
	"slices"
	"strings"

	"bridge.example/internal/fault"
)

// errStop ends a search whose size limit is reached.
var errStop = errors.New("size limit reached")

// Search answers q, as Backend has it.
//
// People are found by complete mail addresses only (ErrUnwilling otherwise),
// each asked of the one member whose domain it is in; an address in no member's
// domain is in no entry. The base may be the root, the suffix, a member, its
// ou=People, or one person; every other name is NotFound, a malformed one
// Invalid. A member that does not answer is named in the Outcome and holds up
// nobody else's entries.
func (d *Directory) Search(ctx context.Context, q Query, yield func(Entry) error) (Outcome, error) {
	if q.Scope > WholeSubtree {
		return Outcome{}, fault.New(fault.Invalid, "search scope %d", q.Scope)
	}
	// dirmngr 2.2 sends the line end of its configuration file along.
	base, err := ParseDN(strings.TrimRight(q.Base, "\r\n"))
	if err != nil {
		return Outcome{}, err
	}
	if q.TimeLimit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.TimeLimit)
		defer cancel()
	}
	s := search{d: d, t: d.table.Load(), q: &q, base: base, pick: selectionOf(&q), yield: yield}
	if err := s.run(ctx); err != nil && !errors.Is(err, errStop) {
		return s.out, err
	}
	slices.Sort(s.out.Unavailable)
	s.out.Unavailable = slices.Compact(s.out.Unavailable)
	return s.out, nil
}

// search is one search under way. It belongs to the caller's goroutine.
type search struct {
	d     *Directory
	t     *table
	q     *Query
	base  DN
	pick  selection
	yield func(Entry) error
	sent  int
	out   Outcome
}

func (s *search) run(ctx context.Context) error {
	switch {
	case len(s.base) == 0 && s.q.Scope == BaseObject:
		return s.emit(s.d.rootDSE())
	case len(s.base) == 1 && s.base.value("cn") == "subschema":
		if s.q.Scope == SingleLevel {
			return nil
		}
		return s.emit(subschema())
	}
	if m, a, ok := s.person(); ok {
		return s.one(ctx, m, a)
	}
	at, found := s.node()
	switch {
	case !found && len(s.base) > 0:
		return fault.New(fault.NotFound, "no such entry")
	case s.q.Scope == WholeSubtree && !at.leaf, s.q.Scope == SingleLevel && at.people:
		// People are in scope: nothing but addresses may be asked.
		asked, err := addresses(s.q.Filter)
		if err != nil {
			return err
		}
		return s.people(ctx, s.route(asked, at.member))
	}
	return s.structural()
}

// node returns the structural entry at the base; the root has none.
func (s *search) node() (node, bool) {
	i := slices.IndexFunc(s.t.entries, func(n node) bool { return n.dn.Equal(s.base) })
	if i < 0 {
		return node{}, false
	}
	return s.t.entries[i], true
}

// person reads a base of the form mail=…,ou=People,o=…,suffix that may exist:
// the address is in a domain of that member.
func (s *search) person() (*mount, address, bool) {
	rel, ok := s.base.under(s.d.base)
	if !ok || len(rel) != 3 || rel[1:].value("ou") != "people" {
		return nil, address{}, false
	}
	m := s.t.byMember[rel[2:].value("o")]
	a, ok := parseAddress(rel.value("mail"))
	if !ok || m == nil || s.t.byDomain[a.domain()] != m {
		return nil, address{}, false
	}
	return m, a, true
}

// structural yields the entries of the structure in scope that match.
func (s *search) structural() error {
	for _, n := range s.t.entries {
		rel, under := n.dn.under(s.base)
		var in bool
		switch s.q.Scope {
		case BaseObject:
			in = under && len(rel) == 0
		case SingleLevel:
			// The suffix, whatever its length, is what the root shows first.
			in = under && (len(rel) == 1 || len(s.base) == 0 && n.dn.Equal(s.d.base))
		case WholeSubtree:
			in = under
		}
		if in {
			if err := s.emit(n.entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// one answers a search based at a person: the address is in the name, so the
// filter only has to match.
func (s *search) one(ctx context.Context, m *mount, a address) error {
	if s.q.Scope == SingleLevel {
		return nil
	}
	found, err := s.d.lookup(ctx, m, a)
	if found == nil && err == nil {
		return fault.New(fault.NotFound, "no such entry")
	}
	return s.take(task{m: m, a: a, found: found, err: err})
}

// task is one address to look up at one member, and its result.
type task struct {
	m     *mount
	a     address
	found *Entry
	err   error
}

// route assigns each address to the member of its domain; those of no member,
// or not of only, when set, are not anywhere in scope.
func (s *search) route(asked []address, only string) []task {
	tasks := make([]task, 0, len(asked))
	for _, a := range asked {
		m := s.t.byDomain[a.domain()]
		if m != nil && (only == "" || only == foldValue(m.Member)) {
			tasks = append(tasks, task{m: m, a: a})
		}
	}
	return tasks
}

// people looks all tasks up, several side by side, and yields what is found as
// it arrives.
func (s *search) people(ctx context.Context, tasks []task) error {
	if len(tasks) == 1 {
		t := tasks[0]
		t.found, t.err = s.d.lookup(ctx, t.m, t.a)
		return s.take(t)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan task)
	for _, t := range tasks {
		go func() {
			t.found, t.err = s.d.lookup(ctx, t.m, t.a)
			done <- t
		}()
	}
	var err error
	for range tasks { // all of them, also after an error: nobody is left behind
		if t := <-done; err == nil {
			if err = s.take(t); err != nil {
				cancel()
			}
		}
	}
	return err
}

// mounted reports whether a's domain is that member's now.
func (d *Directory) mounted(member string, a address) bool {
	m := d.table.Load().byDomain[a.domain()]
	return m != nil && m.Member == member
}

// take yields what a task found, or notes that its member did not answer.
func (s *search) take(t task) error {
	switch {
	case errors.Is(t.err, errUnavailable):
		s.out.Unavailable = append(s.out.Unavailable, t.m.Member)
		return nil
	case t.err != nil:
		return t.err
	case !s.d.mounted(t.m.Member, t.a):
		// Taken away while it was asked: whoever did that must be able to rely
		// on it.
		return nil
	case t.found == nil:
		return nil
	}
	return s.emit(*t.found)
}

// emit yields e if it matches the filter, cut to what was asked for.
func (s *search) emit(e Entry) error {
	if match(s.q.Filter, &e) != yes {
		return nil
	}
	if s.q.SizeLimit > 0 && s.sent >= s.q.SizeLimit {
		s.out.SizeLimitExceeded = true
		return errStop
	}
	s.sent++
	return s.yield(s.pick.apply(e))
}
