package crosscert

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"slices"
	"time"

	"bridge.example/internal/fault"
)

// Announce begins a roll-over (RFC 4210 §4.4): it makes the self-signed
// certificate of a new key and the two link certificates, and publishes them.
// Nothing else is signed with it until [Authority.Switch]. newKey is asked when
// nothing stands in the way; it returns the same key each time until Announce
// succeeds. Doing it again finishes what was begun, or does nothing. Errors:
// Conflict while the roll-over before is not over; Denied after the end,
// and below an offline root.
func (a *Authority) Announce(ctx context.Context, newKey func() (crypto.Signer, error)) (Generation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.permit(ctx); err != nil {
		return Generation{}, err
	}
	if !selfIssued(a.signing.cert) {
		return Generation{}, fault.New(fault.Denied, "the bridge CA is certified by the root %q: a new key needs a new bridge CA below that, no links", a.signing.cert.Issuer)
	}
	if last := a.gens[len(a.gens)-1]; last.Phase == Announced {
		return last.Generation, nil
	}
	for _, g := range a.gens {
		if g.Phase == Retiring {
			return Generation{}, fault.New(fault.Conflict, "the roll-over before is under way: generation %d of the bridge CA has to be retired first", g.Number)
		}
	}
	key, err := newKey()
	if err != nil {
		return Generation{}, err
	}
	for _, g := range a.gens {
		if sameKey(key.Public(), g.cert.PublicKey) {
			return Generation{}, fault.New(fault.Conflict, "the bridge CA has this key already, as generation %d", g.Number)
		}
	}
	if err := a.recover(ctx); err != nil {
		return Generation{}, err
	}
	next, err := a.certifyNext(ctx, key)
	if err != nil {
		return Generation{}, err
	}
	s, err := a.ledger.State(ctx)
	if err != nil {
		return Generation{}, err
	}
	a.gens = append(a.gens, next)
	s = a.full(s)
	s.Generations = append(s.Generations, next.Generation)
	if err := a.change(ctx, s); err != nil {
		a.gens = a.gens[:len(a.gens)-1]
		return Generation{}, err
	}
	return next.Generation, nil
}

// certifyNext makes the certificates of the next generation, except for those
// that an attempt before has left in the ledger.
func (a *Authority) certifyNext(ctx context.Context, key crypto.Signer) (*generation, error) {
	old := a.signing
	number := len(a.gens) + 1
	if err := a.disown(ctx, number, key.Public()); err != nil {
		return nil, err
	}
	t, err := a.rootTemplate(key.Public())
	if err != nil {
		return nil, err
	}
	self := &generation{Generation: Generation{Number: number}, cert: t, key: key}
	if err := self.prepareDrafts(); err != nil {
		return nil, err
	}
	root, err := a.obtain(ctx, self, t, key.Public())
	if err != nil {
		return nil, err
	}
	next, err := newGeneration(Generation{Number: number, Phase: Announced, Since: a.instant(), Certificate: root.Raw}, root, key)
	if err != nil {
		return nil, err
	}
	newWithOld, err := a.obtain(ctx, old, a.linkTemplate(old, next), root.PublicKey)
	if err != nil {
		return nil, err
	}
	oldWithNew, err := a.obtain(ctx, next, a.linkTemplate(next, old), old.cert.PublicKey)
	if err != nil {
		return nil, err
	}
	next.NewWithOld, next.OldWithNew = newWithOld.Raw, oldWithNew.Raw
	return next, nil
}

// disown revokes what an attempt at generation number has left whose key is
// not pub and so is lost.
func (a *Authority) disown(ctx context.Context, number int, pub crypto.PublicKey) error {
	var lost []Record
	err := a.each(ctx, func(r Record, c *x509.Certificate) {
		known := slices.ContainsFunc(a.gens, func(g *generation) bool { return sameKey(g.cert.PublicKey, c.PublicKey) })
		ours := sameKey(pub, c.PublicKey) || known && (r.Generation != number || bytes.Equal(c.AuthorityKeyId, keyIDOf(pub)))
		if selfIssued(c) && !ours {
			lost = append(lost, r)
		}
	})
	for _, r := range lost {
		if err == nil {
			err = a.revoke(ctx, r, Superseded)
		}
	}
	return err
}

// obtain returns the certificate that g issued for the bridge CA's key pub: the
// one in the ledger, or else a new one.
func (a *Authority) obtain(ctx context.Context, g *generation, t *x509.Certificate, pub crypto.PublicKey) (found *x509.Certificate, err error) {
	err = a.each(ctx, func(r Record, c *x509.Certificate) {
		if r.Generation == g.Number && selfIssued(c) && sameKey(pub, c.PublicKey) && isLink(c) == (len(t.AuthorityKeyId) > 0) {
			found = c
		}
	})
	if found != nil || err != nil {
		return found, err
	}
	return a.issue(ctx, g, "", t, pub)
}

// each visits the bridge's own certificates that are issued and not revoked.
func (a *Authority) each(ctx context.Context, visit func(Record, *x509.Certificate)) error {
	for r, err := range a.ledger.Records(ctx) {
		if err != nil {
			return err
		}
		if r.Stage != Issued || r.Member != "" {
			continue
		}
		c, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			return fault.New(fault.Internal, "parsing certificate %x of the ledger: %w", r.Serial, err)
		}
		r.Generation = max(r.Generation, 1)
		visit(r, c)
	}
	return nil
}

// Switch makes the announced generation the one that signs; the one before
// signs only its CRL from then on. Doing it again does nothing. Errors:
// Conflict when nothing is announced; Denied after the end.
func (a *Authority) Switch(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.permit(ctx); err != nil {
		return err
	}
	n := len(a.gens)
	if n > 1 && a.gens[n-1].Phase == Signing {
		return nil
	}
	if a.gens[n-1].Phase != Announced {
		return fault.New(fault.Conflict, "no new key of the bridge CA is announced")
	}
	s, err := a.ledger.State(ctx)
	if err != nil {
		return err
	}
	s.Generations[n-1].Phase, s.Generations[n-1].Since = Signing, a.instant()
	s.Generations[n-2].Phase, s.Generations[n-2].Since = Retiring, a.instant()
	return a.change(ctx, s)
}

// InForce returns how many certificates other than links a generation has
// issued that are neither revoked nor expired, and when the last ends.
func (a *Authority) InForce(ctx context.Context, number int) (n int, until time.Time, err error) {
	now := a.instant()
	for r, err := range a.ledger.Records(ctx) {
		if err != nil {
			return 0, until, err
		}
		if r.Stage != Issued || max(r.Generation, 1) != number {
			continue
		}
		c, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			return 0, until, fault.New(fault.Internal, "parsing certificate %x of the ledger: %w", r.Serial, err)
		}
		if !selfIssued(c) && !now.After(c.NotAfter) {
			n, until = n+1, latest(until, c.NotAfter)
		}
	}
	return n, until, nil
}

// Retire closes every retiring generation with a last CRL, which holds for ever
// (see [Authority.End]): it can revoke nothing after that, so nothing that it
// issued but the links may be in force. Doing it again does nothing. Errors:
// Conflict when something is in force, or nothing retires; Denied after the end.
func (a *Authority) Retire(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.permit(ctx); err != nil {
		return err
	}
	if err := a.recover(ctx); err != nil {
		return err
	}
	s, err := a.ledger.State(ctx)
	if err != nil {
		return err
	}
	for i, g := range s.Generations {
		if g.Phase != Retiring {
			continue
		}
		n, until, err := a.InForce(ctx, g.Number)
		if err != nil {
			return err
		}
		if n > 0 {
			return fault.New(fault.Conflict, "generation %d of the bridge CA has issued %d certificates that are in force, the last until %s; retire it after that",
				g.Number, n, until.Format(time.DateOnly))
		}
		s.Generations[i].Phase, s.Generations[i].Since = Closing, a.instant()
	}
	if len(s.Generations) < 2 {
		return fault.New(fault.Conflict, "no key of the bridge CA retires: there has been no roll-over")
	}
	if err := a.change(ctx, s); err != nil {
		return err
	}
	return a.close(ctx)
}

// close makes the last CRL of every generation that is closing.
func (a *Authority) close(ctx context.Context) error {
	s, err := a.state(ctx)
	if err != nil {
		return err
	}
	var changed bool
	for i, g := range a.gens {
		if g.Phase != Closing {
			continue
		}
		if _, err := a.crl(ctx, g); err != nil {
			return err
		}
		s.Generations[i].Phase, s.Generations[i].Since, changed = Closed, a.instant(), true
	}
	if !changed {
		return nil
	}
	return a.change(ctx, s)
}
