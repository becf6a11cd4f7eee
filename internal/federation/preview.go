package federation

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// Bounds on one preview, however many members there are.
const (
	previewTime     = 5 * time.Second // for the search; what is not done by then is left out
	maxSearches     = 10_000
	maxPreviewPaths = 1000
	maxOverlaps     = 200
)

// Preview is what would change if a member came into force as its record
// stands now: computed, for nothing is signed that anybody could use.
type Preview struct {
	RecordHash string          // of the record that was looked at
	Bridge     string          // subject of the bridge CA
	Members    []membership.ID // in force before or after, ordered; the member is among them
	// Opened, Closed and Kept count paths by their Change.
	Opened, Closed, Kept int
	// Paths are those that open, then those that close, then those that stay;
	// the first thousand.
	Paths []PreviewPath
	// Overlaps are the first two hundred.
	Overlaps []Overlap
	// Cut counts the pairs with the member, in each direction, that were not
	// searched to the end, to bound the work; CutOthers those of two others,
	// which come last. Only a path through the member could change there.
	Cut, CutOthers int
}

// Change is what becomes of a path.
type Change string

const (
	Opens  Change = "opens"
	Closes Change = "closes"
	Stays  Change = "stays"
)

// PreviewPath is a path from an anchor of one member to what a CA of another
// issues to its subscribers for mail.
type PreviewPath struct {
	Change   Change
	From, To membership.ID
	Anchor   string // subject of the anchor, which is From's
	CA       string // subject of the CA that issues to subscribers
	// Policies of From under which a path opens, closes or stays.
	Policies []x509.OID
	// Via are the subjects of the CAs below the anchor, CA last.
	Via []string
	// Beyond tells that CA seems to be none of To's own: its certificate maps
	// policies, as one for another domain of trust does, or it names another
	// organisation than every anchor of To.
	Beyond bool
}

// Preview computes what admitting a member, as its candidate stands, would
// change for the members in force. It searches as a relying party would: from
// each anchor, under that member's own policies, an explicit policy required.
// Errors: NotFound; Invalid when the bridge CA would refuse to sign.
func (f *Federation) Preview(ctx context.Context, id membership.ID) (Preview, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return Preview{}, err
	}
	p, err := f.survey(ctx, m)
	p.Paths = p.Paths[:min(len(p.Paths), maxPreviewPaths)]
	return p, err
}

// survey is Preview of a record, with every path.
func (f *Federation) survey(ctx context.Context, m membership.Member) (Preview, error) {
	members, err := f.Register.Live(ctx)
	if err != nil {
		return Preview{}, err
	}
	candidate := trust(m, m.Candidate(), f.Now())
	requests, err := f.requests(&candidate, m.Candidate())
	if err != nil {
		return Preview{}, err
	}
	for _, r := range requests {
		draft, err := f.Authority.Draft(r)
		if err != nil {
			return Preview{}, err
		}
		candidate.CrossTo = append(candidate.CrossTo, draft)
	}
	s, err := newSurvey(f.BridgeCA, f.Artifacts().Links(), f.Artifacts().Trusted, candidate, f.Now())
	if err != nil {
		return Preview{}, fmt.Errorf("previewing %s: %w", m.ID, err)
	}
	p := Preview{RecordHash: m.RecordHash(), Bridge: f.BridgeCA.Subject.String(), Members: s.ids, Overlaps: overlaps(m, members, f.BridgeCA)}
	if err := s.run(ctx, &p); err != nil {
		return Preview{}, err
	}
	slices.SortStableFunc(p.Paths, func(a, b PreviewPath) int { return cmp.Compare(rank(a.Change), rank(b.Change)) })
	return p, nil
}

func rank(c Change) int { return slices.Index([]Change{Opens, Closes, Stays}, c) }

// Complete reports whether every pair with the member was searched to the end:
// else nothing may be concluded from a path that is not there. The error is
// Unavailable.
func (p Preview) Complete() error {
	if p.Cut > 0 {
		return fault.New(fault.Unavailable, "%d pairs with the member were not searched in time; try again", p.Cut)
	}
	return nil
}

func (p *Preview) add(x PreviewPath) {
	switch x.Change {
	case Opens:
		p.Opened++
	case Closes:
		p.Closed++
	case Stays:
		p.Kept++
	}
	p.Paths = append(p.Paths, x)
}
