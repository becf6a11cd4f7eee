package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"time"

	// For crypto.Hash.New.
	_ "crypto/sha512"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// choose returns how a key signs: RSA with SHA-256, ECDSA with the hash of the
// curve's size.
func choose(key crypto.PublicKey) (algorithm, error) {
	const more = "http://www.w3.org/2001/04/xmldsig-more#"
	switch k := key.(type) {
	case *rsa.PublicKey:
		return algorithm{more + "rsa-sha256", x509.SHA256WithRSA, crypto.SHA256, 0}, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return algorithm{more + "ecdsa-sha256", x509.ECDSAWithSHA256, crypto.SHA256, 32}, nil
		case elliptic.P384():
			return algorithm{more + "ecdsa-sha384", x509.ECDSAWithSHA384, crypto.SHA384, 48}, nil
		case elliptic.P521():
			return algorithm{more + "ecdsa-sha512", x509.ECDSAWithSHA512, crypto.SHA512, 66}, nil
		}
	}
	return algorithm{}, fault.New(fault.Invalid, "a key of type %T cannot sign XML here", key)
}

// Sign returns document, which must be as [Reader] reads it and without
// signatures and identifiers, with an enveloped signature as the last child of
// its root. at is the signing time claimed, in whole seconds. Like append, it
// writes to document where that has the room, and then document is no more.
//
// Errors: ErrFormat, those of the key, and Invalid for a key of another kind.
func Sign(document []byte, s Signer, at time.Time) ([]byte, error) {
	// Where the signature goes: before the end of the root, and after a tag, so that
	// it parts no text.
	end := bytes.LastIndex(document, []byte("</"))
	if end < 1 || document[end-1] != '>' {
		return nil, fmt.Errorf("%w: no root that ends with an element", ErrFormat)
	}
	if err := check(NewReader(document)); err != nil {
		return nil, err
	}
	alg, err := choose(s.Cert.PublicKey)
	if err != nil {
		return nil, err
	}
	sig := signature{content: digest(document), chain: s.chain(), at: at}
	h := alg.hash.New()
	h.Write([]byte(sig.signedInfo(alg)))
	der, err := s.Key.Sign(rand.Reader, h.Sum(nil), alg.hash)
	if err != nil {
		return nil, err
	}
	var ok bool
	if sig.value, ok = alg.fromDER(der); !ok {
		return nil, fault.New(fault.Internal, "signing XML: the key returned no signature of its kind")
	}
	return slices.Insert(document, end, sig.encode(alg)...), nil
}

// chain returns the certificates to send along.
func (s Signer) chain() []*x509.Certificate {
	out := []*x509.Certificate{s.Cert}
	for _, c := range s.Chain {
		selfSigned := bytes.Equal(c.RawIssuer, c.RawSubject) &&
			c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
		if !selfSigned {
			out = append(out, c)
		}
	}
	return out
}

// fromDER turns a signature of crypto.Signer into what XML has: for ECDSA the
// two integers, each as long as the curve's order (RFC 4050 §3.3).
func (a algorithm) fromDER(der []byte) ([]byte, bool) {
	if a.size == 0 {
		return der, true
	}
	var seq cryptobyte.String
	var r, s big.Int
	in := cryptobyte.String(der)
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&r) || !seq.ReadASN1Integer(&s) || !seq.Empty() ||
		r.Sign() < 0 || s.Sign() < 0 || r.BitLen() > 8*a.size || s.BitLen() > 8*a.size {
		return nil, false
	}
	out := make([]byte, 2*a.size)
	r.FillBytes(out[:a.size])
	s.FillBytes(out[a.size:])
	return out, true
}

// toDER is the reverse.
func (a algorithm) toDER(value []byte) ([]byte, bool) {
	switch {
	case a.size == 0:
		return value, true
	case len(value) != 2*a.size:
		return nil, false
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(value[:a.size]))
		b.AddASN1BigInt(new(big.Int).SetBytes(value[a.size:]))
	})
	der, err := b.Bytes()
	return der, err == nil
}
