package membership

import (
	"bytes"
	"reflect"
	"slices"
	"time"

	"bridge.example/internal/fault"
)

// amend puts an application up to replace the one in force.
func (m *Member) amend(stage State, a Application, renewal bool, at time.Time) {
	if m.Amendment == nil { // otherwise whoever wrote the version before stays involved
		m.Prepared = nil
	}
	m.Amendment = &Amendment{Application: a, Stage: stage, Since: at, Renewal: renewal}
	m.Approvals = slices.DeleteFunc(slices.Clone(m.Approvals), func(d Decision) bool {
		return d.Verb == Approve || d.Verb == Identify
	})
	m.Round++
}

// skip passes the steps that an amendment does not need, because what they are
// about did not change. Checks and approvals are always needed.
func (m *Member) skip() {
	a := m.Amendment
	if a.Renewal {
		return
	}
	for _, s := range []struct {
		from, to State
		changed  bool
	}{
		{Checked, Assessed, policiesChanged(&m.Application, &a.Application)},
		{Assessed, Contracted, termsChanged(&m.Application, &a.Application)},
		{Contracted, Identified, authoritiesChanged(&m.Application, &a.Application)},
	} {
		if a.Stage == s.from && !s.changed {
			a.Stage = s.to
		}
	}
}

// policiesChanged is about what an assessor compared.
func policiesChanged(old, a *Application) bool {
	return !reflect.DeepEqual(old.Policies, a.Policies) || !reflect.DeepEqual(old.Documents, a.Documents) ||
		old.Escrow != a.Escrow
}

// termsChanged is about what the contract says.
func termsChanged(old, a *Application) bool {
	return old.Name != a.Name || old.Country != a.Country || old.RegisterNumber != a.RegisterNumber ||
		!reflect.DeepEqual(old.Services, a.Services) || old.OneWay != a.OneWay || old.Delivery != a.Delivery
}

// authoritiesChanged is about what officers compared in person.
func authoritiesChanged(old, a *Application) bool {
	return old.Name != a.Name || !slices.EqualFunc(old.Anchors, a.Anchors, func(x, y CA) bool {
		return bytes.Equal(x.Certificate, y.Certificate)
	})
}

// complete reports what an application lacks to be submitted.
func (a *Application) complete() error {
	if err := a.Validate(); err != nil {
		return err
	}
	return missingDocument(a.Documents, []DocumentKind{PolicyDocument, PracticeStatement})
}

// recognizes reports whether the fingerprints are those of all the anchors.
func (a *Application) recognizes(fingerprints []string) error {
	for _, f := range fingerprints {
		if !slices.ContainsFunc(a.Anchors, func(c CA) bool { return hashOf(c.Certificate) == f }) {
			return fault.New(fault.Conflict, "the fingerprint %s is that of no anchor of the record", f)
		}
	}
	for i, c := range a.Anchors {
		if h := hashOf(c.Certificate); !slices.Contains(fingerprints, h) {
			return fault.New(fault.Invalid, "the fingerprint of anchors[%d] is missing", i)
		}
	}
	return nil
}

// reviewed reports whether rows are all the mappings that a asks for.
func (a *Application) reviewed(rows []Policy) error {
	for _, r := range rows {
		if !slices.ContainsFunc(a.Policies, r.same) {
			return fault.New(fault.Conflict, "the record maps no %s to %s", r.Member, r.Bridge)
		}
	}
	for _, p := range a.Policies {
		if !slices.ContainsFunc(rows, p.same) {
			return fault.New(fault.Invalid, "the mapping of %s to %s was not reviewed", p.Member, p.Bridge)
		}
	}
	return nil
}
