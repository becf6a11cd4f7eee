package cms

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

const (
	oidAES256CBC = "\x60\x86\x48\x01\x65\x03\x04\x01\x2a" // 2.16.840.1.101.3.4.1.42
	keyBytes     = 32
)

// oaep is the identifier of RSAES-OAEP with SHA-256 (RFC 3560 §2). The older
// PKCS #1 v1.5 transport is left out: whoever decrypts it tells strangers
// something about every message, however careful.
func oaep(hash cryptobyte.BuilderContinuation) string {
	return identifier(oidOAEP, func(b *cryptobyte.Builder) { addHashAndMask(b, hash) })
}

// Encrypt returns EnvelopedData for recipients with RSA keys (RFC 5652 §6), in
// DER: AES-256 in CBC mode, its key transported with RSAES-OAEP. An error is
// Invalid when there is no recipient, or one with another kind of key.
//
// It hides the content but does not authenticate it: sign first.
func Encrypt(content []byte, recipients []*x509.Certificate) ([]byte, error) {
	if len(recipients) == 0 || len(recipients) > maxRecipients {
		return nil, fault.New(fault.Invalid, "encrypting to %d recipients: want 1 to %d", len(recipients), maxRecipients)
	}
	key, iv := make([]byte, keyBytes), make([]byte, aes.BlockSize)
	_, _ = rand.Read(key) // never fails
	_, _ = rand.Read(iv)
	infos := make([][]byte, len(recipients))
	for i, c := range recipients {
		var err error
		if infos[i], err = recipientInfo(c, key); err != nil {
			return nil, fmt.Errorf("encrypting to %q: %w", c.Subject, err)
		}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(content)%aes.BlockSize // RFC 5652 §6.3
	padded := append(bytes.Clone(content), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(padded, padded)
	return wrap(oidEnvelopedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		addSet(b, asn1.SET, infos)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addOID(b, oidData)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addOID(b, oidAES256CBC)
				b.AddASN1OctetString(iv)
			})
			b.AddASN1(context0, func(b *cryptobyte.Builder) { b.AddBytes(padded) })
		})
	})
}

// recipientInfo is a KeyTransRecipientInfo (RFC 5652 §6.2.1).
func recipientInfo(c *x509.Certificate, key []byte) ([]byte, error) {
	pub, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fault.New(fault.Invalid, "a key of type %T cannot receive here, only RSA", c.PublicKey)
	}
	encrypted, err := rsa.EncryptOAEP(digests[0].hash.New(), rand.Reader, pub, key, nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	return element(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		addIssuerAndSerial(b, c)
		b.AddBytes([]byte(oaep(digests[0].addWithNull)))
		b.AddASN1OctetString(encrypted)
	})
}

// Decrypt returns the content of EnvelopedData as Encrypt makes it. cert says
// which recipient key belongs to; key is an RSA key from any provider.
// Errors: ErrFormat, ErrDecrypt.
func Decrypt(der []byte, cert *x509.Certificate, key crypto.Decrypter) ([]byte, error) {
	var version int
	var infos, info, body, oid, id, cipherOID, iv, encrypted cryptobyte.String
	seq, ok := unwrap(der, oidEnvelopedData)
	if !ok || !seq.ReadASN1Integer(&version) || version != 0 || !seq.ReadASN1(&infos, asn1.SET) ||
		!seq.ReadASN1(&body, asn1.SEQUENCE) || !seq.Empty() ||
		!body.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || string(oid) != oidData ||
		!body.ReadASN1(&id, asn1.SEQUENCE) || !body.ReadASN1(&encrypted, context0) || !body.Empty() ||
		!id.ReadASN1(&cipherOID, asn1.OBJECT_IDENTIFIER) || string(cipherOID) != oidAES256CBC ||
		!id.ReadASN1(&iv, asn1.OCTET_STRING) || len(iv) != aes.BlockSize || !id.Empty() {
		return nil, fmt.Errorf("%w: not EnvelopedData with AES-256 in CBC mode", ErrFormat)
	}
	var transported cryptobyte.String
	for n := 0; !infos.Empty(); n++ {
		if n == maxRecipients || !infos.ReadASN1(&info, asn1.SEQUENCE) {
			return nil, fmt.Errorf("%w: not recipients by key transport", ErrFormat)
		}
		// The others may have been given the key in another way.
		if is, key, ok := parseRecipientInfo(info); ok && is(cert) {
			transported = key
		}
	}
	secret, err := key.Decrypt(rand.Reader, transported, &rsa.OAEPOptions{Hash: digests[0].hash})
	if err != nil || len(secret) != keyBytes || len(encrypted) == 0 || len(encrypted)%aes.BlockSize != 0 {
		return nil, ErrDecrypt
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(encrypted))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, encrypted)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.HasSuffix(plain, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, ErrDecrypt
	}
	return plain[:len(plain)-pad], nil
}

func parseRecipientInfo(info cryptobyte.String) (is func(*x509.Certificate) bool, key cryptobyte.String, ok bool) {
	var version int
	var id cryptobyte.String
	if !info.ReadASN1Integer(&version) || version != 0 {
		return nil, nil, false
	}
	is, ok = readIssuerAndSerial(&info)
	// OpenSSL leaves the NULL out.
	ok = ok && info.ReadASN1Element(&id, asn1.SEQUENCE) &&
		(string(id) == oaep(digests[0].addWithNull) || string(id) == oaep(digests[0].addTo)) &&
		info.ReadASN1(&key, asn1.OCTET_STRING) && info.Empty()
	return is, key, ok
}
