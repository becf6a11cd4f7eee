package cms

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// signedData is a message taken apart, nothing of it checked.
type signedData struct {
	version                                       int
	digests, contentType, content, certs, signers cryptobyte.String
	hasContent                                    bool
}

func parseSignedData(der []byte) (d signedData, ok bool) {
	var encap, explicit cryptobyte.String
	seq, ok := unwrap(der, oidSignedData)
	ok = ok && seq.ReadASN1Integer(&d.version) && seq.ReadASN1(&d.digests, asn1.SET) &&
		seq.ReadASN1(&encap, asn1.SEQUENCE) && encap.ReadASN1(&d.contentType, asn1.OBJECT_IDENTIFIER) &&
		encap.ReadOptionalASN1(&explicit, &d.hasContent, context0Container) && encap.Empty() &&
		(!d.hasContent || explicit.ReadASN1(&d.content, asn1.OCTET_STRING) && explicit.Empty()) &&
		seq.ReadOptionalASN1(&d.certs, nil, context0Container) &&
		seq.ReadASN1(&d.signers, asn1.SET) && seq.Empty()
	return d, ok
}

// signerInfo is RFC 5652 §5.3.
type signerInfo struct {
	is         func(*x509.Certificate) bool
	algorithm  algorithm
	signed     []byte // the attributes as they were signed
	attributes []Attribute
	signature  cryptobyte.String
}

// parseSignerInfo reads the one signer of d, whose digest must be the one
// announced before the content.
func parseSignerInfo(d signedData) (s signerInfo, ok bool) {
	var version int
	var seq, attributes, id cryptobyte.String
	signers, digests := d.signers, d.digests
	if !signers.ReadASN1(&seq, asn1.SEQUENCE) || !signers.Empty() || !seq.ReadASN1Integer(&version) || version != 1 {
		return s, false
	}
	if s.is, ok = readIssuerAndSerial(&seq); !ok {
		return s, false
	}
	if !bytes.HasPrefix(seq, digests) { // the same bytes in both places
		return s, false
	}
	hash, ok := readDigest(&seq)
	if !ok || !digests.SkipASN1(asn1.SEQUENCE) || !digests.Empty() ||
		!seq.ReadASN1Element(&attributes, context0Container) || !seq.ReadASN1Element(&id, asn1.SEQUENCE) ||
		!seq.ReadASN1(&s.signature, asn1.OCTET_STRING) || !seq.Empty() {
		return s, false
	}
	s.signed = bytes.Clone(attributes)
	s.signed[0] = byte(asn1.SET) // RFC 5652 §5.4
	if s.attributes, ok = parseAttributes(s.signed); !ok {
		return s, false
	}
	i := slices.IndexFunc(algorithms, func(a algorithm) bool { return a.digest == hash && a.id == string(id) })
	if i < 0 {
		return s, false
	}
	s.algorithm = algorithms[i]
	return s, true
}

// parseAttributes reads a SET of attributes, each type once.
func parseAttributes(der []byte) (as []Attribute, ok bool) {
	set, ok := content(der, asn1.SET)
	for ok && !set.Empty() {
		var seq, oid, values, value cryptobyte.String
		var a Attribute
		if !set.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
			a.Type.UnmarshalBinary(oid) != nil || !seq.ReadASN1(&values, asn1.SET) || !seq.Empty() || values.Empty() {
			return nil, false
		}
		for !values.Empty() {
			if !values.ReadAnyASN1Element(&value, nil) || len(a.Values) == maxAttributeValues {
				return nil, false
			}
			a.Values = append(a.Values, value)
		}
		if len(as) == maxAttributes || slices.ContainsFunc(as, func(b Attribute) bool { return b.Type.Equal(a.Type) }) {
			return nil, false
		}
		as = append(as, a)
	}
	return as, ok
}

// Verify checks SignedData with its content inside and one signer, who must
// chain to one of roots at the instant at and may sign (key usage), whatever
// the extended usage: that is for the caller to ask of the result.
//
// Everything Sign writes must be there, and nothing unsigned may be: no
// unsigned attributes, no CRLs, no certificate that is not part of a chain or
// links keys of a CA in it: a signer who is a root comes alone.
// The result refers to der. Errors: ErrFormat, ErrSignature, ErrSigner.
func Verify(der []byte, roots *x509.CertPool, at time.Time) (*Verified, error) {
	d, ok := parseSignedData(der)
	if !ok || !d.hasContent || d.version != version(string(d.contentType)) {
		return nil, fmt.Errorf("%w: not SignedData with content", ErrFormat)
	}
	s, ok := parseSignerInfo(d)
	if !ok {
		return nil, fmt.Errorf("%w: not one signer of the form required", ErrFormat)
	}
	certs, err := parseCertificates(d.certs, maxChain)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(certs, s.is)
	if i < 0 {
		return nil, fmt.Errorf("%w: its certificate is not in the message", ErrSigner)
	}
	v := &Verified{ContentType: parseOID(string(d.contentType)), Content: d.content, Signer: certs[i]}
	if err := v.Signer.CheckSignature(s.algorithm.alg, s.signed, s.signature); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if err := v.take(s, string(d.contentType)); err != nil {
		return nil, err
	}
	v.Chain, err = Chain(v.Signer, certs, roots, at)
	return v, err
}

// take checks the attributes every message has, and keeps the others.
func (v *Verified) take(s signerInfo, contentType string) error {
	var found int
	for _, a := range s.attributes {
		value := cryptobyte.String(a.Values[0])
		var ok bool
		switch octets(a.Type) {
		case oidContentType:
			var oid cryptobyte.String
			ok = value.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) && string(oid) == contentType
		case oidMessageDigest:
			var sum cryptobyte.String
			ok = value.ReadASN1(&sum, asn1.OCTET_STRING) && bytes.Equal(sum, s.algorithm.sum(v.Content))
		case oidSigningTime:
			v.SigningTime, ok = readTime(&value)
		case oidSigningCertificateV2:
			ok = isSigningCertificate(&value, v.Signer)
		default:
			v.Attributes = append(v.Attributes, a)
			continue
		}
		if !ok || !value.Empty() || len(a.Values) != 1 {
			return fmt.Errorf("%w: attribute %s does not fit", ErrSignature, a.Type)
		}
		found++
	}
	if found != 4 {
		return fmt.Errorf("%w: it covers %d of the 4 attributes required", ErrSignature, found)
	}
	return nil
}

// isSigningCertificate reads a SigningCertificateV2 (RFC 5035 §3) and reports
// whether the first certificate it names is c.
func isSigningCertificate(s *cryptobyte.String, c *x509.Certificate) bool {
	var seq, certs, id, sum cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&certs, asn1.SEQUENCE) || !certs.ReadASN1(&id, asn1.SEQUENCE) {
		return false
	}
	hash, ok := digests[0], true
	if id.PeekASN1Tag(asn1.SEQUENCE) {
		hash, ok = readDigest(&id)
	}
	// The issuer and serial number that may follow add nothing to a hash.
	return ok && id.ReadASN1(&sum, asn1.OCTET_STRING) && bytes.Equal(sum, hash.sum(c.Raw))
}

// stranger returns one of certs that is neither in known nor a link certificate
// (RFC 4210 §4.4) that a CA in known, or an earlier or later key of it that is
// linked in the same way, has signed for itself; nil when there is none.
// Verifiers with other anchors need those.
func stranger(certs, known []*x509.Certificate) *x509.Certificate {
	linked := func(c *x509.Certificate) bool {
		return bytes.Equal(c.RawSubject, c.RawIssuer) && slices.ContainsFunc(known, func(by *x509.Certificate) bool {
			return bytes.Equal(by.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(by) == nil
		})
	}
	for {
		certs = slices.DeleteFunc(slices.Clone(certs), func(c *x509.Certificate) bool { return slices.ContainsFunc(known, c.Equal) })
		i := slices.IndexFunc(certs, linked)
		switch {
		case len(certs) == 0:
			return nil
		case i < 0:
			return certs[0]
		}
		known = append(known, certs[i])
	}
}

// Chain returns the shortest chain from signer, who may sign (key usage), over
// certs to a root at the instant at. Each of certs must have a part in some chain,
// or link keys of a CA in it. Errors: ErrSigner.
func Chain(signer *x509.Certificate, certs []*x509.Certificate, roots *x509.CertPool, at time.Time) ([]*x509.Certificate, error) {
	if roots == nil {
		return nil, fmt.Errorf("%w: no roots given", ErrSigner) // nil means those of the system to crypto/x509
	}
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if signer.KeyUsage != 0 && signer.KeyUsage&signing == 0 {
		return nil, fmt.Errorf("%w: the key usage of %q is not signing", ErrSigner, signer.Subject)
	}
	others := x509.NewCertPool()
	for _, c := range certs {
		others.AddCert(c)
	}
	chains, err := signer.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: others, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSigner, err)
	}
	if c := stranger(certs, slices.Concat(chains...)); c != nil {
		return nil, fmt.Errorf("%w: the certificate of %q has no part in its chain", ErrSigner, c.Subject)
	}
	return slices.MinFunc(chains, func(a, b []*x509.Certificate) int { return len(a) - len(b) }), nil
}
