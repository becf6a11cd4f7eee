package federation_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/lab"
	"bridge.example/internal/wire/ocsp"
	"bridge.example/membership"
)

// web is what members publish about status. The zero value publishes nothing.
type web struct {
	mu    sync.Mutex
	crls  map[string][]byte
	asked int
	// answers of every responder are signed by this CA; nil for none.
	responder *ca
	status    ocsp.SingleResponse
}

func (w *web) put(url string, der []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.crls == nil {
		w.crls = map[string][]byte{}
	}
	w.crls[url] = der
}

func (w *web) fetch(_ context.Context, url string) ([][]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if der, ok := w.crls[url]; ok {
		return [][]byte{der}, nil
	}
	return nil, fault.New(fault.Unavailable, "nobody answers at %s", url)
}

func (w *web) Status(_ context.Context, r *ocsp.Request) (*ocsp.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.responder == nil {
		return nil, fault.New(fault.Unavailable, "nobody answers")
	}
	single := w.status
	single.ID = r.Singles[0].ID
	return ocsp.Sign(&ocsp.Response{ProducedAt: single.ThisUpdate, Singles: []ocsp.SingleResponse{single}}, &ocsp.Signer{Cert: w.responder.cert, Key: w.responder.key})
}

// list is a CRL of a CA.
type list struct {
	number  int64
	revoked []*big.Int
	at      time.Time     // thisUpdate
	valid   time.Duration // 7 days when zero
}

func (c *ca) crl(t *testing.T, l list) []byte {
	t.Helper()
	if l.valid == 0 {
		l.valid = 7 * 24 * time.Hour
	}
	template := &x509.RevocationList{Number: big.NewInt(l.number), ThisUpdate: l.at, NextUpdate: l.at.Add(l.valid)}
	for _, serial := range l.revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: l.at, ReasonCode: 2})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, c.cert, c.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

const rootCRL = "http://crl.alpha.example/root.crl"

// watched is a bridge with alpha, which has a root and an issuing CA.
func watched(t *testing.T) (b *bridge, root, issuing *ca) {
	t.Helper()
	b = open(t, found(t), nil)
	root = newCA(t, "alpha watched", nil)
	issuing = newCA(t, "alpha issuing", root)
	a := b.application
	a.Anchors = []membership.CA{{Certificate: root.cert.Raw, OCSP: []string{"http://ocsp.alpha.example/"}, CRL: []string{rootCRL}}}
	a.Intermediates = []membership.CA{{Certificate: issuing.cert.Raw, OCSP: []string{"http://ocsp.alpha.example/"}}}
	b.admit(t, a)
	return b, root, issuing
}

func (b *bridge) round(t *testing.T) {
	t.Helper()
	if err := b.Watch(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (b *bridge) seen(t *testing.T) federation.Seen {
	t.Helper()
	s, err := b.Seen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fingerprint(der []byte) string { return lab.Hash(der) }

func (b *bridge) member(t *testing.T, id membership.ID) membership.Member {
	t.Helper()
	c, err := b.Case(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c.Member
}

// TestWhatStatusSays: a CA certificate is barred on proof alone, and what is
// not known is said, not guessed.
func TestWhatStatusSays(t *testing.T) {
	for _, tt := range []struct {
		name    string
		publish func(t *testing.T, b *bridge, root, issuing *ca)
		revoked bool
		unknown string // part of what is said; empty when the status is known
	}{
		{"not revoked", func(t *testing.T, b *bridge, root, _ *ca) {
			b.web.put(rootCRL, root.crl(t, list{number: 1, at: b.now.Add(-time.Hour)}))
		}, false, ""},
		{"revoked", func(t *testing.T, b *bridge, root, issuing *ca) {
			b.web.put(rootCRL, root.crl(t, list{number: 1, at: b.now.Add(-time.Hour), revoked: []*big.Int{issuing.cert.SerialNumber}}))
		}, true, ""},
		{"not to be had", func(*testing.T, *bridge, *ca, *ca) {}, false, "nobody answers at " + rootCRL},
		{"another's signature", func(t *testing.T, b *bridge, _, issuing *ca) {
			forger := newCA(t, "alpha watched", nil)
			b.web.put(rootCRL, forger.crl(t, list{number: 1, at: b.now.Add(-time.Hour), revoked: []*big.Int{issuing.cert.SerialNumber}}))
		}, false, "signature"},
		{"rubbish", func(t *testing.T, b *bridge, _, _ *ca) { b.web.put(rootCRL, []byte("not found")) }, false, "CRL"},
		{"of last month", func(t *testing.T, b *bridge, root, _ *ca) {
			b.web.put(rootCRL, root.crl(t, list{number: 1, at: b.now.Add(-30 * 24 * time.Hour)}))
		}, false, "ended on"},
		{"of the future", func(t *testing.T, b *bridge, root, _ *ca) {
			b.web.put(rootCRL, root.crl(t, list{number: 1, at: b.now.Add(time.Hour)}))
		}, false, "of the future"},
		{"revoked, says the responder", func(_ *testing.T, b *bridge, root, _ *ca) {
			b.web.responder = root
			b.web.status = ocsp.SingleResponse{Status: ocsp.Revoked, RevokedAt: b.now.Add(-time.Hour), ThisUpdate: b.now.Add(-time.Minute), NextUpdate: b.now.Add(time.Hour)}
		}, true, ""},
		{"revoked, says the responder against the CRL", func(t *testing.T, b *bridge, root, _ *ca) {
			b.web.put(rootCRL, root.crl(t, list{number: 1, at: b.now.Add(-time.Hour)}))
			b.web.responder = root
			b.web.status = ocsp.SingleResponse{Status: ocsp.Revoked, RevokedAt: b.now.Add(-time.Hour), ThisUpdate: b.now.Add(-time.Minute), NextUpdate: b.now.Add(time.Hour)}
		}, true, ""},
		{"revoked, says a stranger", func(t *testing.T, b *bridge, _, _ *ca) {
			b.web.responder = newCA(t, "stranger", nil)
			b.web.status = ocsp.SingleResponse{Status: ocsp.Revoked, RevokedAt: b.now.Add(-time.Hour), ThisUpdate: b.now.Add(-time.Minute), NextUpdate: b.now.Add(time.Hour)}
		}, false, "signed"},
		{"good, says the responder", func(_ *testing.T, b *bridge, root, _ *ca) {
			b.web.responder = root
			b.web.status = ocsp.SingleResponse{Status: ocsp.Good, ThisUpdate: b.now.Add(-time.Minute), NextUpdate: b.now.Add(time.Hour)}
		}, false, ""},
		{"unknown, says the responder", func(_ *testing.T, b *bridge, root, _ *ca) {
			b.web.responder = root
			b.web.status = ocsp.SingleResponse{Status: ocsp.Unknown, ThisUpdate: b.now.Add(-time.Minute), NextUpdate: b.now.Add(time.Hour)}
		}, false, "does not know"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, root, issuing := watched(t)
			tt.publish(t, b, root, issuing)
			b.round(t)
			m := b.member(t, "alpha")
			s := b.seen(t).Standings[fingerprint(issuing.cert.Raw)]
			if got := m.IsBarred(issuing.cert.Raw); got != tt.revoked || (s.Revoked != "") != tt.revoked {
				t.Errorf("got barred %v, standing %+v", got, s)
			}
			if (s.Unknown == "") != (tt.unknown == "") || !strings.Contains(s.Unknown, tt.unknown) || s.Since.IsZero() != (s.Unknown == "" && s.CRLProblem == "") {
				t.Errorf("got %+v, want unknown for %q", s, tt.unknown)
			}
			if m.IsBarred(root.cert.Raw) || m.State != membership.Active {
				t.Errorf("got %s, barred %v: want nothing more than what was proved", m.State, m.Barred)
			}
		})
	}
}

// TestRevokedLeavesAtOnce: the CA that sold a member its own is revoked far
// above, and the member leaves every projection without anybody's approval.
func TestRevokedLeavesAtOnce(t *testing.T) {
	b := open(t, found(t), nil)
	const sellerCRL, policyCRL = "ldap://ldap.seller.example/cn=root", "http://crl.seller.example/policy.crl"
	seller := newCA(t, "seller root", nil)
	policy := newCA(t, "seller policy", seller, sellerCRL)
	bought := newCA(t, "beta bought", policy, policyCRL)
	a := application("beta", bought.cert.Raw)
	a.Anchors[0].Chain = [][]byte{policy.cert.Raw, seller.cert.Raw}
	b.admit(t, a)
	b.admit(t, b.application)
	b.web.put(policyCRL, policy.crl(t, list{number: 1, at: b.now}))
	b.web.put(sellerCRL, seller.crl(t, list{number: 1, at: b.now}))
	b.round(t)
	if s := b.seen(t).Standings[fingerprint(bought.cert.Raw)]; s.Unknown != "" || s.Revoked != "" {
		t.Fatalf("got %+v before anything was revoked", s)
	}
	number := b.Artifacts().ListNumber
	b.web.put(sellerCRL, seller.crl(t, list{number: 2, at: b.now, revoked: []*big.Int{policy.cert.SerialNumber}}))
	b.round(t)
	c, err := b.Case(t.Context(), "beta")
	if err != nil {
		t.Fatal(err)
	}
	p := c.Projection
	if p.Listed || len(p.DirectoryDomains) != 0 || len(p.ResponderIssuers) != 0 || p.CrossCertificates[0].RevokedAt.IsZero() || b.mounted(t, "beta") || b.Artifacts().ListNumber != number+1 {
		t.Errorf("got %+v, mounted %v, list %d after %d", p, b.mounted(t, "beta"), b.Artifacts().ListNumber, number)
	}
	last := c.Member.Decisions[len(c.Member.Decisions)-1]
	for _, said := range []string{last.Reason, c.Pending, strings.Join(p.Untrusted, "")} {
		if !strings.Contains(said, "seller policy") || !strings.Contains(said, "cACompromise") {
			t.Errorf("got %q, want it to say who was revoked and why", said)
		}
	}
	if last.Verb != membership.Bar || last.By.Person != "bridge" || !b.mounted(t, "alpha") {
		t.Errorf("got %s by %s; alpha mounted %v", last.Verb, last.By.Person, b.mounted(t, "alpha"))
	}
	b.checkInvariants(t, "barred")
}

// TestNumbersNeverFall: an old list is not believed, after a restart either,
// and revocation is for ever.
func TestNumbersNeverFall(t *testing.T) {
	b, root, issuing := watched(t)
	now := b.now
	b.web.put(rootCRL, root.crl(t, list{number: 7, at: now.Add(-time.Hour)}))
	b.round(t)
	b.web.put(rootCRL, root.crl(t, list{number: 6, at: now.Add(-2 * time.Hour)}))
	b.close()
	again := open(t, b.dir, nil)
	again.web = b.web
	again.Watching.CRLs = b.web.fetch
	again.round(t)
	s := again.seen(t).Standings[fingerprint(root.cert.Raw)]
	if !strings.Contains(s.CRLProblem, "from 7 to 6") || s.CRLEnds.IsZero() {
		t.Errorf("got %+v, want the number noticed and the newest end remembered", s)
	}
	if s := again.seen(t).Standings[fingerprint(issuing.cert.Raw)]; s.Unknown == "" {
		t.Errorf("got %+v, want it unknown", s)
	}
	b = again
	// What nobody signed raises no number.
	b.web.put(rootCRL, newCA(t, "alpha watched", nil).crl(t, list{number: 99, at: now}))
	b.round(t)
	b.web.put(rootCRL, root.crl(t, list{number: 8, at: now, revoked: []*big.Int{issuing.cert.SerialNumber}}))
	b.round(t)
	b.web.put(rootCRL, root.crl(t, list{number: 9, at: now}))
	b.round(t)
	if m := b.member(t, "alpha"); !m.IsBarred(issuing.cert.Raw) {
		t.Error("a certificate came back from revocation")
	}
}

// TestGrace: a member whose CRL ended is suspended only by a rule that is set,
// and only when the end was seen.
func TestGrace(t *testing.T) {
	for _, tt := range []struct {
		name  string
		grace time.Duration
		gone  bool // nothing can be fetched any more
		want  membership.State
	}{
		{"no rule", 0, false, membership.Active},
		{"within grace", 10 * 24 * time.Hour, false, membership.Active},
		{"past grace", 24 * time.Hour, false, membership.Suspended},
		{"past grace, but nobody answers", 24 * time.Hour, true, membership.Active},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, root, _ := watched(t)
			b.Watching.CRLGrace = tt.grace
			b.web.put(rootCRL, root.crl(t, list{number: 1, at: b.now.Add(-time.Hour), valid: 2 * time.Hour}))
			b.round(t)
			b.now = b.now.Add(3 * 24 * time.Hour)
			if tt.gone {
				b.web.put(rootCRL, nil)
			}
			b.round(t)
			b.round(t) // again, nothing more
			m := b.member(t, "alpha")
			if m.State != tt.want || m.State == membership.Suspended && !strings.Contains(m.Reason, "ended at") {
				t.Errorf("got %s, %q, want %s", m.State, m.Reason, tt.want)
			}
		})
	}
}
