package crosscert

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"time"

	"bridge.example/internal/fault"
)

// Phase is how far one key of the bridge CA has come.
type Phase string

const (
	// Announced means that certificate and link certificates are published,
	// while the key before still signs.
	Announced Phase = "announced"
	// Signing means that this key signs what is issued. One does, until the end.
	Signing Phase = "signing"
	// Retiring means that the key signs nothing but its CRL.
	Retiring Phase = "retiring"
	// Closing means that nothing is revoked any more and the last CRL is owed.
	Closing Phase = "closing"
	// Closed means that the last CRL is stored. The key is of no more use.
	Closed Phase = "closed"
)

// Generation is one key of the bridge CA. All generations have the same name.
type Generation struct {
	Number int // from 1
	Phase  Phase
	Since  time.Time // when the phase began; zero for a key that never rolled over
	// Certificate is the self-signed one, DER.
	Certificate []byte
	// OldWithNew certifies the key before with this one, NewWithOld this key
	// with the one before (RFC 4210 §4.4); DER, nil in the first generation.
	OldWithNew, NewWithOld []byte
}

// State is what becomes of the bridge CA as a whole.
type State struct {
	// Generations are ordered by number; none while the first key is the only
	// one and has not ended.
	Generations []Generation
	EndedAt     time.Time // when the bridge ended; zero while it lives
	Revision    uint64    // the store's; zero before the first is stored
}

// generation is a Generation ready for use.
type generation struct {
	Generation
	cert *x509.Certificate
	key  crypto.Signer // nil when Closed

	// throwaway signs drafts, in the name of a CA certificate like cert that
	// exists nowhere.
	throwaway crypto.Signer
	draftCA   *x509.Certificate

	kept *crlState // nil until it is needed, and after each revocation
}

// CRLPathOf is where the CRL of a generation is published, below
// [Options].BaseURL. Each has its own: many verifiers choose a CRL by issuer
// name, and the keys share that.
func CRLPathOf(number int) string {
	if number <= 1 {
		return CRLPath
	}
	return fmt.Sprintf("/bridge-%d.crl", number)
}

// IssuedToPathOf is where the certificates issued to a generation are
// published, as [IssuedToPath].
func IssuedToPathOf(number int) string {
	if number <= 1 {
		return IssuedToPath
	}
	return fmt.Sprintf("/issued-to-bridge-%d.p7c", number)
}

// newGeneration checks that cert is a CA's and key its own, which only a closed
// generation does without.
func newGeneration(g Generation, cert *x509.Certificate, key crypto.Signer) (*generation, error) {
	const usage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage&usage != usage:
		return nil, fault.New(fault.Invalid, "the bridge certificate %q is not that of a CA for certificates and CRLs", cert.Subject)
	case len(cert.SubjectKeyId) == 0:
		return nil, fault.New(fault.Invalid, "the bridge certificate %q has no key identifier", cert.Subject)
	case key == nil && g.Phase != Closed:
		return nil, fault.New(fault.Invalid, "generation %d of the bridge CA needs its key", g.Number)
	case key != nil && !sameKey(key.Public(), cert.PublicKey):
		return nil, fault.New(fault.Invalid, "the key does not fit the bridge certificate %q", cert.Subject)
	}
	out := &generation{Generation: g, cert: cert, key: key}
	return out, out.prepareDrafts()
}

func (g *generation) prepareDrafts() (err error) {
	if g.throwaway, err = likeKey(g.cert.PublicKey); err != nil {
		return err
	}
	draftCA := *g.cert
	draftCA.PublicKey = g.throwaway.Public()
	g.draftCA = &draftCA
	return nil
}

// adopt makes the generations those of s, with the certificates and keys that
// are at hand.
func (a *Authority) adopt(s State) error {
	for i, g := range s.Generations {
		if i >= len(a.gens) || a.gens[i].Number != g.Number {
			return fault.New(fault.Internal, "the ledger has generation %d of the bridge CA, which was not opened", g.Number)
		}
		a.gens[i].Generation = g
	}
	for _, g := range a.gens {
		if g.Phase == Signing {
			a.signing = g
		}
	}
	return nil
}

// state reads how the bridge CA stands.
func (a *Authority) state(ctx context.Context) (State, error) {
	s, err := a.ledger.State(ctx)
	if err != nil {
		return s, err
	}
	return s, a.adopt(s)
}

// permit is asked before anything is issued. It is Denied after the end.
func (a *Authority) permit(ctx context.Context) error {
	s, err := a.state(ctx)
	if err == nil && !s.EndedAt.IsZero() {
		err = fault.New(fault.Denied, "the bridge ended on %s: it signs nothing any more", s.EndedAt.Format(time.RFC3339))
	}
	return err
}

// change stores s and adopts it.
func (a *Authority) change(ctx context.Context, s State) error {
	s, err := a.ledger.PutState(ctx, s)
	if err != nil {
		return err
	}
	for _, g := range s.Generations {
		a.o.Log.Info("key of the bridge CA", "generation", g.Number, "phase", g.Phase)
	}
	return a.adopt(s)
}

// full is s with the first generation spelt out.
func (a *Authority) full(s State) State {
	if len(s.Generations) == 0 {
		s.Generations = []Generation{{Number: 1, Phase: Signing, Certificate: a.gens[0].cert.Raw}}
	}
	return s
}

// Generations returns the keys of the bridge CA, the oldest first.
func (a *Authority) Generations(ctx context.Context) ([]Generation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.state(ctx)
	return a.full(s).Generations, err
}

// Ended returns when the bridge ended; zero while it lives.
func (a *Authority) Ended(ctx context.Context) (time.Time, error) {
	s, err := a.ledger.State(ctx)
	return s.EndedAt, err
}

// Certificate returns the self-signed certificate of the key that signs; of the
// newest after the end.
func (a *Authority) Certificate() *x509.Certificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.signing.cert
}

// closed reports whether the generation that signed r revokes nothing any more.
// One that is not announced yet is not among them.
func (a *Authority) closed(r Record) bool {
	n := max(r.Generation, 1)
	return n <= len(a.gens) && (a.gens[n-1].Phase == Closing || a.gens[n-1].Phase == Closed)
}
