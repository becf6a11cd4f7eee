package subscription

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"bridge.example/internal/fault"
)

// State is how an update ended.
type State string

// The states. Only with UpToDate and Changed does the machine trust what the
// bridge says now.
const (
	UpToDate    State = "up to date"
	Changed     State = "changed"     // the targets were made anew: for another list, or by another configuration
	Refused     State = "refused"     // what came; the last good list stays
	Unreachable State = "unreachable" // nothing came; the last good list is in force
	Expired     State = "expired"     // nothing came, and the last good list is over, or there is none
	Empty       State = "empty"       // nothing is selected: the machine trusts nobody
)

// Report is what an update or a look at the status found.
type Report struct {
	State   State
	Attack  Attack // when refused
	Problem string // why not up to date
	// Consentable tells that the list refused may be accepted by its number.
	Consentable bool

	// The list in use; zero when there is none.
	Number               int64
	IssuedAt, NextUpdate time.Time
	InForce              bool // now, by NextUpdate
	Listed, Selected     int  // certificates
	Idle                 []Rule

	Changes []Difference // made or, when a large change was refused, not made
	Targets []Made
	Command string // why the command failed; it runs again at the next update
}

// Made is a target and where it lies.
type Made struct {
	Target
	Path string // the link, or the file below current
}

// OK reports whether the machine trusts what the bridge says now.
func (r *Report) OK() bool { return r.State == UpToDate || r.State == Changed }

func (s *Subscription) report(inUse *set, failure error, at time.Time) *Report {
	r := &Report{State: UpToDate}
	if inUse != nil {
		l := inUse.list
		r.Number, r.IssuedAt, r.NextUpdate = l.Number, l.IssuedAt, l.NextUpdate
		r.InForce, r.Listed = !at.After(l.NextUpdate), len(l.Entries)
		r.Selected = len(in(s.config.Select.Apply(l.Entries)))
		r.Idle = s.config.Select.Idle(l.Entries)
		for _, t := range s.config.Targets {
			path := t.Link
			if path == "" {
				path = filepath.Join(s.dir, currentLink, t.name())
			}
			r.Targets = append(r.Targets, Made{t, path})
		}
	}
	refusal, refused := errors.AsType[*Refusal](failure)
	switch {
	case refused:
		r.State, r.Attack, r.Problem, r.Consentable = Refused, refusal.Attack, refusal.Err.Error(), refusal.Consentable()
	case failure != nil:
		r.State, r.Problem = Unreachable, failure.Error()
		if !r.InForce {
			r.State = Expired
		}
	case !r.InForce:
		r.State, r.Problem = Expired, "the list in use is over since "+r.NextUpdate.Format(time.RFC3339)
	case r.Selected == 0:
		r.State, r.Problem = Empty, "nothing in the list is selected: this machine trusts nobody"
	}
	return r
}

// seen is seen.json.
type seen struct {
	// Clock is the latest instant at which a list was in force: the machine's clock
	// may not go back behind it.
	Clock time.Time `json:"clock"`
	ETag  string    `json:"etag,omitempty"`
	Hash  string    `json:"hash,omitempty"` // SHA-256 of the list that ETag is of
	Ran   string    `json:"ran,omitempty"`  // the set that the command was told of

	At      time.Time `json:"at"` // of the last update, and how it ended
	State   State     `json:"state"`
	Attack  Attack    `json:"attack,omitempty"`
	Problem string    `json:"problem,omitempty"`
}

const seenFile = "seen.json"

func (s *Subscription) readSeen() (out seen, err error) {
	text, err := os.ReadFile(filepath.Join(s.dir, seenFile))
	if errors.Is(err, os.ErrNotExist) {
		return out, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		return out, fault.New(fault.Internal, "reading %s, which may be removed: %w", filepath.Join(s.dir, seenFile), err)
	}
	return out, nil
}

func (s *Subscription) writeSeen(v seen) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	s.step()
	return replaceFile(filepath.Join(s.dir, seenFile), append(text, '\n'))
}
