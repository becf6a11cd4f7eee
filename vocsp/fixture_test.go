package vocsp_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	oracle "golang.org/x/crypto/ocsp"

	"bridge.example/internal/wire/ocsp"
	"bridge.example/vocsp"
)

// pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (p pair) signer() *ocsp.Signer { return &ocsp.Signer{Cert: p.cert, Key: p.key} }

// always is a signer that is never renewed.
func always(s *ocsp.Signer) func() *ocsp.Signer { return func() *ocsp.Signer { return s } }

func issue(t testing.TB, template *x509.Certificate, issuer *pair) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().AddDate(0, -1, 0), time.Now().AddDate(0, 1, 0)
	if issuer == nil {
		issuer = &pair{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return pair{cert, key}
}

func newCA(t testing.TB, name string) pair {
	t.Helper()
	return issue(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil)
}

// delegate is a responder of p (RFC 6960 §4.2.2.2).
func (p pair) delegate(t testing.TB) pair {
	t.Helper()
	return issue(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "responder of " + p.cert.Subject.CommonName},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		ExtraExtensions: []pkix.Extension{{Id: []int{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}},
	}, &p)
}

func (p pair) id(t testing.TB, serial int64) ocsp.CertID {
	t.Helper()
	id, err := ocsp.NewCertID(crypto.SHA256, p.cert, big.NewInt(serial))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// member is a CA with a responder of our own make: it answers several questions
// at once and knows nonces. Even serials are revoked.
type member struct {
	pair
	delegate pair
	validity time.Duration
	change   func(*ocsp.Response) // makes lies, when set
	asked    chan int             // receives the number of questions of each request
}

func newMember(t testing.TB, name string) *member {
	ca := newCA(t, name)
	return &member{pair: ca, delegate: ca.delegate(t), validity: time.Hour, asked: make(chan int, 1000)}
}

func (m *member) answer(der []byte) ([]byte, error) {
	req, err := ocsp.ParseRequest(der)
	if err != nil {
		return nil, err
	}
	m.asked <- len(req.Singles)
	now := time.Now()
	r := &ocsp.Response{ProducedAt: now, Extensions: req.Extensions}
	for _, s := range req.Singles {
		single := ocsp.SingleResponse{ID: s.ID, Status: ocsp.Good, ThisUpdate: now, NextUpdate: now.Add(m.validity)}
		if s.ID.Serial.Bit(0) == 0 {
			single.Status, single.RevokedAt, single.Reason = ocsp.Revoked, now, ocsp.KeyCompromise
		}
		r.Singles = append(r.Singles, single)
	}
	if m.change != nil {
		m.change(r)
	}
	r, err = ocsp.Sign(r, m.delegate.signer())
	if err != nil {
		return nil, err
	}
	return r.Raw, nil
}

// RoundTrip makes the member an HTTP transport, so that nothing needs a network.
func (m *member) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	der, err := m.answer(body)
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, der), nil
}

func reply(status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}
}

// transport is a function as an HTTP transport.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (m *member) source() vocsp.Source {
	return vocsp.Upstream([]string{"http://ocsp.example/"}, m.cert, &http.Client{Transport: m}, vocsp.UpstreamOptions{})
}

func (m *member) route() vocsp.Route {
	return vocsp.Route{Member: m.cert.Subject.CommonName, Issuer: m.cert, Source: m.source()}
}

// oracleResponder is a member's responder on x/crypto/ocsp, over loopback:
// it answers the first question only, and no nonce.
func oracleResponder(t testing.TB, ca pair) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		req, err := oracle.ParseRequest(body)
		if err != nil {
			w.Write(oracle.MalformedRequestErrorResponse)
			return
		}
		der, err := oracle.CreateResponse(ca.cert, ca.cert, oracle.Response{
			Status: oracle.Good, SerialNumber: req.SerialNumber, IssuerHash: req.HashAlgorithm,
			ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
		}, ca.key)
		if err != nil {
			t.Error(err)
		}
		w.Write(der)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// quiet logs nothing.
var quiet = slog.New(slog.DiscardHandler)

func newProxy(t testing.TB, o vocsp.Options, routes ...vocsp.Route) *vocsp.Proxy {
	t.Helper()
	if o.Log == nil {
		o.Log = quiet
	}
	p, err := vocsp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetRoutes(routes); err != nil {
		t.Fatal(err)
	}
	return p
}

func withNonce(r *ocsp.Request, nonce string) *ocsp.Request {
	r.Extensions = append(r.Extensions, ocsp.NonceExtension([]byte(nonce)))
	return r
}

// sourceFunc is a function as a Source.
type sourceFunc func(context.Context, *ocsp.Request) (*ocsp.Response, error)

func (f sourceFunc) Status(ctx context.Context, r *ocsp.Request) (*ocsp.Response, error) {
	return f(ctx, r)
}

// check wants r to prove this status.
func check(t *testing.T, v ocsp.Verifier, r *ocsp.Response, issuer pair, id ocsp.CertID, want ocsp.CertStatus) *ocsp.SingleResponse {
	t.Helper()
	s, err := v.Check(r, issuer.cert, time.Now(), id)
	if err != nil {
		t.Fatalf("serial %v: %v", id.Serial, err)
	}
	if s[0].Status != want {
		t.Errorf("serial %v: got %v, want %v", id.Serial, s[0].Status, want)
	}
	return s[0]
}
