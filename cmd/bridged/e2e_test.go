package main_test

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"bridge.example/crosscert"
	"bridge.example/internal/lab"
	"bridge.example/internal/wire/certext"
	"bridge.example/signedlist"
)

// programs is where TestMain built bridged and bridgectl for all tests of this
// package; a test that runs itself again says it in envPrograms.
var programs string

const envPrograms = "BRIDGE_PROGRAMS"

func TestMain(m *testing.M) {
	if programs = os.Getenv(envPrograms); programs != "" {
		os.Exit(m.Run())
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "bridge-e2e-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), ".", "../bridgectl")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			panic(err)
		}
		programs = dir
		return m.Run()
	}())
}

// ready is what the tests read of the ready file.
type ready struct {
	State, LDAP, OCSP, Repository, Admin, Policy string
	LDAPBase                                     string `json:"ldap_base"`
	BridgeCA                                     string `json:"bridge_ca"`
	OCSPSigner                                   string `json:"ocsp_signer"`
	ListSigner                                   string `json:"list_signer"`
	SignedList                                   string `json:"signed_list"`
	Officers                                     []string
	Persons                                      []struct{ ID, Credentials string }
	Members                                      []struct {
		ID, Policy, Root, Issuing, LDAP, OCSP string
		CrossTo                               string `json:"cross_to"`
		CrossFrom                             string `json:"cross_from"`
		Users                                 []struct{ Mail, Certificate, Key, State string }
	}
}

// demo is a running "bridged demo".
type demo struct {
	ready
	cmd    *exec.Cmd
	tour   string // what it had printed when it was up
	output string // what it printed in all; to be read after done
	done   chan error
}

// startDemo starts the real program and waits for its ready file.
func startDemo(t *testing.T, state string) *demo {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ready.json")
	d := &demo{cmd: exec.Command(filepath.Join(programs, "bridged"), "demo", "--state", state, "--port-base", "0", "--ready-file", file), done: make(chan error, 1)}
	d.cmd.Stderr = os.Stderr
	pipe, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The last line it prints comes after the ready file, and says that it stays.
	up := make(chan struct{})
	go func() {
		for s := bufio.NewScanner(pipe); s.Scan(); {
			d.output += s.Text() + "\n"
			if strings.Contains(s.Text(), "Ctrl-C stops everything") {
				d.tour = d.output
				close(up)
			}
		}
		d.done <- d.cmd.Wait()
	}()
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	select {
	case <-up:
	case err := <-d.done:
		t.Fatalf("the demo ended: %v\n%s", err, d.output)
	case <-time.After(60 * time.Second):
		t.Fatal("the demo was not ready in 60 s")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &d.ready); err != nil {
		t.Fatal(err)
	}
	return d
}

// stop interrupts the demo, and checks that it ends well and takes everything
// with it.
func (d *demo) stop(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-d.done:
		if err != nil {
			t.Errorf("after an interrupt the demo ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the demo did not end within 30 s of an interrupt")
	}
	for _, addr := range d.addresses() {
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			conn.Close()
			t.Errorf("%s still listens", addr)
		}
	}
}

// addresses are all that the demo listens on and the ready file names.
func (d *demo) addresses() (out []string) {
	for _, u := range []string{d.LDAP, d.OCSP, d.Repository, d.Admin, d.Members[0].LDAP, d.Members[0].OCSP, d.Members[1].LDAP, d.Members[1].OCSP} {
		_, host, found := strings.Cut(u, "://")
		if !found {
			host = u
		}
		out = append(out, strings.TrimSuffix(host, "/"))
	}
	return out
}

func (d *demo) path(p string) string { return filepath.Join(d.State, p) }

func (d *demo) certificate(t *testing.T, p string) *x509.Certificate {
	t.Helper()
	b, err := os.ReadFile(d.path(p))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		t.Fatalf("%s is not PEM", p)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bridgectl runs the tool as a person and returns its output and exit code.
func (d *demo) bridgectl(t *testing.T, person string, args ...string) (string, int) {
	t.Helper()
	credentials := ""
	for _, p := range d.Persons {
		if p.ID == person {
			credentials = d.path(p.Credentials)
		}
	}
	cmd := exec.Command(filepath.Join(programs, "bridgectl"), append([]string{"--credentials", credentials}, args...)...)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if ok {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

func (d *demo) get(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return b
}

// status asks the virtual responder about a certificate as any client does; an
// OCSP error comes back as its name.
func (d *demo) status(t *testing.T, issuer, cert *x509.Certificate) string {
	t.Helper()
	req, err := xocsp.CreateRequest(cert, issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(d.OCSP, "application/ocsp-request", bytes.NewReader(req))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	der, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := xocsp.ParseResponseForCert(der, cert, issuer)
	if responseError, ok := errors.AsType[xocsp.ResponseError](err); ok {
		return responseError.Status.String()
	}
	if err != nil {
		t.Fatal(err)
	}
	return map[int]string{xocsp.Good: "good", xocsp.Revoked: "revoked", xocsp.Unknown: "unknown"}[r.Status]
}

// view is what the world sees of one member.
type view struct {
	listNumber, crlNumber int64
	listed, revoked       bool // in the list; its cross-certificate on the CRL
	found                 int  // certificates the directory gives for its valid user
	status                string
}

// look asks all four projections about member i, whose cross-certificate is
// cross.
func (d *demo) look(t *testing.T, i int, cross *x509.Certificate) (v view) {
	t.Helper()
	m := d.Members[i]
	roots := x509.NewCertPool()
	roots.AddCert(d.certificate(t, d.BridgeCA))
	list, err := signedlist.Open(d.get(t, d.SignedList), roots, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	v.listNumber = list.Number
	v.listed = slices.ContainsFunc(list.Entries, func(e signedlist.Entry) bool { return e.Member == m.ID })
	crl, err := x509.ParseRevocationList(d.get(t, d.Repository+"/bridge.crl"))
	if err != nil {
		t.Fatal(err)
	}
	v.crlNumber = crl.Number.Int64()
	v.revoked = slices.ContainsFunc(crl.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
		return e.SerialNumber.Cmp(cross.SerialNumber) == 0
	})
	certs, err := lab.Lookup(t.Context(), d.LDAP, d.LDAPBase, m.Users[0].Mail)
	if err != nil {
		t.Fatal(err)
	}
	v.found = len(certs)
	v.status = d.status(t, d.certificate(t, m.Issuing), d.certificate(t, m.Users[0].Certificate))
	return v
}

func TestDemo(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	d := startDemo(t, state)
	if len(d.Officers) < 2 || len(d.Members) != 2 {
		t.Fatalf("got %d officers and %d members in the ready file", len(d.Officers), len(d.Members))
	}

	t.Run("users are found and judged by their state", func(t *testing.T) {
		for _, m := range d.Members {
			issuing := d.certificate(t, m.Issuing)
			for _, u := range m.Users {
				cert := d.certificate(t, u.Certificate)
				found, err := lab.Lookup(t.Context(), d.LDAP, d.LDAPBase, u.Mail)
				if err != nil {
					t.Fatal(err)
				}
				if want := u.State != "expired"; (len(found) == 1 && found[0].Equal(cert)) != want {
					t.Errorf("%s (%s): the directory gave %d certificates", u.Mail, u.State, len(found))
				}
				want := map[string]string{"valid": "good", "expired": "good", "revoked": "revoked"}[u.State]
				if got := d.status(t, issuing, cert); got != want {
					t.Errorf("%s (%s): the responder says %s, want %s", u.Mail, u.State, got, want)
				}
			}
		}
	})

	t.Run("cross-certificates are published in pairs, and asked for", func(t *testing.T) {
		for _, m := range d.Members {
			p, err := certext.ParseCertificatePair(d.get(t, d.Repository+crosscert.PairPath(m.ID, 1)))
			if err != nil {
				t.Fatal(err)
			}
			to, from := d.certificate(t, m.CrossTo), d.certificate(t, m.CrossFrom)
			if !bytes.Equal(p.IssuedToThisCA, to.Raw) || !bytes.Equal(p.IssuedByThisCA, from.Raw) {
				t.Errorf("%s: the pair holds other certificates", m.ID)
			}
			if out, code := d.bridgectl(t, "ada", "crosscert", "accept", m.ID, d.path(m.CrossFrom), "--trial"); code != 0 || strings.Contains(out, "must") {
				t.Errorf("%s: its certificate for the bridge: exit %d\n%s", m.ID, code, out)
			}
			if out, code := d.bridgectl(t, "ada", "crosscert", "request", m.ID); code != 0 || !strings.Contains(out, "policyMappings\tnon-critical\t"+m.Policy+":"+d.Policy) {
				t.Errorf("%s: exit %d\n%s", m.ID, code, out)
			}
		}
	})

	t.Run("suspension takes all four back, two approvers bring them again", func(t *testing.T) {
		cross := d.certificate(t, d.Members[1].CrossTo)
		before := d.look(t, 1, cross)
		if want := (view{before.listNumber, before.crlNumber, true, false, 1, "good"}); before != want {
			t.Fatalf("before: got %+v, want %+v", before, want)
		}
		start := time.Now()
		if out, code := d.bridgectl(t, "ada", "member", "suspend", "beta", "--reason", "drill"); code != 0 {
			t.Fatalf("suspending: exit %d\n%s", code, out)
		}
		suspended := d.look(t, 1, cross)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("the suspension took %v to be seen, want at most 2 s", took)
		}
		want := view{suspended.listNumber, suspended.crlNumber, false, true, 0, "unauthorized"}
		if suspended != want || suspended.listNumber <= before.listNumber || suspended.crlNumber <= before.crlNumber {
			t.Errorf("suspended: got %+v after %+v, want %+v with higher numbers", suspended, before, want)
		}
		if other := d.look(t, 0, cross); !other.listed || other.found != 1 || other.status != "good" {
			t.Errorf("the other member: got %+v, want it untouched", other)
		}

		resume := []string{"member", "resume", "beta", "--reason", "drill", "--yes"}
		if out, code := d.bridgectl(t, "barbara", resume...); code != 4 || !strings.Contains(out, "check") {
			t.Errorf("resuming what was not examined: exit %d\n%s", code, out)
		}
		if out, code := d.bridgectl(t, "ada", "member", "check", "beta"); code != 0 {
			t.Fatalf("checking: exit %d\n%s", code, out)
		}
		if out, code := d.bridgectl(t, "barbara", resume...); code != 0 {
			t.Fatalf("resuming: exit %d\n%s", code, out)
		}
		if out, code := d.bridgectl(t, "barbara", resume...); code != 4 || !strings.Contains(out, "has done so already") {
			t.Errorf("the same approver again: exit %d\n%s", code, out)
		}
		if out, code := d.bridgectl(t, "ada", resume...); code != 5 {
			t.Errorf("an officer resuming: exit %d\n%s", code, out)
		}
		if v := d.look(t, 1, cross); v.listed || v.found != 0 {
			t.Errorf("after one approver: got %+v, want beta still out", v)
		}
		if out, code := d.bridgectl(t, "edsger", resume...); code != 0 {
			t.Fatalf("resuming: exit %d\n%s", code, out)
		}
		again := d.look(t, 1, cross)
		if want := (view{again.listNumber, again.crlNumber, true, true, 1, "good"}); again != want || again.listNumber <= suspended.listNumber {
			t.Errorf("resumed: got %+v, want %+v", again, want)
		}
		var shown struct {
			Projection struct {
				CrossTo []struct {
					Serial    string
					RevokedAt string `json:"revoked_at"`
				} `json:"cross_to"`
			}
		}
		out, _ := d.bridgectl(t, "ada", "member", "show", "beta", "--output", "json")
		if err := json.Unmarshal([]byte(out), &shown); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if c := shown.Projection.CrossTo; len(c) != 2 || c[0].RevokedAt == "" || c[1].RevokedAt != "" || c[0].Serial == c[1].Serial {
			t.Errorf("got cross-certificates %+v, want a revoked and a new one", c)
		}
	})

	t.Run("garbage on every port disturbs nobody", func(t *testing.T) {
		for _, addr := range d.addresses()[:4] {
			for _, junk := range []string{"\x00", "\xff", "0", "\x16\x03\x01\x02\x00\x01", "GET / HTTP/9.9\r\n\r\n", strings.Repeat("A", 70000)} {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatalf("%s: %v", addr, err)
				}
				_, _ = conn.Write([]byte(junk)) // it may hang up at once
				conn.Close()
			}
		}
		if v := d.look(t, 0, d.certificate(t, d.Members[1].CrossTo)); !v.listed || v.found != 1 || v.status != "good" {
			t.Errorf("afterwards: got %+v", v)
		}
		if out, code := d.bridgectl(t, "ada", "status"); code != 0 {
			t.Errorf("status: exit %d\n%s", code, out)
		}
	})

	if os.Getenv("BRIDGE_PEERS") == "1" {
		t.Run("every printed command does what it promises", func(t *testing.T) { pasteAll(t, d) })
	}
	d.stop(t)

	t.Run("a second start continues", func(t *testing.T) {
		again := startDemo(t, state)
		if again.LDAP != d.LDAP || again.Admin != d.Admin {
			t.Errorf("got other addresses: %s and %s, had %s and %s", again.LDAP, again.Admin, d.LDAP, d.Admin)
		}
		if v := again.look(t, 1, again.certificate(t, again.Members[1].CrossTo)); !v.listed || v.revoked || v.status != "good" {
			t.Errorf("got %+v", v)
		}
		again.stop(t)
	})
}

// TestDemoKilled kills a demo and starts it again: nothing acknowledged is gone.
func TestDemoKilled(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	d := startDemo(t, state)
	if out, code := d.bridgectl(t, "ada", "member", "suspend", "beta", "--reason", "drill"); code != 0 {
		t.Fatalf("suspending: exit %d\n%s", code, out)
	}
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-d.done
	again := startDemo(t, state)
	cross := again.certificate(t, again.Members[1].CrossTo)
	if v := again.look(t, 1, cross); v.listed || !v.revoked || v.found != 0 || v.status != "unauthorized" {
		t.Errorf("after the kill: got %+v, want beta out", v)
	}
	if out, code := again.bridgectl(t, "ada", "member", "check", "beta"); code != 0 {
		t.Fatalf("checking: exit %d\n%s", code, out)
	}
	for _, approver := range []string{"barbara", "edsger"} {
		if out, code := again.bridgectl(t, approver, "member", "resume", "beta", "--reason", "drill", "--yes"); code != 0 {
			t.Fatalf("resuming: exit %d\n%s", code, out)
		}
	}
	if v := again.look(t, 1, cross); !v.listed || v.found != 1 || v.status != "good" {
		t.Errorf("resumed: got %+v", v)
	}
	again.stop(t)
}
