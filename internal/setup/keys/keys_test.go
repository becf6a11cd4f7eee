package keys_test

import (
	"crypto/ecdsa"
	"os"
	"path/filepath"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
)

func TestCreateThenOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	made, err := keys.Create(path, keys.P256)
	if err != nil {
		t.Fatal(err)
	}
	got, err := keys.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !made.(*ecdsa.PrivateKey).Equal(got) {
		t.Error("the key read is not the key written")
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, want 0600", info.Mode())
	}
	if _, err := keys.Create(path, keys.P256); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v from creating over a key, want Conflict", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open := filepath.Join(dir, "open.key")
	if _, err := keys.Create(open, keys.P256); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		want       fault.Kind
	}{
		{"a key others can read", open, fault.Denied},
		{"no file", filepath.Join(dir, "none.key"), fault.NotFound},
		{"no PEM", write("text", "hello", 0o600), fault.Invalid},
		{"broken DER", write("der", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600), fault.Invalid},
	} {
		if _, err := keys.Open(tt.path); err == nil || fault.KindOf(err) != tt.want {
			t.Errorf("%s: got %v, want kind %v", tt.name, err, tt.want)
		}
	}
	if _, err := keys.Create(filepath.Join(dir, "x.key"), "rsa-512"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v for an unknown kind of key, want Invalid", err)
	}
}
