package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"bridge.example/internal/edge/adminapi"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/federation"
	"bridge.example/internal/people"
	"bridge.example/membership"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bridgectl": main})
}

// TestScripts runs each archive of testdata against a daemon's admin interface
// of its own. A script finds:
//
//	officers/anna, officers/bert   credentials of officers who are approvers
//	officers/cleo                  of an assessor
//	officers/dora, officers/emil   of approvers
//	officers/finn                  of a signer
//	officers/otto                  of an operator
//	officers/alfred                of an applicant for alpha
//	officers/carl                  of nobody who is known
//	officers/mallory               a certificate of another CA
//	officers/late                  an expired certificate
//	root.pem, issuing.der, two.pem certificates for applications
//	bridge.pem                     what the CA of root.pem issued to another CA
//	lists/                         what writeLists makes
//	paths/                         what writePaths makes
//	$FINGERPRINT                   SHA-256 of root.pem
//	$ADMIN                         the daemon's address
//	$AUDITKEY, audit.pub           fingerprint and public key of its audit log
//	$NOBODY, $DEAF, $PLAIN         where nobody listens, nobody answers, TLS is not spoken
//	$REPOSITORY                    an HTTP server with /list, /huge, /broken, and what lists/ holds below /lists/
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: func(env *testscript.Env) error { return setUp(t, env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"admit": admit, "answers": answers, "as": as, "exits": exits, "hashof": hashOf, "wellformed": wellFormed,
		},
	})
}

// exits runs a program and wants its exit code: exits CODE PROGRAM ARGS...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s exits %d, want %s", args[1], got, args[0])
	}
}

// hashOf puts the hash of what is proposed for a person, as an officer sees it,
// into $HASH: hashof OFFICER PERSON.
func hashOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: hashof OFFICER PERSON")
	}
	ts.Check(ts.Exec("bridgectl", "--credentials", ts.MkAbs("officers/"+args[0]), "auth", "show", args[1]))
	_, hash, found := strings.Cut(ts.ReadFile("stdout"), "proposal hash\t")
	if !found {
		ts.Fatalf("nothing is proposed for %s", args[1])
	}
	ts.Setenv("HASH", strings.TrimSpace(hash))
}

// as runs bridgectl as a person: as PERSON ARGS...
func as(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: as PERSON ARGS...")
	}
	ts.Check(ts.Exec("bridgectl", append([]string{"--credentials", ts.MkAbs("officers/" + args[0])}, args[1:]...)...))
}

// answers writes what a person types, a line each, to the file "answers".
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: answers LINE...")
	}
	ts.Check(os.WriteFile(ts.MkAbs("answers"), []byte(strings.Join(args, "\n")+"\n"), 0o600))
}

// admit takes the steps from a draft to an active member: admit ID.
func admit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: admit ID")
	}
	id, paper, fingerprint := args[0], ts.MkAbs("root.pem"), ts.Getenv("FINGERPRINT")
	for _, step := range [][]string{
		{"anna", "submit", id, "--form", paper},
		{"anna", "check", id},
		{"cleo", "assess", id, "--assessment", paper, "--audit", paper, "--audit-expires", "2027-01-01", "--all-mappings"},
		{"anna", "contract", id, "--agreement", paper, "--declaration", paper, "--expires", "2028-01-01"},
		{"anna", "identify", id, "--minutes", paper, "--fingerprint", fingerprint},
		{"bert", "identify", id, "--minutes", paper, "--fingerprint", fingerprint},
		{"dora", "approve", id, "--fingerprint", fingerprint, "--yes"},
		{"emil", "approve", id, "--fingerprint", fingerprint, "--yes"},
		{"finn", "activate", id},
	} {
		as(ts, false, append([]string{step[0], "member"}, step[1:]...))
	}
}

// wellFormed wants a file to be one XML document: wellformed FILE.
func wellFormed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: wellformed FILE")
	}
	d := xml.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	for elements := 0; ; {
		token, err := d.Token()
		if err == io.EOF && elements > 0 {
			return
		}
		ts.Check(err)
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
}

func setUp(t *testing.T, env *testscript.Env) error {
	dir := env.Getenv("WORK")
	env.Setenv("GORACE", "atexit_sleep_ms=0") // else each program under -race lingers for a second
	env.Setenv("ADMIN", startAdmin(t, dir, env.Defer, writeMapped(t, filepath.Join(dir, "mapped"))))
	fingerprint, err := readFingerprint(filepath.Join(dir, "audit.pub"))
	if err != nil {
		return err
	}
	env.Setenv("AUDITKEY", fingerprint)
	root := newAuthority(t, "Alpha Root")
	write(t, filepath.Join(dir, "root.pem"), pemOf(root.cert.Raw))
	sum := sha256.Sum256(root.cert.Raw)
	env.Setenv("FINGERPRINT", hex.EncodeToString(sum[:]))
	write(t, filepath.Join(dir, "two.pem"), append(pemOf(root.cert.Raw), pemOf(root.cert.Raw)...))
	bridge := root.issue(t, "Bridge by Alpha", time.Hour, func(c *x509.Certificate) {
		c.BasicConstraintsValid, c.IsCA, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	write(t, filepath.Join(dir, "bridge.pem"), pemOf(bridge.Certificate[0]))
	write(t, filepath.Join(dir, "issuing.der"), newAuthority(t, "Alpha Issuing").cert.Raw)

	writeLists(t, filepath.Join(dir, "lists"))
	writePaths(t, filepath.Join(dir, "paths"))

	nobody := listen(t, env.Defer)
	nobody.Close()
	deaf := listen(t, env.Defer) // the kernel accepts, nobody reads
	mux := http.NewServeMux()
	mux.HandleFunc("/list", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("a list\n")) })
	mux.Handle("/lists/", http.StripPrefix("/lists/", http.FileServer(http.Dir(filepath.Join(dir, "lists")))))
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		for range maxListBytes>>20 + 1 {
			w.Write(make([]byte, 1<<20))
		}
	})
	repository := httptest.NewServer(mux)
	env.Defer(repository.Close)

	env.Setenv("NOBODY", nobody.Addr().String())
	env.Setenv("DEAF", deaf.Addr().String())
	env.Setenv("PLAIN", repository.Listener.Addr().String())
	env.Setenv("REPOSITORY", repository.URL)
	return nil
}

// startAdmin serves a federation without members, and writes credentials for
// it below dir.
func startAdmin(t *testing.T, dir string, atEnd func(func()), published ...federation.Trusted) (addr string) {
	admin, other := newAuthority(t, "admin CA"), newAuthority(t, "admin CA")
	f, err := newFederation(filepath.Join(dir, "register.db"))
	if err != nil {
		t.Fatal(err)
	}
	f.published = published
	atEnd(func() { f.store.Close() })
	public, err := x509.MarshalPKIXPublicKey(admin.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "audit.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	audit, err := auditlog.Open(t.Context(), f.store.Audit(), admin.key, auditlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	persons := people.NewRegister(f.store.People(), people.NewAuthority(admin.cert, admin.key), people.Options{Log: slog.New(slog.DiscardHandler)})
	s := adminapi.New(f, persons, admin.issue(t, "bridged", time.Hour), admin.cert, adminapi.Options{Version: "v1.2.3", Audit: audit, Notices: notices, Log: slog.New(slog.DiscardHandler)})
	l := listen(t, atEnd)
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	atEnd(func() { s.Stop(); <-done })
	few := []membership.Role{membership.Officer, membership.Approver}
	for _, p := range []struct {
		id       people.ID
		ca       authority
		validity time.Duration
		roles    []membership.Role // none: no record
	}{
		{"anna", admin, time.Hour, few}, {"bert", admin, time.Hour, few}, {"otto", admin, time.Hour, []membership.Role{membership.Operator}},
		{"cleo", admin, time.Hour, []membership.Role{membership.Assessor}}, {"finn", admin, time.Hour, []membership.Role{membership.Signer}},
		{"dora", admin, time.Hour, []membership.Role{membership.Approver}}, {"emil", admin, time.Hour, []membership.Role{membership.Approver}},
		{"alfred", admin, time.Hour, []membership.Role{membership.Applicant}},
		{"mallory", other, time.Hour, nil}, {"carl", admin, time.Hour, nil}, {"late", admin, -time.Minute, few},
	} {
		cert := p.ca.issue(t, string(p.id), p.validity)
		writeOfficer(t, filepath.Join(dir, "officers", string(p.id)), cert, admin, l.Addr().String())
		if p.roles == nil {
			continue
		}
		parsed, err := x509.ParseCertificate(cert.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		record := people.Person{ID: p.id, Roles: p.roles, Credentials: []people.Credential{people.NewCredential(parsed, parsed.NotBefore)}}
		if p.id == "alfred" {
			record.Member = "alpha"
		}
		if _, err := f.store.People().Save(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
	return l.Addr().String()
}

func listen(t *testing.T, atEnd func(func())) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	atEnd(func() { l.Close() })
	return l
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(1),
		NotBefore: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a := authority{tmpl, key}
	der := a.sign(t, tmpl, key)
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a authority) sign(t *testing.T, tmpl *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// issue makes a certificate for name as server and as client, or as changes say.
func (a authority) issue(t *testing.T, name string, validity time.Duration, changes ...func(*x509.Certificate)) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, SerialNumber: big.NewInt(2),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, change := range changes {
		change(tmpl)
	}
	return tls.Certificate{Certificate: [][]byte{a.sign(t, tmpl, key)}, PrivateKey: key}
}

// writeOfficer writes a credential directory.
func writeOfficer(t *testing.T, dir string, c tls.Certificate, server authority, addr string) {
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "certificate.pem"), pemOf(c.Certificate[0]))
	write(t, filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	write(t, filepath.Join(dir, "ca.pem"), pemOf(server.cert.Raw))
	write(t, filepath.Join(dir, "server"), []byte(addr+"\n"))
}

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func write(t *testing.T, path string, b []byte) {
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
