package crosscert

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/wire/certext"
)

// rfc5280 are the rules that hold in any PKI.
var rfc5280 = []rule{
	{"version", "RFC 5280 §4.1.2.1", every, func(c *x509.Certificate) string {
		return when(c.Version != 3, "%d, want 3", c.Version)
	}},
	{"serialNumber", "RFC 5280 §4.1.2.2, S/MIME BR §7.1", every, func(c *x509.Certificate) string {
		n := c.SerialNumber.BitLen()
		return when(c.SerialNumber.Sign() <= 0 || n < 64 || n > 159, "%v: want a positive one of 64 to 159 bits", c.SerialNumber)
	}},
	{"signature", "S/MIME BR §7.1.3.2", every, checkSignatureAlgorithm},
	{"subjectPublicKey", "S/MIME BR §6.1.5, §6.1.6", every, func(c *x509.Certificate) string {
		switch k := c.PublicKey.(type) {
		case *rsa.PublicKey:
			return when(k.N.BitLen() < 2048 || k.E < 3 || k.E%2 == 0, "RSA with %d bits and exponent %d is too weak", k.N.BitLen(), k.E)
		case *ecdsa.PublicKey:
			return when(k.Curve == elliptic.P224(), "P-224 is too weak")
		case ed25519.PublicKey:
			return ""
		}
		return fmt.Sprintf("a key of type %T is not supported", c.PublicKey)
	}},
	{"issuer and subject", "RFC 5280 §4.1.2.4, §4.1.2.6", every, func(c *x509.Certificate) string {
		return when(len(c.RawIssuer) <= 2 || len(c.RawSubject) <= 2, "empty")
	}},
	{"validity", "RFC 5280 §4.1.2.5", every, func(c *x509.Certificate) string {
		return when(!c.NotBefore.Before(c.NotAfter), "it ends on %v, before it begins", c.NotAfter)
	}},
	{"authorityKeyIdentifier", "RFC 5280 §4.2.1.1", issued, func(c *x509.Certificate) string {
		id, ok := only(c, oidAuthorityKeyID, cbasn1.SEQUENCE, cbasn1.Tag(0).ContextSpecific())
		return when(!ok || len(id) == 0, "want the key identifier alone")
	}},
	{"certificatePolicies", "RFC 5280 §4.2.1.4", issued, func(c *x509.Certificate) string {
		for i, p := range c.Policies {
			if slices.ContainsFunc(c.Policies[:i], p.Equal) {
				return p.String() + " is there twice"
			}
		}
		return ""
	}},
	{"policyMappings", "RFC 5280 §4.2.1.5", cross, func(c *x509.Certificate) string {
		ms, err := certext.ParsePolicyMappings(c)
		if err != nil {
			return err.Error()
		}
		for _, m := range ms {
			if isAnyPolicy(m.Issuer) || isAnyPolicy(m.Subject) {
				return "anyPolicy is mapped"
			}
			if !slices.ContainsFunc(c.Policies, m.Issuer.Equal) {
				return m.Issuer.String() + " is mapped but not asserted"
			}
		}
		return ""
	}},
	{"cRLDistributionPoints", "RFC 5280 §4.2.1.13", issued, func(c *x509.Certificate) string {
		// One point with one full name, and neither reasons nor cRLIssuer.
		choice := cbasn1.Tag(0).ContextSpecific().Constructed()
		uri, ok := only(c, oidCRLDistributionPoints, cbasn1.SEQUENCE, cbasn1.SEQUENCE, choice, choice, cbasn1.Tag(6).ContextSpecific())
		return when(!ok || !isHTTP(uri), "want one http URL and nothing else")
	}},
}

func checkSignatureAlgorithm(c *x509.Certificate) string {
	strong := []x509.SignatureAlgorithm{
		x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS,
		x509.SHA512WithRSAPSS, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519,
	}
	return when(!slices.Contains(strong, c.SignatureAlgorithm), "%v is too weak", c.SignatureAlgorithm)
}

// when returns the problem if bad.
func when(bad bool, format string, args ...any) string {
	if !bad {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// only unwraps an extension in which each tag holds the next and nothing else,
// down to the content of the last.
func only(c *x509.Certificate, id asn1.ObjectIdentifier, tags ...cbasn1.Tag) (content string, ok bool) {
	e, _ := certext.Find(c, id)
	s := cryptobyte.String(e.Value)
	for _, tag := range tags {
		var inner cryptobyte.String
		if !s.ReadASN1(&inner, tag) || !s.Empty() {
			return "", false
		}
		s = inner
	}
	return string(s), true
}

// isAnyPolicy reports whether p is anyPolicy, RFC 5280 §4.2.1.4.
func isAnyPolicy(p x509.OID) bool { return p.Equal(anyPolicy()) }

func anyPolicy() x509.OID {
	p, _ := x509.OIDFromInts([]uint64{2, 5, 29, 32, 0}) // fails only on impossible arcs
	return p
}

// isHTTP reports whether s is a plain http URL.
func isHTTP(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "http" && u.Host != "" && strings.TrimSpace(s) == s
}
