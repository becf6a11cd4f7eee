package ocsp

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"net/url"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// Request asks for the status of 1 to [MaxCertIDs] certificates (RFC 6960
// §4.1.1).
type Request struct {
	Singles    []SingleRequest
	Extensions []pkix.Extension
	// RequestorName is a GeneralName, and Signature a Signature, both in DER and
	// nil when absent. They are the client's word: nobody checked them.
	RequestorName, Signature []byte
}

// SingleRequest asks for one certificate.
type SingleRequest struct {
	ID         CertID
	Extensions []pkix.Extension
}

// NewRequest returns a request for these certificates, without extensions.
func NewRequest(ids ...CertID) *Request {
	r := &Request{Singles: make([]SingleRequest, len(ids))}
	for i, id := range ids {
		r.Singles[i].ID = id
	}
	return r
}

var errRequest = fault.New(fault.Invalid, "malformed OCSP request")

// Nonce returns the nonce, or nil when there is none (RFC 9654).
func (r *Request) Nonce() []byte { return nonce(r.Extensions) }

// ParseRequest reads one request and nothing behind it. The result keeps der.
// Errors are Invalid; so are unknown critical extensions.
func ParseRequest(der []byte) (*Request, error) {
	if len(der) > MaxRequestBytes {
		return nil, fault.New(fault.Invalid, "OCSP request of %d bytes: want at most %d", len(der), MaxRequestBytes)
	}
	in := cryptobyte.String(der)
	var outer, tbs, name, list, signature cryptobyte.String
	var named, signed bool
	// version [0] is DEFAULT v1 and there is no other, so DER never has it.
	if !in.ReadASN1(&outer, asn1.SEQUENCE) || !in.Empty() ||
		!outer.ReadASN1(&tbs, asn1.SEQUENCE) ||
		!outer.ReadOptionalASN1(&signature, &signed, explicit(0)) || !outer.Empty() ||
		!tbs.ReadOptionalASN1(&name, &named, explicit(1)) ||
		!tbs.ReadASN1(&list, asn1.SEQUENCE) || list.Empty() ||
		named && !isElement(name) || signed && !isElement(signature) {
		return nil, errRequest
	}
	r := &Request{RequestorName: name, Signature: signature, Singles: make([]SingleRequest, 0, 1)}
	for !list.Empty() {
		if len(r.Singles) == MaxCertIDs {
			return nil, fault.New(fault.Invalid, "OCSP request for too many certificates: want at most %d", MaxCertIDs)
		}
		s, err := readSingleRequest(&list)
		if err != nil {
			return nil, err
		}
		r.Singles = append(r.Singles, s)
	}
	var err error
	if r.Extensions, err = readExtensions(&tbs, 2, requestExtensions); err != nil {
		return nil, err
	}
	if !tbs.Empty() {
		return nil, errRequest
	}
	return r, nil
}

func readSingleRequest(list *cryptobyte.String) (s SingleRequest, err error) {
	var fields cryptobyte.String
	if !list.ReadASN1(&fields, asn1.SEQUENCE) || !readCertID(&fields, &s.ID) {
		return s, errRequest
	}
	if s.Extensions, err = readExtensions(&fields, 0, singleRequestExtensions); err == nil && !fields.Empty() {
		err = errRequest
	}
	return s, err
}

// isElement reports whether s is exactly one DER element.
func isElement(s cryptobyte.String) bool {
	var element cryptobyte.String
	return s.ReadAnyASN1Element(&element, nil) && s.Empty()
}

// ParseGET reads the request in the escaped path of a GET, below the
// responder's own URL (RFC 6960 appendix A.1). Clients spell base64 in many
// ways: escaped or not, with a slash too many in front, without padding, with
// blanks where a plus was taken for one. Errors are Invalid.
func ParseGET(escapedPath string) (*Request, error) {
	if len(escapedPath) > 4*MaxRequestBytes {
		return nil, fault.New(fault.Invalid, "OCSP request in a path of %d bytes: want at most %d", len(escapedPath), 4*MaxRequestBytes)
	}
	path, err := url.PathUnescape(escapedPath)
	if err != nil {
		return nil, fault.New(fault.Invalid, "unescaping the path of an OCSP request: %w", err)
	}
	path = strings.TrimRight(strings.TrimLeft(path, "/"), "=")
	der, err := base64.RawStdEncoding.DecodeString(strings.ReplaceAll(path, " ", "+"))
	if err != nil {
		return nil, fault.New(fault.Invalid, "decoding the path of an OCSP request: %w", err)
	}
	return ParseRequest(der)
}

// Encode returns r in DER. Errors are Invalid.
func (r *Request) Encode() ([]byte, error) {
	if len(r.Singles) == 0 || len(r.Singles) > MaxCertIDs {
		return nil, fault.New(fault.Invalid, "OCSP request for %d certificates: want 1 to %d", len(r.Singles), MaxCertIDs)
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 128))
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if r.RequestorName != nil {
				b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { b.AddBytes(r.RequestorName) })
			}
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, s := range r.Singles {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddBytes(s.ID.Raw)
						addExtensions(b, 0, s.Extensions)
					})
				}
			})
			addExtensions(b, 2, r.Extensions)
		})
		if r.Signature != nil {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddBytes(r.Signature) })
		}
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fault.New(fault.Invalid, "encoding an OCSP request: %w", err)
	}
	return der, nil
}
