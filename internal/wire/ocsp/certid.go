package ocsp

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // the hashes a CertID may use
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// CertID names a certificate by its issuer and serial number (RFC 6960
// §4.1.1). Make it with [NewCertID], or take it from a message.
type CertID struct {
	Hash     crypto.Hash // 0 when this package does not know the algorithm
	NameHash []byte      // of the issuer's name in DER
	KeyHash  []byte      // of the issuer's subjectPublicKey, without tag, length and unused bits
	Serial   *big.Int    // not negative
	Raw      []byte      // DER: an answer echoes what was asked, however it was spelled
}

// hashes are the algorithms of CertIDs, by the content of their object
// identifiers (RFC 5754 §2, RFC 3279 §2.1).
var hashes = [...]struct {
	oid  string
	hash crypto.Hash
}{
	{"\x2b\x0e\x03\x02\x1a", crypto.SHA1},
	{"\x60\x86\x48\x01\x65\x03\x04\x02\x01", crypto.SHA256},
	{"\x60\x86\x48\x01\x65\x03\x04\x02\x02", crypto.SHA384},
	{"\x60\x86\x48\x01\x65\x03\x04\x02\x03", crypto.SHA512},
	{"\x60\x86\x48\x01\x65\x03\x04\x02\x04", crypto.SHA224},
}

// Hashes returns the algorithms a CertID may use.
func Hashes() []crypto.Hash {
	return []crypto.Hash{crypto.SHA1, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512}
}

// NewCertID returns the CertID of the certificate with this serial number
// issued by issuer, hashed with h, one of [Hashes]. Errors are Invalid.
func NewCertID(h crypto.Hash, issuer *x509.Certificate, serial *big.Int) (CertID, error) {
	oid := ""
	for _, known := range hashes {
		if known.hash == h {
			oid = known.oid
		}
	}
	if oid == "" {
		return CertID{}, fault.New(fault.Invalid, "hash algorithm %d: want one of SHA-1, SHA-224, SHA-256, SHA-384, SHA-512", h)
	}
	if serial == nil || serial.Sign() < 0 || serial.BitLen() >= 8*maxSerialBytes {
		return CertID{}, fault.New(fault.Invalid, "serial number: want 0 to %d octets", maxSerialBytes)
	}
	key, err := subjectPublicKey(issuer)
	if err != nil {
		return CertID{}, err
	}
	id := CertID{Hash: h, NameHash: digest(h, issuer.RawSubject), KeyHash: digest(h, key), Serial: serial}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(oid)) })
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(id.NameHash)
		b.AddASN1OctetString(id.KeyHash)
		b.AddASN1BigInt(serial)
	})
	id.Raw, err = b.Bytes()
	return id, err
}

// Equal reports whether all four fields are the same and of a known algorithm.
// Raw may differ: SHA identifiers come with NULL parameters or none.
func (id CertID) Equal(o CertID) bool {
	return id.Hash != 0 && id.Hash == o.Hash && bytes.Equal(id.NameHash, o.NameHash) &&
		bytes.Equal(id.KeyHash, o.KeyHash) && id.Serial.Cmp(o.Serial) == 0
}

// IssuedBy reports whether issuer is the one id names, by name and key.
func (id CertID) IssuedBy(issuer *x509.Certificate) bool {
	own, err := NewCertID(id.Hash, issuer, id.Serial)
	return err == nil && own.Equal(id)
}

func readCertID(s *cryptobyte.String, id *CertID) bool {
	var element, fields, algorithm, oid, name, key, serial cryptobyte.String
	if !s.ReadASN1Element(&element, asn1.SEQUENCE) {
		return false
	}
	id.Raw, id.Serial = element, new(big.Int)
	if !element.ReadASN1(&fields, asn1.SEQUENCE) ||
		!fields.ReadASN1(&algorithm, asn1.SEQUENCE) ||
		!algorithm.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
		!fields.ReadASN1(&name, asn1.OCTET_STRING) ||
		!fields.ReadASN1(&key, asn1.OCTET_STRING) ||
		!fields.ReadASN1Element(&serial, asn1.INTEGER) || len(serial) > 2+maxSerialBytes ||
		!serial.ReadASN1Integer(id.Serial) || id.Serial.Sign() < 0 || !fields.Empty() {
		return false
	}
	id.NameHash, id.KeyHash = name, key
	for _, known := range hashes {
		if string(oid) != known.oid {
			continue
		}
		id.Hash = known.hash
		return (algorithm.Empty() || isNull(algorithm)) && len(name) == id.Hash.Size() && len(key) == id.Hash.Size()
	}
	return true
}

func isNull(der []byte) bool { return string(der) == "\x05\x00" }

func digest(h crypto.Hash, data []byte) []byte {
	w := h.New()
	w.Write(data)
	return w.Sum(nil)
}

// subjectPublicKey returns the content of the BIT STRING that identifiers of
// keys hash (RFC 6960 §4.1.1, §4.2.2.3).
func subjectPublicKey(c *x509.Certificate) ([]byte, error) {
	in := cryptobyte.String(c.RawSubjectPublicKeyInfo)
	var info, algorithm cryptobyte.String
	var key []byte
	if !in.ReadASN1(&info, asn1.SEQUENCE) || !info.ReadASN1(&algorithm, asn1.SEQUENCE) ||
		!info.ReadASN1BitStringAsBytes(&key) {
		return nil, fault.New(fault.Invalid, "malformed public key of %q", c.Subject)
	}
	return key, nil
}
