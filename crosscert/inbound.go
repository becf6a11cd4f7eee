package crosscert

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"bridge.example/internal/fault"
)

// CheckInbound checks a certificate that a member's CA issued to the bridge CA,
// before it is published: it must carry bridge's name, key and key identifier
// byte for byte, be valid now and signed by one of the member's anchors, and
// let a path go on over the bridge. The error is Invalid and tells all that is
// wrong.
func CheckInbound(cert, bridge *x509.Certificate, memberAnchors []*x509.Certificate) error {
	now := time.Now()
	signed := slices.ContainsFunc(memberAnchors, func(a *x509.Certificate) bool {
		return bytes.Equal(a.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(a) == nil
	})
	var problems []string
	for _, p := range []struct {
		bad  bool
		what string
	}{
		{!bytes.Equal(cert.RawSubject, bridge.RawSubject), "its subject is not the bridge CA's name, byte for byte (RFC 5280 §6.1.3)"},
		{!bytes.Equal(cert.RawSubjectPublicKeyInfo, bridge.RawSubjectPublicKeyInfo), "its key is not the bridge CA's"},
		{!bytes.Equal(cert.SubjectKeyId, bridge.SubjectKeyId), "its subject key identifier is not the bridge CA's (RFC 5280 §4.2.1.2)"},
		{!signed, "none of the member's anchors signed it"},
		{!cert.BasicConstraintsValid || !cert.IsCA, "it is no CA certificate (RFC 5280 §4.2.1.9)"},
		{cert.KeyUsage&x509.KeyUsageCertSign == 0, "its key may not sign certificates (RFC 5280 §4.2.1.3)"},
		{now.Before(cert.NotBefore) || now.After(cert.NotAfter), "it is not valid now"},
		{cert.MaxPathLen == 0 && cert.BasicConstraintsValid, "its path length 0 ends every path at the bridge, want at least 1 (RFC 5280 §4.2.1.9)"},
		{cert.InhibitPolicyMappingZero, "its inhibitPolicyMapping 0 makes the bridge's policy mappings void, want at least 1 (RFC 5280 §4.2.1.11)"},
	} {
		if p.bad {
			problems = append(problems, p.what)
		}
	}
	if problems != nil {
		return fault.New(fault.Invalid, "certificate for the bridge, issued by %q: %s", cert.Issuer, strings.Join(problems, "; "))
	}
	return nil
}
