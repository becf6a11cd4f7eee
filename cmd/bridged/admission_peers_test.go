package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bridge.example/internal/lab"
	"bridge.example/membership"
)

// TestAdmission takes an organisation with slapd under StartTLS, "openssl ocsp",
// CRLs over HTTP and a CA of two levels from its first preflight to the signed
// list, with the programs alone, each person doing their part. The bridge is
// killed twice on the way; what was acknowledged is there.
func TestAdmission(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS is not 1")
	}
	c := newCase(t)
	c.try(t, 0, "", "alfred", "preflight", "-f", c.application, "--allow", "127.0.0.0/8", "--resolver", c.names)
	c.try(t, 0, "draft", "alfred", "member", "apply", "-f", c.application)
	c.try(t, 5, "", "berta", "member", "show", "alpha")
	c.try(t, 0, "submitted", "alfred", "member", "submit", "alpha", "--form", c.file("form"))
	c.try(t, 0, "checked", "ada", "member", "check", "alpha")
	c.try(t, 4, "", "donald", "member", "activate", "alpha")
	c.try(t, 0, "assessed", "alan", "member", "assess", "alpha", "--assessment", c.file("assessment"), "--audit", c.file("audit"), "--audit-expires", "2099-12-31", "--all-mappings")
	c.try(t, 0, "contracted", "ada", "member", "contract", "alpha", "--agreement", c.file("agreement"), "--expires", "2099-12-31", "--declaration", c.file("declaration"))
	fingerprint := lab.Hash(c.alpha.Root.Certificate.Raw)
	c.try(t, 4, "of no anchor", "ada", "member", "identify", "alpha", "--minutes", c.file("minutes"), "--fingerprint", strings.Repeat("0", 64))
	c.try(t, 0, "contracted", "ada", "member", "identify", "alpha", "--minutes", c.file("minutes"), "--fingerprint", fingerprint)
	c.try(t, 0, "identified", "grace", "member", "identify", "alpha", "--minutes", c.file("minutes"), "--fingerprint", fingerprint)
	for _, approver := range []string{"barbara", "edsger"} {
		c.restart(t)
		c.try(t, 0, "", approver, "member", "approve", "alpha", "--fingerprint", fingerprint, "--yes")
	}
	c.try(t, 0, "active", "donald", "member", "activate", "alpha")

	var shown struct {
		State  string
		Report struct {
			Passed   bool
			Findings []struct{ ID, Verdict, Subject string }
		}
		Projection struct {
			Listed           bool
			DirectoryDomains []string `json:"directory_domains"`
		}
	}
	out := c.try(t, 0, "", "ada", "member", "show", "alpha", "--output", "json")
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if shown.State != "active" || !shown.Report.Passed || !shown.Projection.Listed || len(shown.Projection.DirectoryDomains) != 1 {
		t.Errorf("in the end: %+v", shown)
	}
	for _, f := range shown.Report.Findings {
		if f.Verdict == "fail" {
			t.Errorf("%s of %s failed", f.ID, f.Subject)
		}
	}
	list := filepath.Join(t.TempDir(), "list.p7s")
	c.try(t, 0, "", "ada", "list", "fetch", "--out", list)
	if out := c.try(t, 0, "alpha", "ada", "list", "verify", list, "--anchor", filepath.Join(c.dir, "certificates", "bridge-ca.pem")); !strings.Contains(out, "alpha.example") {
		t.Errorf("the list does not have the mail domain:\n%s", out)
	}
	found, err := lab.Lookup(t.Context(), "ldap://"+c.directory, "o=bridge", "alice@alpha.example")
	if err != nil || len(found) != 1 {
		t.Errorf("the bridge's directory gives %d certificates of Alice, %v", len(found), err)
	}
	// What the peer stops to prove, the next check finds.
	if err := c.slapd.Close(); err != nil {
		t.Fatal(err)
	}
	c.try(t, 7, "fail", "ada", "member", "check", "alpha")
	c.try(t, 0, "active", "ada", "member", "show", "alpha")
}

// admission is a bridge, an organisation that applies, and their files.
type admission struct {
	dir         string // state of the bridge
	directory   string // host:port of its directory
	names       string // host:port of the name server
	application string // file
	alpha       *lab.Organisation
	slapd       *lab.Peer
	files       string
	kill        func() // the bridge
}

// newCase starts everything.
func newCase(t *testing.T) *admission {
	t.Helper()
	c := &admission{dir: filepath.Join(t.TempDir(), "bridge"), files: t.TempDir()}
	var err error
	if c.alpha, err = lab.New(filepath.Join(t.TempDir(), "alpha"), lab.Alpha(), lab.Ports{}); err == nil {
		err = c.alpha.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.alpha.Close() })
	names, err := lab.StartDNS(0, c.alpha)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = names.Close() })
	c.names = names.Addr
	peer := func(p *lab.Peer, err error) *lab.Peer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	c.slapd = peer(c.alpha.StartSlapd(t.Context()))
	root := peer(c.alpha.StartOpenSSLOCSP(t.Context(), c.alpha.Root))
	issuing := peer(c.alpha.StartOpenSSLOCSP(t.Context(), c.alpha.Issuing))
	// The TLS certificate of slapd is from the organisation's own root.
	t.Setenv("SSL_CERT_FILE", c.alpha.Root.File)

	ports := freePorts(t, 4)
	c.directory = fmt.Sprintf("127.0.0.1:%d", ports[1])
	args := founding(c.dir, append(listening(ports...), "--plain-keys", "--allow", "127.0.0.0/8")...)
	for _, p := range []string{
		"ada=officer", "grace=officer", "alan=assessor", "barbara=approver", "edsger=approver", "donald=signer",
		"alfred=applicant:alpha", "berta=applicant:beta",
	} {
		args = append(args, "--person", p)
	}
	if out, code := bridged(t, args...); code != 0 {
		t.Fatalf("init: exit %d\n%s", code, out)
	}
	config := filepath.Join(c.dir, "bridged.yaml")
	f, err := os.OpenFile(config, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, "\nchecks:\n  resolver: %s\n", c.names)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	c.kill = serve(t, config)
	c.write(t, root.Port, issuing.Port)
	return c
}

// restart kills the bridge and starts it again.
func (c *admission) restart(t *testing.T) {
	t.Helper()
	c.kill()
	c.kill = serve(t, filepath.Join(c.dir, "bridged.yaml"))
}

// write makes the application, as its applicant would.
func (c *admission) write(t *testing.T, rootOCSP, issuingOCSP int) {
	t.Helper()
	d := demo{ready: ready{State: c.dir}}
	if _, err := c.alpha.CrossCertify(d.certificate(t, "certificates/bridge-ca.pem"), "1.3.6.1.4.1.32473.1.1"); err != nil {
		t.Fatal(err)
	}
	a := c.alpha.Application("")
	serials := a.Intermediates[0].TestSerials
	c.application = filepath.Join(c.files, "alpha.yaml")
	text := fmt.Sprintf(`id: alpha
name: Alpha
country: DE
contacts: [{name: PKI office, email: pki@alpha.example}]
mail_domains: [alpha.example]
policies: [{member: %s, bridge: 1.3.6.1.4.1.32473.1.1, section: "1.2"}]
directories:
  - {url: "ldap://127.0.0.1:%d", base: "o=Alpha,c=DE", dialect: inetOrgPerson, start_tls: true, test_mailbox: %s}
anchors:
  - {certificate: %q, ocsp: ["http://127.0.0.1:%d/"], crl: [%q]}
intermediates:
  - {certificate: %q, ocsp: ["http://127.0.0.1:%d/"], crl: [%q], test_serials: {valid: %q, revoked: %q}}
cross_certificates: [%q]
documents:
  - {kind: cp, file: %q}
  - {kind: cps, file: %q}
`, c.alpha.Spec.Policy, c.slapd.Port, a.Directories[0].TestMailbox,
		c.alpha.Root.File, rootOCSP, c.alpha.Root.CRL, c.alpha.Issuing.File, issuingOCSP, c.alpha.Issuing.CRL, serials.Valid, serials.Revoked,
		c.alpha.CrossFile(), c.file(string(membership.PolicyDocument)), c.file(string(membership.PracticeStatement)))
	for _, kind := range []string{"cp", "cps", "form", "assessment", "audit", "agreement", "declaration", "minutes"} {
		if err := os.WriteFile(c.file(kind), []byte("the "+kind+" of alpha\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(c.application, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c *admission) file(name string) string { return filepath.Join(c.files, name+".txt") }

// try runs bridgectl as a person. It must exit with code and say want; what it
// said is returned.
func (c *admission) try(t *testing.T, code int, want, person string, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs, "bridgectl"), append([]string{"--credentials", filepath.Join(c.dir, "officers", person)}, args...)...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if cmd.ProcessState.ExitCode() != code || !strings.Contains(string(out)+said.String(), want) {
		t.Fatalf("%s: bridgectl %s\nexit %d (%v), want %d and %q in\n%s%s", person, strings.Join(args, " "), cmd.ProcessState.ExitCode(), exit, code, want, out, &said)
	}
	return string(out)
}

// freePorts are n ports nobody listens on, below the numbers that systems hand to
// outgoing connections: the bridge comes back to them.
func freePorts(t *testing.T, n int) (out []int) {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000)))
		if err != nil {
			continue
		}
		defer l.Close()
		if out = append(out, l.Addr().(*net.TCPAddr).Port); len(out) == n {
			return out
		}
	}
	t.Fatal("no free ports")
	return nil
}
