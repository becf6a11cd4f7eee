package ocsp

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// Response is an OCSPResponse with a BasicOCSPResponse in it (RFC 6960 §4.2.1).
// One that was parsed proves nothing before it is checked; see
// [Response.Check].
type Response struct {
	Status Status // unless it is Successful, all else is empty

	Responder  ResponderID
	ProducedAt time.Time // UTC, whole seconds
	Singles    []SingleResponse
	Extensions []pkix.Extension

	Algorithm    x509.SignatureAlgorithm // UnknownSignatureAlgorithm when this package does not verify it
	Signature    []byte
	Certificates [][]byte // DER, as embedded; not necessarily well-formed

	// Raw is the whole message, to be passed on as it came.
	Raw []byte

	tbs, algorithm []byte // as signed
}

// ResponderID names who signed: one of its fields is set.
type ResponderID struct {
	Name    []byte // DER of the Name
	KeyHash []byte // SHA-1 of the subjectPublicKey
}

// SingleResponse is what a response says of one certificate.
type SingleResponse struct {
	ID         CertID
	Status     CertStatus
	RevokedAt  time.Time // when Revoked
	Reason     Reason    // when Revoked; Unspecified when absent
	ThisUpdate time.Time // UTC, whole seconds, as all times here
	NextUpdate time.Time // zero when absent
	Extensions []pkix.Extension

	unspecified bool // the reason is written although it says nothing
}

var errResponse = fault.New(fault.Invalid, "malformed OCSP response")

// oidBasic is the element id-pkix-ocsp-basic.
const oidBasic = "\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01"

// Nonce returns the nonce, or nil when there is none (RFC 9654).
func (r *Response) Nonce() []byte { return nonce(r.Extensions) }

// ParseResponse reads one response and nothing behind it. The result keeps der.
// Errors are Invalid; so are unknown critical extensions.
func ParseResponse(der []byte) (*Response, error) {
	if len(der) > MaxResponseBytes {
		return nil, fault.New(fault.Invalid, "OCSP response of %d bytes: want at most %d", len(der), MaxResponseBytes)
	}
	in := cryptobyte.String(der)
	var outer, element, content, oid, basic cryptobyte.String
	var status int
	var present bool
	if !in.ReadASN1(&outer, asn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1Enum(&status) ||
		status < 0 || status > 255 || !Status(status).known() ||
		!outer.ReadOptionalASN1(&element, &present, explicit(0)) || !outer.Empty() ||
		present != (Status(status) == Successful) {
		return nil, errResponse
	}
	r := &Response{Status: Status(status), Raw: der}
	if !present {
		return r, nil
	}
	if !element.ReadASN1(&content, asn1.SEQUENCE) || !element.Empty() ||
		!content.ReadASN1Element(&oid, asn1.OBJECT_IDENTIFIER) || string(oid) != oidBasic ||
		!content.ReadASN1(&basic, asn1.OCTET_STRING) || !content.Empty() {
		return nil, errResponse
	}
	return r, r.readBasic(basic)
}

func (r *Response) readBasic(in cryptobyte.String) error {
	var basic, tbs, algorithm, certificates, list cryptobyte.String
	var present bool
	if !in.ReadASN1(&basic, asn1.SEQUENCE) || !in.Empty() ||
		!basic.ReadASN1Element(&tbs, asn1.SEQUENCE) ||
		!basic.ReadASN1Element(&algorithm, asn1.SEQUENCE) ||
		!basic.ReadASN1BitStringAsBytes(&r.Signature) ||
		!basic.ReadOptionalASN1(&certificates, &present, explicit(0)) || !basic.Empty() {
		return errResponse
	}
	if present && (!certificates.ReadASN1(&list, asn1.SEQUENCE) || !certificates.Empty() || list.Empty()) {
		return errResponse
	}
	for !list.Empty() {
		var c cryptobyte.String
		if len(r.Certificates) == maxCertificates || !list.ReadASN1Element(&c, asn1.SEQUENCE) {
			return errResponse
		}
		r.Certificates = append(r.Certificates, c)
	}
	r.tbs, r.algorithm, r.Algorithm = tbs, algorithm, algorithmOf(algorithm)
	return r.readTBS(tbs)
}

func (r *Response) readTBS(in cryptobyte.String) (err error) {
	var data, list cryptobyte.String
	// version [0] is DEFAULT v1 and there is no other, so DER never has it.
	if !in.ReadASN1(&data, asn1.SEQUENCE) || !r.Responder.read(&data) ||
		!readTime(&data, &r.ProducedAt) ||
		!data.ReadASN1(&list, asn1.SEQUENCE) || list.Empty() {
		return errResponse
	}
	for !list.Empty() {
		if len(r.Singles) == maxSingles {
			return fault.New(fault.Invalid, "OCSP response for too many certificates: want at most %d", maxSingles)
		}
		var s SingleResponse
		if err := s.read(&list); err != nil {
			return err
		}
		r.Singles = append(r.Singles, s)
	}
	if r.Extensions, err = readExtensions(&data, 1, responseExtensions); err == nil && !data.Empty() {
		err = errResponse
	}
	return err
}

func (id *ResponderID) read(s *cryptobyte.String) bool {
	var content, value cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&content, &tag) {
		return false
	}
	switch tag {
	case explicit(1):
		id.Name = content
		return content.ReadASN1(&value, asn1.SEQUENCE) && content.Empty()
	case explicit(2):
		ok := content.ReadASN1(&value, asn1.OCTET_STRING) && content.Empty() && len(value) == 20
		id.KeyHash = value
		return ok
	}
	return false
}

func (r *SingleResponse) read(list *cryptobyte.String) (err error) {
	var fields, status, next cryptobyte.String
	var tag asn1.Tag
	var present bool
	if !list.ReadASN1(&fields, asn1.SEQUENCE) || !readCertID(&fields, &r.ID) ||
		!fields.ReadAnyASN1(&status, &tag) || !r.readStatus(status, tag) ||
		!readTime(&fields, &r.ThisUpdate) ||
		!fields.ReadOptionalASN1(&next, &present, explicit(0)) ||
		present && (!readTime(&next, &r.NextUpdate) || !next.Empty()) {
		return errResponse
	}
	if r.Extensions, err = readExtensions(&fields, 1, singleResponseExtensions); err == nil && !fields.Empty() {
		err = errResponse
	}
	return err
}

func (r *SingleResponse) readStatus(s cryptobyte.String, tag asn1.Tag) bool {
	switch tag {
	case asn1.Tag(0).ContextSpecific():
		r.Status = Good
		return s.Empty()
	case asn1.Tag(2).ContextSpecific():
		r.Status = Unknown
		return s.Empty()
	case explicit(1):
		r.Status = Revoked
		var reason cryptobyte.String
		var present bool
		var n int
		if !readTime(&s, &r.RevokedAt) || !s.ReadOptionalASN1(&reason, &present, explicit(0)) || !s.Empty() {
			return false
		}
		if present && (!reason.ReadASN1Enum(&n) || !reason.Empty() || n < 0 || n > 255 || !Reason(n).known()) {
			return false
		}
		r.Reason, r.unspecified = Reason(n), present && n == 0
		return true
	}
	return false
}

// readTime reads a GeneralizedTime in UTC, without fractions (RFC 5280
// §4.1.2.5.2).
func readTime(s *cryptobyte.String, t *time.Time) bool {
	return s.ReadASN1GeneralizedTime(t) && t.Location() == time.UTC
}

// Single returns what r says of id. Identical repetitions count once. It checks
// nothing else. Errors: ErrOtherCert, ErrContradiction.
func (r *Response) Single(id CertID) (*SingleResponse, error) {
	var found *SingleResponse
	for i := range r.Singles {
		s := &r.Singles[i]
		switch {
		case !s.ID.Equal(id):
		case found == nil:
			found = s
		case !found.same(s):
			return nil, ErrContradiction
		}
	}
	if found == nil {
		return nil, ErrOtherCert
	}
	return found, nil
}

// same reports whether two answers about one certificate say the same.
func (r *SingleResponse) same(o *SingleResponse) bool {
	return r.Status == o.Status && r.Reason == o.Reason && r.RevokedAt.Equal(o.RevokedAt) &&
		r.ThisUpdate.Equal(o.ThisUpdate) && r.NextUpdate.Equal(o.NextUpdate) &&
		sameExtensions(r.Extensions, o.Extensions)
}

// sentBy reports whether id names this certificate, by name or by key.
func (id ResponderID) sentBy(c *x509.Certificate, keyHash []byte) bool {
	if id.Name != nil {
		return bytes.Equal(id.Name, c.RawSubject)
	}
	return id.KeyHash != nil && bytes.Equal(id.KeyHash, keyHash)
}
