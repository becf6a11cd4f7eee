package vocsp_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/wire/ocsp"
	"bridge.example/vocsp"
)

func pemFile(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func certFile(t *testing.T, p pair) string { return pemFile(t, "CERTIFICATE", p.cert.Raw) }

// opensslResponder answers for ca with its delegate: serial 1 is good, 2
// revoked. It is never connected to without a question, on which it would spin.
func opensslResponder(t *testing.T, ca pair) string {
	t.Helper()
	d := ca.delegate(t)
	key, err := x509.MarshalPKCS8PrivateKey(d.key)
	if err != nil {
		t.Fatal(err)
	}
	const layout = "060102150405Z"
	end := time.Now().AddDate(0, 1, 0).UTC().Format(layout)
	index := filepath.Join(t.TempDir(), "index.txt")
	lines := fmt.Sprintf("V\t%s\t\t01\tunknown\t/CN=one\nR\t%s\t%s,keyCompromise\t02\tunknown\t/CN=two\n", end, end, time.Now().UTC().Format(layout))
	if err := os.WriteFile(index, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "openssl", "ocsp", "-port", "0", "-nmin", "60", "-index", index,
		"-CA", certFile(t, ca), "-rsigner", certFile(t, d), "-rkey", pemFile(t, "PRIVATE KEY", key))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n') // ACCEPT [::]:39447 PID=11138
	_, port, found := strings.Cut(line, "]:")
	if err != nil || !found {
		t.Fatalf("openssl ocsp: got %q, %v", line, err)
	}
	return "http://localhost:" + strings.Fields(port)[0] + "/"
}

// TestOpenSSLOnBothSides has "openssl ocsp" as the responders of two members,
// and as the client of ours.
func TestOpenSSLOnBothSides(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS=1 runs this against openssl")
	}
	alpha, beta, bridge := newCA(t, "alpha"), newCA(t, "beta"), newCA(t, "bridge")
	signer := bridge.delegate(t)
	route := func(member string, ca pair) vocsp.Route {
		source := vocsp.Upstream([]string{opensslResponder(t, ca)}, ca.cert, &http.Client{}, vocsp.UpstreamOptions{})
		return vocsp.Route{Member: member, Issuer: ca.cert, Source: vocsp.Cached(source, 10, time.Now)}
	}
	own := vocsp.Local(bridge.cert, always(signer.signer()), func(context.Context, *big.Int) (vocsp.LocalStatus, error) {
		return vocsp.LocalStatus{Status: ocsp.Good}, nil
	})
	p := newProxy(t, vocsp.Options{Signer: always(signer.signer())}, route("alpha", alpha), route("beta", beta), vocsp.Route{Issuer: bridge.cert, Source: own})
	server := httptest.NewServer(p)
	defer server.Close()
	a, b, br, va := certFile(t, alpha), certFile(t, beta), certFile(t, bridge), certFile(t, signer)
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"nonce":        {[]string{"-issuer", a, "-serial", "1", "-CAfile", a}, []string{"Response verify OK", "1: good"}},
		"no nonce":     {[]string{"-issuer", a, "-serial", "2", "-no_nonce", "-CAfile", a}, []string{"Response verify OK", "2: revoked", "keyCompromise"}},
		"SHA-256":      {[]string{"-issuer", b, "-sha256", "-serial", "2", "-CAfile", b}, []string{"Response verify OK", "2: revoked"}},
		"several":      {[]string{"-issuer", a, "-serial", "1", "-serial", "2", "-serial", "3", "-CAfile", a}, []string{"Response verify OK", "1: good", "2: revoked", "3: unknown"}},
		"two members":  {[]string{"-issuer", a, "-serial", "1", "-issuer", b, "-serial", "2", "-VAfile", va}, []string{"Response verify OK", "1: good", "2: revoked"}},
		"the bridge's": {[]string{"-issuer", br, "-serial", "5", "-CAfile", br}, []string{"Response verify OK", "5: good"}},
		"a stranger's": {[]string{"-issuer", certFile(t, newCA(t, "stranger")), "-serial", "1", "-CAfile", a}, []string{"unauthorized (6)"}},
		"other CA":     {[]string{"-issuer", a, "-serial", "1", "-CAfile", b}, []string{"Response Verify Failure"}},
	} {
		// The exit code says little; the text counts.
		out, _ := exec.CommandContext(t.Context(), "openssl", append([]string{"ocsp", "-url", server.URL}, c.args...)...).CombinedOutput()
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: got %s\nwant %q in it", name, out, want)
			}
		}
		if strings.Contains(string(out), "no nonce in response") && name != "no nonce" {
			t.Errorf("%s: the nonce is missing: %s", name, out)
		}
	}
}
