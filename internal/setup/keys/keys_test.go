package keys_test

import (
	"crypto/ecdsa"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
)

var passphrase = []byte("correct horse battery staple")

func TestCreateThenOpen(t *testing.T) {
	t.Parallel() // deriving keys takes its time, with -race above all
	for _, tt := range []struct {
		name       string
		passphrase []byte
		block      string
	}{
		{"plain", nil, "-----BEGIN PRIVATE KEY-----"},
		{"sealed", passphrase, "-----BEGIN ENCRYPTED PRIVATE KEY-----"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.key")
			made, err := keys.Create(path, keys.P256, tt.passphrase)
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := os.ReadFile(path); !strings.HasPrefix(string(b), tt.block) {
				t.Errorf("got\n%s\nwant %s", b, tt.block)
			}
			// A passphrase in the configuration does not lock out plain keys.
			got, err := keys.Open(path, passphrase)
			if err != nil {
				t.Fatal(err)
			}
			if !made.(*ecdsa.PrivateKey).Equal(got) {
				t.Error("the key read is not the key written")
			}
			if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
				t.Errorf("got mode %v, want 0600", info.Mode())
			}
			if _, err := keys.Create(path, keys.P256, tt.passphrase); fault.KindOf(err) != fault.Conflict {
				t.Errorf("got %v from creating over a key, want Conflict", err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open := filepath.Join(dir, "open.key")
	if _, err := keys.Create(open, keys.P256, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	sealed := filepath.Join(dir, "sealed.key")
	if _, err := keys.Create(sealed, keys.P256, passphrase); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		passphrase []byte
		want       fault.Kind
	}{
		{"a sealed key and no passphrase", sealed, nil, fault.Denied},
		{"a sealed key and another passphrase", sealed, []byte("wrong horse battery staple"), fault.Denied},
		{"a key others can read", open, nil, fault.Denied},
		{"no file", filepath.Join(dir, "none.key"), nil, fault.NotFound},
		{"no PEM", write("text", "hello", 0o600), nil, fault.Invalid},
		{"too much", write("long", strings.Repeat("x", 65<<10), 0o600), nil, fault.Invalid},
		{"broken sealed DER", write("sealed", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", 0o600), passphrase, fault.Invalid},
		{"broken DER", write("der", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600), nil, fault.Invalid},
	} {
		if _, err := keys.Open(tt.path, tt.passphrase); err == nil || fault.KindOf(err) != tt.want {
			t.Errorf("%s: got %v, want kind %v", tt.name, err, tt.want)
		}
	}
	if _, err := keys.Create(filepath.Join(dir, "x.key"), "rsa-512", nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v for an unknown kind of key, want Invalid", err)
	}
	short := filepath.Join(dir, "short.key")
	if _, err := keys.Create(short, keys.P256, []byte("fourteen chars")); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v for a short passphrase, want Invalid", err)
	}
	if _, err := os.Stat(short); err == nil {
		t.Error("a refused passphrase left a file")
	}
}
