package federation

import (
	"crypto/x509"
	"slices"
	"strings"

	"bridge.example/internal/engine/pathval"
	"bridge.example/membership"
)

// Overlap is a name of a member that is, or lies below or above, one of
// somebody else's. The register refuses names that are the same byte for byte;
// these are the rest, for a person to judge.
type Overlap struct {
	Kind  OverlapKind
	Name  string        // of the member
	With  membership.ID // the other's id; empty for the bridge
	Other string        // the other's name
}

// OverlapKind is what kind of names overlap.
type OverlapKind string

const (
	// MailDomain: one is the other or a host below it, so that name constraints
	// on one reach the other (RFC 5280 §4.2.1.10).
	MailDomain OverlapKind = "mail domain"
	// CAName: verifiers that compare as RFC 5280 §7.1 demands, regardless of
	// case, spaces and string type, take them for one CA.
	CAName OverlapKind = "CA name"
)

// overlaps compares the candidate of m with the other members that are live.
func overlaps(m membership.Member, all []membership.Member, bridge *x509.Certificate) (out []Overlap) {
	own := subjects(m.Candidate().Certificates())
	compare := func(id membership.ID, names []pathval.Name) {
		for _, n := range own {
			for _, o := range names {
				if n.Equal(o) {
					out = append(out, Overlap{CAName, n.String(), id, o.String()})
				}
			}
		}
	}
	compare("", subjects([]*x509.Certificate{bridge}, nil))
	for _, other := range all {
		if other.ID == m.ID {
			continue
		}
		compare(other.ID, subjects(other.Certificates()))
		for _, d := range m.Candidate().MailDomains {
			for _, o := range other.MailDomains {
				if d == o || strings.HasSuffix(d, "."+o) || strings.HasSuffix(o, "."+d) {
					out = append(out, Overlap{MailDomain, d, other.ID, o})
				}
			}
		}
		if len(out) >= maxOverlaps {
			return out[:maxOverlaps]
		}
	}
	return out
}

// subjects are the different names among CA certificates; one that cannot be
// read takes part in no path, and so overlaps nothing.
func subjects(anchors, intermediates []*x509.Certificate) (out []pathval.Name) {
	for _, c := range slices.Concat(anchors, intermediates) {
		view, err := pathval.ParseCertificate(c.Raw)
		if err == nil && !slices.ContainsFunc(out, view.Subject.Equal) {
			out = append(out, view.Subject)
		}
	}
	return out
}
