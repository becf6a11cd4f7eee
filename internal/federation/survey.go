package federation

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"bridge.example/internal/engine/pathval"
	"bridge.example/membership"
)

// survey searches the mesh as it is and as it would be.
type survey struct {
	candidate     membership.ID
	ids           []membership.ID
	before, after map[membership.ID]*place
	old, new      *pathval.Pool
	links         []*pathval.Certificate // between the keys of the bridge CA
	cache         *pathval.Cache
	at            time.Time
	searches      int
}

// place is a member in the mesh.
type place struct {
	policies []x509.OID
	anchors  []*pathval.Certificate
	issuing  []issuingCA
	certs    []*pathval.Certificate // that lead to it, or from it to the bridge
}

// issuingCA is a CA that issues to subscribers.
type issuingCA struct {
	key     string // name and public key
	subject string
	beyond  bool
	// subscriber stands for all of them: a certificate for mail under all the
	// member's policies, without a name that a constraint could refuse. It is
	// never signed by the CA, only supposed to be.
	subscriber *pathval.Certificate
}

func newSurvey(bridge *x509.Certificate, links []*x509.Certificate, trusted []Trusted, candidate Trusted, at time.Time) (*survey, error) {
	s := &survey{candidate: candidate.ID, before: map[membership.ID]*place{}, after: map[membership.ID]*place{}, at: at}
	throwaway, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	var supposed []pathval.Supposition
	settle := func(t Trusted, in ...map[membership.ID]*place) error {
		p, own, err := newPlace(t, throwaway, at)
		if err != nil {
			return fmt.Errorf("certificates of %s: %w", t.ID, err)
		}
		supposed = append(supposed, own...)
		for _, m := range in {
			m[t.ID] = p
		}
		return nil
	}
	for _, t := range trusted {
		in := []map[membership.ID]*place{s.before, s.after}
		if t.ID == candidate.ID {
			in = in[:1]
		}
		if err := settle(t, in...); err != nil {
			return nil, err
		}
		s.ids = append(s.ids, t.ID)
	}
	if err := settle(candidate, s.after); err != nil {
		return nil, err
	}
	if _, ok := s.before[candidate.ID]; !ok {
		s.ids = append(s.ids, candidate.ID)
	}
	slices.Sort(s.ids)
	root, err := pathval.ParseCertificate(bridge.Raw)
	if err != nil {
		return nil, err
	}
	for _, c := range candidate.CrossTo {
		draft, err := pathval.ParseCertificate(c.Raw)
		if err != nil {
			return nil, err
		}
		supposed = append(supposed, pathval.Supposition{Certificate: draft, Issuer: root})
	}
	if s.links, err = views(links); err != nil {
		return nil, err
	}
	s.cache = pathval.Suppose(supposed...)
	s.old, s.new = s.pool(s.before), s.pool(s.after)
	return s, nil
}

func (s *survey) pool(places map[membership.ID]*place) *pathval.Pool {
	all := slices.Clone(s.links)
	for _, id := range s.ids {
		if p := places[id]; p != nil {
			all = append(all, p.certs...)
		}
	}
	return pathval.NewPool(all...)
}

func newPlace(t Trusted, throwaway crypto.Signer, at time.Time) (*place, []pathval.Supposition, error) {
	p := &place{policies: t.Policies}
	var err error
	if p.anchors, err = views(t.Anchors); err != nil {
		return nil, nil, err
	}
	if p.certs, err = views(slices.Concat(t.Intermediates, t.CrossTo, t.CrossFrom)); err != nil {
		return nil, nil, err
	}
	var supposed []pathval.Supposition
	for _, ca := range t.issuing() {
		view, err := pathval.ParseCertificate(ca.Raw)
		if err != nil {
			return nil, nil, err
		}
		subscriber, err := subscriberOf(ca, t.Policies, throwaway, at)
		if err != nil {
			return nil, nil, err
		}
		p.issuing = append(p.issuing, issuingCA{string(ca.RawSubject) + string(ca.RawSubjectPublicKeyInfo), view.Subject.String(), t.isBeyond(ca), subscriber})
		supposed = append(supposed, pathval.Supposition{Certificate: subscriber, Issuer: view})
	}
	return p, supposed, nil
}

func views(certs []*x509.Certificate) ([]*pathval.Certificate, error) {
	var out []*pathval.Certificate
	for _, c := range certs {
		view, err := pathval.ParseCertificate(c.Raw)
		if err != nil {
			return nil, err
		}
		out = append(out, view)
	}
	return out, nil
}

// issuing are the CAs that issue to subscribers, each once: the intermediates,
// and the anchors that have none below them.
func (t *Trusted) issuing() (out []*x509.Certificate) {
	all := slices.Clone(t.Intermediates)
	for _, a := range t.Anchors {
		below := func(i *x509.Certificate) bool { return depth(i, []*x509.Certificate{a}, t.Intermediates) > 0 }
		if !slices.ContainsFunc(t.Intermediates, below) {
			all = append(all, a)
		}
	}
	for _, c := range all {
		same := func(o *x509.Certificate) bool {
			return bytes.Equal(c.RawSubject, o.RawSubject) && bytes.Equal(c.RawSubjectPublicKeyInfo, o.RawSubjectPublicKeyInfo)
		}
		if !slices.ContainsFunc(out, same) {
			out = append(out, c)
		}
	}
	return out
}

// isBeyond is PreviewPath.Beyond.
func (t *Trusted) isBeyond(ca *x509.Certificate) bool {
	sameOrganisation := func(a *x509.Certificate) bool {
		return slices.EqualFunc(a.Subject.Organization, ca.Subject.Organization, strings.EqualFold)
	}
	return len(ca.PolicyMappings) > 0 || !slices.ContainsFunc(t.Anchors, sameOrganisation)
}

func subscriberOf(ca *x509.Certificate, policies []x509.OID, throwaway crypto.Signer, at time.Time) (*pathval.Certificate, error) {
	issuer := &x509.Certificate{RawSubject: ca.RawSubject, SubjectKeyId: ca.SubjectKeyId, PublicKey: throwaway.Public()}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: at.Add(-time.Minute), NotAfter: at.Add(time.Minute), Policies: policies,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}, issuer, throwaway.Public(), throwaway)
	if err != nil {
		return nil, err
	}
	return pathval.ParseCertificate(der)
}

// run searches all pairs, those with the candidate first, until its time or its
// searches are used up.
func (s *survey) run(ctx context.Context, p *Preview) error {
	limited, cancel := context.WithTimeout(ctx, previewTime)
	defer cancel()
	for _, withCandidate := range []bool{true, false} {
		for _, from := range s.ids {
			for _, to := range s.ids {
				if from == to || (from == s.candidate || to == s.candidate) != withCandidate {
					continue
				}
				switch {
				case s.searches < maxSearches && limited.Err() == nil && s.pair(limited, p, from, to) == nil:
				case withCandidate:
					p.Cut++
				default:
					p.CutOthers++
				}
			}
		}
	}
	return ctx.Err()
}

// way is a policy under which a CA is reached, and over which CAs.
type way struct {
	policy x509.OID
	via    []string
}

// connection is what may be between an anchor and a CA: ways by policy, as it
// is and as it would be.
type connection struct {
	PreviewPath
	before, after map[string]way
}

// pair adds to p what changes and what stays between two members. After an
// error nothing is added: half an answer would look like a change.
func (s *survey) pair(ctx context.Context, p *Preview, from, to membership.ID) error {
	var all []*connection
	byEnds := map[string]*connection{}
	search := func(pool *pathval.Pool, places map[membership.ID]*place, keep func(*connection, map[string]way)) error {
		a, b := places[from], places[to]
		if a == nil || b == nil {
			return nil
		}
		for _, anchor := range a.anchors {
			for _, ca := range b.issuing {
				ways, err := s.reach(ctx, pool, anchor, ca, a.policies)
				if err != nil {
					return err
				}
				ends := string(anchor.Fingerprint[:]) + ca.key
				c, ok := byEnds[ends]
				if !ok {
					c = &connection{PreviewPath: PreviewPath{
						From: from, To: to, Anchor: anchor.Subject.String(), CA: ca.subject, Beyond: ca.beyond,
					}}
					byEnds[ends], all = c, append(all, c)
				}
				keep(c, ways)
			}
		}
		return nil
	}
	if err := search(s.old, s.before, func(c *connection, w map[string]way) { c.before = w }); err != nil {
		return err
	}
	if err := search(s.new, s.after, func(c *connection, w map[string]way) { c.after = w }); err != nil {
		return err
	}
	for _, c := range all {
		c.addTo(p, Opens, c.after, func(policy string) bool { _, was := c.before[policy]; return !was })
		c.addTo(p, Closes, c.before, func(policy string) bool { _, is := c.after[policy]; return !is })
		c.addTo(p, Stays, c.after, func(policy string) bool { _, was := c.before[policy]; return was })
	}
	return nil
}

// addTo adds the path whose policies are those that belong, if any do.
func (c *connection) addTo(p *Preview, what Change, ways map[string]way, belongs func(policy string) bool) {
	x := c.PreviewPath
	x.Change = what
	for _, policy := range slices.Sorted(maps.Keys(ways)) {
		if !belongs(policy) {
			continue
		}
		if x.Policies == nil {
			x.Via = ways[policy].via
		}
		x.Policies = append(x.Policies, ways[policy].policy)
	}
	if x.Policies != nil {
		p.add(x)
	}
}

// reach finds the policies under which anchor reaches ca: the first search
// accepts any of them, the next any that is left, until none is or no path.
func (s *survey) reach(ctx context.Context, pool *pathval.Pool, anchor *pathval.Certificate, ca issuingCA, policies []x509.OID) (map[string]way, error) {
	found := map[string]way{}
	for left := slices.Clone(policies); len(left) > 0; {
		s.searches++
		r, err := pathval.Build(ctx, ca.subscriber, pool, pathval.Inputs{
			Anchors: []*pathval.Certificate{anchor}, At: s.at, Policies: left, ExplicitPolicy: true,
			Purpose: pathval.EmailProtection(), Cache: s.cache,
		})
		if errors.Is(err, pathval.ErrNoPath) {
			break
		}
		if err != nil {
			return nil, err
		}
		var via []string
		for _, c := range r.Path[:len(r.Path)-1] {
			via = append(via, c.Subject.String())
		}
		for _, policy := range r.Policies {
			found[policy.String()] = way{policy, via}
		}
		n := len(left)
		left = slices.DeleteFunc(left, func(o x509.OID) bool { return slices.ContainsFunc(r.Policies, o.Equal) })
		if len(left) == n {
			break // cannot be; but a loop must not rest on that
		}
	}
	return found, nil
}
