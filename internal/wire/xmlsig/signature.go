package xmlsig

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"time"
)

// Algorithms and namespaces, by their URIs (W3C XML Signature 1.1 §6, RFC 6931).
const (
	exclusiveC14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
	enveloped     = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	sha256URI     = "http://www.w3.org/2001/04/xmlenc#sha256"
	propertyType  = "http://uri.etsi.org/01903#SignedProperties"
	dsSpace       = "http://www.w3.org/2000/09/xmldsig#"
	xadesSpace    = "http://uri.etsi.org/01903/v1.3.2#"
)

// The signature up to where its parts differ from one to the next. Each part
// that is hashed by itself declares its namespaces itself, once for each element
// that has them first, and so is in exclusive canonical form where it stands.
const (
	signatureStart = `<ds:Signature xmlns:ds="` + dsSpace + `" Id="signature">`
	signatureEnd   = `</ds:Signature>`
	valueStart     = `<ds:SignatureValue>`
	valueEnd       = `</ds:SignatureValue>`
	certStart      = `<ds:X509Certificate>`
	certEnd        = `</ds:X509Certificate>`
	timeStart      = `<xades:SigningTime>`
	timeEnd        = `</xades:SigningTime>`
)

// signature is what differs from one to the next.
type signature struct {
	content [sha256.Size]byte   // digest of the document without the signature
	chain   []*x509.Certificate // the signer's first
	at      time.Time
	value   []byte // as XML has it: two integers one after the other with ECDSA
}

// signedProperties are those of level B-B that TS 119 612 asks for (EN 319
// 132-1 §5.2, §6.3). They stand alone, as they are hashed.
func (s *signature) signedProperties() string {
	sum := sha256.Sum256(s.chain[0].Raw)
	return `<xades:SignedProperties xmlns:xades="` + xadesSpace + `" Id="properties"><xades:SignedSignatureProperties>` +
		timeStart + s.at.UTC().Format(time.RFC3339) + timeEnd +
		`<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>` +
		`<ds:DigestMethod xmlns:ds="` + dsSpace + `" Algorithm="` + sha256URI + `"></ds:DigestMethod>` +
		`<ds:DigestValue xmlns:ds="` + dsSpace + `">` + encode(sum[:]) + `</ds:DigestValue>` +
		`</xades:CertDigest></xades:Cert></xades:SigningCertificateV2></xades:SignedSignatureProperties>` +
		`<xades:SignedDataObjectProperties><xades:DataObjectFormat ObjectReference="#document"><xades:MimeType>text/xml</xades:MimeType>` +
		`</xades:DataObjectFormat></xades:SignedDataObjectProperties></xades:SignedProperties>`
}

// signedInfo is what the key signs.
func (s *signature) signedInfo(a algorithm) string {
	properties := sha256.Sum256([]byte(s.signedProperties()))
	const c14n = `<ds:Transform Algorithm="` + exclusiveC14N + `"></ds:Transform></ds:Transforms>`
	digested := func(sum [sha256.Size]byte) string {
		return `<ds:DigestMethod Algorithm="` + sha256URI + `"></ds:DigestMethod><ds:DigestValue>` + encode(sum[:]) + `</ds:DigestValue></ds:Reference>`
	}
	return `<ds:SignedInfo xmlns:ds="` + dsSpace + `">` +
		`<ds:CanonicalizationMethod Algorithm="` + exclusiveC14N + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + a.uri + `"></ds:SignatureMethod>` +
		`<ds:Reference Id="document" URI=""><ds:Transforms><ds:Transform Algorithm="` + enveloped + `"></ds:Transform>` + c14n + digested(s.content) +
		`<ds:Reference Type="` + propertyType + `" URI="#properties"><ds:Transforms>` + c14n + digested(properties) +
		`</ds:SignedInfo>`
}

// digest is that of a document in parts.
func digest(parts ...[]byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// encode is the whole element.
func (s *signature) encode(a algorithm) []byte {
	var b bytes.Buffer
	b.WriteString(signatureStart + s.signedInfo(a) + valueStart + encode(s.value) + valueEnd + `<ds:KeyInfo><ds:X509Data>`)
	for _, c := range s.chain {
		b.WriteString(certStart + encode(c.Raw) + certEnd)
	}
	b.WriteString(`</ds:X509Data></ds:KeyInfo><ds:Object><xades:QualifyingProperties xmlns:xades="` + xadesSpace + `" Target="#signature">`)
	b.WriteString(s.signedProperties() + `</xades:QualifyingProperties></ds:Object>` + signatureEnd)
	return b.Bytes()
}

// parse takes from an element what differs. That the rest is as it should be,
// and in its place, shows when it is encoded again.
func parse(element string) (s signature, ok bool) {
	value, rest, ok := between(element, valueStart, valueEnd)
	if ok {
		s.value, ok = decode(value)
	}
	for ok && strings.Contains(rest, certStart) && len(s.chain) <= maxChain {
		var text string
		var der []byte
		if text, rest, ok = between(rest, certStart, certEnd); ok {
			der, ok = decode(text)
		}
		c, err := x509.ParseCertificate(der)
		ok = ok && err == nil
		s.chain = append(s.chain, c)
	}
	if !ok || len(s.chain) == 0 || len(s.chain) > maxChain {
		return s, false
	}
	at, _, ok := between(rest, timeStart, timeEnd)
	if !ok {
		return s, false
	}
	var err error
	s.at, err = time.Parse(time.RFC3339, at)
	return s, err == nil
}

// between returns what stands between the first start and the end after it, and
// what comes after both.
func between(s, start, end string) (inside, after string, ok bool) {
	if _, s, ok = strings.Cut(s, start); !ok {
		return "", "", false
	}
	return strings.Cut(s, end)
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func decode(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return b, err == nil
}

// algorithm is a signature algorithm.
type algorithm struct {
	uri  string
	alg  x509.SignatureAlgorithm
	hash crypto.Hash
	size int // bytes of each of the two integers of ECDSA; 0 for RSA
}
