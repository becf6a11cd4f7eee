package pathval

import (
	"context"
	"slices"
)

// Source finds certificates that a pool lacks, for instance where those at hand
// say (RFC 5280 §4.2.2). It is asked once the pool has nothing left to try, and
// only about the leaf, certificates whose keys were seen to sign on the way down
// to it, anchors, and what those signed. What it returns is no more trusted than
// a pool. It bounds its own time.
type Source interface {
	// Issuers returns certificates issued to c's issuer, Issued those issued by
	// c's subject; others do no harm. Beside an error they may be incomplete; the
	// error becomes a Rejection.
	Issuers(ctx context.Context, c *Certificate) ([]*Certificate, error)
	Issued(ctx context.Context, c *Certificate) ([]*Certificate, error)
}

// outside is what a search with a Source keeps beside its pool.
type outside struct {
	found  map[string][]*Certificate // by subject
	seen   map[[32]byte]bool         // the fingerprints of those
	tried  []*branch                 // every branch that was continued
	next   int                       // the first of tried whose issuers were not asked for
	asked  map[[32]byte]bool         // certificates whose issuers were
	above  []*Certificate            // whose issues are to be asked for, anchors first
	sought map[[32]byte]bool         // all that were ever among above
}

func newOutside(anchors []*Certificate) *outside {
	o := &outside{
		found: map[string][]*Certificate{}, seen: map[[32]byte]bool{},
		asked: map[[32]byte]bool{}, sought: map[[32]byte]bool{},
	}
	for _, a := range anchors {
		o.look(a)
	}
	return o
}

func (o *outside) look(c *Certificate) {
	if !o.sought[c.Fingerprint] {
		o.sought[c.Fingerprint] = true
		o.above = append(o.above, c)
	}
}

// fetch asks the source until a branch can go on, and reports whether one can:
// upwards from the leaf first, since there all leads to it, then downwards from
// the anchors.
func (b *builder) fetch(ctx context.Context) (more bool, f finding) {
	o := b.outside
	if o == nil {
		return false, none
	}
	for b.open.Len() == 0 && ctx.Err() == nil {
		switch {
		case o.next < len(o.tried):
			n := o.tried[o.next]
			o.next++
			// A key that inherits parameters has yet to be seen to sign.
			if !o.asked[n.cert.Fingerprint] && (n.below == nil || !n.cert.key.inherits) {
				o.asked[n.cert.Fingerprint] = true
				_, f = b.ask(ctx, b.in.Source.Issuers, n.cert, n.path())
			}
		case len(o.above) > 0:
			c := o.above[0]
			o.above = o.above[1:]
			var issued []*Certificate
			issued, f = b.ask(ctx, b.in.Source.Issued, c, nil)
			for _, i := range append(b.pool.issuedBy(c.Subject), issued...) {
				if f == none && i.ca && !c.key.inherits && i.Issuer.Equal(c.Subject) && b.signature(i, c.key) == none {
					o.look(i)
				}
			}
		default:
			return false, none
		}
		if f != none {
			return false, f
		}
	}
	return b.open.Len() > 0, none
}

// ask takes what the source has and continues the branches it fits.
func (b *builder) ask(
	ctx context.Context, question func(context.Context, *Certificate) ([]*Certificate, error), c *Certificate, path []*Certificate,
) ([]*Certificate, finding) {
	if b.left.Fetches--; b.left.Fetches < 0 {
		return nil, finding{Exhausted, "questions to the source"}
	}
	certs, err := question(ctx, c)
	if err != nil {
		b.note(&Rejection{Reason: NotFetched, Path: path, Detail: err.Error()})
	}
	for _, c := range certs {
		if f := b.take(c); f != none {
			return nil, f
		}
	}
	return certs, none
}

// take adds a certificate from outside, if it is new.
func (b *builder) take(c *Certificate) finding {
	o := b.outside
	same := func(p pooled) bool { return p.Fingerprint == c.Fingerprint }
	if o.seen[c.Fingerprint] || slices.ContainsFunc(b.pool.named(c.Subject), same) {
		return none
	}
	o.seen[c.Fingerprint] = true
	o.found[c.Subject.key] = append(o.found[c.Subject.key], c)
	for _, n := range o.tried {
		if n.cert.Issuer.Equal(c.Subject) {
			if f := b.offer(n, c, 0, 0); f != none {
				return f
			}
		}
	}
	return none
}

// stranded records the branches for which nobody found an issuer.
func (b *builder) stranded() {
	if b.outside == nil {
		return
	}
	for _, n := range b.outside.tried {
		issuer := n.cert.Issuer
		if len(b.outside.found[issuer.key]) == 0 && len(b.pool.named(issuer)) == 0 && !b.isAnchorName(issuer) {
			b.reject(n, 0, finding{NoIssuer, issuer.String()})
		}
	}
}
