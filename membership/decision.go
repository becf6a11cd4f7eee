package membership

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"bridge.example/internal/fault"
)

// Decision is one person's act on one record.
type Decision struct {
	Verb Verb  `json:"verb"`
	By   Actor `json:"by"`
	// RecordHash is the hash of the record that was looked at. Where the table
	// asks for it the decision binds exactly this record; elsewhere it may be
	// empty.
	RecordHash string    `json:"record_hash,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	At         time.Time `json:"at"`
	// To is the state, or the stage of the amendment, that followed; empty for a
	// decision short of the persons it needs.
	To State `json:"to,omitempty"`

	Documents []Document `json:"documents,omitempty"`
	// Fingerprints are the hex SHA-256 of the anchors as they were read aloud; of
	// Submit those of all CA certificates as they stand on the form, if known.
	Fingerprints []string `json:"fingerprints,omitempty"`
	// Mappings are the rows of policies that the assessor found equivalent.
	Mappings []Policy `json:"mappings,omitempty"`
	// Preview names the preview of the graph that was seen.
	Preview string `json:"preview,omitempty"`
	// Date is when the member leaves.
	Date time.Time `json:"date,omitzero"`
}

// normalize brings d into the one spelling that is recorded, or says what is
// wrong with its form.
func (d *Decision) normalize() error {
	d.Reason = strings.TrimSpace(d.Reason)
	for i, f := range d.Fingerprints {
		d.Fingerprints[i] = strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(f))
	}
	var p problems
	if len(d.Reason) > maxText || !utf8.ValidString(d.Reason) {
		p.addf("reason: want at most %d bytes of UTF-8", maxText)
	}
	checkText(&p, "preview", d.Preview, false)
	if len(d.Fingerprints) > maxCAs {
		p.addf("fingerprints: want at most %d, got %d", maxCAs, len(d.Fingerprints))
	}
	if len(d.Mappings) > maxPolicies {
		p.addf("mappings: want at most %d, got %d", maxPolicies, len(d.Mappings))
	}
	for i, m := range d.Mappings {
		checkText(&p, fmt.Sprintf("mappings[%d].section", i), m.Section, false)
	}
	checkDocuments(&p, "documents", d.Documents)
	if len(p) > 0 {
		return fault.New(fault.Invalid, "%s: %s", d.Verb, strings.Join(p, "; "))
	}
	return nil
}

// decide applies d to m, or says why it may not. It changes neither argument's
// shared data.
func decide(m Member, d Decision) (Member, error) {
	if d.By.Person == "" {
		return Member{}, fault.New(fault.Denied, "a decision needs a person")
	}
	t, err := find(&m, d)
	if err != nil {
		return Member{}, err
	}
	if err := t.permits(&m, d); err != nil {
		return Member{}, fault.New(fault.KindOf(err), "%s %s: %w", d.Verb, m.ID, err)
	}
	if m.Amendment != nil {
		copied := *m.Amendment
		m.Amendment = &copied
	}
	given := append(same(m.Approvals, d, t.binds), d)
	others := slices.DeleteFunc(slices.Clone(m.Approvals), func(a Decision) bool { return a.Verb == d.Verb })
	if len(given) < t.persons {
		if t.atOnce != "" && m.State != t.atOnce {
			d.To = t.atOnce
			given[len(given)-1] = d
			m.enter(t.atOnce, d)
		}
		m.Approvals = append(others, given...)
	} else {
		m.Approvals = others
		m.apply(t, &d)
	}
	if t.amends && !slices.Contains([]Verb{Approve, Activate}, d.Verb) {
		m.prepare(d.By.Person)
	}
	m.Decisions = append(slices.Clip(m.Decisions), d)
	return m, nil
}

// find returns the row for d, and otherwise says what could be decided.
func find(m *Member, d Decision) (transition, error) {
	var known, possible bool
	var who []Role
	for _, t := range table {
		if t.verb != d.Verb {
			continue
		}
		known = true
		stage := m.State
		if t.amends {
			stage = m.Stage()
		}
		if !slices.Contains(t.from, stage) {
			continue
		}
		possible = true
		if slices.ContainsFunc(t.who, func(r Role) bool { return d.By.acts(r, m.ID) }) {
			return t, nil
		}
		who = append(who, t.who...)
	}
	switch {
	case !known:
		return transition{}, fault.New(fault.Invalid, "%q is not a decision", d.Verb)
	case !possible:
		return transition{}, fault.New(fault.Conflict, "%s is %s: nothing to %s", m.ID, m.where(), d.Verb)
	}
	return transition{}, fault.New(fault.Denied, "%s %s: %s is not %s", d.Verb, m.ID, d.By.Person, anyOf(who))
}

// where says in words how far the record is.
func (m *Member) where() string {
	if m.Amendment != nil {
		return fmt.Sprintf("%s, with an amendment that is %s", m.State, m.Amendment.Stage)
	}
	return string(m.State)
}

// acts reports whether a may act in a role for the member id.
func (a Actor) acts(r Role, id ID) bool {
	if (r == Applicant || r == MemberRole) && a.Member != id {
		return false
	}
	return slices.Contains(a.Roles, r)
}

func anyOf(roles []Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	return strings.Join(names, " or ")
}

// permits reports what d lacks for the row t.
func (t transition) permits(m *Member, d Decision) error {
	if hash := m.RecordHash(); (t.binds || d.RecordHash != "") && d.RecordHash != hash {
		return fault.New(fault.Conflict, "the record hash is %s, not %q; look at the record again", hash, d.RecordHash)
	}
	for _, a := range same(m.Approvals, d, t.binds) {
		if a.By.Person == d.By.Person {
			return fault.New(fault.Conflict, "%s has done so already; %d different persons are needed", d.By.Person, t.persons)
		}
	}
	if t.independent && slices.Contains(m.Prepared, d.By.Person) {
		return fault.New(fault.Denied, "%s had a hand in preparing the record, and cannot approve it", d.By.Person)
	}
	// What is resumed is what is in force, and what was examined is the amendment.
	if (d.Verb == Renew || d.Verb == Resume) && m.Amendment != nil {
		return fault.New(fault.Conflict, "an amendment is under way; finish it or withdraw it first")
	}
	// Whoever confirms must be another person than the one who suspended.
	if d.Verb == Confirm {
		switch last := m.stopped(); {
		case last.Verb == Confirm:
			return fault.New(fault.Conflict, "it is confirmed already")
		case last.By.Person == d.By.Person:
			return fault.New(fault.Conflict, "%s suspended it; a second person confirms", d.By.Person)
		}
	}
	if t.reason && d.Reason == "" {
		return fault.New(fault.Invalid, "a reason is required")
	}
	if d.Verb == Submit {
		if err := m.Candidate().complete(); err != nil {
			return err
		}
		if err := checkForm(d.Fingerprints); err != nil {
			return err
		}
	}
	if err := missingDocument(d.Documents, t.documents); err != nil {
		return err
	}
	if t.fingerprints {
		if err := m.Candidate().recognizes(d.Fingerprints); err != nil {
			return err
		}
	}
	if t.preview && d.Preview == "" {
		return fault.New(fault.Invalid, "the preview of the graph must have been seen")
	}
	if t.mappings {
		if err := m.Candidate().reviewed(d.Mappings); err != nil {
			return err
		}
	}
	if t.date && !d.Date.After(d.At) {
		return fault.New(fault.Invalid, "a date in the future is required")
	}
	if d.Verb == Activate && d.At.Sub(m.stageSince()) > approvalAge {
		return fault.New(fault.Conflict, "the approvals are older than %d hours; approve again", approvalAge/time.Hour)
	}
	if t.report > 0 {
		return m.examined(d.At, t.report)
	}
	return nil
}

// stopped is the decision that suspended m last, or that confirmed it since.
func (m *Member) stopped() Decision {
	for _, d := range slices.Backward(m.Decisions) {
		// Others that leave a suspended member suspended have that as To as well.
		if d.Verb == Confirm || d.To == Suspended && (d.Verb == Suspend || d.Verb == Revoke) {
			return d
		}
	}
	return Decision{}
}

// Unconfirmed is since when a suspension waits for its second person; not ok
// when none does.
func (m Member) Unconfirmed() (since time.Time, ok bool) {
	last := m.stopped()
	return last.At, m.State == Suspended && last.Verb != Confirm
}

// examined reports whether the record as it stands passed an examination not
// older than age.
func (m *Member) examined(at time.Time, age time.Duration) error {
	switch r := m.Report; {
	case r == nil || r.RecordHash != m.RecordHash():
		return fault.New(fault.Conflict, "the record as it stands was not checked; check it")
	case !r.Passed:
		return fault.New(fault.Conflict, "the last check failed at %s; mend that and check again", strings.Join(r.Failed, ", "))
	case at.Sub(r.At) > age:
		return fault.New(fault.Conflict, "the last check is of %s, and may be %v old at most; check again", r.At.Format(time.RFC3339), age)
	}
	return nil
}

// same are the earlier decisions that count together with d: of the same verb,
// not grown too old, and over the same record where that matters.
func same(approvals []Decision, d Decision, binds bool) (out []Decision) {
	for _, a := range approvals {
		if a.Verb == d.Verb && (!binds || a.RecordHash == d.RecordHash) && d.At.Sub(a.At) <= approvalAge {
			out = append(out, a)
		}
	}
	return out
}

// apply carries out the row t, on which enough persons agree.
func (m *Member) apply(t transition, d *Decision) {
	switch {
	case d.Verb == Activate:
		d.To = m.activate(d)
	case d.Verb == Renew:
		m.amend(Submitted, m.Application, true, d.At)
		m.prepare(d.By.Person)
		d.To = m.State
	case t.amends && m.Amendment != nil && t.to.over():
		m.Amendment, m.Prepared, m.Approvals = nil, nil, nil
		m.Round++
		d.To = t.to
	case t.amends && m.Amendment != nil:
		m.Amendment.Stage, m.Amendment.Since = t.to, d.At
		m.skip()
		d.To = m.Amendment.Stage
	case t.to == "":
		m.Halted = m.Halted || d.Verb == Suspend
		d.To = m.State
	default:
		if d.Verb == Exit {
			m.ExitAt = d.Date
		}
		m.enter(t.to, *d)
		d.To = t.to
	}
}

// enter moves the member itself to a state.
func (m *Member) enter(to State, d Decision) {
	switch {
	case to == Suspended:
		m.Halted = true
	case to == Active:
		m.Halted = false
	}
	if !m.State.open() || !to.open() {
		m.Round++ // what was agreed before does not count for what comes
		m.Approvals = nil
	}
	m.State, m.Since, m.Reason = to, d.At, d.Reason
	if to.over() {
		m.Amendment, m.Prepared, m.Approvals = nil, nil, nil
	}
}

// activate puts the candidate into force.
func (m *Member) activate(d *Decision) State {
	renewed := m.Amendment == nil || m.Amendment.Renewal
	if m.Amendment != nil {
		m.Application, m.Amendment = m.Amendment.Application, nil
	} else {
		m.enter(Active, *d)
	}
	if renewed {
		m.RenewBy = d.At.Add(term)
		if m.State == RenewalDue {
			m.State, m.Since = Active, d.At
		}
	}
	if m.ActiveSince.IsZero() {
		m.ActiveSince = d.At
	}
	m.Prepared, m.Approvals = nil, nil
	m.Round++
	return m.State
}

func (m *Member) stageSince() time.Time {
	if m.Amendment != nil {
		return m.Amendment.Since
	}
	return m.Since
}

func (m *Member) prepare(person string) {
	if !slices.Contains(m.Prepared, person) {
		m.Prepared = append(slices.Clip(m.Prepared), person)
	}
}
