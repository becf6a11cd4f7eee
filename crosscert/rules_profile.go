package crosscert

import (
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"bridge.example/internal/wire/certext"
)

// profile are the rules that make a bridge of a PKI. FBCA is the profile of the
// US Federal Bridge CA, version 2.0.
var profile = []rule{
	{"validity", "FBCA CP §6.3.2", every, func(c *x509.Certificate) string {
		longest := map[kind]time.Duration{root: maxRootValidity, cross: maxValidity, listSigner: signerValidity, ocspSigner: signerValidity}[kindOf(c)]
		got := c.NotAfter.Sub(c.NotBefore)
		// A day more is no breach: who counts from now sets notBefore earlier.
		return when(got > longest+day, "%v, want at most %v", got, longest)
	}},
	{"basicConstraints", "FBCA profile, worksheet 3", cross, func(c *x509.Certificate) string {
		return when(c.MaxPathLen < 0, "no path length")
	}},
	{"keyUsage", "FBCA profile, worksheet 3", authority, wantKeyUsage(x509.KeyUsageCertSign | x509.KeyUsageCRLSign)},
	{"keyUsage", "TS 119 612", listSigner, wantKeyUsage(x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment)},
	{"keyUsage", "RFC 6960 §4.2.2.2", ocspSigner, wantKeyUsage(x509.KeyUsageDigitalSignature)},
	{"extKeyUsage", "CCADB policy §6.3", cross, func(c *x509.Certificate) string {
		return when(!slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}) || len(c.UnknownExtKeyUsage) > 0,
			"want emailProtection and nothing else")
	}},
	{"extKeyUsage", "TS 119 612", listSigner, func(c *x509.Certificate) string {
		return when(!slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}) ||
			len(c.UnknownExtKeyUsage) != 1 || !c.UnknownExtKeyUsage[0].Equal(oidTSLSigning),
			"want emailProtection and tslSigning, and nothing else")
	}},
	{"extKeyUsage", "RFC 6960 §4.2.2.2", ocspSigner, func(c *x509.Certificate) string {
		return when(len(c.ExtKeyUsage) != 1 || len(c.UnknownExtKeyUsage) > 0, "want OCSPSigning and nothing else")
	}},
	{"certificatePolicies", "FBCA profile, worksheet 3", issued, func(c *x509.Certificate) string {
		return when(slices.ContainsFunc(c.Policies, isAnyPolicy), "anyPolicy is asserted")
	}},
	{"policyConstraints", "FBCA profile, worksheet 3", cross, func(c *x509.Certificate) string {
		p, err := certext.ParsePolicyConstraints(c)
		return when(err != nil || p != certext.PolicyConstraints{}, "want requireExplicitPolicy 0 and inhibitPolicyMapping 0")
	}},
	{"inhibitAnyPolicy", "FBCA profile, worksheet 3", cross, func(c *x509.Certificate) string {
		skip, err := certext.ParseInhibitAnyPolicy(c)
		return when(err != nil || skip != 0, "want 0")
	}},
	{"criticality", "bridge profile", cross, func(c *x509.Certificate) string {
		names, _ := certext.Find(c, certext.OIDNameConstraints())
		policies, _ := certext.Find(c, certext.OIDPolicyConstraints())
		anyPolicy, _ := certext.Find(c, certext.OIDInhibitAnyPolicy())
		return when(names.Critical != policies.Critical || names.Critical != anyPolicy.Critical,
			"nameConstraints, policyConstraints and inhibitAnyPolicy are critical all, or none in the compatible flavour")
	}},
	{"nameConstraints", "RFC 5280 §4.2.1.10, S/MIME BR §7.1.5", cross, checkMailNames},
	{"authorityInfoAccess", "FBCA profile, worksheet 3", issued, func(c *x509.Certificate) string {
		return when(len(c.OCSPServer) > 0 || len(c.IssuingCertificateURL) != 1 || !isBundle(c.IssuingCertificateURL[0]),
			"want one caIssuers with an http URL that ends in .p7c")
	}},
	{"subjectInfoAccess", "FBCA profile, worksheet 3", cross, func(c *x509.Certificate) string {
		as, err := certext.ParseSubjectInfoAccess(c)
		if len(as) == 0 && err == nil {
			return when(c.MaxPathLen != 0, "missing though there may be CAs below")
		}
		return when(err != nil || len(as) != 1 || !as[0].Method.Equal(certext.CARepository()) ||
			as[0].Location.Form != certext.URI || !isBundle(as[0].Location.Value),
			"want one caRepository with an http URL that ends in .p7c")
	}},
}

func wantKeyUsage(want x509.KeyUsage) func(*x509.Certificate) string {
	return func(c *x509.Certificate) string {
		return when(c.KeyUsage != want, "got bits %b, want %b", c.KeyUsage, want)
	}
}

// checkMailNames wants every mail domain twice, once as the host itself and
// once for the hosts below it: each form alone leaves the other out.
func checkMailNames(c *x509.Certificate) string {
	names, err := certext.ParseNameConstraints(c)
	if err != nil {
		return err.Error()
	}
	if len(names.Permitted) == 0 {
		return "nothing is permitted, which allows all"
	}
	for _, n := range names.Permitted {
		host := strings.TrimPrefix(n.Value, ".")
		other := certext.Subtree{Form: n.Form, Value: "." + host}
		if other == n {
			other.Value = host
		}
		switch {
		case n.Form != certext.RFC822Name:
			return when(true, "a name of form %d", n.Form)
		case !isHost(host):
			return when(true, "%q is neither a lower-case host name nor one after a dot", n.Value)
		case !slices.Contains(names.Permitted, other):
			return when(true, "%q is permitted without %q", n.Value, other.Value)
		}
	}
	return when(len(names.Excluded) > 0, "something is excluded")
}

// isBundle reports whether u is where a certs-only CMS message is expected.
func isBundle(u string) bool { return isHTTP(u) && strings.HasSuffix(u, ".p7c") }
