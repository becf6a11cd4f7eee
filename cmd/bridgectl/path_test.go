package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/federation"
	"bridge.example/internal/wire/certext"
	"bridge.example/internal/wire/cms"
)

// writePaths writes a federation in the state of 2026:
//
//	anchor.pem, stranger.pem   two roots; anchor -> Bridge -> Alpha
//	bridge.pem, alpha.der      the CA certificates between
//	leaf.pem, revoked.pem      of Alpha, for anna@alpha.example, until 2027
//	expired.pem                the same, until 2026-02-01
//	current.pem                the same, still valid
//	client.pem                 the same, for TLS clients
//	path.pem                   bridge, alpha and leaf
//	certs/                     a p7c with Bridge, a pair with Alpha, and dead ends
//	crls/                      of all three CAs, PEM and DER, until 2027
//	ber.p7c                    the p7c, of indefinite length
//	bad/                       files that are none of these, one each
//	huge                       more than is read
func writePaths(t *testing.T, dir string) {
	for _, name := range []string{"certs", "crls", "bad", "empty"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put := func(name string, b []byte) { write(t, filepath.Join(dir, name), b) }

	anchor, stranger := newAuthority(t, "Anchor"), newAuthority(t, "Stranger")
	bridge := anchor.certify(t, "Bridge", 2, newKey(t))
	alpha := bridge.certify(t, "Alpha", 3, newKey(t))
	deadEnd := stranger.certify(t, "Alpha", 4, alpha.key)
	until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	leaf := alpha.mail(t, 5, until)
	put("anchor.pem", pemOf(anchor.cert.Raw))
	put("stranger.pem", pemOf(stranger.cert.Raw))
	put("bridge.pem", append([]byte("Bridge, by Anchor\n"), pemOf(bridge.cert.Raw)...))
	put("alpha.der", alpha.cert.Raw)
	put("leaf.pem", pemOf(leaf))
	put("revoked.pem", pemOf(alpha.mail(t, 6, until)))
	put("expired.pem", pemOf(alpha.mail(t, 7, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC))))
	path := append(append(pemOf(bridge.cert.Raw), pemOf(alpha.cert.Raw)...), pemOf(leaf)...)
	put("path.pem", path)
	put("current.pem", pemOf(alpha.mail(t, 9, alpha.cert.NotAfter)))
	client := mailTemplate(t, alpha, 8, until)
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	put("client.pem", pemOf(alpha.sign(t, client, newKey(t))))

	bundle, err := cms.CertsOnly([]*x509.Certificate{bridge.cert, deadEnd.cert})
	if err != nil {
		t.Fatal(err)
	}
	put("certs/bridge.p7c", bundle)
	put("ber.p7c", slices.Concat([]byte{0x30, 0x80}, bundle[4:], []byte{0, 0}))
	pair, err := certext.CertificatePair{IssuedToThisCA: alpha.cert.Raw, IssuedByThisCA: deadEnd.cert.Raw}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	put("certs/alpha.cp", pair)
	put("certs/.hidden", []byte("not read"))
	put("crls/anchor.crl", anchor.revoke(t))
	put("crls/others.pem", append(pemCRL(bridge.revoke(t)), pemCRL(alpha.revoke(t, 6))...))

	put("bad/garbage", []byte("garbage"))
	put("bad/key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{0x30, 3, 2, 1, 0}}))
	put("bad/damaged.pem", append([]byte("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"), path...))
	put("bad/short.der", leaf[:len(leaf)-1])
	put("bad/longer.der", append(leaf[:len(leaf):len(leaf)], 0))
	put("huge", nil)
	if err := os.Truncate(filepath.Join(dir, "huge"), maxMaterialBytes+1); err != nil {
		t.Fatal(err)
	}
}

// writeMapped writes what no path leads to but over the CA that it returns,
// which maps policy 1.2.3 to 1.2.4:
//
//	anchor.pem   issued the CA
//	equal.pem    of the CA, under 1.2.4
//	any.pem      the same, under anyPolicy
func writeMapped(t *testing.T, dir string) federation.Trusted {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	oid := func(s string) x509.OID {
		id, err := x509.ParseOID(s)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	mappings, err := certext.PolicyMappings([]certext.Mapping{{Issuer: oid("1.2.3"), Subject: oid("1.2.4")}})
	if err != nil {
		t.Fatal(err)
	}
	anchor, key := newAuthority(t, "Mapping"), newKey(t)
	ca, err := x509.ParseCertificate(anchor.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Mapped"}, SerialNumber: big.NewInt(2), NotBefore: anchor.cert.NotBefore, NotAfter: anchor.cert.NotAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		Policies: []x509.OID{oid("1.2.3")}, ExtraExtensions: []pkix.Extension{mappings},
	}, key))
	if err != nil {
		t.Fatal(err)
	}
	issuing := authority{ca, key}
	write(t, filepath.Join(dir, "anchor.pem"), pemOf(anchor.cert.Raw))
	for name, policy := range map[string]string{"equal.pem": "1.2.4", "any.pem": "2.5.29.32.0"} {
		leaf := mailTemplate(t, issuing, 3, ca.NotAfter)
		leaf.Policies = []x509.OID{oid(policy)}
		write(t, filepath.Join(dir, name), pemOf(issuing.sign(t, leaf, newKey(t))))
	}
	return federation.Trusted{Intermediates: []*x509.Certificate{ca}}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certify makes a CA below a, with one policy.
func (a authority) certify(t *testing.T, name string, serial int64, key *ecdsa.PrivateKey) authority {
	der := a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(serial), NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, Policies: testPolicies(t),
	}, key)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

// mail makes a certificate for Anna.
func (a authority) mail(t *testing.T, serial int64, until time.Time) []byte {
	return a.sign(t, mailTemplate(t, a, serial, until), newKey(t))
}

func mailTemplate(t *testing.T, a authority, serial int64, until time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: "Anna"}, EmailAddresses: []string{"anna@alpha.example"}, SerialNumber: big.NewInt(serial),
		NotBefore: a.cert.NotBefore, NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, Policies: testPolicies(t),
	}
}

// revoke makes the CRL of 2026.
func (a authority) revoke(t *testing.T, serials ...int64) []byte {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return a.crl(t, at, at.AddDate(1, 0, 0), serials...)
}

func (a authority) crl(t *testing.T, at, next time.Time, serials ...int64) []byte {
	tmpl := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: at, NextUpdate: next}
	for _, s := range serials {
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: big.NewInt(s), RevocationTime: at, ReasonCode: 1})
	}
	der, err := x509.CreateRevocationList(rand.Reader, tmpl, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pemCRL(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func testPolicies(t *testing.T) []x509.OID {
	id, err := x509.ParseOID("1.3.6.1.4.1.32473.1.1")
	if err != nil {
		t.Fatal(err)
	}
	return []x509.OID{id}
}

// TestMaterialIsBounded has one file that just fits, and what is too much.
func TestMaterialIsBounded(t *testing.T) {
	dir := t.TempDir()
	file, crowd := filepath.Join(dir, "file"), filepath.Join(dir, "crowd")
	content := pemOf(newAuthority(t, "Root").cert.Raw)
	write(t, file, content)
	if err := os.Mkdir(crowd, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(crowd, "1"), content)
	write(t, filepath.Join(crowd, "2"), content)
	for _, tt := range []struct {
		name  string
		m     material
		paths []string
		want  string
	}{
		{"bytes", material{bytes: maxMaterialBytes - int64(len(content))}, []string{file}, ""},
		{"bytes of all files", material{bytes: maxMaterialBytes - int64(len(content))}, []string{file, file}, "longer than 0 bytes"},
		{"files", material{files: maxMaterialFiles - 1}, []string{file}, ""},
		{"files of all flags", material{files: maxMaterialFiles - 1}, []string{file, file}, "more than 10000 files"},
		{"directory", material{files: maxMaterialFiles - 2}, []string{crowd}, ""},
		{"directory that is too much", material{files: maxMaterialFiles - 1}, []string{crowd}, "crowd: more than 10000 files"},
		{"certificates", material{certs: make([]*pathval.Certificate, maxMaterialItems)}, []string{file}, "more than 100000 certificates"},
	} {
		_, err := tt.m.certificates("--certs", tt.paths...)
		if got := fmt.Sprint(err); !strings.Contains(got, tt.want) || (err == nil) != (tt.want == "") {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestBridgeIsNotBelieved gives answers that a bridge could send and must not.
func TestBridgeIsNotBelieved(t *testing.T) {
	root := newAuthority(t, "Root")
	until := root.cert.NotAfter
	ca := root.certify(t, "CA", 2, newKey(t))
	wanted, other := ca.mail(t, 3, until), ca.mail(t, 4, until)
	parse := func(der []byte) *pathval.Certificate {
		c, err := pathval.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	in := pathval.Inputs{Anchors: []*pathval.Certificate{parse(root.cert.Raw)}, At: time.Now()}
	for _, tt := range []struct {
		name string
		path [][]byte
		want string
	}{
		{"a path", [][]byte{ca.cert.Raw, wanted}, ""},
		{"to another", [][]byte{ca.cert.Raw, other}, "another certificate"},
		{"with a gap", [][]byte{wanted}, "no issuer leads to an anchor"},
		{"of garbage", [][]byte{[]byte("garbage"), wanted}, "parsing certificate 1"},
		{"from another anchor", [][]byte{newAuthority(t, "Root").certify(t, "CA", 2, ca.key).cert.Raw, wanted}, "signature does not verify"},
	} {
		_, err := checkPath(t.Context(), tt.path, parse(wanted), in)
		if got := fmt.Sprint(err); !strings.Contains(got, tt.want) || (err == nil) != (tt.want == "") {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
