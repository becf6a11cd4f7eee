package ocsp_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/wire/ocsp"
)

// openssl runs "openssl ocsp" and returns what it prints; its exit code says
// little.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS=1 runs this against openssl")
	}
	out, err := exec.CommandContext(t.Context(), "openssl", append([]string{"ocsp"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl ocsp: %v\n%s", err, out)
	}
	return string(out)
}

func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func certFile(t *testing.T, p pair) string {
	return file(t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}))
}

func TestOpenSSLReadsRequests(t *testing.T) {
	der, err := full(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	r, err := ocsp.ParseRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	r.Signature, r.RequestorName = nil, nil // that signature was none
	out := openssl(t, "-req_text", "-reqin", file(t, "req.der", mustEncode(t, r)))
	for _, want := range []string{"Hash Algorithm: sha1", "Hash Algorithm: sha224", "Hash Algorithm: sha512", "OCSP Nonce", "OCSP Service Locator: critical"} {
		if !strings.Contains(out, want) {
			t.Errorf("got %s\nwant %q in it", out, want)
		}
	}
}

func TestOpenSSLRequestsAreRead(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	for name, h := range map[string]crypto.Hash{"-sha1": crypto.SHA1, "-sha256": crypto.SHA256, "-sha384": crypto.SHA384} {
		out := filepath.Join(t.TempDir(), "req.der")
		openssl(t, "-issuer", certFile(t, ca), name, "-serial", "5", name, "-serial", "0xff00", "-reqout", out)
		der, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ocsp.ParseRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Singles) != 2 || !r.Singles[0].ID.Equal(newID(t, h, ca, 5)) || !r.Singles[1].ID.Equal(newID(t, h, ca, 0xff00)) || len(r.Nonce()) != 16 {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

func TestOpenSSLAcceptsResponses(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, ca := range map[string]pair{"P-256": newCA(t, "alpha", p256(t)), "RSA": newCA(t, "alpha", rsaKey)} {
		said := func(serial int64, s ocsp.CertStatus) ocsp.SingleResponse {
			return ocsp.SingleResponse{
				ID: newID(t, crypto.SHA1, ca, serial), Status: s, RevokedAt: now, Reason: ocsp.Superseded,
				ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour),
			}
		}
		r := template(said(5, ocsp.Good), said(6, ocsp.Revoked), said(7, ocsp.Unknown))
		r.ProducedAt = now
		for signer, p := range map[string]pair{"CA": ca, "delegate": ca.delegate(t, nil)} {
			out := openssl(t, "-issuer", certFile(t, ca), "-serial", "5", "-serial", "6", "-serial", "7",
				"-CAfile", certFile(t, ca), "-attime", "1780315200", // as our certificates are
				"-respin", file(t, "resp.der", mustSign(t, r, p).Raw))
			for _, want := range []string{"Response verify OK", "5: good", "6: revoked", "Reason: superseded", "7: unknown"} {
				if !strings.Contains(out, want) {
					t.Errorf("%s, signed by the %s: got %s\nwant %q in it", name, signer, out, want)
				}
			}
		}
	}
}
