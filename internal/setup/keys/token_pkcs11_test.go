//go:build pkcs11

package keys_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/wire/cms"
	"bridge.example/internal/wire/ocsp"
)

const pin = "471147"

// token makes a SoftHSM token with one RSA and one P-256 key, and returns what
// a URI says after the name of the key.
func token(t *testing.T) string {
	t.Helper()
	if os.Getenv("BRIDGE_PEERS") == "" {
		t.Skip("runs softhsm2-util; set BRIDGE_PEERS=1")
	}
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("SOFTHSM2_CONF", write("softhsm2.conf", "directories.tokendir = "+dir+"\n"))
	softhsm := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("softhsm2-util", args...).CombinedOutput(); err != nil {
			t.Fatalf("softhsm2-util %q: %v\n%s", args, err, out)
		}
	}
	softhsm("--init-token", "--free", "--label", "the bridge", "--pin", pin, "--so-pin", pin)
	for i, kind := range []keys.Kind{keys.RSA3072, keys.P256} {
		path := filepath.Join(dir, string(kind))
		if _, err := keys.Create(path, kind, nil); err != nil {
			t.Fatal(err)
		}
		softhsm("--import", path, "--token", "the bridge", "--label", string(kind), "--id", fmt.Sprintf("0%d", i+1), "--pin", pin)
	}
	return "?module-path=" + library(t) + "&pin-source=file:" + write("pin", pin+"\n")
}

// library is where distributions put SoftHSM.
func library(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib*/pkcs11/libsofthsm2.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	t.Fatal("libsofthsm2.so is not installed")
	return ""
}

// TestToken is one test because SoftHSM reads its configuration once in a
// process.
func TestToken(t *testing.T) {
	query := token(t)
	// First, because a token asks for no PIN while somebody is logged in.
	t.Run("refuses", func(t *testing.T) { tokenRefuses(t, query) })
	t.Run("signs", func(t *testing.T) { tokenSigns(t, query) })
}

func tokenSigns(t *testing.T, query string) {
	for _, tt := range []struct{ name, uri string }{
		{"RSA by label", "pkcs11:token=the%20bridge;object=rsa-3072" + query},
		{"P-256 by label", "pkcs11:token=the%20bridge;object=p-256;type=private" + query},
		{"P-256 by id", "pkcs11:token=the%20bridge;id=%02" + query},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, err := keys.Open(tt.uri, nil)
			if err != nil {
				t.Fatal(err)
			}
			signsEverything(t, key)
		})
	}
}

// signsEverything signs with key all that a bridge signs, and verifies it
// without.
func signsEverything(t *testing.T, key crypto.Signer) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now().UTC().Truncate(time.Second)
	ca, err := crosscert.NewRoot(key, pkix.Name{CommonName: "Token CA", Organization: []string{"Test"}}, "", now.Add(-time.Minute), now.AddDate(1, 0, 0))
	must(err)
	must(ca.CheckSignatureFrom(ca))

	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Token signer"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
	}, ca, key.Public(), key)
	must(err)
	signer, err := x509.ParseCertificate(der)
	must(err)
	must(signer.CheckSignatureFrom(ca))

	der, err = x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, ca, key)
	must(err)
	crl, err := x509.ParseRevocationList(der)
	must(err)
	must(crl.CheckSignatureFrom(ca))

	roots := x509.NewCertPool()
	roots.AddCert(ca)
	for _, pss := range []bool{false, true} {
		list, err := cms.Sign([]byte("a list"), cms.Data(), cms.Signer{Cert: signer, Key: key}, cms.SignOptions{PSS: pss})
		must(err)
		verified, err := cms.Verify(list, roots, now)
		must(err)
		if string(verified.Content) != "a list" {
			t.Errorf("got content %q", verified.Content)
		}
	}

	id, err := ocsp.NewCertID(crypto.SHA256, ca, big.NewInt(7))
	must(err)
	answer, err := ocsp.Sign(&ocsp.Response{ProducedAt: now, Singles: []ocsp.SingleResponse{
		{ID: id, Status: ocsp.Good, ThisUpdate: now, NextUpdate: now.Add(time.Hour)},
	}}, &ocsp.Signer{Cert: ca, Key: key})
	must(err)
	_, err = answer.Check(id, ca, now)
	must(err)
}

func tokenRefuses(t *testing.T, query string) {
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("000000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path, _, _ := strings.Cut(query, "&")
	for _, tt := range []struct {
		name, uri string
		want      fault.Kind
	}{
		{"a wrong PIN", "pkcs11:token=the%20bridge;object=p-256" + path + "&pin-source=" + wrong, fault.Denied},
		{"a PIN that is not there", "pkcs11:token=the%20bridge;object=p-256" + path + "&pin-source=" + wrong + "er", fault.NotFound},
		{"another token", "pkcs11:token=another;object=p-256" + query, fault.Unavailable},
		{"another key", "pkcs11:token=the%20bridge;object=p-384" + query, fault.NotFound},
		{"another library", "pkcs11:token=the%20bridge;object=p-256?module-path=/none.so&pin-source=" + wrong, fault.Unavailable},
	} {
		if _, err := keys.Open(tt.uri, nil); err == nil || fault.KindOf(err) != tt.want {
			t.Errorf("%s: got %v, want kind %v", tt.name, err, tt.want)
		}
	}
}
