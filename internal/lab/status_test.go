package lab_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"io"
	"math/big"
	"net/url"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"bridge.example/internal/lab"
)

// status asks the responder of a and checks the signature.
func status(t *testing.T, a *lab.Authority, serial *big.Int) string {
	t.Helper()
	return statusAt(t, a.OCSP, a.Certificate, a.Certificate, serial)
}

// statusAt does so elsewhere. Without a signer, the response is checked only by
// the certificate it carries: x/crypto/ocsp refuses a CA that sends its own.
func statusAt(t *testing.T, responder string, issuer, signer *x509.Certificate, serial *big.Int) string {
	t.Helper()
	req, err := ocsp.CreateRequest(&x509.Certificate{SerialNumber: serial, RawIssuer: issuer.RawSubject}, issuer, &ocsp.RequestOptions{Hash: crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	r, err := ocsp.ParseResponseForCert(post(t, responder, req), &x509.Certificate{SerialNumber: serial}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if now := time.Now(); now.Before(r.ThisUpdate) || now.After(r.NextUpdate) || r.IssuerHash != crypto.SHA256 {
		t.Errorf("got an answer for %v to %v under %v", r.ThisUpdate, r.NextUpdate, r.IssuerHash)
	}
	return map[int]string{ocsp.Good: "good", ocsp.Revoked: "revoked", ocsp.Unknown: "unknown"}[r.Status]
}

func post(t *testing.T, url string, der []byte) []byte {
	t.Helper()
	resp, err := client.Post(url, "application/ocsp-request", bytes.NewReader(der))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("Content-Type") != "application/ocsp-response" {
		t.Fatalf("%s: got %v, %v", url, resp.Header, err)
	}
	return b
}

// wantStatus is what responders say of a user: they know nothing of expiry.
var wantStatus = map[lab.State]string{lab.Valid: "good", lab.Expired: "good", lab.Revoked: "revoked"}

func testStatus(t *testing.T, o *lab.Organisation) {
	for _, u := range o.Users() {
		if got := status(t, o.Issuing, u.Certificate.SerialNumber); got != wantStatus[u.State] {
			t.Errorf("%s: got %s, want %s", u.Mail, got, wantStatus[u.State])
		}
	}
	if got := status(t, o.Root, o.Issuing.Certificate.SerialNumber); got != "good" {
		t.Errorf("issuing CA: got %s, want good", got)
	}
	if got := status(t, o.Issuing, big.NewInt(42)); got != "unknown" {
		t.Errorf("a serial never issued: got %s, want unknown", got)
	}

	req, err := ocsp.CreateRequest(user(t, o, lab.Valid).Certificate, o.Issuing.Certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := get(t, o.Issuing.OCSP+url.PathEscape(base64.StdEncoding.EncodeToString(req)))
	r, err := ocsp.ParseResponse(got, o.Issuing.Certificate)
	if err != nil || r.Status != ocsp.Good || (r.Certificate != nil) != o.Spec.DelegateOCSP {
		t.Errorf("GET: got %+v, %v, want good, with a delegate: %v", r, err, o.Spec.DelegateOCSP)
	}

	stranger, err := ocsp.CreateRequest(o.Root.Certificate, user(t, o, lab.Valid).Certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ request, want []byte }{
		"another issuer": {stranger, ocsp.UnauthorizedErrorResponse},
		"no OCSP":        {[]byte("nonsense"), ocsp.MalformedRequestErrorResponse},
		"too much":       {make([]byte, 1<<20), ocsp.MalformedRequestErrorResponse},
	} {
		if got := post(t, o.Root.OCSP, tt.request); !bytes.Equal(got, tt.want) {
			t.Errorf("%s: got %x, want %x", name, got, tt.want)
		}
	}
}

func testCRL(t *testing.T, o *lab.Organisation) {
	if err := o.Revoke(user(t, o, lab.Revoked).Mail); err != nil {
		t.Errorf("revoking again: %v", err)
	}
	var last *big.Int
	for range 2 {
		for _, a := range []*lab.Authority{o.Root, o.Issuing} {
			crl, err := x509.ParseRevocationList(get(t, a.CRL))
			if err == nil {
				err = crl.CheckSignatureFrom(a.Certificate)
			}
			if err != nil {
				t.Fatal(err)
			}
			if time.Now().After(crl.NextUpdate) || last != nil && crl.Number.Cmp(last) <= 0 {
				t.Errorf("%s: got number %v until %v after %v", a.CRL, crl.Number, crl.NextUpdate, last)
			}
			last = crl.Number
			revoked := map[string]bool{}
			for _, e := range crl.RevokedCertificateEntries {
				revoked[e.SerialNumber.String()] = true
				if time.Since(e.RevocationTime) < 30*time.Minute {
					t.Errorf("got revoked at %v, want when it was first", e.RevocationTime)
				}
			}
			for _, u := range o.Users() {
				if want := a == o.Issuing && u.State == lab.Revoked; revoked[u.Certificate.SerialNumber.String()] != want {
					t.Errorf("%s: %s listed: got %v, want %v", a.CRL, u.Mail, !want, want)
				}
			}
		}
	}
}
