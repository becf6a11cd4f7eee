package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"bridge.example/internal/fault"
)

// credential is what the passphrase is called among systemd's credentials
// (systemd.exec(5), LoadCredential=).
const credential = "bridged-passphrase"

// minPassphrase is in characters: NIST SP 800-63B-4 §3.1.1.2, for a secret that
// stands alone.
const minPassphrase = 15

// Passphrase returns what opens sealed keys: the only line of file, which must
// be its owner's alone; if file is empty, that of the credential
// bridged-passphrase that systemd handed over; if there is none either, nil.
// Errors: NotFound, Denied, Invalid.
func Passphrase(file string) ([]byte, error) {
	b, err := passphrase(file)
	if err != nil {
		return nil, fmt.Errorf("reading passphrase: %w", err)
	}
	return b, nil
}

func passphrase(file string) ([]byte, error) {
	if file != "" {
		return readLine(file)
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, nil
	}
	// systemd lets the service read by an access control list, which shows in
	// the mode as if it were a group; the directory is private already.
	path := filepath.Join(dir, credential)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(kindOf(err), "%w", err)
	}
	defer f.Close()
	b, err := readBounded(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return line(b, path)
}

// readLine reads the only line of a file that must be its owner's alone.
func readLine(path string) ([]byte, error) {
	b, err := readPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return line(b, path)
}

// line is b without the line end that editors add. More lines are refused: who
// wrote them meant something else.
func line(b []byte, path string) ([]byte, error) {
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if len(b) == 0 || bytes.ContainsAny(b, "\r\n") {
		return nil, fault.New(fault.Invalid, "%s: want one line", path)
	}
	return b, nil
}

// Strong refuses, as Invalid, a new passphrase of fewer than 15 characters.
func Strong(passphrase []byte) error {
	if n := utf8.RuneCount(passphrase); n < minPassphrase {
		return fault.New(fault.Invalid, "the passphrase has %d characters; want at least %d", n, minPassphrase)
	}
	return nil
}
