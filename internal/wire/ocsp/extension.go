package ocsp

import (
	"bytes"
	"crypto/x509/pkix"
	encoding "encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// The extensions this package knows (RFC 6960 §4.4, RFC 5280 §5.3): those that
// may be critical where they stand. Only the nonce has an effect; the service
// locator in particular is the client's word, which nobody should follow.
var (
	oidNonce = encoding.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}

	requestExtensions = []encoding.ObjectIdentifier{
		oidNonce,
		{1, 3, 6, 1, 5, 5, 7, 48, 1, 4}, // acceptable response types: there is only the basic one
		{1, 3, 6, 1, 5, 5, 7, 48, 1, 8}, // preferred signature algorithms
	}
	singleRequestExtensions = []encoding.ObjectIdentifier{
		{1, 3, 6, 1, 5, 5, 7, 48, 1, 7}, // service locator
	}
	responseExtensions = []encoding.ObjectIdentifier{
		oidNonce,
		{1, 3, 6, 1, 5, 5, 7, 48, 1, 9}, // extended revoked definition
	}
	singleResponseExtensions = []encoding.ObjectIdentifier{
		{1, 3, 6, 1, 5, 5, 7, 48, 1, 3}, // CRL references
		{1, 3, 6, 1, 5, 5, 7, 48, 1, 6}, // archive cutoff
		{2, 5, 29, 21},                  // reason code
		{2, 5, 29, 24},                  // invalidity date
	}
)

// NonceExtension returns the extension that carries a nonce of 1 to
// [MaxNonceBytes] octets (RFC 9654 §2.1).
func NonceExtension(nonce []byte) pkix.Extension {
	var b cryptobyte.Builder
	b.AddASN1OctetString(nonce)
	return pkix.Extension{Id: oidNonce, Value: b.BytesOrPanic()}
}

// nonce returns the nonce among exts, or nil.
func nonce(exts []pkix.Extension) []byte {
	for _, e := range exts {
		if e.Id.Equal(oidNonce) {
			n, _ := readNonce(e.Value)
			return n
		}
	}
	return nil
}

func readNonce(value []byte) (n []byte, ok bool) {
	in := cryptobyte.String(value)
	var content cryptobyte.String
	ok = in.ReadASN1(&content, asn1.OCTET_STRING) && in.Empty() && len(content) >= 1 && len(content) <= MaxNonceBytes
	return content, ok
}

var errExtensions = fault.New(fault.Invalid, "malformed extensions")

// readExtensions reads the optional Extensions in [tag] at the front of s, and
// refuses a critical one that is not among known.
func readExtensions(s *cryptobyte.String, tag uint8, known []encoding.ObjectIdentifier) ([]pkix.Extension, error) {
	var outer, list cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&outer, &present, explicit(tag)) {
		return nil, errExtensions
	}
	if !present {
		return nil, nil
	}
	if !outer.ReadASN1(&list, asn1.SEQUENCE) || !outer.Empty() || list.Empty() {
		return nil, errExtensions
	}
	var exts []pkix.Extension
	for !list.Empty() {
		var e pkix.Extension
		var fields, value cryptobyte.String
		if len(exts) == maxExtensions || !list.ReadASN1(&fields, asn1.SEQUENCE) || !fields.ReadASN1ObjectIdentifier(&e.Id) {
			return nil, errExtensions
		}
		if fields.PeekASN1Tag(asn1.BOOLEAN) && (!fields.ReadASN1Boolean(&e.Critical) || !e.Critical) {
			return nil, errExtensions // DER leaves FALSE out, being the default
		}
		if !fields.ReadASN1(&value, asn1.OCTET_STRING) || !fields.Empty() {
			return nil, errExtensions
		}
		e.Value = value
		if contains(exts, e.Id) {
			return nil, fault.New(fault.Invalid, "extension %s comes twice", e.Id)
		}
		if e.Critical && !listed(known, e.Id) {
			return nil, fault.New(fault.Invalid, "critical extension %s is not known", e.Id)
		}
		if _, ok := readNonce(e.Value); !ok && e.Id.Equal(oidNonce) {
			return nil, fault.New(fault.Invalid, "nonce: want 1 to %d octets", MaxNonceBytes)
		}
		exts = append(exts, e)
	}
	return exts, nil
}

func contains(exts []pkix.Extension, id encoding.ObjectIdentifier) bool {
	for _, e := range exts {
		if e.Id.Equal(id) {
			return true
		}
	}
	return false
}

func listed(ids []encoding.ObjectIdentifier, id encoding.ObjectIdentifier) bool {
	for _, known := range ids {
		if known.Equal(id) {
			return true
		}
	}
	return false
}

// addExtensions is the counterpart of readExtensions.
func addExtensions(b *cryptobyte.Builder, tag uint8, exts []pkix.Extension) {
	if len(exts) == 0 {
		return
	}
	b.AddASN1(explicit(tag), func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, e := range exts {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(e.Id)
					if e.Critical {
						b.AddASN1Boolean(true)
					}
					b.AddASN1OctetString(e.Value)
				})
			}
		})
	})
}

// sameExtensions reports whether two lists are equal, order included.
func sameExtensions(a, b []pkix.Extension) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].Id.Equal(b[i].Id) || a[i].Critical != b[i].Critical || !bytes.Equal(a[i].Value, b[i].Value) {
			return false
		}
	}
	return true
}

func explicit(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }
