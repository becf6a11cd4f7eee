package pathval

import (
	"context"
	"crypto"
	"crypto/x509"
	"slices"
	"strings"

	"bridge.example/internal/wire/crl"
)

// work is one call: its inputs, and what is left of its budget.
type work struct {
	in       Inputs
	budget   Budget
	left     *Budget  // shared with the searches for CRL issuers on its behalf
	policies []string // of in.Policies
	purpose  string   // of in.Purpose
	mailbox  *generalName
}

func newWork(in Inputs) *work {
	w := &work{in: in, budget: in.Budget.withDefaults(), purpose: privateOID(in.Purpose)}
	left := w.budget
	w.left = &left
	for _, p := range in.Policies {
		w.policies = append(w.policies, privateOID(p))
	}
	if in.Email != "" {
		m := mailName(in.Email)
		w.mailbox = &m
	}
	return w
}

func (w *work) spent() Work {
	return Work{
		Signatures: w.budget.Signatures - w.left.Signatures,
		Steps:      w.budget.Steps - w.left.Steps,
		Candidates: w.budget.Candidates - w.left.Candidates,
		Names:      w.budget.Names - w.left.Names,
		Statuses:   w.budget.Statuses - w.left.Statuses,
		Fetches:    w.budget.Fetches - w.left.Fetches,
	}
}

// finding is a Rejection without its path.
type finding struct {
	reason Reason
	detail string
}

var none finding

// validity is RFC 5280 §6.1.3 (a)(2).
func (w *work) validity(c *Certificate) finding {
	if w.in.At.Before(c.NotBefore) {
		return finding{NotYetValid, "before " + c.NotBefore.UTC().Format("2006-01-02 15:04:05Z")}
	}
	if w.in.At.After(c.NotAfter) {
		return finding{Expired, "on " + c.NotAfter.UTC().Format("2006-01-02 15:04:05Z")}
	}
	return none
}

// authority is what a certificate must be, wherever in a path it stands, to
// issue others: RFC 5280 §6.1.4 (k), (n), (o).
func (w *work) authority(c *Certificate) finding {
	if c.version < 3 || !c.ca {
		return finding{NotCA, ""}
	}
	if !c.may(x509.KeyUsageCertSign) {
		return finding{KeyUsage, "keyCertSign is missing"}
	}
	return w.common(c)
}

// common is what is asked of CA and leaf alike.
func (w *work) common(c *Certificate) finding {
	if len(c.unknownCritical) > 0 {
		return finding{UnknownCritical, strings.Join(c.unknownCritical, ", ")}
	}
	if w.purpose != "" && !c.purpose(w.purpose) {
		return finding{Purpose, "the extended key usage does not include " + w.in.Purpose.String()}
	}
	return none
}

// leaf is what is asked of the last certificate only.
func (w *work) leaf(c *Certificate) finding {
	if f := w.common(c); f != none {
		return f
	}
	if w.purpose == oidEmailProtection && !c.may(mailUsages) {
		return finding{KeyUsage, "neither for signatures nor for encryption"}
	}
	if w.mailbox != nil && !slices.ContainsFunc(c.names, w.isMailbox) {
		return finding{Address, w.in.Email}
	}
	return none
}

func (w *work) isMailbox(n generalName) bool {
	return n.form == formMail && !n.broken && !w.mailbox.broken && n.local == w.mailbox.local && n.host == w.mailbox.host
}

// signed is a certificate or a CRL.
type signed interface {
	CheckSignature(pub crypto.PublicKey, accepted crl.Acceptance) error
}

// signature verifies c under the key above it, or remembers.
func (w *work) signature(c *Certificate, above publicKey) finding {
	return w.verify(c, c.Fingerprint, c.algorithm, above)
}

// verify checks the signature by a on s, whose SHA-256 is digest, or remembers.
func (w *work) verify(s signed, digest [32]byte, a x509.SignatureAlgorithm, key publicKey) finding {
	if key.key == nil {
		return finding{UnusableKey, ""}
	}
	// What the cache knows is true for whoever accepts the algorithm.
	if !w.in.Accept.Accepts(a, key.key) {
		return finding{WeakAlgorithm, a.String()}
	}
	k := signatureKey{digest, key.id}
	good, known := w.in.Cache.get(k)
	if !known || key.inherits {
		if w.left.Signatures -= key.price(); w.left.Signatures < 0 {
			return finding{Exhausted, "signatures"}
		}
		good = s.CheckSignature(key.key, w.in.Accept) == nil
		if !key.inherits {
			w.in.Cache.put(k, good)
		}
	}
	if !good {
		return finding{BadSignature, ""}
	}
	return none
}

// constrain holds c against the name constraints of one CA above it.
func (w *work) constrain(n *nameConstraints, c *Certificate) finding {
	if n == nil {
		return none
	}
	v, exhausted := n.check(c.names, &w.left.Names)
	if exhausted {
		return finding{Exhausted, "name constraints"}
	}
	if v != nil {
		return finding{NameConstraint, v.String()}
	}
	return none
}

// validate is RFC 5280 §6.1 for a path issued by anchor.
func (w *work) validate(ctx context.Context, anchor *Certificate, path []*Certificate) (*Result, error) {
	if f := w.anchor(anchor); f != none {
		return nil, &Rejection{Reason: f.reason, Detail: f.detail, Path: path, Index: -1}
	}
	if len(path) > w.budget.Length {
		return nil, &Rejection{Reason: Exhausted, Detail: "length of the path", Path: path}
	}
	s := newState(w, anchor, len(path))
	for i, c := range path {
		if f := s.step(c, i == len(path)-1); f != none {
			return nil, &Rejection{Reason: f.reason, Detail: f.detail, Path: path, Index: i}
		}
	}
	// Last, since it may be the most work and need others' help.
	if err := w.revocation(ctx, anchor, path, s.keys); err != nil {
		return nil, err
	}
	return &Result{Anchor: anchor, Path: path, Policies: s.accepted, Work: w.spent()}, nil
}

// anchor is what is asked of an anchor; see the package comment.
func (w *work) anchor(a *Certificate) finding {
	if f := w.validity(a); f != none {
		return f
	}
	if !a.may(x509.KeyUsageCertSign) {
		return finding{KeyUsage, "keyCertSign is missing"}
	}
	return none
}

// state is the state variables of RFC 5280 §6.1.2.
type state struct {
	w              *work
	above          *Certificate
	keys           []publicKey        // working key of the anchor, then of each certificate
	constraints    []*nameConstraints // of every CA so far; all must hold, which is their intersection
	policies       policies
	explicitPolicy int
	policyMapping  int
	inhibitAny     int
	maxPathLen     int
	accepted       []x509.OID // at the end
}

func newState(w *work, anchor *Certificate, n int) *state {
	s := &state{
		w: w, above: anchor, keys: append(make([]publicKey, 0, n+1), anchor.key.under(publicKey{})),
		policies: policies{any: true}, explicitPolicy: n + 1, policyMapping: n + 1, inhibitAny: n + 1, maxPathLen: n,
	}
	if w.in.ExplicitPolicy {
		s.explicitPolicy = 0
	}
	if w.in.InhibitPolicyMapping {
		s.policyMapping = 0
	}
	if w.in.InhibitAnyPolicy {
		s.inhibitAny = 0
	}
	if anchor.pathLen >= 0 {
		s.maxPathLen = min(n, anchor.pathLen)
	}
	if anchor.constraints != nil {
		s.constraints = append(s.constraints, anchor.constraints)
	}
	return s
}

// step is §6.1.3 for c, then §6.1.4 or, for the last, §6.1.5.
func (s *state) step(c *Certificate, last bool) finding {
	if f := s.w.signature(c, s.keys[len(s.keys)-1]); f != none {
		return f
	}
	if f := s.w.validity(c); f != none {
		return f
	}
	if !c.Issuer.Equal(s.above.Subject) {
		return finding{NameChaining, "issued by " + c.Issuer.String() + ", above stands " + s.above.Subject.String()}
	}
	if last || !c.selfIssued() {
		for _, n := range s.constraints {
			if f := s.w.constrain(n, c); f != none {
				return f
			}
		}
	}
	s.policies.step(c, s.inhibitAny > 0 || !last && c.selfIssued())
	if s.explicitPolicy == 0 && s.policies.isEmpty() {
		return finding{PolicyMissing, "none is left that the certificates so far have in common"}
	}
	if last {
		return s.wrapUp(c)
	}
	return s.prepare(c)
}

// prepare is §6.1.4.
func (s *state) prepare(c *Certificate) finding {
	for _, m := range c.mappings {
		if m.issuer == oidAnyPolicy || m.subject == oidAnyPolicy {
			return finding{MappingAnyPolicy, ""}
		}
	}
	s.policies.translate(c.mappings, s.policyMapping > 0)
	s.above = c
	s.keys = append(s.keys, c.key.under(s.keys[len(s.keys)-1]))
	if c.constraints != nil {
		s.constraints = append(s.constraints, c.constraints)
	}
	if !c.selfIssued() {
		s.explicitPolicy = max(s.explicitPolicy-1, 0)
		s.policyMapping = max(s.policyMapping-1, 0)
		s.inhibitAny = max(s.inhibitAny-1, 0)
	}
	lower(&s.explicitPolicy, c.requireExplicit)
	lower(&s.policyMapping, c.inhibitMapping)
	lower(&s.inhibitAny, c.inhibitAny)
	if f := s.w.authority(c); f != none {
		return f
	}
	if !c.selfIssued() {
		if s.maxPathLen--; s.maxPathLen < 0 {
			return finding{PathTooLong, ""}
		}
	}
	lower(&s.maxPathLen, c.pathLen)
	return none
}

// lower is how a constraint of a certificate takes part; -1 means absent.
func lower(v *int, to int) {
	if to >= 0 {
		*v = min(*v, to)
	}
}

// wrapUp is §6.1.5 with RFC 9618 §5.5.
func (s *state) wrapUp(c *Certificate) finding {
	s.explicitPolicy = max(s.explicitPolicy-1, 0)
	if c.requireExplicit == 0 {
		s.explicitPolicy = 0
	}
	if f := s.w.leaf(c); f != none {
		return f
	}
	s.keys = append(s.keys, c.key.under(s.keys[len(s.keys)-1]))
	s.accepted = s.policies.constrained(s.w.policies)
	if s.explicitPolicy == 0 && len(s.accepted) == 0 {
		return finding{PolicyMissing, "valid under none of those asked for"}
	}
	return none
}
