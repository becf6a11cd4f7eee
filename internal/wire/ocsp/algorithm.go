package ocsp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"slices"

	"bridge.example/internal/fault"
)

// maxRSABits bounds what verifying under a key somebody else chose may cost.
const maxRSABits = 16384

// scheme is a signature algorithm (RFC 4055, 5758, 8410) with its
// AlgorithmIdentifier in DER, as we write it and as others do.
type scheme struct {
	algorithm   x509.SignatureAlgorithm
	key         x509.PublicKeyAlgorithm
	hash        crypto.Hash // 0: the message itself is signed
	identifiers []string
}

// schemes lists what is verified, without MD5 and DSA. SHA-1 is for archives
// only, see [Verifier].
var schemes = [...]scheme{
	{x509.SHA256WithRSA, x509.RSA, crypto.SHA256, pkcs1("\x0b")},
	{x509.SHA384WithRSA, x509.RSA, crypto.SHA384, pkcs1("\x0c")},
	{x509.SHA512WithRSA, x509.RSA, crypto.SHA512, pkcs1("\x0d")},
	{x509.SHA1WithRSA, x509.RSA, crypto.SHA1, pkcs1("\x05")},
	{x509.SHA256WithRSAPSS, x509.RSA, crypto.SHA256, pss("\x01", "\x20")},
	{x509.SHA384WithRSAPSS, x509.RSA, crypto.SHA384, pss("\x02", "\x30")},
	{x509.SHA512WithRSAPSS, x509.RSA, crypto.SHA512, pss("\x03", "\x40")},
	{x509.ECDSAWithSHA256, x509.ECDSA, crypto.SHA256, []string{tlv("\x30", "\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02")}},
	{x509.ECDSAWithSHA384, x509.ECDSA, crypto.SHA384, []string{tlv("\x30", "\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03")}},
	{x509.ECDSAWithSHA512, x509.ECDSA, crypto.SHA512, []string{tlv("\x30", "\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04")}},
	{x509.ECDSAWithSHA1, x509.ECDSA, crypto.SHA1, []string{tlv("\x30", "\x06\x07\x2a\x86\x48\xce\x3d\x04\x01")}},
	{x509.PureEd25519, x509.Ed25519, 0, []string{tlv("\x30", "\x06\x03\x2b\x65\x70")}},
}

// null and none are how parameters that say nothing are written. RFC 4055
// §2.1 and §5 have both accepted; OpenSSL and Go differ in what they write.
const null, none = "\x05\x00", ""

func pkcs1(number string) []string {
	oid := "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" + number
	return []string{tlv("\x30", oid+null), tlv("\x30", oid+none)}
}

// pss is RSASSA-PSS with one hash throughout and a salt as long as it (RFC 4055
// §3.1), which is how everybody uses it.
func pss(hash, salt string) (identifiers []string) {
	for _, parameters := range []string{null, none} {
		h := tlv("\x30", "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"+hash+parameters)
		mask := tlv("\x30", "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"+h)
		identifiers = append(identifiers, tlv("\x30", "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"+
			tlv("\x30", tlv("\xa0", h)+tlv("\xa1", mask)+tlv("\xa2", "\x02\x01"+salt))))
	}
	return identifiers
}

// tlv is one short DER element.
func tlv(tag, content string) string { return tag + string([]byte{byte(len(content))}) + content }

// algorithmOf returns the algorithm with this identifier, or
// UnknownSignatureAlgorithm.
func algorithmOf(identifier []byte) x509.SignatureAlgorithm {
	for _, s := range schemes {
		if slices.Contains(s.identifiers, string(identifier)) {
			return s.algorithm
		}
	}
	return x509.UnknownSignatureAlgorithm
}

// schemeFor returns how key signs with algorithm a, or with what is usual for it
// when a is UnknownSignatureAlgorithm. The error is Invalid.
func schemeFor(a x509.SignatureAlgorithm, key crypto.PublicKey) (scheme, error) {
	var kind x509.PublicKeyAlgorithm
	hash := crypto.SHA256
	switch key := key.(type) {
	case *rsa.PublicKey:
		kind = x509.RSA
	case ed25519.PublicKey:
		kind, hash = x509.Ed25519, 0
	case *ecdsa.PublicKey:
		kind = x509.ECDSA
		switch key.Curve {
		case elliptic.P384():
			hash = crypto.SHA384
		case elliptic.P521():
			hash = crypto.SHA512
		}
	}
	for _, s := range schemes {
		usual := a == x509.UnknownSignatureAlgorithm && s.hash == hash
		if s.key == kind && s.hash != crypto.SHA1 && (s.algorithm == a || usual) {
			return s, nil
		}
	}
	return scheme{}, fault.New(fault.Invalid, "signing with algorithm %s and a key of type %T is not supported", a, key)
}

// options are what a crypto.Signer is told to sign with.
func (s scheme) options() crypto.SignerOpts {
	switch s.algorithm {
	case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash}
	}
	return s.hash
}

// verifies reports whether signature over message is one of this certificate's
// key, with SHA-2 or better, or SHA-1 if so allowed.
func verifies(c *x509.Certificate, a x509.SignatureAlgorithm, message, signature []byte, sha1 bool) bool {
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
		return false
	}
	if weak := a == x509.SHA1WithRSA || a == x509.ECDSAWithSHA1; weak && !sha1 {
		return false
	}
	return c.CheckSignature(a, message, signature) == nil // refuses MD5 and unknown ones
}
