package federation

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"bridge.example/membership"
)

const (
	// lookAround is how often it is seen whose turn it is, examineTime what one
	// examination may take.
	lookAround  = 10 * time.Minute
	examineTime = 5 * time.Minute
)

// perNight is how often who applies is examined in the time in which members in
// force are once: it is to be seen over a day that status services are steady.
const perNight = 4

// turn is how often m is examined.
func (f *Federation) turn(m *membership.Member) time.Duration {
	switch m.Stage() {
	case membership.Submitted, membership.Checked, membership.Assessed, membership.Contracted, membership.Identified, membership.Approved:
		return f.Nightly / perNight
	}
	return f.Nightly
}

// dueNightly reports whether the turn of m came since its last examination.
// Each member has its own time of the day, so that they are not all asked, and
// do not all answer, at once.
func (f *Federation) dueNightly(m *membership.Member, now time.Time) bool {
	h := fnv.New64a()
	h.Write([]byte(m.ID))
	every := f.turn(m)
	own := time.Duration(h.Sum64() % uint64(every))
	turn := now.Add(-own).Truncate(every).Add(own)
	return m.Report == nil || m.Report.At.Before(turn)
}

// Reexamine examines those live members, and applicants who submitted, whose
// turn it is, and remembers what changed. What one member prevents is only
// reported.
func (f *Federation) Reexamine(ctx context.Context) error {
	members, err := f.Register.Live(ctx)
	if err != nil {
		return fmt.Errorf("reading the register: %w", err)
	}
	for m, err := range f.Register.Open(ctx) {
		if err != nil {
			return fmt.Errorf("reading the register: %w", err)
		}
		if m.State != membership.Draft {
			members = append(members, m)
		}
	}
	for _, m := range members {
		if !f.dueNightly(&m, f.Now()) {
			continue
		}
		if err := f.reexamine(ctx, &m); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			f.Log.Error("examining a member again", "member", m.ID, "err", err)
		}
	}
	return nil
}

func (f *Federation) reexamine(ctx context.Context, m *membership.Member) error {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	c, err := f.Check(ctx, m.ID, membership.Bridge())
	if err != nil {
		return err
	}
	before, after := m.Report, c.Member.Report
	if before == nil || before.Document == after.Document {
		return nil
	}
	lines, err := f.compare(ctx, m.ID, before, after)
	if err != nil || len(lines) == 0 {
		return err
	}
	f.Log.Warn("checks of a member changed", "member", m.ID, "passed", after.Passed, "changes", lines)
	return f.remember(ctx, m.ID, Difference{At: after.At, Lines: lines})
}

// compare says how two reports differ: in the words of Parts.Compare, or else
// by which checks fail.
func (f *Federation) compare(ctx context.Context, id membership.ID, before, after *membership.Report) (lines []string, err error) {
	if f.Compare != nil {
		old, err := f.Documents.Get(ctx, id, before.Document)
		if err != nil {
			return nil, err
		}
		now, err := f.Documents.Get(ctx, id, after.Document)
		if err != nil {
			return nil, err
		}
		return f.Compare(old, now), nil
	}
	for _, check := range after.Failed {
		if !slices.Contains(before.Failed, check) {
			lines = append(lines, check+" fails now")
		}
	}
	for _, id := range before.Failed {
		if !slices.Contains(after.Failed, id) {
			lines = append(lines, id+" fails no more")
		}
	}
	return lines, nil
}

func (f *Federation) remember(ctx context.Context, id membership.ID, c Difference) error {
	f.watching.Lock()
	defer f.watching.Unlock()
	seen, err := f.Seen(ctx)
	if err != nil {
		return err
	}
	seen.Changes = maps.Clone(seen.Changes)
	if seen.Changes == nil {
		seen.Changes = map[membership.ID]Difference{}
	}
	seen.Changes[id] = c
	return f.Watching.Memory.Save(ctx, seen)
}

// runNightly looks around until ctx ends.
func (f *Federation) runNightly(ctx context.Context) {
	for f.Nightly > 0 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookAround):
		}
		if err := f.Reexamine(ctx); err != nil && ctx.Err() == nil {
			f.Log.Error("examining members again", "err", err)
		}
	}
}
