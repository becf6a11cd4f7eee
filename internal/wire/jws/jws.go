// Package jws reads and writes the JSON Web Signatures (RFC 7515) of signed
// JSON: compact serialisation, one signature, and in its protected header the
// certificates of who signed and the time (as ETSI TS 119 182-1 has it, for
// baseline B). Who may sign is for the caller to say.
package jws

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// Bounds on what is read.
const (
	maxBytes  = 96 << 20 // of the whole
	maxHeader = 256 << 10
	maxCerts  = 16
)

// Reasons for refusing a signature, all of them Invalid.
var (
	// ErrFormat: not a compact JWS of the form that Sign writes.
	ErrFormat = fault.New(fault.Invalid, "malformed JWS")
	// ErrSignature: the signature does not hold.
	ErrSignature = fault.New(fault.Invalid, "signature of the JWS does not hold")
)

// header is the protected header, of RFC 7515 §4.1; iat is that of TS 119 182-1
// §5.1.11.
type header struct {
	Algorithm  string          `json:"alg"`
	Type       string          `json:"typ"`
	IssuedAt   int64           `json:"iat"` // seconds since 1970
	Thumbprint string          `json:"x5t#S256"`
	Chain      [][]byte        `json:"x5c"`
	Critical   json.RawMessage `json:"crit,omitempty"`
}

// Signed is what a signature covers, and who made it.
type Signed struct {
	Payload []byte
	Type    string              // typ, a media type without "application/"
	At      time.Time           // as the signer claims, in whole seconds
	Certs   []*x509.Certificate // the signer's first
}

// Sign signs s with key, which belongs to the first of s.Certs: RSA with
// PKCS #1 v1.5 and SHA-256, as every token can, or ECDSA with the hash of the
// curve's size (RFC 7518 §3.1). Errors: Invalid for a key of no use here; else
// those of the key.
func Sign(s Signed, key crypto.Signer) ([]byte, error) {
	name, hash, size, err := algorithm(key.Public())
	if err != nil {
		return nil, err
	}
	if len(s.Certs) == 0 {
		return nil, fault.New(fault.Invalid, "signing: no certificate of the signer")
	}
	h := header{Algorithm: name, Type: s.Type, IssuedAt: s.At.Unix(), Thumbprint: thumbprint(s.Certs[0])}
	for _, c := range s.Certs {
		h.Chain = append(h.Chain, c.Raw)
	}
	head, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, base64.RawURLEncoding.EncodedLen(len(head)+len(s.Payload)+600))
	out = base64.RawURLEncoding.AppendEncode(out, head)
	out = append(out, '.')
	out = base64.RawURLEncoding.AppendEncode(out, s.Payload)
	signature, err := crypto.SignMessage(key, rand.Reader, out, hash)
	if err == nil && size > 0 {
		signature, err = fixed(signature, size)
	}
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	out = append(out, '.')
	return base64.RawURLEncoding.AppendEncode(out, signature), nil
}

// Verify checks the signature of b by the first certificate in it. Whether that
// is to be trusted is not looked at. Errors: ErrFormat, ErrSignature.
func Verify(b []byte) (*Signed, error) {
	parts := bytes.Split(b, []byte("."))
	if len(b) > maxBytes || len(parts) != 3 || len(parts[0]) > maxHeader || bytes.ContainsAny(b, "\r\n") {
		return nil, fmt.Errorf("%w: not three parts, or too large", ErrFormat)
	}
	var decoded [3][]byte
	for i, p := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().AppendDecode(nil, p); err != nil {
			return nil, fmt.Errorf("%w: part %d: %w", ErrFormat, i+1, err)
		}
	}
	var h header
	if err := json.Unmarshal(decoded[0], &h); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
	}
	if h.Critical != nil || len(h.Chain) == 0 || len(h.Chain) > maxCerts {
		return nil, fmt.Errorf("%w: the header has critical parameters, or no certificates", ErrFormat)
	}
	s := &Signed{Payload: decoded[1], Type: h.Type, At: time.Unix(h.IssuedAt, 0).UTC()}
	for _, der := range h.Chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: x5c: %w", ErrFormat, err)
		}
		s.Certs = append(s.Certs, c)
	}
	key := s.Certs[0].PublicKey
	name, hash, size, err := algorithm(key)
	if err != nil || name != h.Algorithm || h.Thumbprint != thumbprint(s.Certs[0]) {
		return nil, fmt.Errorf("%w: algorithm %q or thumbprint is not that of the signer's certificate", ErrFormat, h.Algorithm)
	}
	d := hash.New()
	d.Write(b[:len(parts[0])+1+len(parts[1])])
	if !holds(key, hash, d.Sum(nil), decoded[2], size) {
		return nil, ErrSignature
	}
	return s, nil
}

// algorithm is how key signs: the name of RFC 7518 §3.1, the hash, and the bytes
// of each of r and s with ECDSA.
func algorithm(key crypto.PublicKey) (name string, hash crypto.Hash, size int, err error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return "RS256", crypto.SHA256, 0, nil
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return "ES256", crypto.SHA256, 32, nil
		case 384:
			return "ES384", crypto.SHA384, 48, nil
		case 521:
			return "ES512", crypto.SHA512, 66, nil
		}
	}
	return "", 0, 0, fault.New(fault.Invalid, "a key of type %T cannot sign JSON here", key)
}

func holds(key crypto.PublicKey, hash crypto.Hash, digest, signature []byte, size int) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		return len(signature) == 2*size &&
			ecdsa.Verify(k, digest, new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:]))
	}
	return false
}

// fixed turns the ECDSA signature that a crypto.Signer gives into r and s, each
// of size bytes (RFC 7518 §3.4).
func fixed(der []byte, size int) ([]byte, error) {
	var seq cryptobyte.String
	var r, s big.Int
	input := cryptobyte.String(der)
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !input.Empty() || !seq.ReadASN1Integer(&r) || !seq.ReadASN1Integer(&s) || !seq.Empty() ||
		r.Sign() <= 0 || s.Sign() <= 0 || r.BitLen() > 8*size || s.BitLen() > 8*size {
		return nil, fault.New(fault.Internal, "the key gave no ECDSA signature")
	}
	out := make([]byte, 2*size)
	r.FillBytes(out[:size])
	s.FillBytes(out[size:])
	return out, nil
}

func thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
