// Package statedir knows where things lie in the directory that holds all of
// one bridge's state, and in that of an offline root above it.
package statedir

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"bridge.example/internal/fault"
)

// The names of keys and certificates.
const (
	Root        = "root" // the key is in the root's directory only
	BridgeCA    = "bridge-ca"
	ListSigner  = "list-signer"
	OCSPSigner  = "ocsp-signer"
	AdminCA     = "admin-ca"
	AdminServer = "admin-server"
	AuditLog    = "audit-log" // a key without a certificate
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

// Request asks the root to certify the bridge CA: PKCS #10 in PEM.
func (d Dir) Request() string { return filepath.Join(string(d), "request.pem") }

// RootCRL is the root's CRL, in DER: the newest, as the bridge publishes it.
func (d Dir) RootCRL() string { return filepath.Join(string(d), "root.crl") }

// RootLedger is what the root remembers, in its own directory.
func (d Dir) RootLedger() string { return filepath.Join(string(d), "root.db") }

// RootSettings is what a root needs to know beside that, written last.
func (d Dir) RootSettings() string { return filepath.Join(string(d), "root.json") }

// Unfinished is there from the first to the last step of a founding.
func (d Dir) Unfinished() string { return filepath.Join(string(d), "UNFINISHED") }

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

// RootFolders are the directories inside that of a root, all for the owner
// alone.
func (d Dir) RootFolders() []string {
	return []string{filepath.Join(string(d), "keys"), filepath.Join(string(d), "certificates")}
}

// Folders are the directories inside that of a bridge.
func (d Dir) Folders() []string {
	return append(d.RootFolders(), filepath.Join(string(d), "officers"), filepath.Join(string(d), "credentials"))
}

// ReadCertificate reads the certificate called name. Errors: NotFound, Denied,
// Invalid.
func (d Dir) ReadCertificate(name string) (*x509.Certificate, error) {
	return ReadCertificateFile(d.Certificate(name))
}

// ReadCertificateFile reads the one certificate in a PEM file. Errors as for
// [Dir.ReadCertificate].
func ReadCertificateFile(path string) (*x509.Certificate, error) {
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
	return Replace(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o644)
}

// Replace writes b to path, durably, and whole or not at all.
func Replace(path string, b []byte, mode os.FileMode) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fault.New(kindOf(err), "writing: %w", err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// maxCRLBytes is far above any CRL of a root, which revokes little.
const maxCRLBytes = 1 << 20

// ReadCRL reads the CRL in a DER file. Errors: NotFound, Denied, Invalid.
func ReadCRL(path string) (*x509.RevocationList, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(kindOf(err), "reading CRL: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCRLBytes+1))
	if err != nil {
		return nil, fault.New(kindOf(err), "reading CRL: %w", err)
	}
	if len(b) > maxCRLBytes {
		return nil, fault.New(fault.Invalid, "reading CRL %s: longer than %d bytes", path, maxCRLBytes)
	}
	l, err := x509.ParseRevocationList(b)
	if err != nil {
		return nil, fault.New(fault.Invalid, "reading CRL %s: %w", path, err)
	}
	return l, nil
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
