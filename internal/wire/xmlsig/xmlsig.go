// Package xmlsig signs XML documents that the bridge writes itself, with one
// enveloped XAdES baseline signature (ETSI EN 319 132-1, level B-B), and
// verifies such documents.
//
// Both take documents in exclusive canonical form only, as the [Reader] defines
// it, and a signature only byte for byte as it is written here. So what is
// hashed are the bytes at hand: there is nothing to canonicalise, no second
// spelling of the same document, and no place in it where a byte could be changed
// unnoticed. Other software verifies these documents like any others.
package xmlsig

import (
	"crypto"
	"crypto/x509"
	"slices"
	"time"

	"bridge.example/internal/fault"
)

// Bounds on what is read.
const (
	maxBytes      = 128 << 20 // of a whole document
	maxDepth      = 32        // elements in one another
	maxAttributes = 16        // of one element, namespace declarations included
	maxName       = 128       // bytes of a name
	maxChain      = 16        // certificates in a signature
)

// Reasons for refusing a document, all of them Invalid.
var (
	// ErrFormat: not XML in canonical form with a signature at its end, or one
	// that exceeds a bound.
	ErrFormat = fault.New(fault.Invalid, "malformed signed XML")
	// ErrSignature: the signature is not one of this document.
	ErrSignature = fault.New(fault.Invalid, "signature does not hold")
)

// Signer is who signs: a certificate, its key, and the certificates between it
// and the root. A self-signed root in Chain is not sent along: whoever verifies
// must have it already.
type Signer struct {
	Cert  *x509.Certificate
	Chain []*x509.Certificate
	Key   crypto.Signer // RSA, or ECDSA on P-256, P-384 or P-521; any provider
}

// Verified is what a signature vouches for.
type Verified struct {
	before, after []byte // the signature, in the document

	Signer      *x509.Certificate
	Others      []*x509.Certificate // that came with it; the signature does not cover them
	SigningTime time.Time           // as the signer claims
}

// Reader reads the document without its signature.
func (v *Verified) Reader() *Reader {
	return newReader(v.before, v.after)
}

// Content is the document without its signature, in memory of its own.
func (v *Verified) Content() []byte { return slices.Concat(v.before, v.after) }
