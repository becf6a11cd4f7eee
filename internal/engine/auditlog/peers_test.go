package auditlog_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestIndependentVerifier runs the program that docs/audit-log.md prints, so
// that what is written there is enough to verify an export without ours.
func TestIndependentVerifier(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") == "" {
		t.Skip("runs python3 and openssl; set BRIDGE_PEERS=1")
	}
	page, err := os.ReadFile("../../../docs/audit-log.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(page), "```python\n")
	program, _, ok := strings.Cut(program, "```\n")
	if !ok {
		t.Fatal("docs/audit-log.md has no program")
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(exported []byte, fingerprint string) string {
		path := filepath.Join(dir, "audit.log")
		if err := os.WriteFile(path, exported, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("python3", "-c", program, path, fingerprint).CombinedOutput()
		if _, ended := err.(*exec.ExitError); err != nil && !ended {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	for _, key := range []crypto.Signer{testKey, p256} {
		l := open(t, &memory{}, key)
		fingerprint := expected(t, key).Fingerprint
		if got := run(export(t, l), fingerprint); got != "0 events" {
			t.Errorf("%T: got %q for an empty log", key, got)
		}
		record(t, l, 11)
		good := export(t, l)
		for _, tt := range []struct {
			name        string
			exported    []byte
			fingerprint string
			want        string
		}{
			{"as exported", good, fingerprint, "11 events"},
			{"a changed event", bytes.Replace(good, []byte("person-7"), []byte("person-8"), 1), fingerprint, "event 8 is not the one that was signed"},
			{"a changed size", bytes.Replace(good, []byte("\n11\n"), []byte("\n10\n"), 1), fingerprint, "not signed by this key"},
			{"an event more", append(bytes.Clone(good), '{'), fingerprint, "more follows"},
			{"an event less", good[:len(good)-1], fingerprint, "ends too early"},
			{"another key", good, strings.Repeat("0", 64), "another key"},
		} {
			if got := run(tt.exported, tt.fingerprint); !strings.Contains(got, tt.want) {
				t.Errorf("%T, %s: got %q, want %q", key, tt.name, got, tt.want)
			}
		}
	}
}
