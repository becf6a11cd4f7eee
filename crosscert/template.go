package crosscert

import (
	"crypto/sha1" // an identifier here, not a signature
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

// oidTSLSigning is id-tsl-kp-tslSigning of TS 119 612.
var oidTSLSigning = asn1.ObjectIdentifier{0, 4, 0, 2231, 3, 0}

// base is what all certificates of this CA have in common. It ends after
// validity, or with the bridge CA's certificate.
func (a *Authority) base(validity time.Duration) *x509.Certificate {
	now := a.instant()
	return &x509.Certificate{
		SerialNumber:          newSerial(),
		NotBefore:             latest(now.Add(-backdate), a.signing.cert.NotBefore),
		NotAfter:              earliest(now.Add(validity), a.signing.cert.NotAfter),
		IssuingCertificateURL: []string{a.o.BaseURL + IssuedToPathOf(a.signing.Number)},
		CRLDistributionPoints: []string{a.o.BaseURL + CRLPathOf(a.signing.Number)},
	}
}

// crossTemplate is the profile of certificates from the bridge to a member.
func (a *Authority) crossTemplate(r Request) (*x509.Certificate, error) {
	if err := a.checkRequest(r); err != nil {
		return nil, err
	}
	t := a.base(a.o.Validity)
	t.NotAfter = earliest(t.NotAfter, r.Subject.NotAfter)
	t.Subject, t.RawSubject, t.SubjectKeyId = r.Subject.Subject, r.Subject.RawSubject, r.Subject.SubjectKeyId
	if len(t.SubjectKeyId) == 0 {
		t.SubjectKeyId = keyID(r.Subject)
	}
	t.BasicConstraintsValid, t.IsCA = true, true
	t.MaxPathLen, t.MaxPathLenZero = r.MaxPathLen, r.MaxPathLen == 0
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	// Policies alone have let whole PKIs through into software that ignores
	// them: what this certificate opens is mail and nothing else.
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}

	var mappings []certext.Mapping
	for _, m := range r.Mappings {
		mappings = append(mappings, certext.Mapping{Issuer: m.Bridge, Subject: m.Member})
		t.Policies = append(t.Policies, m.Bridge)
	}
	t.Policies = sortUnique(t.Policies, x509.OID.String)
	mappings = sortUnique(mappings, func(m certext.Mapping) string { return m.Issuer.String() + " " + m.Subject.String() })

	names := certext.NameConstraints{
		Permitted: mailSubtrees(sortUnique(r.MailDomains, strings.Clone)),
		Excluded:  mailSubtrees(sortUnique(r.ExcludedDomains, strings.Clone)),
	}
	for _, n := range sortUnique(r.DirectoryNames, strings.Clone) {
		der, err := certext.EncodeName(n)
		if err != nil {
			return nil, err
		}
		names.Permitted = append(names.Permitted, certext.Subtree{Form: certext.DirectoryName, Value: string(der)})
	}
	if err := extend(t,
		func() (pkix.Extension, error) { return certext.PolicyMappings(mappings) },
		certext.PolicyConstraints{RequireExplicit: 0, InhibitMapping: 0}.Extension,
		func() (pkix.Extension, error) { return certext.InhibitAnyPolicy(0) },
		names.Extension,
	); err != nil {
		return nil, err
	}
	for i := range t.ExtraExtensions {
		t.ExtraExtensions[i].Critical = t.ExtraExtensions[i].Critical && !r.Compatible
	}
	if r.MaxPathLen == 0 {
		return t, nil // no CAs below, so nothing to look for
	}
	return t, extend(t, caRepository(a.o.BaseURL+IssuedByPath(r.Member)))
}

// caRepository encodes where the certificates are that a CA issued.
func caRepository(url string) func() (pkix.Extension, error) {
	return func() (pkix.Extension, error) {
		return certext.SubjectInfoAccess([]certext.Access{{
			Method:   certext.CARepository(),
			Location: certext.Name{Form: certext.URI, Value: url},
		}})
	}
}

// signerTemplate is the profile of the bridge's own signers.
func (a *Authority) signerTemplate(r SignerRequest) (*x509.Certificate, error) {
	t := a.base(signerValidity)
	t.Subject, t.Policies = r.Name, r.Policies
	if t.SubjectKeyId = keyIDOf(r.Key); t.SubjectKeyId == nil {
		return nil, fault.New(fault.Invalid, "the key of a %s is of a kind that cannot be certified", r.Profile)
	}
	switch r.Profile {
	case ListSigner:
		t.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		t.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oidTSLSigning}
	case OCSPSigner:
		t.KeyUsage = x509.KeyUsageDigitalSignature
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		t.ExtraExtensions = []pkix.Extension{{Id: oidNoCheck, Value: asn1.NullBytes}}
	default:
		return nil, fault.New(fault.Invalid, "%q is not a profile", r.Profile)
	}
	if !t.NotAfter.After(a.instant()) {
		return nil, fault.New(fault.Invalid, "the bridge CA's certificate has expired")
	}
	return t, nil
}

// extend appends extensions to t.
func extend(t *x509.Certificate, es ...func() (pkix.Extension, error)) error {
	for _, encode := range es {
		e, err := encode()
		if err != nil {
			return err
		}
		t.ExtraExtensions = append(t.ExtraExtensions, e)
	}
	return nil
}

// keyID identifies c's key as most CAs do whose certificates name no key
// identifier (RFC 5280 §4.2.1.2, method 1).
func keyID(c *x509.Certificate) []byte {
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &spki); err != nil {
		return nil
	}
	sum := sha1.Sum(spki.Key.Bytes)
	return sum[:]
}

// sortUnique returns s ordered by key, each key once.
func sortUnique[T any](s []T, key func(T) string) []T {
	s = slices.Clone(s)
	slices.SortFunc(s, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	return slices.CompactFunc(s, func(a, b T) bool { return key(a) == key(b) })
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
