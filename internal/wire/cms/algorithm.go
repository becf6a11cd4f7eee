package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"slices"

	// For crypto.Hash.New.
	_ "crypto/sha256"
	_ "crypto/sha512"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// digest is a hash function and its identifier (RFC 5754 §2).
type digest struct {
	hash crypto.Hash
	oid  string
}

var digests = []digest{
	{crypto.SHA256, "\x60\x86\x48\x01\x65\x03\x04\x02\x01"}, // 2.16.840.1.101.3.4.2.1
	{crypto.SHA384, "\x60\x86\x48\x01\x65\x03\x04\x02\x02"},
	{crypto.SHA512, "\x60\x86\x48\x01\x65\x03\x04\x02\x03"},
}

// sum returns the digest of b.
func (d digest) sum(b []byte) []byte {
	h := d.hash.New()
	h.Write(b)
	return h.Sum(nil)
}

// AlgorithmIdentifiers of signatures and keys, complete, in DER.
const (
	rsaEncryption   = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"
	ecdsaWithSHA256 = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
	ecdsaWithSHA384 = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"
	ecdsaWithSHA512 = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04"
)

// algorithm is a signature algorithm, which in CMS is two identifiers: that of
// the digest and that of the signature.
type algorithm struct {
	digest
	id  string // AlgorithmIdentifier in DER
	alg x509.SignatureAlgorithm
}

// algorithms holds one spelling of each: for RSA PKCS #1 that of RFC 3370
// §3.2. Were a second one accepted, bytes could change unnoticed.
var algorithms = []algorithm{
	{digests[0], rsaEncryption, x509.SHA256WithRSA},
	{digests[1], rsaEncryption, x509.SHA384WithRSA},
	{digests[2], rsaEncryption, x509.SHA512WithRSA},
	{digests[0], pss(digests[0]), x509.SHA256WithRSAPSS},
	{digests[1], pss(digests[1]), x509.SHA384WithRSAPSS},
	{digests[2], pss(digests[2]), x509.SHA512WithRSAPSS},
	{digests[0], ecdsaWithSHA256, x509.ECDSAWithSHA256},
	{digests[1], ecdsaWithSHA384, x509.ECDSAWithSHA384},
	{digests[2], ecdsaWithSHA512, x509.ECDSAWithSHA512},
}

// choose returns how key signs: RSA with SHA-256, ECDSA with the hash of the
// curve's size, and what crypto.SignMessage wants to hear for it.
func choose(key crypto.PublicKey, withPSS bool) (algorithm, crypto.SignerOpts, error) {
	var alg x509.SignatureAlgorithm
	switch k := key.(type) {
	case *rsa.PublicKey:
		alg = x509.SHA256WithRSA
		if withPSS {
			alg = x509.SHA256WithRSAPSS
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			alg = x509.ECDSAWithSHA256
		case elliptic.P384():
			alg = x509.ECDSAWithSHA384
		case elliptic.P521():
			alg = x509.ECDSAWithSHA512
		}
	}
	i := slices.IndexFunc(algorithms, func(a algorithm) bool { return a.alg == alg })
	if i < 0 {
		return algorithm{}, nil, fault.New(fault.Invalid, "a key of type %T cannot sign here", key)
	}
	a := algorithms[i]
	if alg == x509.SHA256WithRSAPSS {
		return a, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: a.hash}, nil
	}
	return a, a.hash, nil
}

// addTo writes the identifier of d, without parameters (RFC 5754 §2).
func (d digest) addTo(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addOID(b, d.oid) })
}

// addWithNull writes it with NULL parameters, as RFC 4055 §2.1 wants it inside
// the parameters of RSA.
func (d digest) addWithNull(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, d.oid)
		b.AddASN1NULL()
	})
}

// readDigest reads the identifier of a digest, with NULL parameters or none.
func readDigest(s *cryptobyte.String) (digest, bool) {
	var id, oid, null cryptobyte.String
	if !s.ReadASN1(&id, asn1.SEQUENCE) || !id.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
		!id.ReadOptionalASN1(&null, nil, asn1.NULL) || !null.Empty() || !id.Empty() {
		return digest{}, false
	}
	i := slices.IndexFunc(digests, func(d digest) bool { return d.oid == string(oid) })
	if i < 0 {
		return digest{}, false
	}
	return digests[i], true
}

const (
	oidMGF1 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08" // 1.2.840.113549.1.1.8
	oidPSS  = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
	oidOAEP = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07"
)

// addHashAndMask writes what RSASSA-PSS and RSAES-OAEP have in common: the
// hash, and MGF1 with the same hash (RFC 4055 §3.1, §4.1). hash writes the
// identifier.
func addHashAndMask(b *cryptobyte.Builder, hash cryptobyte.BuilderContinuation) {
	b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), hash)
	b.AddASN1(asn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addOID(b, oidMGF1)
			hash(b)
		})
	})
}

// pss is the identifier of RSASSA-PSS with d and a salt of its size.
func pss(d digest) string {
	return identifier(oidPSS, func(b *cryptobyte.Builder) {
		addHashAndMask(b, d.addWithNull)
		b.AddASN1(asn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(int64(d.hash.Size()))
		})
	})
}

// identifier is an AlgorithmIdentifier with a SEQUENCE of parameters.
func identifier(oid string, parameters cryptobyte.BuilderContinuation) string {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, oid)
		b.AddASN1(asn1.SEQUENCE, parameters)
	})
	return string(b.BytesOrPanic()) // of constants
}
