package auditlog

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"

	"golang.org/x/mod/sumdb/note"

	"bridge.example/internal/fault"
)

// originPrefix begins the name of a log; the fingerprint of its key follows, so
// that no two keys sign for the same log.
const originPrefix = "bridge-audit/"

// Note signature types and how their key identifiers are made (C2SP
// signed-note): Ed25519 is type 1; for ECDSA it is the hash of the key alone.
const typeEd25519 = 1

// verifier is a [note.Verifier] of a key that may be Ed25519, or ECDSA with
// SHA-256 on P-256, which tokens can hold.
type verifier struct {
	public crypto.PublicKey
	spki   []byte
	name   string
	hash   uint32
}

type signer struct {
	verifier
	key crypto.Signer
}

var _ note.Signer = (*signer)(nil)

func newSigner(key crypto.Signer) (*signer, error) {
	v, err := newVerifier(key.Public())
	if err != nil {
		return nil, err
	}
	return &signer{v, key}, nil
}

func newVerifier(public crypto.PublicKey) (verifier, error) {
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return verifier{}, fault.New(fault.Invalid, "audit key: %w", err)
	}
	v := verifier{public: public, spki: spki, name: originPrefix + fingerprint(spki)}
	sum := sha256.Sum256(spki)
	switch k := public.(type) {
	case ed25519.PublicKey:
		id := append([]byte(v.name), '\n', typeEd25519)
		sum = sha256.Sum256(append(id, k...))
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return verifier{}, fault.New(fault.Invalid, "audit key: want Ed25519 or ECDSA on P-256, not on another curve")
		}
	default:
		return verifier{}, fault.New(fault.Invalid, "audit key: want Ed25519 or ECDSA on P-256")
	}
	v.hash = binary.BigEndian.Uint32(sum[:])
	return v, nil
}

func fingerprint(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}

// Fingerprint is by what people compare the key of a log: the lower-case hex
// SHA-256 of its SubjectPublicKeyInfo. The error is Invalid.
func Fingerprint(key crypto.PublicKey) (string, error) {
	v, err := newVerifier(key)
	if err != nil {
		return "", err
	}
	return fingerprint(v.spki), nil
}

// Name implements [note.Verifier].
func (v verifier) Name() string { return v.name }

// KeyHash implements [note.Verifier].
func (v verifier) KeyHash() uint32 { return v.hash }

// Verify implements [note.Verifier].
func (v verifier) Verify(msg, sig []byte) bool {
	switch k := v.public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, msg, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(msg)
		return ecdsa.VerifyASN1(k, sum[:], sig)
	}
	return false
}

// Sign implements [note.Signer].
func (s *signer) Sign(msg []byte) ([]byte, error) {
	if _, ok := s.public.(ed25519.PublicKey); ok {
		return s.key.Sign(rand.Reader, msg, crypto.Hash(0))
	}
	sum := sha256.Sum256(msg)
	return s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
}
