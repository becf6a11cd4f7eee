// Package keys opens private keys as crypto.Signer values, so that nothing
// above it sees key bytes or knows where a key lives.
package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/pkcs8"
)

// Kind is what sort of key to make.
type Kind string

const (
	RSA3072 Kind = "rsa-3072"
	P256    Kind = "p-256"
	P384    Kind = "p-384"
	Ed25519 Kind = "ed25519"
)

const (
	plainType  = "PRIVATE KEY"
	sealedType = "ENCRYPTED PRIVATE KEY"

	// maxFileBytes is far above any file with a key or a passphrase.
	maxFileBytes = 64 << 10
)

// Create makes a new key of kind k and stores it at path as PKCS #8 PEM that
// only its owner can read, sealed under passphrase. Without a passphrase (nil)
// it is stored plain. A file that is there already is a Conflict, a passphrase
// of fewer than 15 characters Invalid.
func Create(path string, k Kind, passphrase []byte) (crypto.Signer, error) {
	var key crypto.Signer
	var err error
	switch k {
	case RSA3072:
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	case P256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fault.New(fault.Invalid, "%q is not a kind of key", k)
	}
	if err != nil {
		return nil, fmt.Errorf("making key %s: %w", path, err)
	}
	block, err := encode(key, passphrase)
	if err != nil {
		return nil, fmt.Errorf("making key %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fault.New(kindOf(err), "making key: %w", err)
	}
	err = pem.Encode(f, block)
	return key, errors.Join(err, f.Sync(), f.Close())
}

func encode(key crypto.Signer, passphrase []byte) (*pem.Block, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil || passphrase == nil {
		return &pem.Block{Type: plainType, Bytes: der}, err
	}
	if err := Strong(passphrase); err != nil {
		return nil, err
	}
	sealed, err := pkcs8.Seal(der, passphrase)
	if err != nil {
		return nil, err
	}
	der, err = sealed.Encode()
	return &pem.Block{Type: sealedType, Bytes: der}, err
}

// Open opens the key at locator: the path of a file made by Create or openssl
// genpkey, plain or sealed, or an RFC 7512 URI of a key on a PKCS #11 token, as
//
//	pkcs11:token=bridge;object=ca?module-path=/usr/lib/hsm.so&pin-source=file:/etc/pin
//
// which needs a program built with -tags pkcs11; the passphrase is for files. A
// file that others than its owner can read is Denied: such a key has to be
// taken as known to them. So is a sealed key with no passphrase, or another
// than its own. Other errors: NotFound, Invalid, Unavailable.
func Open(locator string, passphrase []byte) (crypto.Signer, error) {
	if strings.HasPrefix(locator, tokenScheme) {
		return openToken(locator)
	}
	key, err := openFile(locator, passphrase)
	if err != nil {
		return nil, fmt.Errorf("opening key %s: %w", locator, err)
	}
	return key, nil
}

func openFile(path string, passphrase []byte) (crypto.Signer, error) {
	b, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != plainType && block.Type != sealedType {
		return nil, fault.New(fault.Invalid, "no PKCS #8 private key in PEM")
	}
	der := block.Bytes
	if block.Type == sealedType {
		if der, err = unseal(der, passphrase); err != nil {
			return nil, err
		}
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fault.New(fault.Invalid, "it cannot sign")
	}
	return signer, nil
}

func unseal(der, passphrase []byte) ([]byte, error) {
	if passphrase == nil {
		return nil, fault.New(fault.Denied, "it is encrypted; name a file with its passphrase in keys.passphrase_file, "+
			"or hand it over as the systemd credential %s", credential)
	}
	sealed, err := pkcs8.Parse(der)
	if err != nil {
		return nil, err
	}
	return sealed.Open(passphrase)
}

// readPrivate reads a file that must be its owner's alone. The mode is that of
// the file opened, not of one that was there before.
func readPrivate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(kindOf(err), "%w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fault.New(fault.Denied, "mode %04o lets others read it; chmod 600, and replace what it holds if they could", mode)
	}
	return readBounded(f)
}

func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err == nil && len(b) > maxFileBytes {
		err = fault.New(fault.Invalid, "longer than %d bytes", maxFileBytes)
	}
	return b, err
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
