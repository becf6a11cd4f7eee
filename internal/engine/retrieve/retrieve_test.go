package retrieve_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/engine/retrieve"
	"bridge.example/internal/fault"
	"bridge.example/internal/outbound"
	"bridge.example/internal/wire/certext"
	"bridge.example/internal/wire/cms"
	"bridge.example/internal/wire/ldap"
)

// here allows what the tests serve.
var here = outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}

// newMaterial is a CA's certificate and its CRL.
func newMaterial(t testing.TB) (cert *x509.Certificate, crl []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "CA"}, SerialNumber: big.NewInt(1), NotBefore: at, NotAfter: at.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCRLSign | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: at, NextUpdate: at.AddDate(0, 1, 0)}
	if crl, err = x509.CreateRevocationList(rand.Reader, list, cert, key); err != nil {
		t.Fatal(err)
	}
	return cert, crl
}

func block(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

func bundle(t *testing.T, certs ...*x509.Certificate) []byte {
	b, err := cms.CertsOnly(certs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func check(t *testing.T, name string, got retrieve.Found, certs, crls [][]byte) {
	t.Helper()
	if !slices.EqualFunc(got.Certificates, certs, bytes.Equal) || !slices.EqualFunc(got.CRLs, crls, bytes.Equal) {
		t.Errorf("%s: got %d certificates and %d CRLs, want %d and %d, or others", name, len(got.Certificates), len(got.CRLs), len(certs), len(crls))
	}
}

func TestHTTP(t *testing.T) {
	c, crl := newMaterial(t)
	one, none := [][]byte{c.Raw}, [][]byte(nil)
	bodies := map[string]struct {
		body        []byte
		certs, crls [][]byte
	}{
		"/ca.cer":  {c.Raw, one, none},
		"/ca.pem":  {append([]byte("\ufeff\n"), block("CERTIFICATE", c.Raw)...), one, none},
		"/ca.p7c":  {bundle(t, c, c), [][]byte{c.Raw, c.Raw}, none},
		"/ca.p7b":  {block("PKCS7", bundle(t, c)), one, none},
		"/no.p7c":  {bundle(t), none, none},
		"/ca.crl":  {crl, none, [][]byte{crl}},
		"/all.pem": {append(block("X509 CRL", crl), block("CERTIFICATE", c.Raw)...), one, [][]byte{crl}},
	}
	var asked int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		b, ok := bodies[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
		}
		_, _ = w.Write(b.body)
	}))
	defer server.Close()
	r := retrieve.New(here, retrieve.Limits{})
	for path, b := range bodies {
		for range 2 {
			found, err := r.Get(t.Context(), server.URL+path)
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			check(t, path, found, b.certs, b.crls)
		}
	}
	if _, err := r.Get(t.Context(), server.URL+"/nowhere"); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v, want Unavailable with 404", err)
	}
	if asked != len(bodies)+1 {
		t.Errorf("the server was asked %d times, want %d", asked, len(bodies)+1)
	}
}

func TestLDAP(t *testing.T) {
	c, crl := newMaterial(t)
	pair, err := certext.CertificatePair{IssuedToThisCA: c.Raw, IssuedByThisCA: c.Raw}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var got ldap.SearchRequest
	port := newDirectory(t, "127.0.0.1:0", func(send func(ldap.Op) error, q ldap.SearchRequest) {
		got = q
		_ = send(ldap.SearchResultEntry{DN: q.Base, Attributes: []ldap.Attribute{
			{Type: "CACertificate;binary", Values: [][]byte{c.Raw}},
			{Type: "crossCertificatePair;binary", Values: [][]byte{pair}},
			{Type: "certificateRevocationList", Values: [][]byte{crl}},
			{Type: "description", Values: [][]byte{[]byte("not asked for")}},
		}})
		_ = send(ldap.SearchResultDone{})
	})
	for _, tt := range []struct{ query, attributes, filter string }{
		{"", "cACertificate;binary crossCertificatePair;binary certificateRevocationList;binary authorityRevocationList;binary deltaRevocationList;binary", "(objectClass=*)"},
		{"?cACertificate;binary,crossCertificatePair;binary", "cACertificate;binary crossCertificatePair;binary", "(objectClass=*)"},
		{"?cACertificate?base?objectClass=certificationAuthority", "cACertificate", "(objectClass=certificationAuthority)"},
		{"?certificateRevocationList%3bbinary?BASE?(objectClass=pkiCA)?x-later", "certificateRevocationList;binary", "(objectClass=pkiCA)"},
	} {
		r := retrieve.New(here, retrieve.Limits{})
		found, err := r.Get(t.Context(), fmt.Sprintf("ldap://127.0.0.1:%d/cn=CA%%20one,o=Alpha%s", port, tt.query))
		if err != nil {
			t.Fatal(err)
		}
		check(t, tt.query, found, [][]byte{c.Raw, c.Raw, c.Raw}, [][]byte{crl})
		if got.Base != "cn=CA one,o=Alpha" || got.Scope != ldap.BaseObject || got.Filter.String() != tt.filter ||
			strings.Join(got.Attributes, " ") != tt.attributes {
			t.Errorf("%s: got request %+v", tt.query, got)
		}
	}
}

// TestLimits has runs that are over.
func TestLimits(t *testing.T) {
	c, _ := newMaterial(t)
	var asked int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		_, _ = w.Write(c.Raw)
	}))
	defer server.Close()
	size := int64(len(c.Raw))
	for _, tt := range []struct {
		name   string
		limits retrieve.Limits
		want   int // answers
		asked  int
	}{
		{"URLs", retrieve.Limits{URLs: 2}, 2, 2},
		{"bytes that just fit", retrieve.Limits{ReplyBytes: size}, 4, 4},
		{"bytes of an answer", retrieve.Limits{ReplyBytes: size - 1}, 0, 4},
		{"bytes of all answers", retrieve.Limits{Bytes: 2*size + 1}, 2, 3},
		{"time", retrieve.Limits{Total: 1}, 0, 0},
	} {
		asked = 0
		r, answers := retrieve.New(here, tt.limits), 0
		for n := range 4 {
			_, err := r.Get(t.Context(), fmt.Sprintf("%s/%d", server.URL, n))
			if err == nil {
				answers++
			} else if k := fault.KindOf(err); k == fault.Internal {
				t.Errorf("%s: got %v of kind %s", tt.name, err, k)
			}
		}
		if answers != tt.want || asked != tt.asked {
			t.Errorf("%s: got %d answers to %d requests, want %d to %d", tt.name, answers, asked, tt.want, tt.asked)
		}
	}
}

// FuzzGet serves anything as a body.
func FuzzGet(f *testing.F) {
	c, crl := newMaterial(f)
	f.Add(c.Raw)
	f.Add(crl)
	f.Add(block("X509 CRL", crl))
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, in []byte) {
		body = in
		r := retrieve.New(here, retrieve.Limits{})
		if _, err := r.Get(t.Context(), server.URL); err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("got %v, want Invalid", err)
		}
	})
}

// FuzzURL follows nothing: every port is denied.
func FuzzURL(f *testing.F) {
	f.Add("ldap://a.example/cn=CA?cACertificate?base?(a=b)?x")
	f.Add("http://127.0.0.1:80/a.p7c")
	f.Add("ldap://[::1%25lo]/")
	nowhere := outbound.Policy{Ports: []uint16{0}}
	f.Fuzz(func(t *testing.T, url string) {
		r := retrieve.New(nowhere, retrieve.Limits{})
		if _, err := r.Get(t.Context(), url); err == nil || fault.KindOf(err) == fault.Internal {
			t.Errorf("got %v for %q", err, url)
		}
	})
}
