package signedlist_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/wire/jws"
	"bridge.example/signedlist"
)

// peers is a directory with the files of a list, and a certificate that a listed
// CA issued, for programs that import them.
type peers struct {
	*testing.T
	dir     string
	entries []signedlist.Entry
}

// newPeers names CAs as subject does. Everything is valid now, since the programs
// look at the clock.
func newPeers(t *testing.T, subject func(t *testing.T, member string) []byte) peers {
	t.Helper()
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS=1 runs this against the programs that import the views")
	}
	now := time.Now()
	today := func(edit func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			edit(c)
			c.NotBefore, c.NotAfter = now.Add(-time.Hour), now.Add(24*time.Hour)
		}
	}
	p := peers{T: t, dir: t.TempDir()}
	b := &bench{archive: &memory{}, now: now, bridge: issue(t, "Bridge", nil, today(ca))}
	b.signer = issue(t, "List signer", b.bridge, today(signsLists))
	b.Publisher = b.with(b.signer)
	var alpha *signedlist.Signer
	for _, member := range []string{"alpha", "beta"} {
		e := entry(t, member)
		alpha = issue(t, "", nil, today(func(c *x509.Certificate) {
			ca(c)
			c.RawSubject = subject(t, member)
		}))
		e.Certificate = alpha.Cert
		p.entries = append(p.entries, e)
	}
	for _, f := range b.issueOf(t, p.entries...).Files {
		p.write(f.Name, f.Body)
	}
	user := func(by *signedlist.Signer) *signedlist.Signer {
		return issue(t, "localhost", by, today(func(c *x509.Certificate) {
			signsMail(c)
			c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
			c.DNSNames, c.EmailAddresses = []string{"localhost"}, []string{"bob@beta.example"}
		}))
	}
	stranger := issue(t, "Stranger", nil, today(ca))
	for name, s := range map[string]*signedlist.Signer{"user": user(alpha), "stranger": user(stranger)} {
		p.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Cert.Raw}))
		key, err := x509.MarshalECPrivateKey(s.Key.(*ecdsa.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}
		p.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key}))
	}
	return p
}

func attribute(number, tag int, value string) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, number}, Value: asn1.RawValue{Tag: tag, Bytes: []byte(value)}}
}

func plain(t *testing.T, member string) []byte {
	return rdns(t, pkix.RelativeDistinguishedNameSET{attribute(3, 12, "Root of "+member)})
}

// odd is a name with all that OpenSSL folds before it hashes it.
func odd(t *testing.T, member string) []byte {
	return rdns(t,
		pkix.RelativeDistinguishedNameSET{attribute(6, 19, "DE")},
		pkix.RelativeDistinguishedNameSET{attribute(10, 20, "T61 \xd6RG")},
		pkix.RelativeDistinguishedNameSET{attribute(11, 30, "\x00\xdc\x00N\x00 \x00 \x20\xac"), attribute(11, 12, "a")},
		pkix.RelativeDistinguishedNameSET{attribute(11, 30, "\x00c\x00b"), attribute(11, 12, "xyz")}, // in the other order when folded
		pkix.RelativeDistinguishedNameSET{attribute(3, 12, " Wurzel  der\tÖffentlichen  "+strings.ToUpper(member)+" ")})
}

func rdns(t *testing.T, sets ...pkix.RelativeDistinguishedNameSET) []byte {
	t.Helper()
	der, err := asn1.Marshal(pkix.RDNSequence(sets))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (p peers) write(name string, content []byte) {
	p.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
		p.Fatal(err)
	}
}

func (p peers) try(program string, args ...string) (string, error) {
	p.Helper()
	if _, err := exec.LookPath(program); err != nil {
		p.Fatal(err)
	}
	c := exec.CommandContext(p.Context(), program, args...)
	c.Dir = p.dir
	c.Env = append(os.Environ(), "GNUPGHOME="+filepath.Join(p.dir, "gnupg"), "LC_ALL=C.UTF-8")
	out, err := c.CombinedOutput()
	return string(out), err
}

// run wants program to succeed and to print each of wants.
func (p peers) run(wants []string, program string, args ...string) {
	p.Helper()
	out, err := p.try(program, args...)
	for _, w := range wants {
		if !strings.Contains(out, w) {
			p.Errorf("%s %q does not print %q", program, args, w)
		}
	}
	if err != nil || p.Failed() {
		p.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}

// refuses wants program to fail and to print want.
func (p peers) refuses(want, program string, args ...string) {
	p.Helper()
	if out, err := p.try(program, args...); err == nil || !strings.Contains(out, want) {
		p.Errorf("%s %q: got %v, want it to fail with %q\n%s", program, args, err, want, out)
	}
}

func TestOpenSSLReadsViews(t *testing.T) {
	p := newPeers(t, odd)
	p.run([]string{"user.pem: OK"}, "openssl", "verify", "-purpose", "smimesign", "-CAfile", "anchors.pem", "user.pem")
	p.refuses("unable to get local issuer", "openssl", "verify", "-CAfile", "anchors.pem", "stranger.pem")
	for _, bundle := range []string{"anchors.p7b", "anchors.p7c"} {
		out, err := p.try("openssl", "pkcs7", "-inform", "DER", "-in", bundle, "-print_certs")
		if err != nil || strings.Count(out, "BEGIN CERTIFICATE") != 2 {
			t.Errorf("%s: %v\n%s", bundle, err, out)
		}
	}
	out, err := p.try("openssl", "pkcs12", "-in", "anchors.p12", "-passin", "pass:changeit", "-nokeys")
	if err != nil || strings.Count(out, "BEGIN CERTIFICATE") != 2 {
		t.Errorf("anchors.p12: %v\n%s", err, out)
	}
	p.run(nil, "tar", "-xzf", "anchors-openssl.tar.gz")
	p.run([]string{"user.pem: OK"}, "openssl", "verify", "-purpose", "smimesign", "-no-CAfile", "-no-CAstore", "-CApath", "anchors", "user.pem")
	p.refuses("unable to get local issuer", "openssl", "verify", "-no-CAfile", "-no-CAstore", "-CApath", "anchors", "stranger.pem")
}

func TestOpenSSLVerifiesJSON(t *testing.T) {
	p := newPeers(t, plain)
	signed, err := os.ReadFile(filepath.Join(p.dir, "list.jws"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jws.Verify(signed)
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.LastIndexByte(signed, '.')
	raw, err := base64.RawURLEncoding.DecodeString(string(signed[end+1:]))
	if err != nil {
		t.Fatal(err)
	}
	half := len(raw) / 2 // r and s; openssl wants them in DER
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKIXPublicKey(v.Certs[0].PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	p.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key}))
	p.write("signature", der)
	p.write("input", signed[:end])
	verify := []string{"dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "input"}
	p.run([]string{"Verified OK"}, "openssl", verify...)
	signed[end/2] ^= 1
	p.write("input", signed[:end])
	p.refuses("Verification failure", "openssl", verify...)
}

func TestJavaReadsTrustStore(t *testing.T) {
	p := newPeers(t, odd)
	var wants []string
	for _, e := range p.entries {
		sum := sha256.Sum256(e.Certificate.Raw)
		wants = append(wants, fmt.Sprintf("%s-%x, ", e.Member, sum[:8]))
	}
	p.run(append(wants, "trustedCertEntry", "contains 2 entries"), "keytool", "-list", "-keystore", "anchors.p12", "-storepass", "changeit")

	// Java's own path validation: keytool fetches a CRL over TLS from a server
	// whose certificate a member issued.
	crl := func(name string) string {
		cert, err := tls.LoadX509KeyPair(filepath.Join(p.dir, name+".pem"), filepath.Join(p.dir, name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			issuer := issue(t, "CRL issuer", nil, ca)
			der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon, NextUpdate: noon.Add(day)}, issuer.Cert, issuer.Key)
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(der)
		}))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		s.StartTLS()
		t.Cleanup(s.Close)
		_, port, err := net.SplitHostPort(s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return "https://localhost:" + port + "/a.crl"
	}
	args := func(url string) []string {
		return []string{"-J-Djavax.net.ssl.trustStore=anchors.p12", "-J-Djavax.net.ssl.trustStorePassword=changeit", "-printcrl", "-file", url}
	}
	p.run([]string{"CRL issuer"}, "keytool", args(crl("user"))...)
	p.refuses("PKIX path building failed", "keytool", args(crl("stranger"))...)
}

func TestGPGSMReadsTrustlist(t *testing.T) {
	p := newPeers(t, plain)
	if err := os.Mkdir(filepath.Join(p.dir, "gnupg"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = p.try("gpgconf", "--kill", "all") })
	p.write("gnupg/gpgsm.conf", []byte("disable-crl-checks\n"))
	validate := []string{"--batch", "--with-validation", "--list-keys", "--with-colons", "bob@beta.example"}
	p.run(nil, "gpgsm", "--batch", "--import", "anchors.p7b")
	p.run(nil, "gpgsm", "--batch", "--import", "user.pem")
	p.write("gnupg/gpg-agent.conf", []byte("no-allow-mark-trusted\n"))
	if out, err := p.try("gpgsm", validate...); err == nil && strings.Contains(out, "\ncrt:f:") {
		t.Errorf("trusted before there is a trust list:\n%s", out)
	}
	list, err := os.ReadFile(filepath.Join(p.dir, "trustlist.txt"))
	if err != nil {
		t.Fatal(err)
	}
	p.write("gnupg/trustlist.txt", list)
	p.run(nil, "gpgconf", "--kill", "gpg-agent")
	p.run([]string{"crt:f:"}, "gpgsm", validate...)
}

func TestNSSImports(t *testing.T) {
	p := newPeers(t, odd)
	if err := os.Mkdir(filepath.Join(p.dir, "nss"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.run(nil, "certutil", "-N", "-d", "sql:nss", "--empty-password")
	p.run(nil, "certutil", "-A", "-d", "sql:nss", "-n", "own", "-t", ",,", "-a", "-i", "stranger.pem")
	p.run(nil, "certutil", "-A", "-d", "sql:nss", "-n", "user", "-t", ",,", "-a", "-i", "user.pem")
	p.refuses("", "certutil", "-V", "-d", "sql:nss", "-n", "user", "-u", "S")
	for range 2 { // the second time it replaces what it added
		p.run(nil, "sh", "anchors-nss.sh", "sql:nss")
		out, err := p.try("certutil", "-L", "-d", "sql:nss")
		if err != nil || strings.Count(out, ",C,") != 2 || !strings.Contains(out, "own") {
			t.Errorf("%v\n%s", err, out)
		}
		p.run([]string{"certificate is valid"}, "certutil", "-V", "-d", "sql:nss", "-n", "user", "-u", "S")
	}
	p.refuses("", "certutil", "-V", "-d", "sql:nss", "-n", "own", "-u", "S")
	// One that is not in the script any more goes.
	script, err := os.ReadFile(filepath.Join(p.dir, "anchors-nss.sh"))
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := bytes.Cut(script, []byte("\n# alpha"))
	p.write("empty.sh", head)
	p.run(nil, "sh", "empty.sh", "sql:nss")
	if out, err := p.try("certutil", "-L", "-d", "sql:nss"); err != nil || strings.Contains(out, ",C,") || !strings.Contains(out, "own") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAppleProfile(t *testing.T) {
	p := newPeers(t, odd)
	p.run(nil, "python3", "-c", `
import plistlib
p = plistlib.load(open("anchors.mobileconfig", "rb"))
assert p["PayloadType"] == "Configuration" and p["PayloadVersion"] == 1, p
assert len(p["PayloadContent"]) == 2
for c in p["PayloadContent"]:
    assert c["PayloadType"] == "com.apple.security.root" and c["PayloadContent"][:1] == b"\x30", c
assert len({c["PayloadUUID"] for c in p["PayloadContent"]} | {p["PayloadUUID"]}) == 3
`)
}
