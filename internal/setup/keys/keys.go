// Package keys opens private keys as crypto.Signer values, so that nothing
// above it sees key bytes or knows where a key lives.
package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"bridge.example/internal/fault"
)

// Kind is what sort of key to make.
type Kind string

const (
	RSA3072 Kind = "rsa-3072"
	P256    Kind = "p-256"
	P384    Kind = "p-384"
)

// maxFileBytes is far above any key file.
const maxFileBytes = 64 << 10

// Create makes a new key of kind k and stores it at path as PKCS #8 PEM that
// only its owner can read. A file that is there already is a Conflict.
func Create(path string, k Kind) (crypto.Signer, error) {
	var key crypto.Signer
	var err error
	switch k {
	case RSA3072:
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	case P256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		err = fault.New(fault.Invalid, "%q is not a kind of key", k)
	}
	if err != nil {
		return nil, fmt.Errorf("making key %s: %w", path, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("making key %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fault.New(kindOf(err), "making key: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return key, errors.Join(err, f.Sync(), f.Close())
}

// Open opens a key made by Create. A file that others than its owner can read
// is Denied: such a key has to be taken as known to them.
func Open(path string) (crypto.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.New(kindOf(err), "opening key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Denied, "opening key %s: mode %04o lets others read it; chmod 600, and replace the key if they could", path, info.Mode().Perm())
	}
	if info.Size() > maxFileBytes {
		return nil, fault.New(fault.Invalid, "opening key %s: %d bytes are no key", path, info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(kindOf(err), "opening key: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fault.New(fault.Invalid, "opening key %s: no PKCS #8 private key in PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fault.New(fault.Invalid, "opening key %s: %w", path, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fault.New(fault.Invalid, "opening key %s: it cannot sign", path)
	}
	return signer, nil
}

func kindOf(err error) fault.Kind {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.NotFound
	case errors.Is(err, fs.ErrExist):
		return fault.Conflict
	case errors.Is(err, fs.ErrPermission):
		return fault.Denied
	}
	return fault.Internal
}
