package pathval

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
)

// Build finds a valid path from an anchor to leaf through pool. It looks from
// the leaf upwards at the most promising path first (shortest by the names,
// key identifiers that fit), drops a branch at the first thing no path through
// it could heal, and goes on with the next until one is valid by the rules of
// Validate, or none is left, or the budget is used up. When none is left and
// there is a Source, that is asked for more.
//
// The error is a *NoPathError, or that of ctx.
func Build(ctx context.Context, leaf *Certificate, pool *Pool, in Inputs) (*Result, error) {
	return build(ctx, leaf, pool, in, nil)
}

// build is Build, on what is left of another call's budget if it is given.
func build(ctx context.Context, leaf *Certificate, pool *Pool, in Inputs, left *Budget) (*Result, error) {
	if in.Cache == nil {
		in.Cache = pool.cache
	}
	b := &builder{
		work: newWork(in), arena: pool.arena(), pool: pool,
		distance: pool.distance(in.Anchors), farthest: unreachable, failed: &NoPathError{cause: ErrNoPath},
	}
	if in.Source != nil {
		// What the names in the pool rule out may be found outside; it comes last.
		b.outside, b.farthest = newOutside(in.Anchors), unreachable-1
	}
	defer b.release(pool)
	if left != nil {
		b.left = left
	}
	return b.run(ctx, leaf)
}

// builder is one search.
type builder struct {
	*work
	*arena
	pool     *Pool
	distance []uint8
	farthest uint8    // the most that a distance counts for
	outside  *outside // nil without a Source
	failed   *NoPathError
}

// branch is a chain of certificates up to one whose issuer is to be found.
type branch struct {
	cert   *Certificate
	below  *branch // nil at the leaf
	length int     // certificates
	// authorities counts those that pathLenConstraint counts: below this
	// certificate, not the leaf, not self-issued.
	authorities int
	doubts      int  // what key identifiers say against the links, in certificates
	unknown     bool // whether the newest link's signature has yet to be verified
	cost, order int
}

// What key identifiers weigh, in certificates.
const (
	costOtherKey = 2 // one that does not fit
	// costForged is for another key than the one that is proven, whatever it
	// claims: more than a shorter way could make up for.
	costForged = 20
)

func (b *builder) run(ctx context.Context, leaf *Certificate) (*Result, error) {
	start := &branch{cert: leaf, length: 1}
	if f := b.validity(leaf); f != none {
		return nil, b.fail(start, f)
	}
	if f := b.leaf(leaf); f != none {
		return nil, b.fail(start, f)
	}
	heap.Push(&b.open, start)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if b.open.Len() == 0 {
			more, f := b.fetch(ctx)
			if f != none {
				b.note(&Rejection{Reason: f.reason, Detail: f.detail})
				return nil, b.exhausted()
			}
			if more || ctx.Err() != nil {
				continue
			}
			b.stranded()
			b.failed.Work = b.spent()
			return nil, b.failed
		}
		n := heap.Pop(&b.open).(*branch)
		if b.left.Steps--; b.left.Steps < 0 {
			return nil, b.fail(n, finding{Exhausted, "steps"})
		}
		if f, at := b.admit(n); f.reason == Exhausted {
			return nil, b.fail(n, f)
		} else if f != none {
			b.reject(n, at, f)
			continue
		}
		r, err := b.complete(ctx, n)
		if r != nil || err != nil {
			return r, err
		}
		if f := b.expand(n); f != none {
			return nil, b.fail(n, f)
		}
	}
}

// admit is what can be checked when a certificate joins a branch: that its key
// verifies the one below, and its name constraints. It also returns how far
// below the newcomer the one at fault is. A DSA key that inherits its
// parameters has to wait for a whole path.
func (b *builder) admit(n *branch) (f finding, at int) {
	if n.below == nil {
		return none, 0
	}
	if !n.cert.key.inherits {
		if f := b.signature(n.below.cert, n.cert.key); f != none {
			return f, 1
		}
	}
	if n.cert.constraints == nil {
		return none, 0
	}
	for at, m := 1, n.below; m != nil; at, m = at+1, m.below {
		if m.below == nil || !m.cert.selfIssued() {
			if f := b.constrain(n.cert.constraints, m.cert); f != none {
				return f, at
			}
		}
	}
	return none, 0
}

// complete validates the branch under each anchor that has its issuer's name.
func (b *builder) complete(ctx context.Context, n *branch) (*Result, error) {
	for _, a := range b.in.Anchors {
		if !a.Subject.Equal(n.cert.Issuer) {
			continue
		}
		r, err := b.validate(ctx, a, n.path())
		if err == nil {
			return r, nil
		}
		rejection, ok := errors.AsType[*Rejection](err)
		if !ok {
			return nil, err
		}
		b.note(rejection)
		switch rejection.Reason {
		case Exhausted:
			return nil, b.exhausted()
		case StatusUnknown:
			b.failed.cause = ErrStatusUnknown
		}
	}
	return nil, nil
}

// expand adds to the queue every certificate that may have issued n.cert. It
// returns a finding only when the search must end.
func (b *builder) expand(n *branch) finding {
	if n.length >= b.budget.Length {
		b.reject(n, 0, finding{Exhausted, "length of the path"})
		b.failed.cause = ErrBudget
		return none
	}
	found := b.isAnchorName(n.cert.Issuer)
	key, proven := b.pool.issuerKey(n.cert)
	for _, c := range b.pool.named(n.cert.Issuer) {
		found = true
		doubt := 0
		if proven && c.key.id != key {
			doubt = costForged
		}
		if f := b.offer(n, c.Certificate, min(b.distance[c.issuer], b.farthest), doubt); f != none {
			return f
		}
	}
	if b.outside != nil {
		b.outside.tried = append(b.outside.tried, n)
		for _, c := range b.outside.found[n.cert.Issuer.key] {
			if f := b.offer(n, c, 0, 0); f != none {
				return f
			}
		}
	} else if !found {
		b.reject(n, 0, finding{NoIssuer, n.cert.Issuer.String()})
	}
	return none
}

// offer adds c to the queue as what may have issued n.cert, with what speaks
// against that besides. It returns a finding only when the search must end.
func (b *builder) offer(n *branch, c *Certificate, far uint8, doubt int) finding {
	if b.left.Candidates--; b.left.Candidates < 0 {
		return finding{Exhausted, "candidates"}
	}
	next := branch{cert: c, below: n, length: n.length + 1, authorities: n.authorities}
	if f := b.weigh(&next, far); f != none {
		b.reject(&next, 0, f)
		return none
	}
	next.doubts += doubt
	next.cost += doubt
	next.order = b.budget.Candidates - b.left.Candidates
	heap.Push(&b.open, b.keep(next)) // only what passed: decoys come by the thousand
	return none
}

func (b *builder) isAnchorName(n Name) bool {
	for _, a := range b.in.Anchors {
		if a.Subject.Equal(n) {
			return true
		}
	}
	return false
}

// weigh says what speaks against a candidate without any work, or sets how
// promising it is; far is how many certificates there must be above it. It must
// reject nothing that Validate would accept.
func (b *builder) weigh(n *branch, far uint8) finding {
	c, child := n.cert, n.below.cert
	if b.isOnlyAnchor(c) {
		return finding{Loop, "the anchor itself"}
	}
	for m := n.below; m != nil; m = m.below {
		if m.cert.key.id == c.key.id && m.cert.Subject.Equal(c.Subject) {
			return finding{Loop, ""}
		}
	}
	if far == unreachable {
		return finding{NoIssuer, "no chain of names leads from an anchor to " + c.Issuer.String()}
	}
	good, known := b.in.Cache.get(signatureKey{child.Fingerprint, c.key.id})
	if known && !good && !c.key.inherits {
		return finding{BadSignature, "the key below it is another"}
	}
	if f := b.validity(c); f != none {
		return f
	}
	if f := b.authority(c); f != none {
		return f
	}
	if n.below.below != nil && !child.selfIssued() {
		n.authorities++
	}
	if c.pathLen >= 0 && n.authorities > c.pathLen {
		return finding{PathTooLong, ""}
	}
	n.unknown = !known
	n.doubts = n.below.doubts
	if child.authorityKeyID != nil && c.subjectKeyID != nil && !bytes.Equal(child.authorityKeyID, c.subjectKeyID) {
		n.doubts += costOtherKey
	}
	n.cost = n.length + int(far) + n.doubts
	return none
}

// isOnlyAnchor reports whether every anchor has the name and key of c: a path
// through it had better begin there.
func (b *builder) isOnlyAnchor(c *Certificate) bool {
	for _, a := range b.in.Anchors {
		if a.key.id != c.key.id || !a.Subject.Equal(c.Subject) {
			return false
		}
	}
	return true
}

func (n *branch) path() []*Certificate {
	path := make([]*Certificate, 0, n.length)
	for ; n != nil; n = n.below {
		path = append(path, n.cert)
	}
	return path
}

// reject records why a branch ends; at counts from its newest certificate.
func (b *builder) reject(n *branch, at int, f finding) {
	if len(b.failed.Rejections) == maxRejections {
		b.failed.Omitted++
		return
	}
	b.note(&Rejection{Reason: f.reason, Detail: f.detail, Path: n.path(), Index: at})
}

func (b *builder) note(r *Rejection) {
	if len(b.failed.Rejections) == maxRejections {
		b.failed.Omitted++
		return
	}
	b.failed.Rejections = append(b.failed.Rejections, r)
}

// fail ends the search.
func (b *builder) fail(n *branch, f finding) error {
	b.reject(n, 0, f)
	if f.reason == Exhausted {
		return b.exhausted()
	}
	b.failed.Work = b.spent()
	return b.failed
}

func (b *builder) exhausted() error {
	b.failed.cause = ErrBudget
	b.failed.Work = b.spent()
	return b.failed
}

// queue is a heap of branches: the cheapest first; among equals the longest,
// which is nearest to an anchor; then one whose signature is known to be good;
// then the oldest.
type queue []*branch

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	a, b := q[i], q[j]
	switch {
	case a.cost != b.cost:
		return a.cost < b.cost
	case a.length != b.length:
		return a.length > b.length
	case a.unknown != b.unknown:
		return b.unknown
	}
	return a.order < b.order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*branch)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
