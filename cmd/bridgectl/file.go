package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"bridge.example/internal/fault"
)

const maxCertificateBytes = 64 << 10

// readFile reads a file of at most limit bytes. Errors: NotFound, Denied,
// Invalid when it is longer or no file.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileFault(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > limit {
		return nil, fault.New(fault.Invalid, "%s is longer than %d bytes", path, limit)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, fileFault(err)
	case int64(len(b)) > limit:
		return nil, fault.New(fault.Invalid, "%s is longer than %d bytes", path, limit)
	}
	return b, nil
}

// writeFile writes a file whole or not at all: a reader never sees half of it.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fileFault(err)
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = f.Write(b)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return fileFault(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fileFault(err)
	}
	return nil
}

// fileFault gives what the operating system refused its kind.
func fileFault(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.NotFound, "%w", err)
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Denied, "%w", err)
	}
	return fault.New(fault.Invalid, "%w", err)
}

// readCertificate reads the one certificate in a file, PEM or DER. Errors:
// those of readFile; Invalid when it holds something else, or more.
func readCertificate(path string) (*x509.Certificate, error) {
	b, err := readFile(path, maxCertificateBytes)
	if err != nil {
		return nil, err
	}
	if block, rest := pem.Decode(b); block != nil {
		if next, _ := pem.Decode(rest); next != nil || block.Type != "CERTIFICATE" {
			return nil, fault.New(fault.Invalid, "%s: want exactly one certificate", path)
		}
		b = block.Bytes
	}
	c, err := x509.ParseCertificate(b)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: not a certificate: %w", path, err)
	}
	return c, nil
}
