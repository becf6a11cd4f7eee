package federation

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/crl"
	"bridge.example/internal/wire/ocsp"
	"bridge.example/membership"
)

// Standing is what is known of one CA certificate of a member, and of the CRL
// that this CA publishes.
type Standing struct {
	Member    membership.ID `json:"member"`
	Subject   string        `json:"subject"`
	CheckedAt time.Time     `json:"checked_at"`
	// Revoked says by whom and why the certificate, or one above it, was revoked;
	// empty if nobody said so.
	Revoked string `json:"revoked,omitempty"`
	// Unknown is why it cannot be told whether it was; empty when it can.
	Unknown string `json:"unknown,omitempty"`

	// CRLEnds is the nextUpdate of the newest CRL that was ever seen of the CA;
	// zero if none was.
	CRLEnds time.Time `json:"crl_ends,omitzero"`
	// CRLProblem is why no good one could be had now; empty when one could, and
	// for a CA that declares none.
	CRLProblem string `json:"crl_problem,omitempty"`
	// Since is when it began that there is Unknown or CRLProblem; zero without.
	Since time.Time `json:"since,omitzero"`

	crlEnded bool // the newest one was fetched now, and had ended
}

// authority is a CA above or among the certificates of a member.
type authority struct {
	cert *x509.Certificate
	view *pathval.Certificate
	crls []string // URLs, declared or in certificates that it issued
	ocsp []string

	lists []*crl.List // signed by it and not older than known
	err   error       // what went wrong at the URLs
}

// watched are the CAs of one member: first those declared, each of which gets a
// standing, then those of chains.
type watched struct {
	declared int
	all      []*authority
}

func newWatched(m *membership.Member) (*watched, error) {
	w := &watched{}
	add := func(der []byte, ca membership.CA) error {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		view, err := pathval.ParseCertificate(der)
		if err != nil {
			return err
		}
		w.all = append(w.all, &authority{cert: c, view: view, crls: slices.Clone(ca.CRL), ocsp: slices.Clone(ca.OCSP)})
		return nil
	}
	cas := slices.Concat(m.Anchors, m.Intermediates)
	for _, ca := range cas {
		if err := add(ca.Certificate, ca); err != nil {
			return nil, err
		}
	}
	w.declared = len(w.all)
	for _, ca := range cas {
		for _, der := range ca.Chain {
			if err := add(der, membership.CA{}); err != nil {
				return nil, err
			}
		}
	}
	for _, a := range w.all {
		if issuer := w.issuer(a); issuer != nil {
			issuer.crls = append(issuer.crls, a.cert.CRLDistributionPoints...)
			issuer.ocsp = append(issuer.ocsp, a.cert.OCSPServer...)
		}
	}
	for _, a := range w.all {
		slices.Sort(a.crls)
		a.crls = slices.Compact(a.crls)
	}
	return w, nil
}

// issuer is who issued a; nil for a self-signed certificate, and for one whose
// issuer is not declared.
func (w *watched) issuer(a *authority) *authority {
	for _, i := range w.all {
		if !bytes.Equal(i.cert.Raw, a.cert.Raw) && issuedBy(a.cert, []*x509.Certificate{i.cert}) {
			if bytes.Equal(a.cert.RawIssuer, a.cert.RawSubject) && bytes.Equal(a.cert.RawSubjectPublicKeyInfo, i.cert.RawSubjectPublicKeyInfo) {
				continue // another certificate of the same CA for the same key
			}
			return i
		}
	}
	return nil
}

// read takes the CRLs of a from what was fetched. A list whose number is lower
// than one seen before is not believed: somebody shows yesterday's.
func (a *authority) read(fetched [][]byte, numbers map[string]*big.Int) {
	for _, der := range fetched {
		l, err := crl.Parse(der)
		if err == nil && !bytes.Equal(l.Issuer, a.cert.RawSubject) {
			continue // a bundle may have others'
		}
		if err == nil {
			err = l.CheckSignature(a.cert.PublicKey, crl.Modern)
		}
		if err == nil && l.Number == nil {
			err = fault.New(fault.Invalid, "the CRL has no number (RFC 5280 §5.2.3)")
		}
		if err != nil {
			a.err = errors.Join(a.err, err)
			continue
		}
		key := numberKey(a.cert, l)
		if highest := numbers[key]; highest != nil && l.Number.Cmp(highest) < 0 {
			a.err = errors.Join(a.err, fault.New(fault.Denied, "the CRL number went back from %v to %v", highest, l.Number))
			continue
		}
		numbers[key] = l.Number
		a.lists = append(a.lists, l)
	}
}

// numberKey names what the numbers of CRLs rise in: one key and scope. Complete
// and delta CRLs share them (RFC 5280 §5.2.3), but are fetched at different
// times.
func numberKey(ca *x509.Certificate, l *crl.List) string {
	h := sha256.New()
	h.Write(ca.RawSubjectPublicKeyInfo)
	if l.Scope != nil {
		h.Write(l.Scope.Raw)
	}
	return fmt.Sprintf("%x %v", h.Sum(nil), l.BaseNumber != nil)
}

// crlStanding says how the CRL of a is, as the newest complete one has it.
func (a *authority) crlStanding(s *Standing, now time.Time) {
	var newest *crl.List
	for _, l := range a.lists {
		if l.BaseNumber == nil && (newest == nil || l.ThisUpdate.After(newest.ThisUpdate)) {
			newest = l
		}
	}
	switch {
	case len(a.crls) == 0:
	case newest == nil && a.err != nil:
		s.CRLProblem = a.err.Error()
	case newest == nil:
		s.CRLProblem = "no CRL of this CA is there"
	case now.After(newest.NextUpdate):
		s.CRLEnds, s.crlEnded = newest.NextUpdate, true
		s.CRLProblem = "the CRL ended at " + newest.NextUpdate.Format(time.RFC3339)
	default:
		s.CRLEnds = newest.NextUpdate
	}
}

// standing says whether a, or a CA above it, was revoked: an error that is
// [pathval.ErrRevoked] if so, any other if that cannot be told.
func (f *Federation) standing(ctx context.Context, w *watched, a *authority, now time.Time) error {
	var unknown error
	for range len(w.all) {
		issuer := w.issuer(a)
		if issuer == nil {
			if !bytes.Equal(a.cert.RawIssuer, a.cert.RawSubject) {
				unknown = errors.Join(unknown, fmt.Errorf("the issuer of %q is not declared", a.cert.Subject))
			}
			return unknown
		}
		err := f.status(ctx, issuer, a, now)
		if errors.Is(err, pathval.ErrRevoked) {
			return err
		}
		unknown = errors.Join(unknown, err)
		a = issuer
	}
	return unknown
}

// status asks the CRLs of issuer, and then its responder, about a. Either may
// say that it was revoked; one that says it was not is enough.
func (f *Federation) status(ctx context.Context, issuer, a *authority, now time.Time) error {
	if len(issuer.crls)+len(issuer.ocsp) == 0 {
		return fmt.Errorf("%q publishes no status that is known here", issuer.cert.Subject)
	}
	list := byCRL(ctx, issuer, a, now)
	if errors.Is(list, pathval.ErrRevoked) || len(issuer.ocsp) == 0 {
		return list
	}
	answer := f.byOCSP(ctx, issuer, a, now)
	if !errors.Is(answer, pathval.ErrRevoked) && (list == nil || answer == nil) {
		return nil
	}
	return errors.Join(answer, list)
}

func byCRL(ctx context.Context, issuer, a *authority, now time.Time) error {
	if len(issuer.lists) == 0 {
		return errors.Join(fmt.Errorf("no CRL of %q to be had", issuer.cert.Subject), issuer.err)
	}
	crls, err := pathval.NewCRLs(nil, issuer.lists...)
	if err != nil {
		return err
	}
	_, err = pathval.Validate(ctx, []*pathval.Certificate{a.view}, pathval.Inputs{
		Anchors: []*pathval.Certificate{issuer.view}, At: now, Revocation: crls,
	})
	return err
}

func (f *Federation) byOCSP(ctx context.Context, issuer, a *authority, now time.Time) error {
	id, err := ocsp.NewCertID(crypto.SHA1, issuer.cert, a.cert.SerialNumber)
	if err != nil {
		return err
	}
	r, err := f.Ask(issuer.cert, issuer.ocsp).Status(ctx, ocsp.NewRequest(id))
	if err != nil {
		return err
	}
	single, err := r.Check(id, issuer.cert, now)
	switch {
	case err != nil:
		return err
	case single.Status == ocsp.Revoked:
		return fmt.Errorf("%s: %w, says the responder of %q, since %s", a.view, pathval.ErrRevoked, issuer.cert.Subject, single.RevokedAt.Format(time.RFC3339))
	case single.Status != ocsp.Good:
		return fmt.Errorf("the responder of %q does not know it", issuer.cert.Subject)
	}
	return nil
}
