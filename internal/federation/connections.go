package federation

import (
	"context"
	"fmt"
	"slices"

	"bridge.example/membership"
)

// Connections holds what m, as its candidate stands, would connect against what
// it should. Missing are paths that should be there afterwards: from each
// member in force that certified the bridge, to each that the bridge certified,
// one end being m, where both map policies to a common level of the bridge.
// Unexpected are paths that m would open between two others, as far as a preview
// searches those. Errors are those of [Federation.Preview]; Unavailable when
// pairs with m were not all searched, for nothing is known of the rest.
func (f *Federation) Connections(ctx context.Context, m membership.Member) (missing, unexpected []string, err error) {
	p, err := f.survey(ctx, m)
	if err != nil {
		return nil, nil, err
	}
	type ends struct{ from, to membership.ID }
	found := map[ends]bool{}
	for _, x := range p.Paths {
		if x.Change != Closes {
			found[ends{x.From, x.To}] = true
		}
		if x.Change == Opens && x.From != m.ID && x.To != m.ID {
			unexpected = append(unexpected, fmt.Sprintf("from %s of %s to %s of %s", x.Anchor, x.From, x.CA, x.To))
		}
	}
	if !m.Candidate().Wants(membership.CrossCertificate) {
		return nil, unexpected, nil
	}
	if err := p.Complete(); err != nil {
		return nil, unexpected, err
	}
	want := func(from, to membership.ID) {
		if !found[ends{from, to}] {
			missing = append(missing, fmt.Sprintf("from %s to %s", from, to))
		}
	}
	for _, t := range f.Artifacts().Trusted {
		if t.ID == m.ID {
			continue
		}
		other, err := f.Register.Member(ctx, t.ID)
		if err != nil {
			return nil, nil, err
		}
		if !shareLevel(&other.Application, m.Candidate()) {
			continue
		}
		if len(t.CrossFrom) > 0 {
			want(t.ID, m.ID)
		}
		if len(t.CrossTo) > 0 && !m.Candidate().OneWay {
			want(m.ID, t.ID)
		}
	}
	return missing, unexpected, nil
}

func shareLevel(a, b *membership.Application) bool {
	return slices.ContainsFunc(a.Policies, func(p membership.Policy) bool {
		return slices.ContainsFunc(b.Policies, func(q membership.Policy) bool { return p.Bridge == q.Bridge })
	})
}
