package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// SignOptions says how to sign. The zero value works.
type SignOptions struct {
	At         time.Time   // the signing time claimed, in whole seconds; now when zero
	Attributes []Attribute // signed beside those every message has
	PSS        bool        // RSASSA-PSS instead of PKCS #1 v1.5 with an RSA key
}

// Sign returns SignedData with content inside (RFC 5652 §5), in DER: version 3
// unless contentType is [Data], one signer named by issuer and serial number,
// and as signed attributes content type, message digest, signing time, the
// hash of the signing certificate (RFC 5035 §3) and those of the caller.
//
// An error is Invalid when key and certificate do not belong together, the key
// is of no use here, or an attribute occurs twice; else it is that of the key.
func Sign(content []byte, contentType x509.OID, s Signer, o SignOptions) ([]byte, error) {
	if pub, ok := s.Key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(s.Cert.PublicKey) {
		return nil, fault.New(fault.Invalid, "signing: the key does not belong to the certificate of %q", s.Cert.Subject)
	}
	alg, opts, err := choose(s.Key.Public(), o.PSS)
	if err != nil {
		return nil, err
	}
	if o.At.IsZero() {
		o.At = time.Now()
	}
	attributes, err := signedAttributes(alg.digest.sum(content), octets(contentType), s.Cert, o)
	if err != nil {
		return nil, err
	}
	// What is signed has the tag of a SET, not the one inside the message
	// (RFC 5652 §5.4).
	var toSign cryptobyte.Builder
	addSet(&toSign, asn1.SET, attributes)
	signature, err := crypto.SignMessage(s.Key, rand.Reader, toSign.BytesOrPanic(), opts)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return wrap(oidSignedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(int64(version(octets(contentType))))
		b.AddASN1(asn1.SET, alg.digest.addTo)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addOID(b, octets(contentType))
			b.AddASN1(context0Container, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
		})
		addSet(b, context0Container, s.bag())
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				addIssuerAndSerial(b, s.Cert)
				alg.digest.addTo(b)
				addSet(b, context0Container, attributes)
				b.AddBytes([]byte(alg.id))
				b.AddASN1OctetString(signature)
			})
		})
	})
}

// version is that of SignedData with a signer named by issuer and serial number
// (RFC 5652 §5.1).
func version(contentType string) int {
	if contentType == oidData {
		return 1
	}
	return 3
}

// bag returns the certificates to send along.
func (s Signer) bag() [][]byte {
	bag := [][]byte{s.Cert.Raw}
	for _, c := range s.Chain {
		selfSigned := bytes.Equal(c.RawIssuer, c.RawSubject) &&
			c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
		if !selfSigned {
			bag = append(bag, c.Raw)
		}
	}
	return bag
}

// signedAttributes returns each signed attribute in DER.
func signedAttributes(digest []byte, contentType string, signer *x509.Certificate, o SignOptions) ([][]byte, error) {
	hash := digests[0].sum(signer.Raw)
	var out [][]byte
	seen := map[string]bool{}
	add := func(oid string, values ...[]byte) error {
		if oid == "" || seen[oid] || len(values) == 0 {
			return fault.New(fault.Invalid, "signing: attribute %s without type or value, or more than once", parseOID(oid))
		}
		seen[oid] = true
		der, err := element(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addOID(b, oid)
			addSet(b, asn1.SET, values)
		})
		out = append(out, der)
		return err
	}
	for _, a := range []struct {
		oid   string
		value cryptobyte.BuilderContinuation
	}{
		{oidContentType, func(b *cryptobyte.Builder) { addOID(b, contentType) }},
		{oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest) }},
		{oidSigningTime, func(b *cryptobyte.Builder) { addTime(b, o.At) }},
		{oidSigningCertificateV2, func(b *cryptobyte.Builder) {
			// SigningCertificateV2 > certs > ESSCertIDv2; SHA-256 is its default.
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1OctetString(hash) })
				})
			})
		}},
	} {
		var b cryptobyte.Builder
		a.value(&b)
		value, err := b.Bytes()
		if err != nil {
			return nil, fault.New(fault.Invalid, "signing: %w", err)
		}
		if err := add(a.oid, value); err != nil {
			return nil, err
		}
	}
	for _, a := range o.Attributes {
		if err := add(octets(a.Type), a.Values...); err != nil {
			return nil, err
		}
	}
	return out, nil
}
