// Package statedir knows where things lie in the directory that holds all of
// one bridge's state.
package statedir

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"bridge.example/internal/fault"
)

// The names of keys and certificates.
const (
	BridgeCA    = "bridge-ca"
	ListSigner  = "list-signer"
	OCSPSigner  = "ocsp-signer"
	AdminCA     = "admin-ca"
	AdminServer = "admin-server"
)

// BridgeCAOf is the name of the bridge CA's key of a generation, from 1.
func BridgeCAOf(generation int) string {
	if generation <= 1 {
		return BridgeCA
	}
	return BridgeCA + "-" + strconv.Itoa(generation)
}

// Dir is a state directory.
type Dir string

// Config is the configuration that "bridged init" writes.
func (d Dir) Config() string { return filepath.Join(string(d), "bridged.yaml") }

// Store is the file of records.
func (d Dir) Store() string { return filepath.Join(string(d), "bridge.db") }

// Key is the private key called name.
func (d Dir) Key(name string) string { return filepath.Join(string(d), "keys", name+".pem") }

// Certificate is the certificate called name, in PEM.
func (d Dir) Certificate(name string) string {
	return filepath.Join(string(d), "certificates", name+".pem")
}

// Officer is the credential directory of one person.
func (d Dir) Officer(person string) string { return filepath.Join(string(d), "officers", person) }

// Credential is the file with the password for a member's directory.
func (d Dir) Credential(name string) string { return filepath.Join(string(d), "credentials", name) }

// Folders are the directories inside, all for the owner alone.
func (d Dir) Folders() []string {
	var out []string
	for _, name := range []string{"keys", "certificates", "officers", "credentials"} {
		out = append(out, filepath.Join(string(d), name))
	}
	return out
}

// ReadCertificate reads the certificate called name. Errors: NotFound, Denied,
// Invalid.
func (d Dir) ReadCertificate(name string) (*x509.Certificate, error) {
	path := d.Certificate(name)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(kindOf(err), "reading certificate: %w", err)
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fault.New(fault.Invalid, "reading certificate %s: want one certificate in PEM", path)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fault.New(fault.Invalid, "reading certificate %s: %w", path, err)
	}
	return c, nil
}

// WriteCertificate writes c as PEM under name.
func (d Dir) WriteCertificate(name string, c *x509.Certificate) error {
	return WritePEM(d.Certificate(name), c)
}

// WritePEM writes c to path, for everyone to read, whole or not at all.
func WritePEM(path string, c *x509.Certificate) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o644); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// ReadCredential reads the password called name, without the line end that
// editors add.
func (d Dir) ReadCredential(name string) ([]byte, error) {
	b, err := os.ReadFile(d.Credential(name))
	if err != nil {
		return nil, fault.New(kindOf(err), "reading credential: %w", err)
	}
	return bytes.TrimRight(b, "\r\n"), nil
}

func kindOf(err error) fault.Kind {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.NotFound
	case errors.Is(err, fs.ErrPermission):
		return fault.Denied
	}
	return fault.Internal
}
