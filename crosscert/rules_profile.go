package crosscert

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"bridge.example/internal/wire/certext"
)

// profile are the rules that make a bridge of a PKI. FBCA is the profile of the
// US Federal Bridge CA, version 2.0.
var profile = []rule{
	{"validity", "FBCA CP §6.3.2", every, func(c *x509.Certificate) string {
		longest := map[kind]time.Duration{
			root: maxRootValidity, link: maxRootValidity, subordinate: subordinateValidity, cross: maxValidity, listSigner: signerValidity, ocspSigner: signerValidity,
		}[kindOf(c)]
		got := c.NotAfter.Sub(c.NotBefore)
		// A day more is no breach: who counts from now sets notBefore earlier.
		return when(got > longest+day, "%v, want at most %v", got, longest)
	}},
	{"basicConstraints", "FBCA profile, worksheet 3", cross, func(c *x509.Certificate) string {
		return when(c.MaxPathLen < 0, "no path length")
	}},
	{"basicConstraints", "bridge profile", subordinate, func(c *x509.Certificate) string {
		return when(c.MaxPathLen >= 0, "a path length, which the cross-certificates below set")
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
	{"certificatePolicies", "FBCA profile, worksheet 3", subordinate | others, func(c *x509.Certificate) string {
		return when(slices.ContainsFunc(c.Policies, isAnyPolicy), "anyPolicy is asserted")
	}},
	{"certificatePolicies", "RFC 5280 §6.1.3 (d)(2)", link, func(c *x509.Certificate) string {
		return when(len(c.Policies) != 1 || !isAnyPolicy(c.Policies[0]), "want anyPolicy alone: a link passes every policy")
	}},
	{"basicConstraints", "RFC 4210 §4.4", root | link, func(c *x509.Certificate) string {
		return when(c.MaxPathLen >= 0, "a path length")
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
	{"nameConstraints", "RFC 5280 §4.2.1.10, S/MIME BR §7.1.5", cross, checkNames},
	{"authorityInfoAccess", "S/MIME BR §7.1.2.2", subordinate, func(c *x509.Certificate) string {
		return when(len(c.OCSPServer) > 0 || len(c.IssuingCertificateURL) != 1 || !isHTTP(c.IssuingCertificateURL[0]) ||
			!strings.HasSuffix(c.IssuingCertificateURL[0], RootPath), "want one caIssuers with the http URL of the root's certificate")
	}},
	{"authorityInfoAccess", "FBCA profile, worksheet 3", cross | signer, func(c *x509.Certificate) string {
		return when(len(c.OCSPServer) > 0 || len(c.IssuingCertificateURL) != 1 || !isBundle(c.IssuingCertificateURL[0]),
			"want one caIssuers with an http URL that ends in .p7c")
	}},
	{"subjectInfoAccess", "FBCA profile, worksheet 3", root | subordinate | cross, func(c *x509.Certificate) string {
		as, err := certext.ParseSubjectInfoAccess(c)
		if len(as) == 0 && err == nil {
			// An anchor is configured, and what lies below it with it.
			return when(c.MaxPathLen != 0 && kindOf(c) != root, "missing though there may be CAs below")
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

// checkNames wants mail domains permitted, directory names that name something
// besides, and excluded nothing but hosts below what is permitted: anything else
// would open more than the limits seem to say, or nothing at all.
func checkNames(c *x509.Certificate) string {
	names, err := certext.ParseNameConstraints(c)
	if err != nil {
		return err.Error()
	}
	var permitted []certext.Subtree
	for _, n := range names.Permitted {
		if n.Form != certext.DirectoryName {
			permitted = append(permitted, n)
		} else if n.Value == "\x30\x00" {
			return "the empty directoryName is permitted, which allows all"
		}
	}
	if len(permitted) == 0 {
		return "no mail domain is permitted, which allows all"
	}
	for _, trees := range [][]certext.Subtree{permitted, names.Excluded} {
		if problem := checkMailNames(trees); problem != "" {
			return problem
		}
	}
	for _, e := range names.Excluded {
		if !slices.ContainsFunc(permitted, func(p certext.Subtree) bool {
			return strings.HasPrefix(p.Value, ".") && strings.HasSuffix(strings.TrimPrefix(e.Value, "."), p.Value)
		}) {
			return fmt.Sprintf("%q is excluded and lies below nothing that is permitted", e.Value)
		}
	}
	return ""
}

// checkMailNames wants every mail domain twice, once as the host itself and
// once for the hosts below it: each form alone leaves the other out.
func checkMailNames(trees []certext.Subtree) string {
	for _, n := range trees {
		host := strings.TrimPrefix(n.Value, ".")
		other := certext.Subtree{Form: n.Form, Value: "." + host}
		if other == n {
			other.Value = host
		}
		switch {
		case n.Form != certext.RFC822Name:
			return fmt.Sprintf("a name of form %d", n.Form)
		case !isHost(host):
			return fmt.Sprintf("%q is neither a lower-case host name nor one after a dot", n.Value)
		case !slices.Contains(trees, other):
			return fmt.Sprintf("%q is there without %q", n.Value, other.Value)
		}
	}
	return ""
}

// isBundle reports whether u is where a certs-only CMS message is expected.
func isBundle(u string) bool { return isHTTP(u) && strings.HasSuffix(u, ".p7c") }
