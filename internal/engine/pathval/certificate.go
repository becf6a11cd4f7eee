package pathval

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/crl"
)

// Bounds on one certificate; the largest in use are far below.
const (
	maxCertificateBytes = 64 << 10
	maxSerialBytes      = 64
	maxExtensions       = 64
	maxPolicies         = 100 // policies, and mappings
	maxNames            = 1000
	maxPoints           = 100 // distribution points
)

// Certificate is a view of an X.509 certificate that takes what is in use:
// where the standard library refuses a negative serial number, an RSA key
// without NULL, a relative distribution point or a cRLIssuer, this does not.
// It is immutable, and safe for concurrent use.
type Certificate struct {
	Raw         []byte
	Fingerprint [32]byte // SHA-256 of Raw
	Serial      []byte   // content of the INTEGER, big-endian two's complement
	Subject     Name
	Issuer      Name
	NotBefore   time.Time
	NotAfter    time.Time
	// Emails are the mail addresses it was issued for, as written: rfc822Name and
	// SmtpUTF8Mailbox of the subjectAltName, and emailAddress of the subject.
	Emails []string
	// CAIssuers, CARepository and CRLPoints are the URIs at which it says there
	// are certificates of its issuer (RFC 5280 §4.2.2.1), those its subject issued
	// (§4.2.2.2), and CRLs about it (§4.2.1.13). None is looked into.
	CAIssuers, CARepository, CRLPoints []string

	version   int
	signed    []byte // tbsCertificate
	algorithm x509.SignatureAlgorithm
	signature []byte
	keyInfo   []byte // SubjectPublicKeyInfo
	key       publicKey

	subjectKeyID, authorityKeyID []byte

	ca          bool
	pathLen     int // -1: not limited
	hasKeyUsage bool
	keyUsage    x509.KeyUsage
	purposes    []string // extended key usages; nil: not limited
	names       []generalName
	constraints *nameConstraints // nil: none

	hasPolicies     bool
	policies        []string // without anyPolicy
	anyPolicy       bool
	mappings        []mapping
	requireExplicit int // skipCerts; -1: absent
	inhibitMapping  int
	inhibitAny      int

	points          []distributionPoint
	unknownCritical []string // dotted OIDs
}

// ParseCertificate reads one DER certificate of at most 64 KiB, which it
// keeps. The error is Invalid. Whether the certificate is fit for anything is
// for Validate to say.
func ParseCertificate(der []byte) (*Certificate, error) {
	if len(der) > maxCertificateBytes {
		return nil, fault.New(fault.Invalid, "certificate of %d bytes is longer than %d", len(der), maxCertificateBytes)
	}
	c := &Certificate{
		Raw: der, Fingerprint: sha256.Sum256(der), version: 1,
		pathLen: -1, requireExplicit: -1, inhibitMapping: -1, inhibitAny: -1,
	}
	if what := c.parse(der); what != "" {
		return nil, fault.New(fault.Invalid, "malformed certificate: %s", what)
	}
	return c, nil
}

// CheckSignature verifies the certificate under pub; the errors are those of
// crl.CheckSignature. It says nothing else about either.
func (c *Certificate) CheckSignature(pub crypto.PublicKey, accepted crl.Acceptance) error {
	return crl.CheckSignature(c.algorithm, pub, c.signed, c.signature, accepted)
}

// selfIssued is RFC 5280 §3.2: subject and issuer are the same name.
func (c *Certificate) selfIssued() bool { return c.Subject.Equal(c.Issuer) }

// may reports whether the key usage, where there is one, has a bit of u.
func (c *Certificate) may(u x509.KeyUsage) bool { return !c.hasKeyUsage || c.keyUsage&u != 0 }

// purpose reports whether the extended key usage, where there is one, includes
// p or any.
func (c *Certificate) purpose(p string) bool {
	return c.purposes == nil || slices.Contains(c.purposes, p) || slices.Contains(c.purposes, oidAnyExtKeyUsage)
}

// String names the certificate for people: subject and serial.
func (c *Certificate) String() string {
	return c.Subject.String() + " (serial " + hex.EncodeToString(c.Serial) + ")"
}

// parse fills c in and names the first part that is malformed.
func (c *Certificate) parse(der []byte) string {
	in := cryptobyte.String(der)
	var whole, tbs, algorithm cryptobyte.String
	if !in.ReadASN1(&whole, cbasn1.SEQUENCE) || !in.Empty() || !whole.ReadASN1Element(&tbs, cbasn1.SEQUENCE) ||
		!whole.ReadASN1Element(&algorithm, cbasn1.SEQUENCE) || !readBits(&whole, &c.signature) || !whole.Empty() {
		return "structure"
	}
	c.signed = tbs
	var err error
	if c.algorithm, err = crl.ParseAlgorithm(algorithm); err != nil {
		return "signature algorithm"
	}
	return c.parseSigned(tbs, algorithm)
}

func (c *Certificate) parseSigned(tbs, outer cryptobyte.String) string {
	var s, version, serial, algorithm, issuer, validity, subject, key, ignored, exts cryptobyte.String
	var hasVersion, hasExts, ok bool
	explicit := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }
	if !tbs.ReadASN1(&s, cbasn1.SEQUENCE) || !s.ReadOptionalASN1(&version, &hasVersion, explicit(0)) {
		return "structure"
	}
	if hasVersion {
		// Version 1 is the default; DER does not write it, some do.
		if len(version) != 3 || version[0] != byte(cbasn1.INTEGER) || version[1] != 1 || version[2] > 2 {
			return "version"
		}
		c.version = int(version[2]) + 1
	}
	if !s.ReadASN1(&serial, cbasn1.INTEGER) || len(serial) == 0 || len(serial) > maxSerialBytes ||
		len(serial) > 1 && (serial[0] == 0 && serial[1] < 0x80 || serial[0] == 0xff && serial[1] >= 0x80) {
		return "serial number"
	}
	c.Serial = serial
	// §4.1.1.2: both identifiers are the same.
	if !s.ReadASN1Element(&algorithm, cbasn1.SEQUENCE) || !bytes.Equal(algorithm, outer) {
		return "signature algorithm"
	}
	if !s.ReadASN1Element(&issuer, cbasn1.SEQUENCE) {
		return "issuer"
	}
	if c.Issuer, ok = parseName(issuer); !ok {
		return "issuer"
	}
	if !s.ReadASN1(&validity, cbasn1.SEQUENCE) || !readTime(&validity, &c.NotBefore) || !readTime(&validity, &c.NotAfter) || !validity.Empty() {
		return "validity"
	}
	if !s.ReadASN1Element(&subject, cbasn1.SEQUENCE) {
		return "subject"
	}
	if c.Subject, ok = parseName(subject); !ok {
		return "subject"
	}
	if !s.ReadASN1Element(&key, cbasn1.SEQUENCE) {
		return "public key"
	}
	c.keyInfo = key
	if c.key, ok = parseKey(key); !ok {
		return "public key"
	}
	// Unique identifiers (§4.1.2.8) are read over, as the RFC asks.
	if !s.ReadOptionalASN1(&ignored, nil, cbasn1.Tag(1).ContextSpecific()) || !s.ReadOptionalASN1(&ignored, nil, cbasn1.Tag(2).ContextSpecific()) ||
		!s.ReadOptionalASN1(&exts, &hasExts, explicit(3)) || !s.Empty() || hasExts && c.version < 3 {
		return "structure"
	}
	if !c.Subject.IsEmpty() {
		c.names = append(c.names, generalName{form: formDirectory, dn: c.Subject})
	}
	for _, e := range c.Subject.emails {
		c.addMailbox(e)
	}
	if hasExts {
		return c.parseExtensions(exts)
	}
	return ""
}

func (c *Certificate) addMailbox(address string) {
	c.names = append(c.names, mailName(address))
	c.Emails = append(c.Emails, address)
}

func readTime(s *cryptobyte.String, t *time.Time) bool {
	if s.PeekASN1Tag(cbasn1.UTCTime) {
		return s.ReadASN1UTCTime(t)
	}
	return s.ReadASN1GeneralizedTime(t)
}

// dotted is the OID for people.
func dotted(content string) string { return publicOID(content).String() }
