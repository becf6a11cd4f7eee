package ocsp_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	oracle "golang.org/x/crypto/ocsp"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ocsp"
)

// rich is a response with everything in it, signed by a delegate of ca.
func rich(t testing.TB, ca pair) *ocsp.Response {
	t.Helper()
	revoked := ocsp.SingleResponse{
		ID: newID(t, crypto.SHA256, ca, 6), Status: ocsp.Revoked, RevokedAt: now.AddDate(0, 0, -1), Reason: ocsp.KeyCompromise,
		ThisUpdate: now.Add(-time.Hour),
		Extensions: []pkix.Extension{{Id: []int{1, 3, 6, 1, 5, 5, 7, 48, 1, 6}, Critical: true, Value: []byte{5, 0}}},
	}
	unknown := ocsp.SingleResponse{ID: newID(t, crypto.SHA512, ca, 7), ThisUpdate: now}
	r := template(good(newID(t, crypto.SHA1, ca, 5)), revoked, unknown)
	r.Extensions = []pkix.Extension{ocsp.NonceExtension([]byte("nonce"))}
	d := ca.delegate(t, nil)
	r.Certificates = [][]byte{ca.cert.Raw, d.cert.Raw}
	return mustSign(t, r, d)
}

func TestSignedIsWhatWasSaid(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	want := rich(t, ca)
	got, err := ocsp.ParseResponse(want.Raw)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range []struct {
		hash   crypto.Hash
		status ocsp.CertStatus
		reason ocsp.Reason
		next   time.Time
	}{
		{crypto.SHA1, ocsp.Good, 0, now.Add(time.Hour)},
		{crypto.SHA256, ocsp.Revoked, ocsp.KeyCompromise, time.Time{}},
		{crypto.SHA512, ocsp.Unknown, 0, time.Time{}},
	} {
		s, err := got.Single(newID(t, w.hash, ca, int64(5+i)))
		if err != nil || s.Status != w.status || s.Reason != w.reason || !s.NextUpdate.Equal(w.next) {
			t.Errorf("single %d: got %+v, %v, want %+v", i, s, err, w)
		}
	}
	if !got.ProducedAt.Equal(now.Add(-time.Hour)) || string(got.Nonce()) != "nonce" || len(got.Certificates) != 2 || len(got.Responder.KeyHash) != 20 {
		t.Errorf("got %+v", got)
	}
	if again, err := got.Encode(); err != nil || !bytes.Equal(again, want.Raw) {
		t.Errorf("second encoding: got %x, %v, want %x", again, err, want.Raw)
	}
}

func TestAlgorithms(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve := func(c elliptic.Curve) crypto.Signer {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	for _, c := range []struct {
		key       crypto.Signer
		ask, want x509.SignatureAlgorithm
	}{
		{rsaKey, 0, x509.SHA256WithRSA},
		{rsaKey, x509.SHA384WithRSA, x509.SHA384WithRSA},
		{rsaKey, x509.SHA512WithRSA, x509.SHA512WithRSA},
		{rsaKey, x509.SHA256WithRSAPSS, x509.SHA256WithRSAPSS},
		{rsaKey, x509.SHA384WithRSAPSS, x509.SHA384WithRSAPSS},
		{rsaKey, x509.SHA512WithRSAPSS, x509.SHA512WithRSAPSS},
		{curve(elliptic.P256()), 0, x509.ECDSAWithSHA256},
		{curve(elliptic.P384()), 0, x509.ECDSAWithSHA384},
		{curve(elliptic.P521()), 0, x509.ECDSAWithSHA512},
		{curve(elliptic.P256()), x509.ECDSAWithSHA512, x509.ECDSAWithSHA512},
		{ed, 0, x509.PureEd25519},
	} {
		ca := newCA(t, "alpha", c.key)
		id := newID(t, crypto.SHA256, ca, 5)
		r := template(good(id))
		r.Algorithm = c.ask
		r = mustSign(t, r, ca)
		if _, err := r.Check(id, ca.cert, now); err != nil || r.Algorithm != c.want {
			t.Errorf("%v: got %v, %v", c.want, r.Algorithm, err)
		}
	}
	for name, c := range map[string]struct {
		key crypto.Signer
		ask x509.SignatureAlgorithm
	}{"SHA-1": {rsaKey, x509.SHA1WithRSA}, "MD5": {rsaKey, x509.MD5WithRSA}, "algorithm of another key": {ed, x509.SHA256WithRSA}} {
		r := template()
		r.Algorithm = c.ask
		if _, err := ocsp.Sign(r, newCA(t, "alpha", c.key).signer()); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
}

func TestOracleReadsOurs(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	leaf := &x509.Certificate{SerialNumber: big.NewInt(5)}
	said := good(newID(t, crypto.SHA1, ca, 5))
	said.Status, said.RevokedAt, said.Reason = ocsp.Revoked, now.AddDate(0, 0, -1), ocsp.Superseded
	got, err := oracle.ParseResponseForCert(mustSign(t, template(said), ca.delegate(t, nil)).Raw, leaf, ca.cert)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != oracle.Revoked || got.RevocationReason != oracle.Superseded || !got.RevokedAt.Equal(said.RevokedAt) ||
		!got.ThisUpdate.Equal(said.ThisUpdate) || !got.NextUpdate.Equal(said.NextUpdate) || !got.ProducedAt.Equal(now.Add(-time.Hour)) {
		t.Errorf("got %+v", got)
	}
	_, err = oracle.ParseResponse(ocsp.ErrorResponse(ocsp.TryLater), nil)
	if e, ok := err.(oracle.ResponseError); !ok || e.Status != oracle.TryLater {
		t.Errorf("error response: got %v", err)
	}
}

func TestWeReadTheOracle(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	d := ca.delegate(t, nil)
	for _, c := range []struct {
		status, reason int
		hash           crypto.Hash
		want           ocsp.CertStatus
	}{
		{oracle.Good, 0, crypto.SHA1, ocsp.Good},
		{oracle.Unknown, 0, crypto.SHA256, ocsp.Unknown},
		{oracle.Revoked, oracle.Unspecified, crypto.SHA384, ocsp.Revoked}, // writes the reason out
		{oracle.Revoked, oracle.CertificateHold, crypto.SHA512, ocsp.Revoked},
	} {
		der, err := oracle.CreateResponse(ca.cert, d.cert, oracle.Response{
			Status: c.status, SerialNumber: big.NewInt(5), IssuerHash: c.hash, Certificate: d.cert,
			ThisUpdate: now, NextUpdate: now.Add(time.Hour), RevokedAt: now, RevocationReason: c.reason,
		}, d.key)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ocsp.ParseResponse(der)
		if err != nil {
			t.Fatal(err)
		}
		r.ProducedAt = now // the oracle writes the present
		s, err := r.Check(newID(t, c.hash, ca, 5), ca.cert, now)
		if err != nil || s.Status != c.want || int(s.Reason) != c.reason || !bytes.Equal(r.Responder.Name, d.cert.RawSubject) {
			t.Errorf("%v: got %+v, %v", c, s, err)
		}
	}
}

func TestErrorResponses(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	for _, s := range []ocsp.Status{ocsp.MalformedRequest, ocsp.InternalError, ocsp.TryLater, ocsp.SigRequired, ocsp.Unauthorized} {
		r, err := ocsp.ParseResponse(ocsp.ErrorResponse(s))
		if err != nil || r.Status != s {
			t.Fatalf("%v: got %+v, %v", s, r, err)
		}
		if _, err := r.Check(newID(t, crypto.SHA1, ca, 5), ca.cert, now); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%v: Check: got %v, want Unavailable", s, err)
		}
	}
}

func TestResponseRefusals(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	valid := rich(t, ca).Raw
	with := func(change func(*ocsp.Response)) []byte {
		r := rich(t, ca)
		change(r)
		der, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	critical := []pkix.Extension{{Id: []int{2, 999, 1}, Critical: true, Value: []byte{}}}
	for name, der := range map[string][]byte{
		"empty":                          {},
		"cut":                            valid[:len(valid)-1],
		"trailing garbage":               append(bytes.Clone(valid), 0),
		"oversize":                       append(bytes.Clone(valid), make([]byte, ocsp.MaxResponseBytes)...),
		"successful without content":     ocsp.ErrorResponse(ocsp.Successful),
		"unused status":                  ocsp.ErrorResponse(4),
		"undefined status":               ocsp.ErrorResponse(7),
		"error with content":             bytes.Replace(valid, []byte{10, 1, 0}, []byte{10, 1, 3}, 1),
		"other response type":            bytes.Replace(valid, []byte("\x30\x01\x01\x04"), []byte("\x30\x01\x02\x04"), 1),
		"no singles":                     with(func(r *ocsp.Response) { r.Singles = nil }),
		"too many singles":               with(func(r *ocsp.Response) { r.Singles = make257(r.Singles[0]) }),
		"too many certificates":          with(func(r *ocsp.Response) { r.Certificates = make257(r.Certificates[0])[:11] }),
		"no responder":                   with(func(r *ocsp.Response) { r.Responder.KeyHash = nil }),
		"undefined reason":               with(func(r *ocsp.Response) { r.Singles[1].Reason = 7 }),
		"critical extension":             with(func(r *ocsp.Response) { r.Extensions = critical }),
		"critical extension of a single": with(func(r *ocsp.Response) { r.Singles[0].Extensions = critical }),
	} {
		if _, err := ocsp.ParseResponse(der); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
}

func make257[T any](v T) []T {
	out := make([]T, 257)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestSignRefusesWhatNobodyReads(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	s := good(newID(t, crypto.SHA1, ca, 5))
	late := s
	late.NextUpdate = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, r := range map[string]*ocsp.Response{
		"nothing": template(), "too much": template(make257(s)...), "year 10000": template(late),
	} {
		if _, err := ocsp.Sign(r, ca.signer()); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
}

func FuzzParseResponse(f *testing.F) {
	ca := newCA(f, "alpha", p256(f))
	id := newID(f, crypto.SHA1, ca, 5)
	f.Add(rich(f, ca).Raw)
	f.Add(mustSign(f, template(good(id)), ca).Raw)
	f.Add(ocsp.ErrorResponse(ocsp.TryLater))
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := ocsp.ParseResponse(der)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("got %v, want Invalid", err)
			}
			return
		}
		if again, err := r.Encode(); err != nil || !bytes.Equal(again, der) {
			t.Fatalf("got %x, %v, want %x", again, err, der)
		}
		r.Check(id, ca.cert, now)
	})
}
