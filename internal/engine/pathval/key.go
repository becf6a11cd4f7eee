package pathval

import (
	"crypto"
	"crypto/dsa" //lint:ignore SA1019 old certificates have such keys
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxKeyBits bounds the numbers of a key; crl.CheckSignature uses no longer
// ones.
const maxKeyBits = 8192

// publicKey is the working public key of RFC 5280 §6.1.2(g) to (i).
type publicKey struct {
	key crypto.PublicKey // nil: of a kind that verifies nothing here
	// id is the SHA-256 of the SubjectPublicKeyInfo. A DSA key that inherits
	// its parameters is not one key until they are known.
	id       [32]byte
	inherits bool
}

// parseKey reads a SubjectPublicKeyInfo. A key of a kind not known here is no
// error: it may belong to a leaf, and verify nothing. A known kind must be
// well formed.
func parseKey(spki []byte) (k publicKey, ok bool) {
	k.id = sha256.Sum256(spki)
	var seq, algorithm, bits cryptobyte.String
	var kind string
	s := cryptobyte.String(spki)
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1(&algorithm, cbasn1.SEQUENCE) ||
		!readOID(&algorithm, &kind) || !readBits(&seq, (*[]byte)(&bits)) || !seq.Empty() {
		return k, false
	}
	switch kind {
	case oidRSA, oidRSAPSS:
		// The parameters should be NULL; whole communities leave them out.
		key := &rsa.PublicKey{N: new(big.Int)}
		var pair cryptobyte.String
		if !bits.ReadASN1(&pair, cbasn1.SEQUENCE) || !bits.Empty() || !pair.ReadASN1Integer(key.N) ||
			!pair.ReadASN1Integer(&key.E) || !pair.Empty() || !positive(key.N) || key.E < 2 {
			return k, false
		}
		k.key = key
	case oidDSA:
		return k.parseDSA(algorithm, bits)
	default:
		// Curves and others the standard library knows.
		if key, err := x509.ParsePKIXPublicKey(spki); err == nil {
			k.key = key
		}
	}
	return k, true
}

func (k publicKey) parseDSA(params, bits cryptobyte.String) (publicKey, bool) {
	key := &dsa.PublicKey{Y: new(big.Int)}
	if !bits.ReadASN1Integer(key.Y) || !bits.Empty() || !positive(key.Y) {
		return k, false
	}
	k.key = key
	if params.Empty() || len(params) == 2 && params[0] == byte(cbasn1.NULL) {
		k.inherits = true
		return k, true
	}
	var seq cryptobyte.String
	key.P, key.Q, key.G = new(big.Int), new(big.Int), new(big.Int)
	return k, params.ReadASN1(&seq, cbasn1.SEQUENCE) && params.Empty() && seq.ReadASN1Integer(key.P) &&
		seq.ReadASN1Integer(key.Q) && seq.ReadASN1Integer(key.G) && seq.Empty() &&
		positive(key.P) && positive(key.Q) && positive(key.G) &&
		key.P.BitLen() <= maxDSABits && key.Q.BitLen() <= maxDSASubgroupBits && key.G.Cmp(key.P) < 0 && key.Y.Cmp(key.P) < 0
}

// The largest sizes of FIPS 186-4.
const (
	maxDSABits         = 3072
	maxDSASubgroupBits = 256
)

// under completes a key that inherits the parameters of the one above it
// (RFC 5280 §6.1.4(f)).
func (k publicKey) under(above publicKey) publicKey {
	if !k.inherits {
		return k
	}
	from, ok := above.key.(*dsa.PublicKey)
	own, dsaToo := k.key.(*dsa.PublicKey)
	if !ok || !dsaToo || from.P == nil || own.Y.Cmp(from.P) >= 0 {
		return publicKey{id: k.id, inherits: true}
	}
	return publicKey{key: &dsa.PublicKey{Parameters: from.Parameters, Y: own.Y}, id: k.id, inherits: true}
}

// price is about how long a verification takes, in those of ECDSA on P-256. It
// keeps the slow kinds from making a budget of signatures last many times
// longer.
func (k publicKey) price() int {
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		return max(1, bits*bits>>22) // RSA-2048 is as fast, RSA-8192 takes 16 times as long
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return 1
		case elliptic.P224(), elliptic.P384():
			return 5
		}
		return 20
	case *dsa.PublicKey:
		return 20
	}
	return 1
}

func positive(n *big.Int) bool { return n.Sign() > 0 && n.BitLen() <= maxKeyBits }

// readBits reads a BIT STRING; one that is not whole bytes reads as empty,
// since no key and no signature here is.
func readBits(s *cryptobyte.String, out *[]byte) bool {
	var raw cryptobyte.String
	if !s.ReadASN1(&raw, cbasn1.BIT_STRING) || len(raw) == 0 || raw[0] > 7 || len(raw) == 1 && raw[0] != 0 {
		return false
	}
	if raw[0] == 0 {
		*out = raw[1:]
	}
	return true
}
