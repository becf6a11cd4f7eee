package pkcs8

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/scrypt"

	"bridge.example/internal/fault"
)

// kdf derives an AES-256 key from a passphrase, at a cost that parseKDF has
// bounded.
type kdf interface {
	key(passphrase []byte) ([]byte, error)
	encode(b *cryptobyte.Builder) // the content of an AlgorithmIdentifier
}

var (
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidScrypt     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
)

// What a file may ask for: seconds, not minutes, and memory that is there.
const (
	maxSaltBytes        = 1 << 10
	maxPBKDF2Iterations = 10_000_000
	maxScryptBytes      = 64 << 20 // memory: 128·N·r
	maxScryptWork       = 1 << 30  // 128·N·r·p
)

func parseKDF(in cryptobyte.String) (kdf, error) {
	var oid asn1.ObjectIdentifier
	var parameters cryptobyte.String
	var salt []byte
	if !in.ReadASN1ObjectIdentifier(&oid) || !in.ReadASN1(&parameters, casn1.SEQUENCE) || !in.Empty() ||
		!parameters.ReadASN1Bytes(&salt, casn1.OCTET_STRING) || len(salt) > maxSaltBytes {
		return nil, errMalformed
	}
	switch {
	case oid.Equal(oidScrypt):
		return parseScrypt(salt, parameters)
	case oid.Equal(oidPBKDF2):
		return parsePBKDF2(salt, parameters)
	}
	return nil, fault.New(fault.Invalid, "key derivation %v is neither scrypt nor PBKDF2", oid)
}

// keyLength is the optional length both derivations may state.
type keyLength bool

func (l *keyLength) read(in *cryptobyte.String) bool {
	var n int64
	if *l = keyLength(in.PeekASN1Tag(casn1.INTEGER)); *l {
		return in.ReadASN1Integer(&n) && n == keyBytes
	}
	return true
}

func (l keyLength) encode(b *cryptobyte.Builder) {
	if l {
		b.AddASN1Int64(keyBytes)
	}
}

// scryptKDF is RFC 7914 §7.
type scryptKDF struct {
	salt    []byte
	n, r, p int64
	stated  keyLength
}

// newScrypt spends 16 MiB and about a fifth of a second. OpenSSL opens no
// files that need more than 32 MiB, so p makes up for the memory.
func newScrypt(salt []byte) scryptKDF { return scryptKDF{salt: salt, n: 1 << 14, r: 8, p: 5} }

func parseScrypt(salt []byte, in cryptobyte.String) (kdf, error) {
	s := scryptKDF{salt: salt}
	if !in.ReadASN1Integer(&s.n) || !in.ReadASN1Integer(&s.r) || !in.ReadASN1Integer(&s.p) || !s.stated.read(&in) || !in.Empty() {
		return nil, errMalformed
	}
	if s.n < 2 || s.n&(s.n-1) != 0 || s.r < 1 || s.p < 1 {
		return nil, fault.New(fault.Invalid, "scrypt cannot work with N %d, r %d, p %d", s.n, s.r, s.p)
	}
	// Division, because the product of three numbers from a file overflows.
	if s.n > maxScryptBytes/128/s.r || s.p > maxScryptWork/(128*s.n*s.r) {
		return nil, fault.New(fault.Invalid, "scrypt with N %d, r %d, p %d costs too much", s.n, s.r, s.p)
	}
	return s, nil
}

func (s scryptKDF) key(passphrase []byte) ([]byte, error) {
	return scrypt.Key(passphrase, s.salt, int(s.n), int(s.r), int(s.p), keyBytes)
}

func (s scryptKDF) encode(b *cryptobyte.Builder) {
	b.AddASN1ObjectIdentifier(oidScrypt)
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(s.salt)
		b.AddASN1Int64(s.n)
		b.AddASN1Int64(s.r)
		b.AddASN1Int64(s.p)
		s.stated.encode(b)
	})
}

// pbkdf2KDF is RFC 8018 §A.2 with HMAC-SHA-256.
type pbkdf2KDF struct {
	salt       []byte
	iterations int64
	stated     keyLength
}

func parsePBKDF2(salt []byte, in cryptobyte.String) (kdf, error) {
	k := pbkdf2KDF{salt: salt}
	if !in.ReadASN1Integer(&k.iterations) || !k.stated.read(&in) {
		return nil, errMalformed
	}
	if k.iterations < 1 || k.iterations > maxPBKDF2Iterations {
		return nil, fault.New(fault.Invalid, "PBKDF2 with %d iterations is outside 1 to %d", k.iterations, maxPBKDF2Iterations)
	}
	var prf, null cryptobyte.String
	var oid asn1.ObjectIdentifier
	if in.Empty() {
		return nil, fault.New(fault.Invalid, "PBKDF2 with HMAC-SHA-1 is not read, only with HMAC-SHA-256")
	}
	if !in.ReadASN1(&prf, casn1.SEQUENCE) || !in.Empty() || !prf.ReadASN1ObjectIdentifier(&oid) ||
		!prf.ReadASN1(&null, casn1.NULL) || !null.Empty() || !prf.Empty() {
		return nil, errMalformed
	}
	if !oid.Equal(oidHMACSHA256) {
		return nil, fault.New(fault.Invalid, "PBKDF2 with %v is not read, only with HMAC-SHA-256", oid)
	}
	return k, nil
}

func (k pbkdf2KDF) key(passphrase []byte) ([]byte, error) {
	return pbkdf2.Key(sha256.New, string(passphrase), k.salt, int(k.iterations), keyBytes)
}

func (k pbkdf2KDF) encode(b *cryptobyte.Builder) {
	b.AddASN1ObjectIdentifier(oidPBKDF2)
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(k.salt)
		b.AddASN1Int64(k.iterations)
		k.stated.encode(b)
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidHMACSHA256)
			b.AddASN1NULL()
		})
	})
}
