package ocsp

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// Signer is who signs responses: the CA itself, a delegate of it, or a
// responder that clients trust. It is safe for concurrent use if Key is.
type Signer struct {
	Cert *x509.Certificate
	Key  crypto.Signer // RSA, ECDSA or Ed25519; of Cert
}

// Sign signs what t says: ProducedAt, Singles, Extensions. The other fields may
// stay empty: then the responder is named by the key of s, its certificate is
// embedded, and the algorithm is the usual one for its key. Times are cut to the
// second. Errors: Invalid when t cannot be written; those of the key.
func Sign(t *Response, s *Signer) (*Response, error) {
	r := Response{
		Responder: t.Responder, ProducedAt: t.ProducedAt, Singles: t.Singles, Extensions: t.Extensions,
		Certificates: t.Certificates,
	}
	if r.Responder.Name == nil && r.Responder.KeyHash == nil {
		key, err := subjectPublicKey(s.Cert)
		if err != nil {
			return nil, err
		}
		r.Responder.KeyHash = digest(crypto.SHA1, key)
	}
	if r.Certificates == nil {
		r.Certificates = [][]byte{s.Cert.Raw}
	}
	scheme, err := schemeFor(t.Algorithm, s.Key.Public())
	if err != nil {
		return nil, err
	}
	r.algorithm = []byte(scheme.identifiers[0])
	if r.tbs, err = r.encodeTBS(); err != nil {
		return nil, err
	}
	message := r.tbs
	if scheme.hash != 0 {
		message = digest(scheme.hash, r.tbs)
	}
	if r.Signature, err = s.Key.Sign(rand.Reader, message, scheme.options()); err != nil {
		return nil, fault.New(fault.Internal, "signing an OCSP response: %w", err)
	}
	der, err := r.wrap(r.tbs)
	if err != nil {
		return nil, err
	}
	// What left the key is what a client will read, limits included.
	return ParseResponse(der)
}

// ErrorResponse returns the unsigned response with status s, which must not be
// Successful (RFC 6960 §2.3).
func ErrorResponse(s Status) []byte { return []byte{0x30, 0x03, 0x0a, 0x01, byte(s)} }

// Encode returns r in DER, from its fields; for a response that was parsed that
// is Raw again. Errors are Invalid.
func (r *Response) Encode() ([]byte, error) {
	if r.Status != Successful {
		return ErrorResponse(r.Status), nil
	}
	tbs, err := r.encodeTBS()
	if err != nil {
		return nil, err
	}
	return r.wrap(tbs)
}

// wrap puts everything around what is signed.
func (r *Response) wrap(tbs []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 1024))
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(int64(Successful))
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes([]byte(oidBasic))
				b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) { r.addBasic(b, tbs) })
			})
		})
	})
	return built(b)
}

func built(b *cryptobyte.Builder) ([]byte, error) {
	der, err := b.Bytes()
	if err != nil {
		return nil, fault.New(fault.Invalid, "encoding an OCSP response: %w", err)
	}
	return der, nil
}

func (r *Response) addBasic(b *cryptobyte.Builder, tbs []byte) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(r.algorithm)
		b.AddASN1BitString(r.Signature)
		if len(r.Certificates) == 0 {
			return
		}
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, c := range r.Certificates {
					b.AddBytes(c)
				}
			})
		})
	})
}

func (r *Response) encodeTBS() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 512))
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if r.Responder.Name != nil {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { b.AddBytes(r.Responder.Name) })
		} else {
			b.AddASN1(explicit(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(r.Responder.KeyHash) })
		}
		addTime(b, r.ProducedAt)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for i := range r.Singles {
				r.Singles[i].add(b)
			}
		})
		addExtensions(b, 1, r.Extensions)
	})
	return built(b)
}

func (r *SingleResponse) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(r.ID.Raw)
		switch r.Status {
		case Good:
			b.AddASN1(asn1.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
		case Revoked:
			b.AddASN1(explicit(1), r.addRevocation)
		default:
			b.AddASN1(asn1.Tag(2).ContextSpecific(), func(*cryptobyte.Builder) {})
		}
		addTime(b, r.ThisUpdate)
		if !r.NextUpdate.IsZero() {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { addTime(b, r.NextUpdate) })
		}
		addExtensions(b, 1, r.Extensions)
	})
}

func (r *SingleResponse) addRevocation(b *cryptobyte.Builder) {
	addTime(b, r.RevokedAt)
	if r.Reason != Unspecified || r.unspecified {
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(r.Reason)) })
	}
}

func addTime(b *cryptobyte.Builder, t time.Time) { b.AddASN1GeneralizedTime(t.UTC()) }
