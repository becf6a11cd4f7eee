package keys_test

import (
	"os"
	"path/filepath"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
)

func TestPassphrase(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	handedOver := filepath.Join(dir, "credentials")
	if err := os.Mkdir(handedOver, 0o700); err != nil {
		t.Fatal(err)
	}
	write("credentials/bridged-passphrase", "from systemd\n", 0o440)
	for _, tt := range []struct {
		name, file, credentials string
		want                    string
		kind                    fault.Kind // when want is empty
	}{
		{"a file", write("a", "from a file", 0o600), "", "from a file", 0},
		{"a file with a line end", write("b", "from a file\n", 0o600), "", "from a file", 0},
		{"a file with the line end of Windows", write("c", "from a file\r\n", 0o600), "", "from a file", 0},
		{"spaces are part of it", write("d", " spaced \n", 0o600), "", " spaced ", 0},
		{"a file before a credential", write("e", "from a file\n", 0o600), handedOver, "from a file", 0},
		{"a credential", "", handedOver, "from systemd", 0},
		{"an empty file", write("f", "\n", 0o600), "", "", fault.Invalid},
		{"two lines", write("g", "one\ntwo\n", 0o600), "", "", fault.Invalid},
		{"a file others can read", write("h", "known\n", 0o640), "", "", fault.Denied},
		{"no such file, though there is a credential", filepath.Join(dir, "none"), handedOver, "", fault.NotFound},
	} {
		t.Setenv("CREDENTIALS_DIRECTORY", tt.credentials)
		got, err := keys.Passphrase(tt.file)
		if string(got) != tt.want || (tt.want == "") != (err != nil) || err != nil && fault.KindOf(err) != tt.kind {
			t.Errorf("%s: got %q, %v, want %q or kind %v", tt.name, got, err, tt.want, tt.kind)
		}
	}
	for _, credentials := range []string{"", t.TempDir()} {
		t.Setenv("CREDENTIALS_DIRECTORY", credentials)
		if got, err := keys.Passphrase(""); got != nil || err != nil {
			t.Errorf("credentials in %q: got %q, %v, want none", credentials, got, err)
		}
	}
}
