package pathval_test

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/wire/crl"
)

const pkitsDir = "../../../../shared/vectors/pkits"

// pkitsCase is one of vectors.json, the names of whose files say what is in
// them.
type pkitsCase struct {
	Name                        string
	CertPath                    []string
	CRLPath                     []string
	ShouldValidate              bool
	InitialPolicySet            []string
	InitialPolicyMappingInhibit bool
	InitialExplicitPolicy       bool
	InitialAnyPolicyInhibit     bool
}

// beside are certificates that vectors.json lists in paths, by case, to which
// they do not belong: they vouch for a CRL.
var beside = map[string][]string{
	"SeparateCertificateandCRLKeysCRLSigningCert.crt":    {"4.4.19", "4.4.20"},
	"SeparateCertificateandCRLKeysCA2CRLSigningCert.crt": {"4.4.21"},
	"BasicSelfIssuedOldKeyNewWithOldCACert.crt":          {"4.5.4", "4.5.5"},
	"BasicSelfIssuedCRLSigningKeyCRLCert.crt":            {"4.5.6", "4.5.7"},
	"indirectCRLCA1Cert.crt":                             {"4.14.24", "4.14.25", "4.14.26"},
	"GoodCACert.crt":                                     {"4.14.27"},
	"indirectCRLCA3cRLIssuerCert.crt":                    {"4.14.28", "4.14.29"},
	"indirectCRLCA4cRLIssuerCert.crt":                    {"4.14.30"},
	"indirectCRLCA5Cert.crt":                             {"4.14.31", "4.14.32", "4.14.33"},
}

func loadPKITS(t testing.TB) []pkitsCase {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(pkitsDir, "vectors.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no PKITS vectors beside the repository")
	}
	var cases []pkitsCase
	if err == nil {
		err = json.Unmarshal(b, &cases)
	}
	if err != nil || len(cases) != 249 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	return cases
}

func readFile(t testing.TB, folder, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(pkitsDir, folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// number is that of the section.
func (c pkitsCase) number() string {
	n, _, _ := strings.Cut(c.Name, " ")
	return n
}

func (c pkitsCase) certs(t testing.TB) (all, path []*pathval.Certificate) {
	for _, name := range c.CertPath {
		x, err := pathval.ParseCertificate(readFile(t, "certs", name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, x)
		if !slices.Contains(beside[name], c.number()) {
			path = append(path, x)
		}
	}
	return all, path
}

func (c pkitsCase) inputs(t testing.TB, all []*pathval.Certificate) pathval.Inputs {
	var lists []*crl.List
	for _, name := range c.CRLPath {
		l, err := crl.Parse(readFile(t, "crls", name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lists = append(lists, l)
	}
	crls, err := pathval.NewCRLs(pathval.NewPool(all...), lists...)
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string]string{
		"anyPolicy":          "2.5.29.32.0",
		"NIST-test-policy-1": "2.16.840.1.101.3.2.1.48.1", "NIST-test-policy-2": "2.16.840.1.101.3.2.1.48.2",
		"NIST-test-policy-3": "2.16.840.1.101.3.2.1.48.3", "NIST-test-policy-6": "2.16.840.1.101.3.2.1.48.6",
	}
	in := pathval.Inputs{
		Anchors: all[:1], At: time.Date(2012, 1, 1, 0, 0, 0, 0, time.UTC), Revocation: crls,
		ExplicitPolicy: c.InitialExplicitPolicy, InhibitPolicyMapping: c.InitialPolicyMappingInhibit, InhibitAnyPolicy: c.InitialAnyPolicyInhibit,
		Accept: crl.Legacy, // for the DSA cases
	}
	for _, p := range c.InitialPolicySet {
		oid, err := x509.ParseOID(policies[p])
		if err != nil {
			t.Fatal(err)
		}
		in.Policies = append(in.Policies, oid)
	}
	return in
}

// pkitsReasons are why cases of a section are rejected, so that none is for
// something else.
var pkitsReasons = map[string][]pathval.Reason{
	"4.1.":  {pathval.BadSignature},
	"4.2.":  {pathval.NotYetValid, pathval.Expired},
	"4.3.":  {pathval.NameChaining},
	"4.4.":  {pathval.Revoked, pathval.StatusUnknown},
	"4.5.":  {pathval.Revoked, pathval.NotCA},
	"4.6.":  {pathval.NotCA, pathval.PathTooLong},
	"4.7.":  {pathval.KeyUsage, pathval.StatusUnknown},
	"4.8.":  {pathval.PolicyMissing},
	"4.9.":  {pathval.PolicyMissing},
	"4.10.": {pathval.PolicyMissing, pathval.MappingAnyPolicy},
	"4.11.": {pathval.PolicyMissing},
	"4.12.": {pathval.PolicyMissing},
	"4.13.": {pathval.NameConstraint},
	"4.14.": {pathval.Revoked, pathval.StatusUnknown},
	"4.15.": {pathval.Revoked, pathval.StatusUnknown},
	"4.16.": {pathval.UnknownCritical},
}

func TestPKITS(t *testing.T) {
	for _, c := range loadPKITS(t) {
		t.Run(c.Name, func(t *testing.T) {
			all, path := c.certs(t)
			in := c.inputs(t, all)
			_, err := pathval.Validate(t.Context(), path, in)
			if (err == nil) != c.ShouldValidate {
				t.Errorf("Validate: got %v, want valid: %v", err, c.ShouldValidate)
			}
			if r, ok := errors.AsType[*pathval.Rejection](err); ok {
				n := c.number()
				section := n[:strings.Index(n[2:], ".")+3]
				if !slices.Contains(pkitsReasons[section], r.Reason) {
					t.Errorf("Validate: got %v", r)
				}
			}
			_, err = pathval.Build(t.Context(), all[len(all)-1], pathval.NewPool(all...), in)
			if (err == nil) != c.ShouldValidate {
				t.Errorf("Build: got %v, want valid: %v", err, c.ShouldValidate)
			}
		})
	}
}

// Every certificate of the set is in one pool, with many of the same name: the
// builder must find, or not find, the same.
func TestPKITSInOnePool(t *testing.T) {
	cases := loadPKITS(t)
	var everything []*pathval.Certificate
	for _, c := range cases {
		all, _ := c.certs(t)
		everything = append(everything, all...)
	}
	pool := pathval.NewPool(everything...)
	for _, c := range cases {
		all, _ := c.certs(t)
		_, err := pathval.Build(t.Context(), all[len(all)-1], pool, c.inputs(t, all))
		if (err == nil) != c.ShouldValidate {
			t.Errorf("%s: got %v, want valid: %v", c.Name, err, c.ShouldValidate)
		}
	}
}
