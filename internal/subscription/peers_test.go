package subscription_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/subscription"
)

// TestPeers has the programs that targets are made for say whom they trust,
// before and after a member leaves.
func TestPeers(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS=1 runs this against openssl, gpgsm and keytool")
	}
	b := newBridge(t)
	b.now = time.Now()
	root := issue(t, "alpha root", nil, ca)
	user := issue(t, "Alice", root, func(c *x509.Certificate) {
		c.KeyUsage, c.EmailAddresses = x509.KeyUsageDigitalSignature, []string{"alice@alpha.example"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	})
	alpha := entry(t, "alpha")
	alpha.Certificate = root.Cert
	beta := entry(t, "beta")
	home, err := os.MkdirTemp("", "gpgsm") // its sockets need a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("gpgconf", "--homedir", home, "--kill", "all").CombinedOutput(); err != nil {
			t.Errorf("ending the agent: %v\n%s", err, out)
		}
		os.RemoveAll(home)
	})
	b.publish(t, alpha, beta)
	s, dir := bound(t, b, func(c *subscription.Config) {
		c.Targets = []subscription.Target{{Kind: "pem"}, {Kind: "directory"}, {Kind: "pkcs12"}, {Kind: "p7b"}, {Kind: "trustlist", Link: filepath.Join(home, "trustlist.txt")}}
		c.Command = []string{"gpgconf", "--homedir", home, "--reload", "gpg-agent"}
	})
	leaf := filepath.Join(t.TempDir(), "alice.pem")
	text := append(pemOf(user.Cert), pemOf(root.Cert)...)
	if err := os.WriteFile(leaf, text, 0o600); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, "current", name) }
	gpgsm := []string{"gpgsm", "--homedir", home, "--batch", "--disable-crl-checks"}
	say(t, append(gpgsm, "--import", leaf)...)
	ask := func(want bool) {
		t.Helper()
		for name, q := range map[string]struct {
			args []string
			yes  string
		}{
			"openssl with a directory": {[]string{"openssl", "verify", "-no-CAfile", "-CApath", in("certs"), leaf}, ": OK"},
			"openssl with a bundle":    {[]string{"openssl", "verify", "-no-CApath", "-CAfile", in("anchors.pem"), leaf}, ": OK"},
			"openssl reads p7b":        {[]string{"openssl", "pkcs7", "-inform", "DER", "-in", in("anchors.p7b"), "-print_certs", "-noout"}, "alpha root"},
			"keytool":                  {[]string{"keytool", "-list", "-keystore", in("anchors.p12"), "-storepass", "changeit"}, "alpha-"},
			"gpgsm":                    {append(gpgsm, "--with-validation", "--list-keys", "alice@alpha.example"), "[certificate is good]"},
		} {
			if out := say(t, q.args...); strings.Contains(out, q.yes) != want {
				t.Errorf("%s: trusted %v, want %v:\n%s", name, !want, want, out)
			}
		}
	}
	ask(true)
	b.publish(t, beta)
	if r := update(t, s); r.State != subscription.Changed || r.Command != "" {
		t.Errorf("got %+v", r)
	}
	ask(false)
}

// say runs a program, whatever its exit code, and returns what it says.
func say(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(args[0])
	if err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command(path, args[1:]...).CombinedOutput()
	return string(out)
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
