package membership

import (
	"fmt"
	"slices"
	"time"
)

// Next is one decision that could be taken now, and what is still missing for it.
type Next struct {
	Verb    Verb
	Who     []Role
	Persons int      // different ones who must decide the same
	Given   []string // persons who have
	// Documents are the kinds it needs.
	Documents []DocumentKind
	// Missing says in words what stands in the way at this instant.
	Missing []string
}

// Next returns the decisions that the table allows persons where m stands, those
// about the candidate first. Checking is among them while it leads further.
func (m Member) Next(now time.Time) (out []Next) {
	if m.Stage() == Submitted {
		out = append(out, Next{Verb: Check, Who: examiners, Persons: 1, Missing: m.failures()})
	}
	for _, t := range table {
		stage := m.State
		if t.amends {
			stage = m.Stage()
		}
		if !slices.Contains(t.from, stage) || slices.Equal(t.who, []Role{System}) {
			continue
		}
		if t.verb == Confirm && m.stopped().Verb == Confirm {
			continue
		}
		n := Next{Verb: t.verb, Who: slices.DeleteFunc(slices.Clone(t.who), func(r Role) bool { return r == System }), Persons: t.persons, Documents: t.documents}
		probe := Decision{Verb: t.verb, At: now, RecordHash: m.RecordHash()}
		for _, d := range same(m.Approvals, probe, t.binds) {
			n.Given = append(n.Given, d.By.Person)
		}
		if t.verb == Confirm { // who suspended is the first of the two
			n.Persons, n.Given = 2, []string{m.stopped().By.Person}
		}
		if t.report > 0 {
			if err := m.examined(now, t.report); err != nil && t.verb != Activate { // which examines by itself
				n.Missing = append(n.Missing, err.Error())
			}
		}
		if t.verb == Submit {
			if err := m.Candidate().complete(); err != nil {
				n.Missing = append(n.Missing, err.Error())
			}
		}
		if t.verb == Activate && now.Sub(m.stageSince()) > approvalAge {
			n.Missing = append(n.Missing, "the approvals are too old; approve again")
		}
		if t.independent && len(m.Prepared) > 0 {
			n.Missing = append(n.Missing, fmt.Sprintf("approvers other than %v, who prepared it", m.Prepared))
		}
		out = append(out, n)
	}
	return out
}

// failures says which checks stand in the way.
func (m Member) failures() []string {
	if m.Report == nil || m.Report.Passed || m.Report.RecordHash != m.RecordHash() {
		return nil
	}
	return []string{fmt.Sprintf("the last check failed at %v", m.Report.Failed)}
}

// Deciders are the roles that the table lets decide a verb, whatever the state.
func Deciders(v Verb) (out []Role) {
	for _, t := range table {
		if t.verb == v {
			out = append(out, t.who...)
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(r Role) bool { return r == System })
}
