package xmlsig_test

import (
	"bytes"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPeers: xmlsec1 verifies what is signed, with each kind of key, and both
// libxml2's canonicalisation and ours say that canonical form is what it is.
func TestPeers(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS=1 runs this against xmlsec1 and xmllint")
	}
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if got, err := exec.CommandContext(t.Context(), "xmllint", "--exc-c14n", write("plain.xml", []byte(document))).Output(); err != nil || string(got) != document {
		t.Errorf("canonical form: %v, got %s, want %s", err, got, document)
	}
	for name, s := range signers(t) {
		signed := sign(t, s)
		root := write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Chain[0].Raw}))
		verify := func(doc []byte) ([]byte, error) {
			return exec.CommandContext(t.Context(), "xmlsec1", "--verify", "--trusted-pem", root,
				"--verification-time", "2026-11-23 12:00:00", "--enabled-reference-uris", "empty,same-doc",
				"--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties", write("signed.xml", doc)).CombinedOutput()
		}
		if out, err := verify(signed); err != nil || !bytes.Contains(out, []byte("SignedInfo References (ok/all): 2/2")) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if out, err := verify(bytes.Replace(signed, []byte("entry>"), []byte("other>"), 2)); err == nil {
			t.Errorf("%s: xmlsec1 accepts another document\n%s", name, out)
		}
	}
}
