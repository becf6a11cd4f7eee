// Package pkcs8 seals private keys under a passphrase and opens them again:
// EncryptedPrivateKeyInfo (RFC 5958 §3) by PBES2 (RFC 8018 §6.2) with
// AES-256-CBC. It writes scrypt (RFC 7914) and reads PBKDF2 with
// HMAC-SHA-256 too, the two that OpenSSL writes.
package pkcs8

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// ErrPassphrase means that the passphrase is not the one the key was sealed
// with, or that the sealed key was damaged: PBES2 cannot tell the two apart.
// It is Denied.
var ErrPassphrase = fault.New(fault.Denied, "wrong passphrase, or the file is damaged")

var (
	oidPBES2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidAES256CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

const (
	keyBytes  = 32 // of AES-256
	saltBytes = 16
	// maxBytes is far above any sealed key: RSA-16384 takes 10 KiB.
	maxBytes = 64 << 10
)

// Sealed is an EncryptedPrivateKeyInfo.
type Sealed struct {
	kdf        kdf
	iv         []byte // one AES block
	ciphertext []byte // whole AES blocks, at least one
}

// Seal encrypts key, a PrivateKeyInfo in DER, under passphrase.
func Seal(key, passphrase []byte) (*Sealed, error) {
	random := make([]byte, saltBytes+aes.BlockSize)
	rand.Read(random) // never fails
	s := &Sealed{kdf: newScrypt(random[:saltBytes]), iv: random[saltBytes:]}
	block, err := s.cipher(passphrase)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(key)%aes.BlockSize
	s.ciphertext = append(bytes.Clone(key), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, s.iv).CryptBlocks(s.ciphertext, s.ciphertext)
	return s, nil
}

// Open decrypts the PrivateKeyInfo. The error is ErrPassphrase when what comes
// out is none.
func (s *Sealed) Open(passphrase []byte) ([]byte, error) {
	block, err := s.cipher(passphrase)
	if err != nil {
		return nil, err
	}
	key := make([]byte, len(s.ciphertext))
	cipher.NewCBCDecrypter(block, s.iv).CryptBlocks(key, s.ciphertext)
	pad := int(key[len(key)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.Equal(key[len(key)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, ErrPassphrase
	}
	key = key[:len(key)-pad]
	// One wrong passphrase in 256 leaves good padding; none leaves a
	// PrivateKeyInfo.
	var info cryptobyte.String
	var version int
	var algorithm, octets cryptobyte.String
	if rest := cryptobyte.String(key); !rest.ReadASN1(&info, casn1.SEQUENCE) || !rest.Empty() ||
		!info.ReadASN1Integer(&version) || version < 0 || version > 1 ||
		!info.ReadASN1(&algorithm, casn1.SEQUENCE) || !info.ReadASN1(&octets, casn1.OCTET_STRING) {
		return nil, ErrPassphrase
	}
	return key, nil
}

func (s *Sealed) cipher(passphrase []byte) (cipher.Block, error) {
	key, err := s.kdf.key(passphrase)
	if err != nil {
		return nil, err
	}
	return aes.NewCipher(key)
}

var errMalformed = errors.New("no EncryptedPrivateKeyInfo in DER")

// Parse reads an EncryptedPrivateKeyInfo of up to 64 KiB. An algorithm this
// package does not read, or a key derivation that would take more than seconds
// or 64 MiB, is Invalid, and so is everything that is not DER.
func Parse(der []byte) (*Sealed, error) {
	s, err := parse(der)
	if err != nil {
		return nil, fault.New(fault.Invalid, "parsing encrypted key: %w", err)
	}
	return s, nil
}

func parse(der []byte) (*Sealed, error) {
	if len(der) > maxBytes {
		return nil, errors.New("longer than 64 KiB")
	}
	var outer, scheme, parameters, derivation, encryption, ciphertext cryptobyte.String
	var oid asn1.ObjectIdentifier
	in := cryptobyte.String(der)
	if !in.ReadASN1(&outer, casn1.SEQUENCE) || !in.Empty() ||
		!outer.ReadASN1(&scheme, casn1.SEQUENCE) || !scheme.ReadASN1ObjectIdentifier(&oid) ||
		!outer.ReadASN1(&ciphertext, casn1.OCTET_STRING) || !outer.Empty() {
		return nil, errMalformed
	}
	if !oid.Equal(oidPBES2) {
		return nil, fault.New(fault.Invalid, "scheme %v is not PBES2", oid)
	}
	if !scheme.ReadASN1(&parameters, casn1.SEQUENCE) || !scheme.Empty() ||
		!parameters.ReadASN1(&derivation, casn1.SEQUENCE) ||
		!parameters.ReadASN1(&encryption, casn1.SEQUENCE) || !parameters.Empty() ||
		!encryption.ReadASN1ObjectIdentifier(&oid) {
		return nil, errMalformed
	}
	if !oid.Equal(oidAES256CBC) {
		return nil, fault.New(fault.Invalid, "cipher %v is not AES-256-CBC", oid)
	}
	s := &Sealed{ciphertext: ciphertext}
	if !encryption.ReadASN1Bytes(&s.iv, casn1.OCTET_STRING) || !encryption.Empty() || len(s.iv) != aes.BlockSize {
		return nil, errMalformed
	}
	if len(ciphertext) == 0 || len(ciphertext)%aes.BlockSize != 0 {
		return nil, errors.New("ciphertext is not whole blocks")
	}
	var err error
	s.kdf, err = parseKDF(derivation)
	return s, err
}

// Encode returns s in DER.
func (s *Sealed) Encode() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidPBES2)
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(casn1.SEQUENCE, s.kdf.encode)
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidAES256CBC)
					b.AddASN1OctetString(s.iv)
				})
			})
		})
		b.AddASN1OctetString(s.ciphertext)
	})
	return b.Bytes()
}
