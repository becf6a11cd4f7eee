package crosscert

import (
	"crypto/x509"
	"slices"
	"strings"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"bridge.example/internal/fault"
)

// secondOpinion are rules that others wrote, from RFC 5280 and the S/MIME
// baseline requirements, without those that this profile breaks knowingly.
func secondOpinion() (lint.Registry, error) {
	o := lint.FilterOptions{
		IncludeSources: lint.SourceList{lint.RFC5280, lint.CABFSMIMEBaselineRequirements},
		// Of the compatible flavour; the profile's own rule on criticality stands.
		ExcludeNames: []string{"e_ext_name_constraints_not_critical", "e_ext_policy_constraints_not_critical", "e_inhibit_any_policy_not_critical"},
	}
	for _, name := range lint.GlobalRegistry().Names() {
		// A member's name is taken over byte by byte, with whatever is odd in it.
		if strings.HasPrefix(name, "e_subject_") && name != "e_subject_info_access_marked_critical" {
			o.ExcludeNames = append(o.ExcludeNames, name)
		}
	}
	r, err := lint.GlobalRegistry().Filter(o)
	if err != nil {
		return nil, fault.New(fault.Internal, "choosing rules: %w", err)
	}
	return r, nil
}

// lintAgain holds c against rules; zlint's warnings are no findings. The error
// is Invalid.
func lintAgain(rules lint.Registry, c *x509.Certificate) error {
	findings, err := opinions(rules, c)
	if err == nil && findings != nil {
		err = fault.New(fault.Invalid, "a certificate for %q would break others' rules: %s", c.Subject, join(findings))
	}
	return err
}

// opinions are the rules that c breaks, ordered by name.
func opinions(rules lint.Registry, c *x509.Certificate) (findings []Finding, err error) {
	// Others' code reads what members sent; it must not stop the bridge.
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Internal, "linting a certificate for %q: %v", c.Subject, r)
		}
	}()
	z, err := zx509.ParseCertificate(c.Raw)
	if err != nil {
		return nil, fault.New(fault.Invalid, "a certificate for %q cannot be read by zcrypto: %w", c.Subject, err)
	}
	for name, result := range zlint.LintCertificateEx(z, rules).Results {
		if result.Status >= lint.Error {
			findings = append(findings, Finding{Rule: name, Source: "zlint", Problem: strings.TrimSpace(result.Status.String() + " " + result.Details)})
		}
	}
	slices.SortFunc(findings, func(a, b Finding) int { return strings.Compare(a.Rule, b.Rule) })
	return findings, nil
}
