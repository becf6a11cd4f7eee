package lab_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"bridge.example/internal/lab"
)

// testPeers compares the simulated servers with real ones, and asks both with
// real clients.
func testPeers(t *testing.T, o *lab.Organisation) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS is not 1")
	}
	slapd, err := o.StartSlapd(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer slapd.Close()
	testEntries(t, o, dial(t, o, slapd.Port))
	if o.Spec.BindDN != "" {
		c, err := ldap.DialURL(fmt.Sprintf("ldap://127.0.0.1:%d", slapd.Port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if r, err := c.Search(find(o.Spec.Suffix, ldap.ScopeWholeSubtree, "(cn=*)")); err == nil {
			t.Errorf("slapd answers anybody: %v", r.Entries)
		}
	}
	for _, port := range []int{o.Ports.LDAP, slapd.Port} {
		for _, u := range o.Users() {
			args := []string{"-LLL", "-x", "-H", fmt.Sprintf("ldap://127.0.0.1:%d", port), "-b", o.Spec.Suffix, "-o", "ldif-wrap=no"}
			if o.Spec.BindDN != "" {
				args = append(args, "-D", o.Spec.BindDN, "-w", o.Spec.Password)
			}
			if out := run(t, "ldapsearch", append(args, "(mail="+u.Mail+")", "userCertificate")...); !strings.Contains(out, ":: MII") {
				t.Errorf("ldapsearch for %s at port %d: got %s", u.Mail, port, out)
			}
		}
	}

	issuing, err := o.StartOpenSSLOCSP(t.Context(), o.Issuing)
	if err != nil {
		t.Fatal(err)
	}
	defer issuing.Close()
	root, err := o.StartOpenSSLOCSP(t.Context(), o.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	at := func(p *lab.Peer) string { return fmt.Sprintf("http://127.0.0.1:%d/", p.Port) }
	for _, u := range o.Users() {
		if got := statusAt(t, at(issuing), o.Issuing.Certificate, nil, u.Certificate.SerialNumber); got != wantStatus[u.State] {
			t.Errorf("%s at openssl ocsp: got %s, want %s", u.Mail, got, wantStatus[u.State])
		}
		for _, url := range []string{o.Issuing.OCSP, at(issuing)} {
			out := run(t, "openssl", "ocsp", "-issuer", o.Issuing.File, "-cert", u.File, "-url", url, "-CAfile", o.Root.File, "-verify_other", o.Issuing.File)
			if !strings.Contains(out, "Response verify OK") || !strings.Contains(out, u.File+": "+wantStatus[u.State]) {
				t.Errorf("openssl ocsp for %s at %s: got %s", u.Mail, url, out)
			}
		}
	}
	if got := statusAt(t, at(root), o.Root.Certificate, o.Root.Certificate, o.Issuing.Certificate.SerialNumber); got != "good" {
		t.Errorf("issuing CA at openssl ocsp: got %s, want good", got)
	}
	valid := user(t, o, lab.Valid)
	out := run(t, "openssl", "verify", "-CAfile", o.Root.File, "-untrusted", o.Issuing.File, "-purpose", "smimeencrypt",
		"-policy_check", "-explicit_policy", "-policy", o.Spec.Policy, "-x509_strict", valid.File)
	if !strings.Contains(out, valid.File+": OK") {
		t.Errorf("openssl verify: got %s", out)
	}
	// What is revoked while the program runs, it says too.
	gone := user(t, o, lab.Expired)
	if err := o.Revoke(gone.Mail); err != nil {
		t.Fatal(err)
	}
	_ = statusAt(t, at(issuing), o.Issuing.Certificate, nil, gone.Certificate.SerialNumber)
	if got := statusAt(t, at(issuing), o.Issuing.Certificate, nil, gone.Certificate.SerialNumber); got != "revoked" {
		t.Errorf("%s, just revoked, at openssl ocsp: got %s", gone.Mail, got)
	}
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", program, err, out)
	}
	return string(out)
}
