package daemon_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bridge.example/crosscert"
	"bridge.example/internal/daemon"
	"bridge.example/internal/lab"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/statedir"
)

// tour is a federation of real programs: slapd and "openssl ocsp" serve the
// members, and the clients are those that people use.
type tour struct {
	*bridge
	alpha, beta *lab.Organisation
	files       string // what was fetched or made
}

// TestPeers needs slapd, ldapsearch, openssl, curl and gpgsm.
func TestPeers(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS is not 1")
	}
	p := &tour{alpha: organisation(t, lab.Alpha()), beta: organisation(t, lab.Beta()), files: t.TempDir()}
	p.bridge = start(t, "o=bridge", func(*config.Config) {}, p.alpha, p.beta)
	for _, m := range []*lab.Organisation{p.alpha, p.beta} {
		a := p.application(t, m)
		slapd := peer(t, m.StartSlapd)
		a.Directories[0].URL = fmt.Sprintf("ldap://127.0.0.1:%d", slapd.Port)
		responder := func(ca *lab.Authority) []string {
			r := peer(t, func(ctx context.Context) (*lab.Peer, error) { return m.StartOpenSSLOCSP(ctx, ca) })
			return []string{fmt.Sprintf("http://127.0.0.1:%d/", r.Port)}
		}
		a.Anchors[0].OCSP, a.Intermediates[0].OCSP = responder(m.Root), responder(m.Issuing)
		p.admit(t, a)
	}
	t.Run("directory", p.testDirectory)
	t.Run("responder", p.testResponder)
	t.Run("list", p.testList)
	t.Run("paths", p.testPaths)
	t.Run("mail", p.testMail)
	t.Run("gpgsm", p.testGpgsm)
	t.Run("suspension", p.testSuspension)
}

// peer starts a real server that ends with the test; one that is not installed
// is a failure.
func peer(t *testing.T, start func(context.Context) (*lab.Peer, error)) *lab.Peer {
	t.Helper()
	p, err := start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// run returns everything a program says, and its exit code.
func run(t *testing.T, program string, args ...string) (string, int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out), 0
}

// expect runs a program that must exit with code and say want.
func expect(t *testing.T, code int, want, program string, args ...string) {
	t.Helper()
	if out, got := run(t, program, args...); got != code || !strings.Contains(out, want) {
		t.Errorf("%s %s\nexit %d, want %d and %q in\n%s", program, strings.Join(args, " "), got, code, want, out)
	}
}

// file is where this tour keeps something.
func (p *tour) file(name string) string { return filepath.Join(p.files, name) }

func (p *tour) write(t *testing.T, name string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(p.file(name), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return p.file(name)
}

// fetch gets a URL with curl, and returns the file it is in.
func (p *tour) fetch(t *testing.T, url, name string) string {
	t.Helper()
	expect(t, 0, "", "curl", "-sSf", "-o", p.file(name), url)
	return p.file(name)
}

// ldapsearch asks the virtual directory.
func (p *tour) ldapsearch(t *testing.T, args ...string) (string, int) {
	t.Helper()
	return run(t, "ldapsearch", append([]string{"-x", "-LLL", "-o", "ldif-wrap=no", "-H", "ldap://" + p.Directory, "-b", "o=bridge"}, args...)...)
}

var ldifCertificate = regexp.MustCompile(`(?m)^userCertificate;binary:: (\S+)$`)

// certificates are the DER values in what ldapsearch printed.
func certificates(t *testing.T, ldif string) (out [][]byte) {
	t.Helper()
	for _, m := range ldifCertificate.FindAllStringSubmatch(ldif, -1) {
		der, err := base64.StdEncoding.DecodeString(m[1])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, der)
	}
	return out
}

func (p *tour) testDirectory(t *testing.T) {
	for _, m := range []*lab.Organisation{p.alpha, p.beta} {
		for _, u := range m.Users() {
			out, code := p.ldapsearch(t, "(mail="+u.Mail+")")
			certs := certificates(t, out)
			// Whether a certificate is revoked is the responder's to tell.
			if want := u.State != lab.Expired; code != 0 || want != (len(certs) == 1 && bytes.Equal(certs[0], u.Certificate.Raw)) {
				t.Errorf("%s (%s): exit %d and %d certificates", u.Mail, u.State, code, len(certs))
			}
			shown := ldifCertificate.ReplaceAllString(out, "") // random bytes may spell anything
			for _, secret := range []string{m.Spec.Suffix + "\n", "telephoneNumber", "employeeNumber", "uid", "sAMAccountName", "proxyAddresses", "ref:"} {
				if strings.Contains(shown, secret) {
					t.Errorf("%s: the answer holds %q:\n%s", u.Mail, secret, out)
				}
			}
		}
	}
	alice, bob := person(t, p.alpha, "alice").Mail, person(t, p.beta, "bob").Mail
	for _, tt := range []struct {
		name string
		args []string
		code int
		want int // certificates
	}{
		{"another spelling", []string{"(MAIL=" + strings.ToUpper(bob) + ")"}, 0, 1},
		{"within the member", []string{"-b", "o=beta,o=bridge", "(mail=" + bob + ")"}, 0, 1},
		{"within another member", []string{"-b", "o=alpha,o=bridge", "(mail=" + bob + ")"}, 0, 0},
		{"the person itself", []string{"-b", "mail=" + bob + ",ou=People,o=beta,o=bridge", "-s", "base"}, 0, 1},
		{"two members at once", []string{"(|(mail=" + alice + ")(mail=" + bob + "))", "usercertificate;binary"}, 0, 2},
		{"an address in substrings", []string{"(|(sn=*" + bob + "*)(|(cn=*" + bob + "*)(mail=*" + bob + "*)))"}, 0, 1},
		{"nobody", []string{"(mail=nobody@beta.example)"}, 0, 0},
		{"a stranger", []string{"(mail=bob@gamma.example)"}, 0, 0},
		{"wildcards", []string{"(mail=*@beta.example)"}, 53, 0},
		{"everybody", []string{"(objectClass=*)"}, 53, 0},
		{"another attribute", []string{"(telephoneNumber=*)"}, 53, 0},
		{"TLS, which is not offered", []string{"-ZZ", "(mail=" + bob + ")"}, 1, 0},
	} {
		out, code := p.ldapsearch(t, tt.args...)
		if got := len(certificates(t, out)); code != tt.code || got != tt.want {
			t.Errorf("%s: exit %d and %d certificates, want %d and %d\n%s", tt.name, code, got, tt.code, tt.want, out)
		}
	}
}

// ocsp makes arguments for "openssl ocsp" about users, by pairs of an issuer's
// file and a certificate's.
func (p *tour) ocsp(flags []string, pairs ...string) []string {
	args := append([]string{"ocsp", "-url", "http://" + p.Responder + "/"}, flags...)
	for i := 0; i < len(pairs); i += 2 {
		args = append(args, "-issuer", pairs[i], "-cert", pairs[i+1])
	}
	return args
}

func (p *tour) testResponder(t *testing.T) {
	alice, rosa := person(t, p.alpha, "alice"), person(t, p.alpha, "rosa")
	bob, remy := person(t, p.beta, "bob"), person(t, p.beta, "remy")
	alpha, beta := p.alpha.Issuing.File, p.beta.Issuing.File
	byAlpha, byBeta := []string{"-CAfile", p.alpha.Root.File, "-verify_other", alpha}, []string{"-CAfile", p.beta.Root.File}
	bridgeCA, signer := p.dir.Certificate(statedir.BridgeCA), p.dir.Certificate(statedir.OCSPSigner)
	listSigner, cross := p.dir.Certificate(statedir.ListSigner), p.crossTo(t, p.beta)
	byBridge := []string{"-CAfile", bridgeCA}
	for _, tt := range []struct {
		name  string
		flags []string
		pairs []string
		want  []string // of each certificate
	}{
		{"good, of a delegate, with nonce", byAlpha, []string{alpha, alice.File}, []string{"good"}},
		{"good, of the CA, with nonce", byBeta, []string{beta, bob.File}, []string{"good"}},
		{"without nonce", append([]string{"-no_nonce"}, byBeta...), []string{beta, bob.File}, []string{"good"}},
		{"once more, from the cache", append([]string{"-no_nonce"}, byBeta...), []string{beta, bob.File}, []string{"good"}},
		{"revoked, of a delegate", byAlpha, []string{alpha, rosa.File}, []string{"revoked"}},
		{"revoked, of the CA", byBeta, []string{beta, remy.File}, []string{"revoked"}},
		{"SHA-256", append([]string{"-sha256"}, byBeta...), []string{beta, bob.File}, []string{"good"}},
		{"two of one member", byBeta, []string{beta, bob.File, beta, remy.File}, []string{"good", "revoked"}},
		{"an issuing CA", byBeta, []string{p.beta.Root.File, beta}, []string{"good"}},
		{"two members", []string{"-VAfile", signer}, []string{alpha, alice.File, beta, remy.File}, []string{"good", "revoked"}},
		{"three issuers", []string{"-VAfile", signer}, []string{alpha, rosa.File, beta, bob.File, bridgeCA, cross}, []string{"revoked", "good", "good"}},
		{"the list signer", byBridge, []string{bridgeCA, listSigner}, []string{"good"}},
		{"a cross-certificate", byBridge, []string{bridgeCA, cross}, []string{"good"}},
	} {
		out, code := run(t, "openssl", p.ocsp(tt.flags, tt.pairs...)...)
		// Exit 0 alone says nothing: it does not verify the answer.
		if code != 0 || !strings.Contains(out, "Response verify OK") {
			t.Errorf("%s: exit %d\n%s", tt.name, code, out)
		}
		if strings.Contains(out, "no nonce in response") {
			t.Errorf("%s: the nonce did not come back\n%s", tt.name, out)
		}
		for i, want := range tt.want {
			if line := tt.pairs[2*i+1] + ": " + want; !strings.Contains(out, line) {
				t.Errorf("%s: want %q in\n%s", tt.name, line, out)
			}
		}
	}
	// A CA that is no member's, though its certificates lie in the state directory.
	expect(t, 1, "unauthorized", "openssl", p.ocsp(byBridge, p.dir.Certificate(statedir.AdminCA), p.dir.Certificate(statedir.AdminServer))...)
}

func (p *tour) testList(t *testing.T) {
	ca := p.dir.Certificate(statedir.BridgeCA)
	verify := func(file string) []string {
		return []string{"cms", "-verify", "-inform", "DER", "-in", file, "-CAfile", ca, "-out", p.file("list.content")}
	}
	file := p.fetch(t, "http://"+p.Repository+daemon.ListPath, "list.p7s")
	expect(t, 0, "CMS Verification successful", "openssl", verify(file)...)
	list, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]int{
		"content":   bytes.Index(list, []byte("beta.example")),
		"signature": len(list) - 1,
	} {
		changed := bytes.Clone(list)
		changed[at] ^= 1
		expect(t, 4, "CMS Verification failure", "openssl", verify(p.write(t, "changed-"+name+".p7s", changed))...)
	}
	crl := p.fetch(t, "http://"+p.Repository+crosscert.CRLPath, "bridge.crl")
	expect(t, 0, "verify OK", "openssl", "crl", "-inform", "DER", "-in", crl, "-CAfile", ca, "-noout")
}

// published picks from a bundle that the bridge publishes the certificate of a
// subject by an issuer, both common names, and returns the file it is in. openssl
// tries one path only, so it is given no certificates beside it.
func (p *tour) published(t *testing.T, path, subject, issuer string) string {
	t.Helper()
	bundle := p.fetch(t, "http://"+p.Repository+path, "bundle.p7c")
	out, code := run(t, "openssl", "pkcs7", "-inform", "DER", "-in", bundle, "-print_certs")
	if code != 0 {
		t.Fatal(out)
	}
	for block, rest := pem.Decode([]byte(out)); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if c.Subject.CommonName == subject && c.Issuer.CommonName == issuer {
			name := strings.ReplaceAll(subject+" by "+issuer+".pem", " ", "-")
			return p.write(t, name, pem.EncodeToMemory(block))
		}
	}
	t.Fatalf("%s has no certificate of %q by %q:\n%s", path, subject, issuer, out)
	return ""
}

const bridgeName = "Test Bridge CA"

// crossTo is the bridge's certificate for a member, as published.
func (p *tour) crossTo(t *testing.T, m *lab.Organisation) string {
	t.Helper()
	return p.published(t, crosscert.IssuedByBridgePath, m.Spec.Name+" Root CA", bridgeName)
}

// path are arguments for "openssl verify": from one member's root, under its
// policy or another, over the bridge to a user of the other's. cross is the
// bridge's certificate for the other.
func (p *tour) path(t *testing.T, from, to *lab.Organisation, policy, cross string, user lab.User, more ...string) []string {
	t.Helper()
	issuing := p.published(t, crosscert.IssuedByPath(to.Spec.ID), to.Spec.Name+" Issuing CA", to.Spec.Name+" Root CA")
	return append(append([]string{"verify", "-policy_check", "-explicit_policy", "-policy", policy, "-purpose", "smimeencrypt",
		"-CAfile", from.Root.File,
		"-untrusted", p.published(t, crosscert.IssuedToPath, bridgeName, from.Spec.Name+" Root CA"),
		"-untrusted", cross, "-untrusted", issuing}, more...), user.File)
}

func (p *tour) testPaths(t *testing.T) {
	alice, bob := person(t, p.alpha, "alice"), person(t, p.beta, "bob")
	toAlpha, toBeta := p.crossTo(t, p.alpha), p.crossTo(t, p.beta)
	expect(t, 0, bob.File+": OK", "openssl", p.path(t, p.alpha, p.beta, p.alpha.Spec.Policy, toBeta, bob)...)
	expect(t, 0, alice.File+": OK", "openssl", p.path(t, p.beta, p.alpha, p.beta.Spec.Policy, toAlpha, alice)...)
	const wrong = "1.3.6.1.4.1.32473.9.9"
	expect(t, 2, "no explicit policy", "openssl", p.path(t, p.alpha, p.beta, wrong, toBeta, bob)...)
	// The other's own policy means nothing to who starts from this root.
	expect(t, 2, "no explicit policy", "openssl", p.path(t, p.alpha, p.beta, p.beta.Spec.Policy, toBeta, bob)...)
	// The bridge's certificate for one member does not lead to the other's users.
	expect(t, 2, "unable to get local issuer certificate", "openssl", p.path(t, p.alpha, p.beta, p.alpha.Spec.Policy, toAlpha, bob)...)
}

func (p *tour) testMail(t *testing.T) {
	bob := person(t, p.beta, "bob")
	out, _ := p.ldapsearch(t, "(mail="+bob.Mail+")", "userCertificate;binary")
	certs := certificates(t, out)
	if len(certs) != 1 {
		t.Fatalf("got %d certificates:\n%s", len(certs), out)
	}
	found := p.write(t, "found.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certs[0]}))
	const text = "only Bob can read this"
	plain := p.write(t, "mail.txt", []byte(text+"\r\n"))
	expect(t, 0, "", "openssl", "cms", "-encrypt", "-aes-256-cbc", "-in", plain, "-out", p.file("mail.p7m"), found)
	expect(t, 0, text, "openssl", "cms", "-decrypt", "-in", p.file("mail.p7m"), "-recip", bob.File, "-inkey", bob.KeyFile)
}

// crls fetches the CRLs of everyone between alpha's root and beta's users into
// one file.
func (p *tour) crls(t *testing.T) string {
	t.Helper()
	var all []byte
	for _, url := range []string{p.alpha.Root.CRL, "http://" + p.Repository + crosscert.CRLPath, p.beta.Root.CRL, p.beta.Issuing.CRL} {
		out, code := run(t, "openssl", "crl", "-inform", "DER", "-in", p.fetch(t, url, "next.crl"))
		if code != 0 {
			t.Fatal(out)
		}
		all = append(all, out...)
	}
	return p.write(t, "all.crl", all)
}

// testSuspension keeps the path from before, and lets new CRLs judge it.
func (p *tour) testSuspension(t *testing.T) {
	alice, bob := person(t, p.alpha, "alice"), person(t, p.beta, "bob")
	cross, ca := p.crossTo(t, p.beta), p.dir.Certificate(statedir.BridgeCA)
	path := p.path(t, p.alpha, p.beta, p.alpha.Spec.Policy, cross, bob, "-crl_check_all", "-CRLfile", p.file("all.crl"))
	status := p.ocsp([]string{"-no_nonce", "-CAfile", p.beta.Root.File}, p.beta.Issuing.File, bob.File)
	ofCross := p.ocsp([]string{"-CAfile", ca}, ca, cross)
	p.crls(t)
	expect(t, 0, bob.File+": OK", "openssl", path...)
	expect(t, 0, bob.File+": good", "openssl", status...)

	p.suspend(t, "beta")
	if out, code := p.ldapsearch(t, "(mail="+bob.Mail+")"); code != 0 || strings.TrimSpace(out) != "" {
		t.Errorf("suspended: exit %d and\n%s", code, out)
	}
	expect(t, 1, "unauthorized", "openssl", status...)
	expect(t, 0, cross+": revoked", "openssl", ofCross...)
	p.crls(t)
	expect(t, 2, "certificate revoked", "openssl", path...)
	expect(t, 0, alice.File+": good", "openssl",
		p.ocsp([]string{"-CAfile", p.alpha.Root.File, "-verify_other", p.alpha.Issuing.File}, p.alpha.Issuing.File, alice.File)...)

	p.resume(t, "beta")
	if out, _ := p.ldapsearch(t, "(mail="+bob.Mail+")"); len(certificates(t, out)) != 1 {
		t.Errorf("back again: got\n%s", out)
	}
	expect(t, 0, bob.File+": good", "openssl", status...)
	expect(t, 2, "certificate revoked", "openssl", path...) // the old one stays so
	path = p.path(t, p.alpha, p.beta, p.alpha.Spec.Policy, p.crossTo(t, p.beta), bob, "-crl_check_all", "-CRLfile", p.crls(t))
	expect(t, 0, bob.File+": OK", "openssl", path...)
}
