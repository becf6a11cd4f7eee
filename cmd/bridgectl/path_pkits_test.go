package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const pkitsDir = "../../../shared/vectors/pkits"

// pkitsCase is one of NIST's Public Key Interoperability Test Suite; files are
// named after what they hold.
type pkitsCase struct {
	Name                        string
	CertPath                    []string // the anchor first, the leaf last
	CRLPath                     []string
	ShouldValidate              bool
	InitialPolicySet            []string
	InitialPolicyMappingInhibit bool
	InitialExplicitPolicy       bool
	InitialAnyPolicyInhibit     bool
}

// crlSigners are in a CertPath only to vouch for a CRL, in these cases.
var crlSigners = map[string][]string{
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

var pkitsPolicies = map[string]string{
	"anyPolicy":          "2.5.29.32.0",
	"NIST-test-policy-1": "2.16.840.1.101.3.2.1.48.1", "NIST-test-policy-2": "2.16.840.1.101.3.2.1.48.2",
	"NIST-test-policy-3": "2.16.840.1.101.3.2.1.48.3", "NIST-test-policy-6": "2.16.840.1.101.3.2.1.48.6",
}

func loadPKITS(t *testing.T) []pkitsCase {
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

// number is that of the section.
func (c pkitsCase) number() string {
	n, _, _ := strings.Cut(c.Name, " ")
	return n
}

// exit is the code expected of bridgectl.
func (c pkitsCase) exit() int {
	if c.ShouldValidate {
		return 0
	}
	return exitNo
}

// flags are those common to build and validate.
func (c pkitsCase) flags() []string {
	args := []string{"--at", "2012-01-01", "--legacy-algorithms", "--anchor", filepath.Join(pkitsDir, "certs", c.CertPath[0])}
	for _, name := range c.CertPath {
		args = append(args, "--certs", filepath.Join(pkitsDir, "certs", name))
	}
	for _, name := range c.CRLPath {
		args = append(args, "--crls", filepath.Join(pkitsDir, "crls", name))
	}
	for _, p := range c.InitialPolicySet {
		args = append(args, "--policy", pkitsPolicies[p])
	}
	for flag, set := range map[string]bool{
		"--inhibit-mapping": c.InitialPolicyMappingInhibit, "--explicit-policy": c.InitialExplicitPolicy,
		"--inhibit-any-policy": c.InitialAnyPolicyInhibit,
	} {
		if set {
			args = append(args, flag)
		}
	}
	return args
}

// path is the files of the path, without the anchor.
func (c pkitsCase) path() (files []string) {
	for _, name := range c.CertPath[1:] {
		if !slices.Contains(crlSigners[name], c.number()) {
			files = append(files, filepath.Join(pkitsDir, "certs", name))
		}
	}
	return files
}

// run executes the program, and returns its exit code and standard error.
func run(args ...string) (exit int, stderr string) {
	var b bytes.Buffer
	p := &tool{in: strings.NewReader(""), out: io.Discard, err: &b}
	return p.execute(args), b.String()
}

// TestPKITS asks both commands about every case.
func TestPKITS(t *testing.T) {
	for _, c := range loadPKITS(t) {
		path := c.path()
		for _, args := range [][]string{
			append([]string{"path", "validate"}, path...),
			{"path", "build", "--leaf", path[len(path)-1]},
		} {
			if got, stderr := run(append(args, c.flags()...)...); got != c.exit() {
				t.Errorf("%s: path %s exits %d, want %d: %s", c.Name, args[1], got, c.exit(), stderr)
			}
		}
	}
}

// TestPKITSFromDirectories has all certificates in one place, as pairs too, and
// all CRLs in another.
func TestPKITSFromDirectories(t *testing.T) {
	c := loadPKITS(t)[0]
	in := func(name string) string { return filepath.Join(pkitsDir, name) }
	for _, certs := range []string{"certs", "certpairs"} {
		got, stderr := run("path", "build", "--at", "2012-01-01", "--anchor", in("certs/"+c.CertPath[0]),
			"--leaf", c.path()[1], "--certs", in(certs), "--crls", in("crls"))
		if got != 0 {
			t.Errorf("%s: exits %d: %s", certs, got, stderr)
		}
	}
}

// opensslRefuses are valid: in one a DSA key inherits its parameters, in the
// other a CRL issuer stands on its own CRL.
var opensslRefuses = []string{"4.1.5", "4.14.30"}

// TestPKITSByOpenSSL asks another implementation in the same words.
func TestPKITSByOpenSSL(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS is not 1")
	}
	dir := t.TempDir()
	// join writes the named files into one, as PEM.
	join := func(out, folder, label string, names []string) string {
		var b bytes.Buffer
		for _, name := range names {
			der, err := os.ReadFile(filepath.Join(pkitsDir, folder, name))
			if err != nil {
				t.Fatal(err)
			}
			b.Write(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
		}
		write(t, filepath.Join(dir, out), b.Bytes())
		return filepath.Join(dir, out)
	}
	cases := slices.DeleteFunc(loadPKITS(t), func(c pkitsCase) bool { return slices.Contains(opensslRefuses, c.number()) })
	for _, c := range cases {
		args := []string{"verify", "-attime", "1325376000", "-crl_check_all", "-extended_crl", "-use_deltas", "-policy_check", "-auth_level", "0",
			"-CAfile", join("anchor.pem", "certs", "CERTIFICATE", c.CertPath[:1]),
			"-untrusted", join("certs.pem", "certs", "CERTIFICATE", c.CertPath[1:]),
			"-CRLfile", join("crls.pem", "crls", "X509 CRL", c.CRLPath)}
		for _, p := range c.InitialPolicySet {
			args = append(args, "-policy", pkitsPolicies[p])
		}
		for flag, set := range map[string]bool{
			"-inhibit_map": c.InitialPolicyMappingInhibit, "-explicit_policy": c.InitialExplicitPolicy,
			"-inhibit_any": c.InitialAnyPolicyInhibit,
		} {
			if set {
				args = append(args, flag)
			}
		}
		path := c.path()
		out, err := exec.CommandContext(t.Context(), "openssl", append(args, path[len(path)-1])...).CombinedOutput()
		if (err == nil) != c.ShouldValidate {
			t.Errorf("%s: openssl says %v, want valid: %v: %s", c.Name, err, c.ShouldValidate, out)
		}
	}
}
