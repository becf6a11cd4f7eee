package pathval

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/crl"
)

// ErrRevoked is what Revocation.Check returns for a revoked certificate, by
// itself or wrapped. It is Denied.
var ErrRevoked = fault.New(fault.Denied, "revoked")

// maxSignerDepth bounds how many CRL issuers may have to be vouched for by
// another's CRL.
const maxSignerDepth = 4

// CRLs is a Revocation that knows what a set of CRLs says (RFC 5280 §6.3):
// complete and delta, partitioned by distribution point or reason, indirect,
// signed by the issuer itself, under another key of it, or by someone it
// entitled. It is immutable, and safe for concurrent use.
//
// Every entry is kept in a map, some 150 bytes each; for lists with millions
// of entries use a StatusFunc over an index made for them.
type CRLs struct {
	byIssuer map[string][]*indexedCRL // by normalised name
	pool     *Pool
}

// indexedCRL is a list prepared for questions.
type indexedCRL struct {
	*crl.List
	issuer  Name
	digest  [32]byte              // SHA-256 of the list
	revoked map[string]crl.Reason // by issuer and serial
	names   []Name                // of the scope's distribution point, as distinguished names
	others  [][]byte              // and its other general names, in DER
	strange bool                  // it has entries of other issuers, but is not indirect
}

// NewCRLs prepares lists, which must be made by crl.Parse. Whoever signed them
// is sought on the path in question and in pool, which may be nil. The error
// names a list that cannot be used at all; it is Invalid.
func NewCRLs(pool *Pool, lists ...*crl.List) (*CRLs, error) {
	if pool == nil {
		pool = NewPool()
	}
	s := &CRLs{byIssuer: map[string][]*indexedCRL{}, pool: pool}
	for _, l := range lists {
		x, err := indexCRL(l)
		if err != nil {
			return nil, err
		}
		s.byIssuer[x.issuer.key] = append(s.byIssuer[x.issuer.key], x)
	}
	for _, xs := range s.byIssuer {
		// The newest list that applies decides.
		slices.SortStableFunc(xs, func(a, b *indexedCRL) int { return b.ThisUpdate.Compare(a.ThisUpdate) })
	}
	return s, nil
}

func indexCRL(l *crl.List) (*indexedCRL, error) {
	x := &indexedCRL{List: l, digest: sha256.Sum256(l.Raw()), revoked: make(map[string]crl.Reason, l.Entries)}
	var ok bool
	if x.issuer, ok = parseName(l.Issuer); !ok || l.Raw() == nil {
		return nil, fault.New(fault.Invalid, "CRL is not whole, or its issuer is malformed")
	}
	if l.Scope != nil {
		if x.names, x.others, ok = pointNames(l.Scope.Point, x.issuer); !ok {
			return nil, fault.New(fault.Invalid, "CRL of %s: malformed distribution point", x.issuer)
		}
	}
	issuer, last := x.issuer, []byte(nil)
	for e := range l.All() {
		if !bytes.Equal(e.Issuer, last) {
			last = bytes.Clone(e.Issuer)
			if issuer, ok = certificateIssuer(last); !ok {
				return nil, fault.New(fault.Invalid, "CRL of %s: malformed certificateIssuer", x.issuer)
			}
		}
		x.strange = x.strange || e.Issuer != nil && (l.Scope == nil || !l.Scope.Indirect)
		key := entryKey(issuer, e.Serial)
		if _, twice := x.revoked[key]; !twice || e.Reason != crl.RemoveFromCRL {
			x.revoked[key] = e.Reason
		}
	}
	return x, nil
}

// certificateIssuer is the one distinguished name in a certificateIssuer.
func certificateIssuer(der cryptobyte.String) (Name, bool) {
	var content cryptobyte.String
	if !der.ReadASN1(&content, cbasn1.SEQUENCE) {
		return Name{}, false
	}
	names, ok := directoryNames(content)
	if !ok || len(names) != 1 {
		return Name{}, false
	}
	return names[0], true
}

func entryKey(issuer Name, serial []byte) string {
	return string(appendCounted(nil, serial)) + issuer.key
}

// pointNames are the names of a distribution point, of which a relative one
// hangs below the CRL issuer.
func pointNames(p crl.DistributionPoint, issuer Name) (names []Name, others [][]byte, ok bool) {
	if p.RelativeName != nil {
		n, ok := issuer.appendRelative(p.RelativeName)
		return []Name{n}, nil, ok
	}
	for _, der := range p.FullName {
		s := cryptobyte.String(der)
		g, ok := readGeneralName(&s)
		if !ok {
			return nil, nil, false
		}
		if g.form == formDirectory {
			names = append(names, g.dn)
		} else {
			others = append(others, der)
		}
	}
	return names, others, true
}

// Check implements Revocation by RFC 5280 §6.3.3. Lists that do not apply, or
// are not current, or not signed by whoever may, are as if they were not there;
// the error says why.
func (s *CRLs) Check(ctx context.Context, q StatusQuery) error {
	if q.work == nil {
		return fault.New(fault.Internal, "a StatusQuery of neither Validate nor Build")
	}
	var covered crl.Reasons
	var why []error
	points := q.Certificate.points
	// Last, as if there were a point that names the issuer: §6.3.3 at its end.
	points = append(points[:len(points):len(points)], distributionPoint{reasons: crl.AllReasons})
	for i, p := range points {
		issuers := p.issuers
		if issuers == nil {
			issuers = []Name{q.Certificate.Issuer}
		}
		for _, issuer := range issuers {
			for _, x := range s.byIssuer[issuer.key] {
				if x.BaseNumber != nil {
					continue
				}
				reasons, err := s.consult(ctx, q, p, i == len(points)-1, x, covered)
				if errors.Is(err, ErrRevoked) {
					return err
				}
				if err != nil {
					why = append(why, err)
				}
				if covered |= reasons; covered == crl.AllReasons {
					return nil
				}
			}
		}
	}
	if len(why) == 0 && covered == 0 {
		return fmt.Errorf("%w: no CRL of %s answers for it", ErrStatusUnknown, q.Certificate.Issuer)
	}
	if covered != 0 {
		why = append(why, errors.New("the CRLs leave out some reasons"))
	}
	return fmt.Errorf("%w: %w", ErrStatusUnknown, errors.Join(why...))
}

// consult asks one complete list, and its deltas: steps (a) to (l) for one
// point. It returns the reasons that are now covered, none if the list does not
// apply.
func (s *CRLs) consult(ctx context.Context, q StatusQuery, p distributionPoint, implied bool, x *indexedCRL, covered crl.Reasons) (crl.Reasons, error) {
	reasons, ok := x.covers(q.Certificate, p, implied)
	if !ok || reasons&^covered == 0 {
		return 0, nil
	}
	if err := x.usable(q.At); err != nil {
		return 0, err
	}
	signer, err := s.signer(ctx, q, x)
	if err != nil {
		return 0, err
	}
	// removeFromCRL means something in a delta only (§5.3.1).
	reason, revoked := x.status(q.Certificate)
	if delta := s.delta(q, x, signer); delta != nil {
		if r, found := delta.status(q.Certificate); found {
			reason, revoked = r, r != crl.RemoveFromCRL
		}
	}
	if revoked {
		return 0, fmt.Errorf("%w: %s, says the CRL of %s of %s", ErrRevoked, reason, x.issuer, x.ThisUpdate.Format(time.DateOnly))
	}
	return reasons, nil
}

func (x *indexedCRL) status(c *Certificate) (crl.Reason, bool) {
	r, ok := x.revoked[entryKey(c.Issuer, c.Serial)]
	return r, ok
}

// covers is §6.3.3 (b), (d): whether the list answers for certificates like c
// at the point p, and for which reasons.
func (x *indexedCRL) covers(c *Certificate, p distributionPoint, implied bool) (crl.Reasons, bool) {
	scope := x.Scope
	if scope == nil {
		// Without a scope it is complete for its issuer, and for nobody else.
		return p.reasons, p.issuers == nil
	}
	if scope.OnlyAttributeCerts || scope.OnlyUserCerts && c.ca || scope.OnlyCACerts && !c.ca ||
		p.issuers != nil && !scope.Indirect {
		return 0, false
	}
	if !scope.Point.Empty() && !x.isAt(c, p, implied) {
		return 0, false
	}
	return p.reasons & scope.OnlySomeReasons, true
}

// isAt is §6.3.3 (b)(2)(i): a name of the list's point is one of p's. A point
// without a name goes by the CRL issuer's, one that is implied by that of the
// certificate's issuer.
func (x *indexedCRL) isAt(c *Certificate, p distributionPoint, implied bool) bool {
	names, others := p.issuers, [][]byte(nil)
	switch {
	case implied:
		names = []Name{c.Issuer}
	case !p.name.Empty():
		below := c.Issuer
		if len(p.issuers) == 1 {
			below = p.issuers[0]
		}
		var ok bool
		if names, others, ok = pointNames(p.name, below); !ok {
			return false
		}
	}
	for _, a := range x.names {
		for _, b := range names {
			if a.Equal(b) {
				return true
			}
		}
	}
	for _, a := range x.others {
		for _, b := range others {
			if bytes.Equal(a, b) {
				return true
			}
		}
	}
	return false
}

// usable is §6.3.3 (a), and §5.2 on critical extensions.
func (x *indexedCRL) usable(at time.Time) error {
	switch {
	case x.UnknownCritical:
		return fmt.Errorf("the CRL of %s has an unknown critical extension", x.issuer)
	case x.strange:
		return fmt.Errorf("the CRL of %s has entries of other issuers and is not indirect", x.issuer)
	case at.Before(x.ThisUpdate):
		return fmt.Errorf("the CRL of %s is of the future", x.issuer)
	case x.NextUpdate.IsZero():
		return fmt.Errorf("the CRL of %s has no nextUpdate", x.issuer)
	case at.After(x.NextUpdate):
		return fmt.Errorf("the CRL of %s ended on %s", x.issuer, x.NextUpdate.Format(time.DateOnly))
	}
	return nil
}

// delta is the newest delta for x: §6.3.3 (c), (h), and the numbers of §5.2.4.
func (s *CRLs) delta(q StatusQuery, x *indexedCRL, signer publicKey) (best *indexedCRL) {
	for _, d := range s.byIssuer[x.issuer.key] {
		if d.BaseNumber == nil || d.Number == nil || x.Number == nil || d.BaseNumber.Cmp(x.Number) > 0 || d.Number.Cmp(x.Number) < 0 ||
			!bytes.Equal(d.AuthorityKeyID, x.AuthorityKeyID) || !sameScope(d.Scope, x.Scope) || d.usable(q.At) != nil ||
			best != nil && best.Number.Cmp(d.Number) > 0 || q.verify(d, signer) != nil {
			continue
		}
		best = d
	}
	return best
}

func sameScope(a, b *crl.DistributionScope) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(a.Raw, b.Raw)
}

// verify checks the signature of a list.
func (q StatusQuery) verify(x *indexedCRL, key publicKey) error {
	if f := q.work.verify(x, x.digest, x.Algorithm, key); f != none {
		return fmt.Errorf("CRL of %s: %s", x.issuer, f.reason)
	}
	return nil
}

// signer finds whose key signed the list, and that the owner may: §6.3.3 (f),
// (g). That is somebody on the path above, or one of the pool with a valid path
// from the same anchor.
func (s *CRLs) signer(ctx context.Context, q StatusQuery, x *indexedCRL) (publicKey, error) {
	last := fmt.Errorf("no certificate of %s signs CRLs", x.issuer)
	for i := len(q.Above) - 1; i >= 0; i-- {
		c := q.Above[i]
		if !c.Subject.Equal(x.issuer) || !c.may(x509.KeyUsageCRLSign) {
			continue
		}
		if last = q.verify(x, q.keys[i]); last == nil {
			return q.keys[i], nil
		}
	}
	for _, c := range s.pool.named(x.issuer) {
		if !c.may(x509.KeyUsageCRLSign) || c.key.inherits {
			continue
		}
		if last = q.verify(x, c.key); last != nil {
			continue
		}
		if last = s.entitled(ctx, q, c.Certificate); last == nil {
			return c.key, nil
		}
		last = fmt.Errorf("CRL signer %s: %w", c, last)
	}
	return publicKey{}, last
}

// entitled builds a path from the same anchor to a CRL signer. Its own status
// may be told by the very list it signs: there may be no other.
func (s *CRLs) entitled(ctx context.Context, q StatusQuery, signer *Certificate) error {
	for _, c := range q.signers {
		if c == signer {
			return nil
		}
	}
	if len(q.signers) == maxSignerDepth {
		return errors.New("too many CRL issuers vouch for each other")
	}
	nested := StatusFunc(func(ctx context.Context, inner StatusQuery) error {
		inner.signers = append(q.signers[:len(q.signers):len(q.signers)], signer)
		return s.Check(ctx, inner)
	})
	in := Inputs{
		Anchors: q.Above[:1], At: q.At, Revocation: nested,
		Accept: q.work.in.Accept, Budget: q.work.in.Budget, Cache: q.work.in.Cache,
	}
	_, err := build(ctx, signer, s.pool, in, q.work.left)
	return err
}
