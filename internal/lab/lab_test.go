package lab_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
)

const bridgePolicy = "1.3.6.1.4.1.32473.1.1"

// TestOrganisations makes each organisation once and looks at it from all
// sides.
func TestOrganisations(t *testing.T) {
	for _, spec := range []lab.Spec{lab.Alpha(), lab.Beta()} {
		t.Run(spec.ID, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			o := start(t, dir, spec)
			for name, check := range map[string]func(*testing.T, *lab.Organisation){
				"files": testFiles, "chains": testChains, "application": testApplication,
				"directory": testDirectory, "status": testStatus, "CRL": testCRL, "cross": testCross,
			} {
				t.Run(name, func(t *testing.T) { check(t, o) })
			}
			t.Run("peers", func(t *testing.T) { testPeers(t, o) })
			t.Run("again", func(t *testing.T) { testAgain(t, dir, o) }) // closes o
		})
	}
}

// small is an organisation that is quickly made.
func small() lab.Spec {
	s := lab.Alpha()
	s.DelegateOCSP, s.Users = false, s.Users[:1]
	return s
}

func start(t *testing.T, dir string, spec lab.Spec) *lab.Organisation {
	t.Helper()
	o, err := lab.New(dir, spec, lab.Ports{})
	if err == nil {
		err = o.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

// user returns the first user in a state.
func user(t *testing.T, o *lab.Organisation, s lab.State) lab.User {
	t.Helper()
	for _, u := range o.Users() {
		if u.State == s {
			return u
		}
	}
	t.Fatalf("nobody is %s", s)
	return lab.User{}
}

func pool(cs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range cs {
		p.AddCert(c)
	}
	return p
}

// client keeps no connection, since servers come and go at the same port.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

func get(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %s, %v", url, resp.Status, err)
	}
	return b
}

// testFiles finds nothing that anybody but the owner may read.
func testFiles(t *testing.T, o *lab.Organisation) {
	err := filepath.WalkDir(filepath.Dir(o.Root.File), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if i, err := d.Info(); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v, %v, want 0600", path, i.Mode(), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, u := range o.Users() {
		for _, f := range []string{u.File, u.KeyFile} {
			if _, err := os.Stat(f); err != nil {
				t.Error(err)
			}
		}
	}
}

func testChains(t *testing.T, o *lab.Organisation) {
	policy, err := x509.ParseOID(o.Spec.Policy)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []*lab.Authority{o.Root, o.Issuing} {
		if der := get(t, o.Issuing.Certificate.IssuingCertificateURL[0]); !bytes.Equal(der, o.Root.Certificate.Raw) {
			t.Errorf("caIssuers of %s: got %x", a.File, der)
		}
	}
	for i, u := range o.Users() {
		if u.State != o.Spec.Users[i].State {
			t.Errorf("%s: got %s, want %s", u.Mail, u.State, o.Spec.Users[i].State)
		}
		now := u.Certificate.NotAfter.Add(-time.Hour) // expired users were valid once
		_, err := u.Certificate.Verify(x509.VerifyOptions{
			Roots: pool(o.Root.Certificate), Intermediates: pool(o.Issuing.Certificate), CurrentTime: now,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, CertificatePolicies: []x509.OID{policy},
		})
		if err != nil {
			t.Errorf("%s: %v", u.Mail, err)
		}
		c := u.Certificate
		got := fmt.Sprint(c.EmailAddresses, c.Policies, c.OCSPServer, c.CRLDistributionPoints, c.KeyUsage, time.Now().After(c.NotAfter))
		want := fmt.Sprint([]string{u.Mail}, []x509.OID{policy}, []string{o.Issuing.OCSP}, []string{o.Issuing.CRL},
			x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment, u.State == lab.Expired)
		if got != want {
			t.Errorf("%s: got %s, want %s", u.Mail, got, want)
		}
	}
}

func testApplication(t *testing.T, o *lab.Organisation) {
	a := o.Application(bridgePolicy, o.Root.Certificate.Raw)
	a.Normalize()
	if err := a.Validate(); err != nil {
		t.Error(err)
	}
}

// testAgain loads the organisation a second time and finds everything there.
func testAgain(t *testing.T, dir string, o *lab.Organisation) {
	valid := user(t, o, lab.Valid)
	if err := o.Revoke(valid.Mail); err != nil {
		t.Fatal(err)
	}
	before := o.Users()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	// Ports asked for do not matter any more: certificates name those there are.
	again, err := lab.New(dir, o.Spec, lab.Ports{LDAP: 1, OCSP: 1, HTTP: 1})
	if err == nil {
		err = again.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Ports != o.Ports || !again.Root.Certificate.Equal(o.Root.Certificate) || !again.Issuing.Certificate.Equal(o.Issuing.Certificate) {
		t.Errorf("got %v and CAs, want %v and the same CAs", again.Ports, o.Ports)
	}
	for i, u := range again.Users() {
		if u.Mail != before[i].Mail || u.State != before[i].State || !u.Certificate.Equal(before[i].Certificate) {
			t.Errorf("got %s %s, want %s %s with the same certificate", u.Mail, u.State, before[i].Mail, before[i].State)
		}
	}
	if got := status(t, again.Issuing, valid.Certificate.SerialNumber); got != "revoked" {
		t.Errorf("%s, revoked before the restart: got %s", valid.Mail, got)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	o := start(t, dir, small())
	if err := o.Revoke("nobody"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("revoking nobody: got %v, want NotFound", err)
	}
	if _, err := lab.New(t.TempDir(), small(), o.Ports); fault.KindOf(err) != fault.Conflict {
		t.Errorf("ports in use: got %v, want Conflict", err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	other := small()
	other.Users = lab.Alpha().Users
	if _, err := lab.New(dir, other, lab.Ports{}); err == nil {
		t.Error("users without files are accepted")
	}
	if err := os.WriteFile(filepath.Join(dir, "root.pem"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.New(dir, small(), lab.Ports{}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a damaged file: got %v, want Invalid", err)
	}
	// What failed holds no port.
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", o.Ports.LDAP))
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}

// TestUnfinished makes the organisation anew where the first attempt broke off.
func TestUnfinished(t *testing.T) {
	dir := t.TempDir()
	o := start(t, dir, small())
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "ports.json")); err != nil {
		t.Fatal(err)
	}
	start(t, dir, small())
}
