package crosscert

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/wire/certext"
)

// inboundRule is one row of what a member's certificate for the bridge must, or
// should, be. check returns what is wrong, or nothing.
type inboundRule struct {
	name, source string
	should       bool
	check        func(c *x509.Certificate, in Inbound) string
}

const must, should = false, true

// fbca is where most of the profile of cross-certificates comes from.
const fbca = "FBCA profile 2.0, worksheet 3"

// inboundRules are the profile from member to bridge, in the order of a
// certificate's fields. A rule is a must where paths would fail without it, or
// where the certificate would say what nobody approved; it is a should where
// the member alone bears what it leaves open.
var inboundRules = []inboundRule{
	{"signature", "RFC 5280 §6.1.3", must, func(c *x509.Certificate, in Inbound) string {
		return when(in.issuer(c) == nil, "none of the member's anchors signed it")
	}},
	{"signature", "S/MIME BR §7.1.3.2", must, func(c *x509.Certificate, _ Inbound) string { return checkSignatureAlgorithm(c) }},
	{"serialNumber", "RFC 5280 §4.1.2.2", should, func(c *x509.Certificate, _ Inbound) string {
		return when(c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() > 159, "%v: want a positive one of at most 20 octets", c.SerialNumber)
	}},
	{"validity", "FBCA CP §6.3.2", should, func(c *x509.Certificate, _ Inbound) string {
		got := c.NotAfter.Sub(c.NotBefore)
		return when(got > maxValidity+day, "%v, want at most %v", got, maxValidity)
	}},
	{"subject", "RFC 5280 §6.1.3", must, func(c *x509.Certificate, in Inbound) string {
		return when(!bytes.Equal(c.RawSubject, in.Bridge.RawSubject), "not the bridge CA's name, byte for byte")
	}},
	{"subjectPublicKey", fbca, must, func(c *x509.Certificate, in Inbound) string {
		return when(!bytes.Equal(c.RawSubjectPublicKeyInfo, in.Bridge.RawSubjectPublicKeyInfo), "not the bridge CA's key")
	}},
	{"subjectKeyIdentifier", "RFC 5280 §4.2.1.2", must, func(c *x509.Certificate, in Inbound) string {
		return when(!bytes.Equal(c.SubjectKeyId, in.Bridge.SubjectKeyId), "%x, want the bridge CA's %x", c.SubjectKeyId, in.Bridge.SubjectKeyId)
	}},
	{"authorityKeyIdentifier", "RFC 5280 §4.2.1.1", must, func(c *x509.Certificate, in Inbound) string {
		i := in.issuer(c)
		return when(i != nil && len(i.SubjectKeyId) > 0 && len(c.AuthorityKeyId) > 0 && !bytes.Equal(c.AuthorityKeyId, i.SubjectKeyId),
			"%x is not the key identifier of %q", c.AuthorityKeyId, c.Issuer)
	}},
	{"authorityKeyIdentifier", "RFC 5280 §4.2.1.1", should, func(c *x509.Certificate, _ Inbound) string {
		id, ok := only(c, oidAuthorityKeyID, cbasn1.SEQUENCE, cbasn1.Tag(0).ContextSpecific())
		return when(!ok || len(id) == 0, "want the key identifier alone")
	}},
	{"basicConstraints", "RFC 5280 §4.2.1.9", must, func(c *x509.Certificate, _ Inbound) string {
		switch {
		case !c.BasicConstraintsValid || !c.IsCA:
			return "no CA certificate"
		case c.MaxPathLen == 0:
			return "path length 0 ends every path at the bridge, want none or at least 1"
		}
		return ""
	}},
	{"basicConstraints", "RFC 5280 §4.2.1.9", should, wantCritical("2.5.29.19")},
	{"keyUsage", "RFC 5280 §4.2.1.3, §6.3.3", must, func(c *x509.Certificate, _ Inbound) string {
		const usage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		return when(c.KeyUsage&usage != usage, "want keyCertSign and cRLSign")
	}},
	{"keyUsage", fbca, should, func(c *x509.Certificate, in Inbound) string {
		if c.KeyUsage&^(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
			return "want nothing besides keyCertSign and cRLSign"
		}
		return wantCritical("2.5.29.15")(c, in)
	}},
	{"certificatePolicies", "RFC 5280 §4.2.1.4, §4.2.1.5", must, func(c *x509.Certificate, in Inbound) string {
		switch {
		case slices.ContainsFunc(c.Policies, isAnyPolicy):
			return "anyPolicy is asserted, which lets every policy over the bridge pass"
		case !slices.ContainsFunc(in.Mappings, func(m Mapping) bool { return slices.ContainsFunc(c.Policies, m.Member.Equal) }):
			return "none of the policies in the member's record is asserted"
		}
		return ""
	}},
	{"policyMappings", "RFC 5280 §4.2.1.5", must, checkInboundMappings},
	{"policyMappings", "bridge profile", should, func(c *x509.Certificate, in Inbound) string {
		ms, _ := certext.ParsePolicyMappings(c)
		if len(ms) == 0 {
			return "" // said already
		}
		var missing []string
		for _, want := range in.Mappings {
			if !slices.ContainsFunc(ms, func(m certext.Mapping) bool { return m.Issuer.Equal(want.Member) && m.Subject.Equal(want.Bridge) }) {
				missing = append(missing, want.Member.String()+" to "+want.Bridge.String())
			}
		}
		return when(missing != nil, "the record also has %s", strings.Join(missing, ", "))
	}},
	{"policyConstraints", "RFC 5280 §4.2.1.11", must, func(c *x509.Certificate, _ Inbound) string {
		p, err := certext.ParsePolicyConstraints(c)
		if err != nil {
			return err.Error()
		}
		return when(p.InhibitMapping == 0, "inhibitPolicyMapping 0 makes the bridge's policy mappings void, want 1")
	}},
	{"policyConstraints", fbca, should, func(c *x509.Certificate, _ Inbound) string {
		p, err := certext.ParsePolicyConstraints(c)
		switch {
		case err != nil || p.InhibitMapping == 0:
			return "" // said already
		case p.RequireExplicit != 0:
			return "want requireExplicitPolicy 0: without it paths under no policy at all are valid"
		case p.InhibitMapping != 1:
			return "want inhibitPolicyMapping 1: without it bridges behind this one may map on"
		}
		return ""
	}},
	{"inhibitAnyPolicy", "RFC 5280 §4.2.1.14", should, func(c *x509.Certificate, _ Inbound) string {
		skip, err := certext.ParseInhibitAnyPolicy(c)
		return when(err != nil || skip != 0, "want 0: without it anyPolicy in a certificate below stands for the member's own")
	}},
	{"nameConstraints", "RFC 5280 §4.2.1.10", must, func(c *x509.Certificate, _ Inbound) string {
		if _, err := certext.ParseNameConstraints(c); err != nil {
			return err.Error()
		}
		return ""
	}},
	{"nameConstraints", "bridge profile", should, func(c *x509.Certificate, in Inbound) string {
		n, _ := certext.ParseNameConstraints(c)
		for _, want := range in.Excluded() {
			if !slices.Contains(n.Excluded, want) {
				return fmt.Sprintf("%q is not excluded: others could speak for the member's own people", want.Value)
			}
		}
		return ""
	}},
	{"nameConstraints", "bridge profile", should, func(c *x509.Certificate, _ Inbound) string {
		n, _ := certext.ParseNameConstraints(c)
		return when(len(n.Permitted) > 0, "something is permitted: only members under those names can be reached")
	}},
	{"policyConstraints", "RFC 5280 §4.2.1.11", must, wantFlavour("2.5.29.36")},
	{"policyConstraints", "bridge profile", should, wantCompatible("2.5.29.36")},
	{"inhibitAnyPolicy", "RFC 5280 §4.2.1.14", must, wantFlavour("2.5.29.54")},
	{"inhibitAnyPolicy", "bridge profile", should, wantCompatible("2.5.29.54")},
	{"nameConstraints", "RFC 5280 §4.2.1.10", must, wantFlavour("2.5.29.30")},
	{"nameConstraints", "bridge profile", should, wantCompatible("2.5.29.30")},
	{"extKeyUsage", "RFC 5280 §4.2.1.12", must, func(c *x509.Certificate, _ Inbound) string {
		if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
			slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
			return ""
		}
		return "want none, or emailProtection among them: verifiers that nest purposes refuse mail otherwise"
	}},
	{"cRLDistributionPoints", "RFC 5280 §4.2.1.13", should, func(c *x509.Certificate, _ Inbound) string {
		return when(len(c.CRLDistributionPoints) == 0 || !isHTTP(c.CRLDistributionPoints[0]), "want an http URL first")
	}},
	{"authorityInfoAccess", "RFC 5280 §4.2.2.1", should, func(c *x509.Certificate, _ Inbound) string {
		for _, u := range slices.Concat(c.IssuingCertificateURL, c.OCSPServer) {
			if !isHTTP(u) && !strings.HasPrefix(u, "ldap://") {
				return fmt.Sprintf("%q: want an http URL", u)
			}
		}
		return ""
	}},
	{"subjectInfoAccess", "RFC 5280 §4.2.2.2", should, func(c *x509.Certificate, in Inbound) string {
		as, err := certext.ParseSubjectInfoAccess(c)
		want := certext.Name{Form: certext.URI, Value: in.IssuedBy}
		return when(err != nil || !slices.ContainsFunc(as, func(a certext.Access) bool {
			return a.Method.Equal(certext.CARepository()) && a.Location == want
		}), "want caRepository with %s", in.IssuedBy)
	}},
	{"extensions", "RFC 5280 §4.2", must, func(c *x509.Certificate, _ Inbound) string {
		for _, e := range c.Extensions {
			if e.Critical && !known(e.Id) {
				return "verifiers do not know the critical " + e.Id.String()
			}
		}
		return ""
	}},
}

// issuer is the anchor that signed c.
func (in Inbound) issuer(c *x509.Certificate) *x509.Certificate {
	for _, a := range in.Anchors {
		if bytes.Equal(a.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(a) == nil {
			return a
		}
	}
	return nil
}

// checkInboundMappings wants mappings, and none that the record does not have.
func checkInboundMappings(c *x509.Certificate, in Inbound) string {
	ms, err := certext.ParsePolicyMappings(c)
	switch {
	case err != nil:
		return err.Error()
	case len(ms) == 0:
		return "missing: no policy of the bridge would be equal to one of the member's"
	}
	for _, m := range ms {
		if !slices.ContainsFunc(in.Mappings, func(r Mapping) bool { return r.Member.Equal(m.Issuer) && r.Bridge.Equal(m.Subject) }) {
			return fmt.Sprintf("%v to %v is not in the member's record", m.Issuer, m.Subject)
		}
		if !slices.ContainsFunc(c.Policies, m.Issuer.Equal) {
			return m.Issuer.String() + " is mapped but not asserted"
		}
	}
	return ""
}

// wantCritical is about an extension that is there.
func wantCritical(id string) func(*x509.Certificate, Inbound) string {
	return func(c *x509.Certificate, _ Inbound) string {
		return when(has(c, id, false), "not critical: verifiers that do not know it pass over it")
	}
}

// wantFlavour keeps a limit critical unless the record says otherwise.
func wantFlavour(id string) func(*x509.Certificate, Inbound) string {
	return func(c *x509.Certificate, in Inbound) string {
		return when(!in.Compatible && has(c, id, false),
			"not critical: verifiers that do not know it pass over it; only a record with cross_profile: compatible allows that")
	}
}

// wantCompatible says what a critical limit costs where the record wants none.
func wantCompatible(id string) func(*x509.Certificate, Inbound) string {
	return func(c *x509.Certificate, in Inbound) string {
		return when(in.Compatible && has(c, id, true),
			"critical, though the record says cross_profile: compatible: GnuTLS and gpgsm refuse the certificate")
	}
}

// has tells whether c has the extension id with that criticality.
func has(c *x509.Certificate, id string, critical bool) bool {
	return slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.String() == id && e.Critical == critical })
}
