package retrieve_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"bridge.example/internal/engine/retrieve"
	"bridge.example/internal/outbound"
	"bridge.example/internal/wire/certext"
)

func needPeers(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS is not 1")
	}
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOpenSSLBundle serves what openssl crl2pkcs7 writes: DER and PEM, with and
// without a CRL.
func TestOpenSSLBundle(t *testing.T) {
	needPeers(t)
	c, crl := newMaterial(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("ca.pem"), block("CERTIFICATE", c.Raw))
	write(t, at("ca.crl"), block("X509 CRL", crl))
	run(t, "openssl", "crl2pkcs7", "-nocrl", "-certfile", at("ca.pem"), "-outform", "DER", "-out", at("certs.p7c"))
	run(t, "openssl", "crl2pkcs7", "-in", at("ca.crl"), "-certfile", at("ca.pem"), "-outform", "DER", "-out", at("both.p7c"))
	run(t, "openssl", "crl2pkcs7", "-in", at("ca.crl"), "-certfile", at("ca.pem"), "-out", at("both.pem"))
	run(t, "openssl", "crl2pkcs7", "-nocrl", "-outform", "DER", "-out", at("empty.p7c"))
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	r := retrieve.New(here, retrieve.Limits{})
	for name, want := range map[string]struct{ certs, crls [][]byte }{
		"certs.p7c": {[][]byte{c.Raw}, nil},
		"both.p7c":  {[][]byte{c.Raw}, [][]byte{crl}},
		"both.pem":  {[][]byte{c.Raw}, [][]byte{crl}},
		"empty.p7c": {nil, nil},
	} {
		found, err := r.Get(t.Context(), server.URL+"/"+name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		check(t, name, found, want.certs, want.crls)
	}
}

// TestSlapd asks OpenLDAP for the entry of a CA (RFC 4523 §3.3).
func TestSlapd(t *testing.T) {
	needPeers(t)
	c, crl := newMaterial(t)
	pair, err := certext.CertificatePair{IssuedToThisCA: c.Raw, IssuedByThisCA: c.Raw}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	url := startSlapd(t, map[string][]byte{
		"cACertificate;binary": c.Raw, "crossCertificatePair;binary": pair, "certificateRevocationList;binary": crl,
	})
	for query, want := range map[string]struct{ certs, crls [][]byte }{
		"": {[][]byte{c.Raw, c.Raw, c.Raw}, [][]byte{crl}},
		"?cACertificate;binary?base?objectClass=pkiCA":                     {[][]byte{c.Raw}, nil},
		"?crossCertificatePair;binary":                                     {[][]byte{c.Raw, c.Raw}, nil},
		"?certificateRevocationList;binary?base?(cn=CA)":                   {nil, [][]byte{crl}},
		"?cACertificate;binary?base?(cn=Other)":                            {nil, nil},
		"?authorityRevocationList;binary,deltaRevocationList;binary?base?": {nil, nil},
	} {
		found, err := retrieve.New(here, retrieve.Limits{}).Get(t.Context(), url+"/cn=CA,o=Alpha"+query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
		}
		check(t, query, found, want.certs, want.crls)
	}
	if found, err := retrieve.New(here, retrieve.Limits{}).Get(t.Context(), url+"/cn=Nobody,o=Alpha"); err == nil {
		t.Errorf("an entry that is not there: got %v", found)
	}
}

// startSlapd runs OpenLDAP with one CA, and returns its URL.
func startSlapd(t *testing.T, attributes map[string][]byte) string {
	dir := t.TempDir()
	conf, data := filepath.Join(dir, "slapd.conf"), filepath.Join(dir, "data.ldif")
	write(t, conf, fmt.Appendf(nil, "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n"+
		"database mdb\nsuffix \"o=Alpha\"\ndirectory %q\n", dir))
	ldif := []byte("dn: o=Alpha\nobjectClass: organization\no: Alpha\n\n" +
		"dn: cn=CA,o=Alpha\nobjectClass: organizationalRole\nobjectClass: pkiCA\ncn: CA\n")
	for name, value := range attributes {
		ldif = fmt.Appendf(ldif, "%s:: %s\n", name, base64.StdEncoding.EncodeToString(value))
	}
	write(t, data, ldif)
	slapd, err := exec.LookPath("slapd")
	if err != nil {
		slapd = "/usr/sbin/slapd"
	}
	run(t, slapd, "-T", "add", "-q", "-f", conf, "-l", data)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, slapd, "-d", "0", "-h", "ldap://"+address, "-f", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = cmd.Wait() })
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	late := time.After(10 * time.Second)
	for {
		if conn, err := outbound.Dial(here)(t.Context(), "tcp", address); err == nil {
			conn.Close()
			return "ldap://" + address
		}
		select {
		case <-again.C:
		case <-late:
			t.Fatal("slapd does not answer")
		}
	}
}
