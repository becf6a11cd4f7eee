package membership

import (
	"time"

	"bridge.example/internal/fault"
)

// Verb is what an officer decides.
type Verb string

const (
	// Approve admits a member, or brings a suspended one back, once a quorum
	// of persons has approved the same record.
	Approve Verb = "approve"
	// Suspend stops a member at once; one officer is enough.
	Suspend Verb = "suspend"
)

// Decision is one officer's act on one record.
type Decision struct {
	Verb Verb  `json:"verb"`
	By   Actor `json:"by"`
	// RecordHash is the hash of the record that was looked at; an approval
	// binds exactly this record.
	RecordHash string    `json:"record_hash,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	At         time.Time `json:"at"`
	// To is the state that followed; empty for an approval short of the quorum.
	To State `json:"to,omitempty"`
}

// transition is one row of the table of what may be decided.
type transition struct {
	from   State
	verb   Verb
	to     State
	quorum int // different persons needed
}

// Stopping is easy, starting is hard: one officer suspends, a quorum admits.
var table = []transition{
	{Applied, Approve, Active, Quorum},
	{Active, Suspend, Suspended, 1},
	{Suspended, Approve, Active, Quorum},
}

// decide applies d to m, or says why it may not. It changes neither argument's
// shared data: the slices of the result are its own.
func decide(m Member, d Decision) (Member, error) {
	t, err := find(m, d.Verb)
	if err != nil {
		return Member{}, err
	}
	if d.By.Person == "" {
		return Member{}, fault.New(fault.Denied, "a decision needs a person")
	}
	switch d.Verb {
	case Suspend:
		if d.Reason == "" {
			return Member{}, fault.New(fault.Invalid, "suspending %s: a reason is required", m.ID)
		}
	case Approve:
		if hash := m.RecordHash(); d.RecordHash != hash {
			return Member{}, fault.New(fault.Conflict,
				"approving %s: the record hash is %s, the approval names %q; look at the record again", m.ID, hash, d.RecordHash)
		}
		for _, a := range m.Approvals {
			if a.By.Person == d.By.Person {
				return Member{}, fault.New(fault.Conflict,
					"approving %s: %s has approved this record already; %d different persons are needed", m.ID, d.By.Person, t.quorum)
			}
		}
		m.Approvals = append(m.Approvals[:len(m.Approvals):len(m.Approvals)], d)
		if len(m.Approvals) < t.quorum {
			m.Decisions = append(m.Decisions[:len(m.Decisions):len(m.Decisions)], d)
			return m, nil
		}
	}
	d.To = t.to
	m.State, m.Since, m.Reason, m.Approvals = t.to, d.At, d.Reason, nil
	m.Decisions = append(m.Decisions[:len(m.Decisions):len(m.Decisions)], d)
	return m, nil
}

func find(m Member, v Verb) (transition, error) {
	known := false
	for _, t := range table {
		if t.verb == v {
			known = true
			if t.from == m.State {
				return t, nil
			}
		}
	}
	if !known {
		return transition{}, fault.New(fault.Invalid, "%q is not a decision", v)
	}
	return transition{}, fault.New(fault.Conflict, "%s is %s: nothing to %s", m.ID, m.State, v)
}
