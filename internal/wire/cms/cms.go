// Package cms reads and writes the parts of the Cryptographic Message Syntax
// (RFC 5652) that the bridge needs: SignedData with one signer, for the signed
// list; SignedData without any, for bundles of certificates; and EnvelopedData,
// for encrypted mail.
//
// Of what is signed or encrypted it takes DER only, and only what it writes
// itself: a message whose bytes could be changed without anybody noticing is
// refused. Verify leaves nothing unsigned but what the chain to a root vouches
// for. Bundles, for which nothing vouches, are taken as others write them.
package cms

import (
	"crypto"
	"crypto/x509"
	"time"

	"bridge.example/internal/fault"
)

// Bounds on what is read.
const (
	maxBytes             = 64 << 20 // of a whole message
	maxBundle            = 50_000   // certificates in a bundle
	maxChain             = 16       // certificates beside a signature
	maxAttributes        = 32
	maxAttributeValues   = 32
	maxRecipients        = 1000
	maxSerialNumberBytes = 64
)

// Reasons for refusing a message, all of them Invalid.
var (
	// ErrFormat: the bytes are not DER of the type expected, or exceed a bound.
	ErrFormat = fault.New(fault.Invalid, "malformed CMS message")
	// ErrSignature: digest, signature or signed attributes do not fit.
	ErrSignature = fault.New(fault.Invalid, "signature does not hold")
	// ErrSigner: the signature may hold, but not that of somebody trusted.
	ErrSigner = fault.New(fault.Invalid, "signer is not trusted")
	// ErrDecrypt: the message is not for this key, or was damaged. One error
	// for all causes, since telling them apart would help an attacker.
	ErrDecrypt = fault.New(fault.Invalid, "message cannot be decrypted with this key")
)

// Signer is who signs: a certificate, its key, and the certificates between it
// and the root. A self-signed root in Chain is not sent along: whoever verifies
// must have it already, and software that does not backtrack trips over it.
type Signer struct {
	Cert  *x509.Certificate
	Chain []*x509.Certificate
	Key   crypto.Signer // RSA, or ECDSA on P-256, P-384 or P-521; any provider
}

// Attribute is a signed attribute (RFC 5652 §5.3).
type Attribute struct {
	Type   x509.OID
	Values [][]byte // DER, at least one
}

// Verified is what a signature vouches for.
type Verified struct {
	ContentType x509.OID
	Content     []byte
	Signer      *x509.Certificate
	Chain       []*x509.Certificate // signer first, root last; the shortest there is
	SigningTime time.Time           // as the signer claims
	// Attributes are the signed attributes other than those every message has:
	// content type, digest, signing time and signing certificate.
	Attributes []Attribute
}

// Data is id-data, the type of content without a type of its own
// (RFC 5652 §4).
func Data() x509.OID { return parseOID(oidData) }
