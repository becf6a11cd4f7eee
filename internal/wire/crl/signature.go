package crl

import (
	"crypto"
	"crypto/dsa" //lint:ignore SA1019 old certificates have such keys; Modern refuses them
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha1" // the hashes that signatures may use
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// Errors of signature checks, all Denied. ErrSignature means that the bits do
// not fit; ErrAlgorithm that they were not looked at, because the algorithm is
// unknown, too weak, or not one for this kind of key.
var (
	ErrSignature = fault.New(fault.Denied, "the signature does not verify")
	ErrAlgorithm = fault.New(fault.Denied, "the signature algorithm is not accepted")
)

// Acceptance is which algorithms a verifier accepts.
type Acceptance uint8

const (
	// Modern accepts RSA of 2048 bits and more, ECDSA and Ed25519, with SHA-2.
	Modern Acceptance = iota
	// Legacy accepts SHA-1, DSA and RSA of 1024 bits too, for archives: new
	// forgeries cost little.
	Legacy
)

// Bounds on RSA keys: what Modern asks for, and what verifying under a key a
// stranger chose may cost.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// scheme is how a signature algorithm works. RSA carries NULL parameters or
// none (RFC 4055 §5 has implementations accept both); the others carry none.
type scheme struct {
	oid       string
	algorithm x509.SignatureAlgorithm
	hash      crypto.Hash // 0: the message itself is signed
	key       x509.PublicKeyAlgorithm
}

const pssOID = "1.2.840.113549.1.1.10"

// schemes lists what RFC 3279, 4055, 5758 and 8410 define, without MD5. The
// PSS rows differ by their parameters.
var schemes = [...]scheme{
	{"1.2.840.113549.1.1.11", x509.SHA256WithRSA, crypto.SHA256, x509.RSA},
	{"1.2.840.113549.1.1.12", x509.SHA384WithRSA, crypto.SHA384, x509.RSA},
	{"1.2.840.113549.1.1.13", x509.SHA512WithRSA, crypto.SHA512, x509.RSA},
	{"1.2.840.113549.1.1.5", x509.SHA1WithRSA, crypto.SHA1, x509.RSA},
	{pssOID, x509.SHA256WithRSAPSS, crypto.SHA256, x509.RSA},
	{pssOID, x509.SHA384WithRSAPSS, crypto.SHA384, x509.RSA},
	{pssOID, x509.SHA512WithRSAPSS, crypto.SHA512, x509.RSA},
	{"1.2.840.10045.4.3.2", x509.ECDSAWithSHA256, crypto.SHA256, x509.ECDSA},
	{"1.2.840.10045.4.3.3", x509.ECDSAWithSHA384, crypto.SHA384, x509.ECDSA},
	{"1.2.840.10045.4.3.4", x509.ECDSAWithSHA512, crypto.SHA512, x509.ECDSA},
	{"1.2.840.10045.4.1", x509.ECDSAWithSHA1, crypto.SHA1, x509.ECDSA},
	{"1.2.840.10040.4.3", x509.DSAWithSHA1, crypto.SHA1, x509.DSA},
	{"2.16.840.1.101.3.4.3.2", x509.DSAWithSHA256, crypto.SHA256, x509.DSA},
	{"1.3.101.112", x509.PureEd25519, 0, x509.Ed25519},
}

func schemeOf(a x509.SignatureAlgorithm) (scheme, bool) {
	for _, s := range schemes {
		if s.algorithm == a {
			return s, true
		}
	}
	return scheme{}, false
}

// ParseAlgorithm reads a DER AlgorithmIdentifier of a signature. One that
// nothing here verifies gives UnknownSignatureAlgorithm, not an error: a
// certificate or list may still be looked at. The error is Invalid.
func ParseAlgorithm(der []byte) (x509.SignatureAlgorithm, error) {
	var seq cryptobyte.String
	var oid asn1.ObjectIdentifier
	in := cryptobyte.String(der)
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1ObjectIdentifier(&oid) {
		return 0, fault.New(fault.Invalid, "malformed algorithm identifier")
	}
	id := oid.String()
	if id == pssOID {
		return parsePSS(seq), nil
	}
	for _, s := range schemes {
		if s.oid == id && (seq.Empty() || s.key == x509.RSA && isNull(seq)) {
			return s.algorithm, nil
		}
	}
	return x509.UnknownSignatureAlgorithm, nil
}

func isNull(s cryptobyte.String) bool { return len(s) == 2 && s[0] == 5 && s[1] == 0 }

// parsePSS reads RSASSA-PSS-params (RFC 4055 §3.1): one hash throughout and a
// salt as long as it, as everybody uses it and §3.1 recommends. The defaults
// mean SHA-1 and are not accepted.
func parsePSS(params cryptobyte.String) x509.SignatureAlgorithm {
	explicit := func(s *cryptobyte.String, n uint8) (c cryptobyte.String) {
		s.ReadASN1(&c, cbasn1.Tag(n).ContextSpecific().Constructed())
		return c
	}
	algorithm := func(s *cryptobyte.String) (oid asn1.ObjectIdentifier, params cryptobyte.String) {
		if s.ReadASN1(&params, cbasn1.SEQUENCE) {
			params.ReadASN1ObjectIdentifier(&oid)
		}
		return oid, params
	}
	var seq cryptobyte.String
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) || !params.Empty() {
		return x509.UnknownSignatureAlgorithm
	}
	h, mask, length := explicit(&seq, 0), explicit(&seq, 1), explicit(&seq, 2)
	oid, hp := algorithm(&h)
	mgf, mp := algorithm(&mask)
	maskOID, mhp := algorithm(&mp)
	var salt int
	if !length.ReadASN1Integer(&salt) || !seq.Empty() ||
		!(len(h)+len(mask)+len(mp)+len(length) == 0) ||
		!(hp.Empty() || isNull(hp)) || !(mhp.Empty() || isNull(mhp)) ||
		mgf.String() != "1.2.840.113549.1.1.8" || !oid.Equal(maskOID) {
		return x509.UnknownSignatureAlgorithm
	}
	switch {
	case oid.String() == "2.16.840.1.101.3.4.2.1" && salt == 32:
		return x509.SHA256WithRSAPSS
	case oid.String() == "2.16.840.1.101.3.4.2.2" && salt == 48:
		return x509.SHA384WithRSAPSS
	case oid.String() == "2.16.840.1.101.3.4.2.3" && salt == 64:
		return x509.SHA512WithRSAPSS
	}
	return x509.UnknownSignatureAlgorithm
}

// CheckSignature verifies sig over message under pub: *rsa.PublicKey,
// *ecdsa.PublicKey, ed25519.PublicKey or *dsa.PublicKey. Certificates and
// lists are checked by this one function. Errors: ErrSignature, ErrAlgorithm.
func CheckSignature(a x509.SignatureAlgorithm, pub crypto.PublicKey, message, sig []byte, accepted Acceptance) error {
	if !accepted.Accepts(a, pub) {
		return fault.New(fault.Denied, "%w: %s", ErrAlgorithm, a)
	}
	s, _ := schemeOf(a)
	if s.hash == 0 {
		key, ok := pub.(ed25519.PublicKey)
		if !ok || len(key) != ed25519.PublicKeySize {
			return ErrAlgorithm
		}
		return verdict(ed25519.Verify(key, message, sig))
	}
	h := s.hash.New()
	h.Write(message)
	return s.checkDigest(pub, h.Sum(nil), sig)
}

// Accepts reports whether signatures by a under pub are looked at.
func (x Acceptance) Accepts(a x509.SignatureAlgorithm, pub crypto.PublicKey) bool {
	s, ok := schemeOf(a)
	if !ok || x != Legacy && (s.hash == crypto.SHA1 || s.key == x509.DSA) {
		return false
	}
	key, isRSA := pub.(*rsa.PublicKey)
	return !isRSA || key.N.BitLen() <= maxRSABits && (x == Legacy || key.N.BitLen() >= minRSABits)
}

func (s scheme) checkDigest(pub crypto.PublicKey, digest, sig []byte) error {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		switch {
		case s.key != x509.RSA:
		case s.oid == pssOID:
			return verdict(rsa.VerifyPSS(key, s.hash, digest, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil)
		default:
			return verdict(rsa.VerifyPKCS1v15(key, s.hash, digest, sig) == nil)
		}
	case *ecdsa.PublicKey:
		if s.key == x509.ECDSA {
			return verdict(ecdsa.VerifyASN1(key, digest, sig))
		}
	case *dsa.PublicKey:
		if s.key == x509.DSA {
			return verdict(verifyDSA(key, digest, sig))
		}
	}
	return ErrAlgorithm
}

func verifyDSA(key *dsa.PublicKey, digest, sig []byte) bool {
	var seq cryptobyte.String
	r, s := new(big.Int), new(big.Int)
	in := cryptobyte.String(sig)
	// A key that inherits its parameters has none of its own.
	if key.P == nil || key.Q == nil || key.G == nil ||
		!in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(r) ||
		!seq.ReadASN1Integer(s) || !seq.Empty() {
		return false
	}
	// FIPS 186-3 §4.6: the hash is cut to the length of the subgroup.
	return dsa.Verify(key, digest[:min(len(digest), (key.Q.BitLen()+7)/8)], r, s)
}

func verdict(ok bool) error {
	if ok {
		return nil
	}
	return ErrSignature
}
