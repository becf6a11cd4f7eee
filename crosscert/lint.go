package crosscert

import (
	"crypto/x509"
	"encoding/asn1"
	"strings"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

// Finding is a rule that a certificate breaks.
type Finding struct {
	Rule    string // what the rule is about, such as the name of an extension
	Source  string // where the rule stands
	Problem string
	// Should is set where the profile advises and does not demand; never by
	// [Lint].
	Should bool
}

// String is the finding in one line.
func (f Finding) String() string { return f.Rule + ": " + f.Problem + " (" + f.Source + ")" }

// kind is which of the profiles a certificate has to meet; rules name a set.
type kind uint8

const (
	root        kind = 1 << iota // self-signed: the bridge CA's own, or of the root above it
	subordinate                  // the bridge CA's, by an offline root
	cross
	listSigner
	ocspSigner
	link // from one key of the bridge CA to another

	authority = root | subordinate | cross | link
	signer    = listSigner | ocspSigner
	others    = cross | signer // certificates that are not for the bridge CA
	issued    = subordinate | others | link
	every     = root | issued
)

func kindOf(c *x509.Certificate) kind {
	switch {
	case isLink(c):
		return link
	case selfIssued(c):
		return root
	case c.IsCA && unlimited(c):
		return subordinate
	case c.IsCA:
		return cross
	case len(c.ExtKeyUsage) > 0 && c.ExtKeyUsage[0] == x509.ExtKeyUsageOCSPSigning:
		return ocspSigner
	}
	return listSigner
}

// unlimited reports whether a CA certificate has nothing of what makes a
// cross-certificate, which has all of it: one extension too few makes that no
// bridge CA's.
func unlimited(c *x509.Certificate) bool {
	for _, x := range extensions {
		if x.required&cross != 0 && x.required&subordinate == 0 {
			if _, ok := certext.Find(c, x.id); ok {
				return false
			}
		}
	}
	return true
}

// rule is one row of the profile. check returns what is wrong, or nothing.
type rule struct {
	name   string
	source string
	kinds  kind
	check  func(*x509.Certificate) string
}

// extension is one row of the table of extensions. What has no row may not be
// in a certificate.
type extension struct {
	id       asn1.ObjectIdentifier
	name     string
	source   string
	critical bool
	// either is set where the compatible flavour of [Request] has it
	// non-critical; a rule of the profile wants them all alike.
	either   bool
	required kind
	optional kind
}

// Lint holds c against the profile for what it is: the certificate of the
// bridge CA or of the root above it, a link between two keys, one for a member's
// CA, or one for a signer of the bridge. No finding is tolerable.
func Lint(c *x509.Certificate) []Finding {
	var out []Finding
	add := func(rule, source, problem string) {
		if problem != "" {
			out = append(out, Finding{Rule: rule, Source: source, Problem: problem})
		}
	}
	k := kindOf(c)
	for _, x := range extensions {
		e, ok := certext.Find(c, x.id)
		switch {
		case !ok && x.required&k != 0:
			add(x.name, x.source, "missing")
		case ok && (x.required|x.optional)&k == 0:
			add(x.name, x.source, "does not belong here")
		case ok && e.Critical && !x.critical:
			add(x.name, x.source, "critical")
		case ok && !e.Critical && x.critical && !x.either:
			add(x.name, x.source, "not critical")
		}
	}
	for _, e := range c.Extensions {
		if !known(e.Id) {
			add("extensions", "bridge profile", e.Id.String()+" is not in the profile")
		}
	}
	for _, rules := range [][]rule{rfc5280, profile} {
		for _, r := range rules {
			if r.kinds&k != 0 {
				add(r.name, r.source, r.check(c))
			}
		}
	}
	return out
}

func known(id asn1.ObjectIdentifier) bool {
	for _, x := range extensions {
		if x.id.Equal(id) {
			return true
		}
	}
	return false
}

// lintError turns findings into one Invalid error.
func lintError(c *x509.Certificate) error {
	findings := Lint(c)
	if len(findings) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "a certificate for %q would break the profile: %s", c.Subject, join(findings))
}

func join(findings []Finding) string {
	var texts []string
	for _, f := range findings {
		texts = append(texts, f.String())
	}
	return strings.Join(texts, "; ")
}

var (
	oidAuthorityKeyID        = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidCRLDistributionPoints = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidAuthorityInfoAccess   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}
	// id-pkix-ocsp-nocheck
	oidNoCheck = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
)

// extensions is the table of the profile.
var extensions = []extension{
	{asn1.ObjectIdentifier{2, 5, 29, 19}, "basicConstraints", "RFC 5280 §4.2.1.9", true, false, authority, 0},
	{asn1.ObjectIdentifier{2, 5, 29, 15}, "keyUsage", "RFC 5280 §4.2.1.3", true, false, every, 0},
	{asn1.ObjectIdentifier{2, 5, 29, 14}, "subjectKeyIdentifier", "RFC 5280 §4.2.1.2", false, false, every, 0},
	{oidAuthorityKeyID, "authorityKeyIdentifier", "RFC 5280 §4.2.1.1", false, false, issued, 0},
	{asn1.ObjectIdentifier{2, 5, 29, 32}, "certificatePolicies", "RFC 5280 §4.2.1.4", false, false, issued, 0},
	// The RFC would have it critical; FBCA profile 2.0 does not, for the sake of
	// verifiers that do not know it.
	{certext.OIDPolicyMappings(), "policyMappings", "FBCA profile 2.0, worksheet 3", false, false, cross, 0},
	{certext.OIDPolicyConstraints(), "policyConstraints", "RFC 5280 §4.2.1.11", true, true, cross, 0},
	{certext.OIDInhibitAnyPolicy(), "inhibitAnyPolicy", "RFC 5280 §4.2.1.14", true, true, cross, 0},
	{certext.OIDNameConstraints(), "nameConstraints", "RFC 5280 §4.2.1.10", true, true, cross, 0},
	{asn1.ObjectIdentifier{2, 5, 29, 37}, "extKeyUsage", "S/MIME BR §7.1.2.2", false, false, others, 0},
	{oidCRLDistributionPoints, "cRLDistributionPoints", "RFC 5280 §4.2.1.13", false, false, issued, 0},
	{oidAuthorityInfoAccess, "authorityInfoAccess", "RFC 5280 §4.2.2.1", false, false, issued, 0},
	{certext.OIDSubjectInfoAccess(), "subjectInfoAccess", "RFC 5280 §4.2.2.2", false, false, subordinate, cross | root},
	{oidNoCheck, "ocsp-nocheck", "RFC 6960 §4.2.2.2.1", false, false, ocspSigner, 0},
}
