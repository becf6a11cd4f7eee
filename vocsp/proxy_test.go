package vocsp_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"net/http"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ocsp"
	"bridge.example/vocsp"
)

func TestRoutesByEveryHash(t *testing.T) {
	alpha, beta := newMember(t, "alpha"), newMember(t, "beta")
	p := newProxy(t, vocsp.Options{}, alpha.route(), beta.route())
	for _, h := range ocsp.Hashes() {
		for _, m := range []*member{alpha, beta} {
			id, err := ocsp.NewCertID(h, m.cert, big.NewInt(6))
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Status(t.Context(), withNonce(ocsp.NewRequest(id), "n"))
			if err != nil {
				t.Fatalf("%v: %v", h, err)
			}
			check(t, ocsp.Verifier{}, r, m.pair, id, ocsp.Revoked)
			if string(r.Nonce()) != "n" {
				t.Errorf("%v: nonce: got %q, want n", h, r.Nonce())
			}
		}
	}
}

func TestSetRoutes(t *testing.T) {
	alpha, beta := newMember(t, "alpha"), newMember(t, "beta")
	p := newProxy(t, vocsp.Options{}, alpha.route())
	same := alpha.route()
	same.Member = "mallory"
	for name, c := range map[string]struct {
		routes []vocsp.Route
		want   fault.Kind
	}{
		"same key":  {[]vocsp.Route{beta.route(), alpha.route(), same}, fault.Conflict},
		"no issuer": {[]vocsp.Route{{Member: "alpha", Source: alpha.source()}}, fault.Invalid},
		"no source": {[]vocsp.Route{{Member: "alpha", Issuer: alpha.cert}}, fault.Invalid},
		"no key":    {[]vocsp.Route{{Member: "alpha", Issuer: &x509.Certificate{}, Source: alpha.source()}}, fault.Invalid},
	} {
		if err := p.SetRoutes(c.routes); err == nil || fault.KindOf(err) != c.want {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if _, err := p.Status(t.Context(), ocsp.NewRequest(alpha.id(t, 1))); err != nil {
			t.Errorf("%s: the old routes are gone: %v", name, err)
		}
	}
}

func TestSuspendedMemberIsNotAnsweredFor(t *testing.T) {
	alpha, beta := newMember(t, "alpha"), newMember(t, "beta")
	cached := beta.route()
	cached.Source = vocsp.Cached(cached.Source, 10, time.Now)
	p := newProxy(t, vocsp.Options{}, alpha.route(), cached)
	ask := func() error {
		_, err := p.Status(t.Context(), ocsp.NewRequest(beta.id(t, 1)))
		return err
	}
	if err := errors.Join(ask(), ask()); err != nil || len(beta.asked) != 1 {
		t.Fatalf("admitted: got %v after %d questions, want one", err, len(beta.asked))
	}
	if err := p.SetRoutes([]vocsp.Route{alpha.route()}); err != nil {
		t.Fatal(err)
	}
	if err := ask(); fault.KindOf(err) != fault.NotFound {
		t.Errorf("suspended: got %v, want NotFound", err)
	}
	if err := p.SetRoutes([]vocsp.Route{cached}); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err != nil || len(beta.asked) != 2 {
		t.Errorf("resumed: got %v after %d questions, want a new one", err, len(beta.asked))
	}
}

// leaving is a source that is taken away while it is asked.
type leaving struct {
	vocsp.Source
	leave func()
}

func (l leaving) Status(ctx context.Context, r *ocsp.Request) (*ocsp.Response, error) {
	resp, err := l.Source.Status(ctx, r)
	l.leave()
	return resp, err
}

func TestTakenAwayMeanwhile(t *testing.T) {
	beta := newMember(t, "beta")
	var p *vocsp.Proxy
	route := beta.route()
	route.Source = leaving{route.Source, func() {
		if err := p.SetRoutes(nil); err != nil {
			t.Error(err)
		}
	}}
	p = newProxy(t, vocsp.Options{}, route)
	if _, err := p.Status(t.Context(), ocsp.NewRequest(beta.id(t, 1))); fault.KindOf(err) != fault.NotFound || len(beta.asked) != 1 {
		t.Errorf("got %v after %d questions, want NotFound after one", err, len(beta.asked))
	}
}

func TestOneMemberIsAskedOnce(t *testing.T) {
	alpha := newMember(t, "alpha")
	p := newProxy(t, vocsp.Options{}, alpha.route())
	r, err := p.Status(t.Context(), ocsp.NewRequest(alpha.id(t, 1), alpha.id(t, 2), alpha.id(t, 1)))
	if err != nil {
		t.Fatal(err)
	}
	check(t, ocsp.Verifier{}, r, alpha.pair, alpha.id(t, 1), ocsp.Good)
	check(t, ocsp.Verifier{}, r, alpha.pair, alpha.id(t, 2), ocsp.Revoked)
	if n := <-alpha.asked; n != 3 || len(alpha.asked) != 0 {
		t.Errorf("got %d questions and %d more requests, want 3 in one", n, len(alpha.asked))
	}
}

// spanning is a proxy of two members with a signer, and that signer.
func spanning(t *testing.T) (p *vocsp.Proxy, alpha, beta *member, bridge pair) {
	alpha, beta = newMember(t, "alpha"), newMember(t, "beta")
	bridge = newCA(t, "bridge").delegate(t)
	return newProxy(t, vocsp.Options{Signer: always(bridge.signer())}, alpha.route(), beta.route()), alpha, beta, bridge
}

func TestAnswersThatSpanMembers(t *testing.T) {
	p, alpha, beta, bridge := spanning(t)
	beta.validity = 10 * time.Minute
	beta.change = func(r *ocsp.Response) {
		if string(r.Nonce()) != "n" {
			t.Errorf("member got nonce %q, want the client's", r.Nonce())
		}
	}
	stranger := newCA(t, "stranger")
	ids := []ocsp.CertID{alpha.id(t, 1), beta.id(t, 2), alpha.id(t, 4)}
	r, err := p.Status(t.Context(), withNonce(ocsp.NewRequest(ids...), "n"))
	if err != nil {
		t.Fatal(err)
	}
	v := ocsp.Verifier{Responders: []*x509.Certificate{bridge.cert}}
	for i, want := range []struct {
		issuer pair
		status ocsp.CertStatus
	}{{alpha.pair, ocsp.Good}, {beta.pair, ocsp.Revoked}, {alpha.pair, ocsp.Revoked}} {
		s := check(t, v, r, want.issuer, ids[i], want.status)
		if d := time.Until(s.NextUpdate); d > beta.validity {
			t.Errorf("serial %v: valid for %v, want at most the least, %v", ids[i].Serial, d, beta.validity)
		}
		if s.Status == ocsp.Revoked && s.Reason != ocsp.KeyCompromise {
			t.Errorf("serial %v: got reason %v, want the member's", ids[i].Serial, s.Reason)
		}
	}
	if string(r.Nonce()) != "n" || len(r.Singles) != 3 {
		t.Errorf("got nonce %q and %d singles, want n and 3", r.Nonce(), len(r.Singles))
	}
	r, err = p.Status(t.Context(), ocsp.NewRequest(alpha.id(t, 1), stranger.id(t, 1)))
	if err != nil {
		t.Fatal(err)
	}
	check(t, v, r, alpha.pair, alpha.id(t, 1), ocsp.Good)
	check(t, v, r, stranger, stranger.id(t, 1), ocsp.Unknown)
}

// TestCombinedEnds has a member whose answer ends soon, or says nothing of it.
func TestCombinedEnds(t *testing.T) {
	p, alpha, beta, bridge := spanning(t)
	both := ocsp.NewRequest(alpha.id(t, 1), beta.id(t, 1))
	beta.change = func(r *ocsp.Response) { r.Singles[0].NextUpdate = time.Time{} }
	r, err := p.Status(t.Context(), both)
	if err != nil {
		t.Fatal(err)
	}
	s := check(t, ocsp.Verifier{Responders: []*x509.Certificate{bridge.cert}}, r, beta.pair, beta.id(t, 1), ocsp.Good)
	if d := s.NextUpdate.Sub(s.ThisUpdate); d != ocsp.Skew {
		t.Errorf("no nextUpdate: valid for %v, want %v", d, ocsp.Skew)
	}
	beta.change = func(r *ocsp.Response) {
		r.Singles[0].ThisUpdate, r.Singles[0].NextUpdate = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
	}
	if _, err := p.Status(t.Context(), both); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("ended, but within the skew: got %v, want Unavailable", err)
	}
}

func TestSpanningFailsWhole(t *testing.T) {
	p, alpha, beta, _ := spanning(t)
	both := ocsp.NewRequest(alpha.id(t, 1), beta.id(t, 1))
	if err := p.SetRoutes([]vocsp.Route{alpha.route(), {Member: "beta", Issuer: beta.cert, Source: vocsp.Upstream(nil, beta.cert, &http.Client{}, vocsp.UpstreamOptions{})}}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Status(t.Context(), both); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a member down: got %v, want Unavailable", err)
	}
	unsigned := newProxy(t, vocsp.Options{}, alpha.route(), beta.route())
	if _, err := unsigned.Status(t.Context(), both); fault.KindOf(err) != fault.Denied {
		t.Errorf("no signer: got %v, want Denied", err)
	}
	stranger := newCA(t, "stranger")
	if _, err := p.Status(t.Context(), ocsp.NewRequest(stranger.id(t, 1), stranger.id(t, 2))); fault.KindOf(err) != fault.NotFound {
		t.Errorf("no route at all: got %v, want NotFound", err)
	}
}

func TestResponderThatAnswersOneQuestionOnly(t *testing.T) {
	alpha, bridge := newCA(t, "alpha"), newCA(t, "bridge").delegate(t)
	source := vocsp.Upstream([]string{oracleResponder(t, alpha)}, alpha.cert, http.DefaultClient, vocsp.UpstreamOptions{})
	p := newProxy(t, vocsp.Options{Signer: always(bridge.signer())}, vocsp.Route{Member: "alpha", Issuer: alpha.cert, Source: source})
	r, err := p.Status(t.Context(), ocsp.NewRequest(alpha.id(t, 1)))
	if err != nil {
		t.Fatal(err)
	}
	check(t, ocsp.Verifier{}, r, alpha, alpha.id(t, 1), ocsp.Good)
	r, err = p.Status(t.Context(), ocsp.NewRequest(alpha.id(t, 1), alpha.id(t, 2)))
	if err != nil {
		t.Fatal(err)
	}
	check(t, ocsp.Verifier{Responders: []*x509.Certificate{bridge.cert}}, r, alpha, alpha.id(t, 2), ocsp.Good)
}

func TestNewRefusesAForeignKey(t *testing.T) {
	s := newCA(t, "bridge").delegate(t).signer()
	s.Key = newCA(t, "other").key
	for name, s := range map[string]*ocsp.Signer{"other key": s, "no key": {Cert: s.Cert}, "no certificate": {Key: s.Key}, "none": nil} {
		if _, err := vocsp.New(vocsp.Options{Signer: always(s)}); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
}

func TestLocal(t *testing.T) {
	bridge, stranger := newCA(t, "bridge"), newCA(t, "stranger")
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	down := errors.New("ledger is closed")
	source := vocsp.Local(bridge.cert, always(bridge.delegate(t).signer()), func(_ context.Context, serial *big.Int) (vocsp.LocalStatus, error) {
		switch serial.Int64() {
		case 1:
			return vocsp.LocalStatus{Status: ocsp.Good}, nil
		case 2:
			return vocsp.LocalStatus{Status: ocsp.Revoked, RevokedAt: at, Reason: ocsp.CessationOfOperation}, nil
		case 9:
			return vocsp.LocalStatus{}, down
		}
		return vocsp.LocalStatus{}, nil
	})
	r, err := source.Status(t.Context(), withNonce(ocsp.NewRequest(bridge.id(t, 1), bridge.id(t, 2), bridge.id(t, 3), stranger.id(t, 1)), "n"))
	if err != nil {
		t.Fatal(err)
	}
	check(t, ocsp.Verifier{}, r, bridge, bridge.id(t, 1), ocsp.Good)
	s := check(t, ocsp.Verifier{}, r, bridge, bridge.id(t, 2), ocsp.Revoked)
	check(t, ocsp.Verifier{}, r, bridge, bridge.id(t, 3), ocsp.Unknown)
	if !s.RevokedAt.Equal(at) || s.Reason != ocsp.CessationOfOperation || !bytes.Equal(r.Nonce(), []byte("n")) || s.NextUpdate.IsZero() {
		t.Errorf("got %+v", s)
	}
	if s, err := r.Single(stranger.id(t, 1)); err != nil || s.Status != ocsp.Unknown {
		t.Errorf("another issuer: got %+v, %v, want unknown", s, err)
	}
	if _, err := source.Status(t.Context(), ocsp.NewRequest(bridge.id(t, 1), bridge.id(t, 9))); !errors.Is(err, down) {
		t.Errorf("got %v, want %v", err, down)
	}
}

// TestSignerThatExpires wants nothing signed to outlive the certificate it is
// signed with.
func TestSignerThatExpires(t *testing.T) {
	bridge := newCA(t, "bridge")
	d := bridge.delegate(t)
	ask := func(left time.Duration) (*ocsp.Response, error) {
		cert := *d.cert
		cert.NotAfter = time.Now().Add(left)
		return vocsp.Local(bridge.cert, always(&ocsp.Signer{Cert: &cert, Key: d.key}), func(context.Context, *big.Int) (vocsp.LocalStatus, error) {
			return vocsp.LocalStatus{Status: ocsp.Good}, nil
		}).Status(t.Context(), ocsp.NewRequest(bridge.id(t, 1)))
	}
	if r, err := ask(time.Minute); err != nil || time.Until(r.Singles[0].NextUpdate) > time.Minute {
		t.Errorf("a minute left: got %+v, %v, want no validity beyond", r, err)
	}
	if _, err := ask(-time.Second); err == nil || fault.KindOf(err) != fault.Internal {
		t.Errorf("expired: got %v, want Internal", err)
	}
}
