package subscription

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/signedlist"
)

// Update fetches the list once and, if it may, puts it into use: targets and
// state change together or not at all. accept is the number of a list that
// somebody consented to although it would be refused as [Refusal.Consentable];
// 0 is none.
//
// What the list or the repository did wrong stands in the report; an error is
// about this machine: its disk, another update under way (Conflict), a link
// that cannot be made.
func (s *Subscription) Update(ctx context.Context, accept int64) (*Report, error) {
	unlock, err := lock(filepath.Join(s.dir, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.link(); err != nil {
		return nil, err
	}
	inUse, err := s.load()
	if err != nil {
		return nil, err
	}
	before, err := s.readSeen()
	if err != nil {
		return nil, err
	}
	at := s.o.Now().UTC()
	run := update{Subscription: s, inUse: inUse, seen: before, at: at, accept: accept}
	failure := run.advance(ctx)
	_, away := errors.AsType[unreachable](failure)
	if failure != nil && !away && !isRefusal(failure) {
		return nil, failure
	}
	if away && ctx.Err() != nil {
		return nil, ctx.Err() // it was not the repository's fault
	}
	r := s.report(run.inUse, failure, at)
	r.Changes = run.changes
	if r.State == UpToDate && run.inUse != inUse {
		r.State = Changed
	}
	if failure == nil && at.After(run.seen.Clock) {
		run.seen.Clock = at
	}
	if run.inUse != nil && run.seen.Ran != filepath.Base(run.inUse.dir) {
		if err := s.command(ctx); err != nil {
			r.Command = err.Error()
		} else {
			run.seen.Ran = filepath.Base(run.inUse.dir)
		}
	}
	run.seen.At, run.seen.State, run.seen.Attack, run.seen.Problem = at, r.State, r.Attack, r.Problem
	if err := s.writeSeen(run.seen); err != nil {
		return nil, err
	}
	return r, nil
}

// Status reports on the set in use without fetching anything: whether it is in
// force, intact, and how the last update ended.
func (s *Subscription) Status() (*Report, error) {
	inUse, err := s.load()
	if err != nil {
		return nil, err
	}
	last, err := s.readSeen()
	if err != nil {
		return nil, err
	}
	at := s.o.Now().UTC()
	var failure error
	switch {
	case inUse == nil:
		failure = fault.New(fault.Unavailable, "no list was ever fetched")
	case !inUse.intact(s.configHash()):
		failure = &Refusal{Altered, errors.New("the files in use are not those that were made from the list by this configuration; an update makes them anew")}
	case last.State == Refused:
		failure = &Refusal{last.Attack, errors.New(last.Problem)}
	case last.State == Unreachable:
		failure = fault.New(fault.Unavailable, "%s", last.Problem)
	}
	if refusal := clock(at, listOf(inUse), last.Clock); refusal != nil {
		failure = refusal
	}
	return s.report(inUse, failure, at), nil
}

// update is one run.
type update struct {
	*Subscription
	inUse   *set // replaced when another is put into use
	seen    seen
	at      time.Time
	accept  int64
	changes []Difference
}

// advance puts the list that the repository has into use, or says why not. What
// the configuration or somebody changed since is made anew first, from the list in
// use as long as that is in force: no network is needed for it.
func (u *update) advance(ctx context.Context) error {
	if u.inUse != nil && !u.at.After(u.inUse.list.NextUpdate) && !u.inUse.intact(u.configHash()) {
		if err := u.put(u.inUse.list, u.inUse.der); err != nil {
			return err
		}
	}
	if refusal := clock(u.at, listOf(u.inUse), u.seen.Clock); refusal != nil {
		return refusal
	}
	etag := ""
	if u.inUse != nil && u.seen.Hash == hexSum(u.inUse.der) {
		etag = u.seen.ETag
	}
	got, err := u.source.get(ctx, u.config.URL, etag)
	if err != nil {
		return err
	}
	der := got.Body
	if der == nil {
		der = u.inUse.der // unchanged: but it may have expired since
	}
	l, err := judge(der, listOf(u.inUse), u.roots(), u.at, u.config.maxSkip())
	if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Attack == OtherSigner && u.announcedBetween(ctx, l) {
		err = nil
	}
	if err = u.consent(l, err); err != nil {
		return err
	}
	if err := u.checkViews(ctx, l); err != nil {
		return err
	}
	if u.inUse == nil || l.Hash != u.inUse.list.Hash {
		if err := u.put(l, der); err != nil {
			return err
		}
	}
	u.seen.ETag, u.seen.Hash = got.ETag, hexSum(der)
	return nil
}

// put puts a list into use that may be.
func (u *update) put(l *signedlist.List, der []byte) error {
	selected := in(u.config.Select.Apply(l.Entries))
	var before []signedlist.Entry
	if u.inUse != nil {
		before = in(u.config.Select.Apply(u.inUse.list.Entries))
	}
	changes := Compare(before, selected)
	if u.inUse != nil {
		if err := u.consent(l, u.large(changes, len(before))); err != nil {
			u.changes = changes
			return err
		}
	}
	if err := u.prune(u.inUse); err != nil {
		return err
	}
	next, err := u.prepare(l, der, selected, record{At: u.at, Accepted: u.accept == l.Number}, u.inUse)
	if err != nil {
		return err
	}
	if err := u.use(next); err != nil {
		return err
	}
	u.inUse, u.changes = next, changes
	return nil
}

// large refuses a change beyond the limit.
func (u *update) large(changes []Difference, of int) error {
	added, removed := count(changes)
	limit := u.config.MaxChange
	if limit.exceeded(added, of) || limit.exceeded(removed, of) {
		return refuse(Change, "of %d certificates selected %d would go, and %d come", of, removed, added)
	}
	return nil
}

// consent drops a refusal that somebody overruled for this list.
func (u *update) consent(l *signedlist.List, err error) error {
	refusal, ok := errors.AsType[*Refusal](err)
	if ok && l != nil && refusal.Consentable() {
		if u.accept == l.Number {
			return nil
		}
		return &Refusal{refusal.Attack, fmt.Errorf("list %d: %w", l.Number, refusal.Err)}
	}
	return err
}

func listOf(c *set) *signedlist.List {
	if c == nil {
		return nil
	}
	return c.list
}

// in are the entries chosen.
func in(choices []Choice) (out []signedlist.Entry) {
	for _, c := range choices {
		if c.In {
			out = append(out, c.Entry)
		}
	}
	return out
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[*Refusal](err)
	return ok
}
