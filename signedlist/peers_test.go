package signedlist_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bridge.example/internal/wire/cms"
)

func TestOpenSSLVerifies(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS=1 runs this against openssl")
	}
	b := newBench(t)
	b.publish(t)
	_, der := b.publish(t, entry(t, "alpha"), entry(t, "beta"))
	dir := t.TempDir()
	write := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openssl := func(args ...string) (string, error) {
		t.Helper()
		c := exec.CommandContext(t.Context(), "openssl", args...)
		c.Dir = dir
		out, err := c.CombinedOutput()
		return string(out), err
	}
	verify := func() (string, error) {
		t.Helper()
		return openssl("cms", "-verify", "-cades", "-inform", "DER", "-in", "list.p7s", "-CAfile", "bridge-ca.pem",
			"-attime", "1795435200", "-binary", "-out", "list.der") // noon
	}
	write("bridge-ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.bridge.Cert.Raw}))
	write("list.p7s", der)
	if out, err := verify(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	v, err := cms.Verify(der, b.roots(), noon)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "list.der")); err != nil || !bytes.Equal(got, v.Content) {
		t.Errorf("openssl extracted %x, %v", got, err)
	}
	if out, err := openssl("asn1parse", "-inform", "DER", "-in", "list.der"); err != nil || !strings.Contains(out, "Organisation beta") {
		t.Errorf("%v\n%s", err, out)
	}
	text, err := openssl("cms", "-cmsout", "-print", "-inform", "DER", "-in", "list.p7s")
	for _, n := range []string{"1", "2", "4"} {
		if want := "2.25.203099105519607916965137856595848328713." + n; err != nil || !strings.Contains(text, want) {
			t.Errorf("printing: %v, no attribute %s in\n%s", err, want, text)
		}
	}
	// openssl does not mind changes to what is not signed, such as the version.
	digest := sha256.Sum256(v.Content)
	for name, region := range map[string][]byte{
		"content": v.Content, "digest": digest[:], "number": v.Attributes[0].Values[0], "signature": der[len(der)-60:],
	} {
		start := bytes.LastIndex(der, region)
		for i := 0; i < len(region); i += 1 + len(region)/40 {
			changed := bytes.Clone(der)
			changed[start+i] ^= 1
			write("list.p7s", changed)
			if out, err := verify(); err == nil {
				t.Errorf("openssl accepted byte %d of the %s changed\n%s", i, name, out)
			}
		}
	}
}
