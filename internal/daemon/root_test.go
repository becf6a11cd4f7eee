package daemon_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridge.example/api/proto"
	"bridge.example/crosscert"
	"bridge.example/internal/ceremony"
	"bridge.example/internal/daemon"
	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/statedir"
	"bridge.example/membership"
	"bridge.example/signedlist"
)

// twoLevels is a bridge below an offline root, with beta as a member.
type twoLevels struct {
	*bridge
	beta     *lab.Organisation
	rootDir  string
	root, ca *x509.Certificate
}

func newTwoLevels(t *testing.T) *twoLevels {
	t.Helper()
	w := &twoLevels{beta: organisation(t, betaSpec()), rootDir: filepath.Join(t.TempDir(), "root")}
	w.bridge = founded(t, "o=bridge", w.rootDir).start(t, func(*config.Config) {}, w.beta)
	var err error
	if w.root, err = w.dir.ReadCertificate(statedir.Root); err != nil {
		t.Fatal(err)
	}
	if w.ca, err = w.dir.ReadCertificate(statedir.BridgeCA); err != nil {
		t.Fatal(err)
	}
	w.admit(t, w.application(t, w.beta))
	return w
}

// get fetches what the repository has at a path.
func (b *bridge) get(t *testing.T, path string) []byte {
	t.Helper()
	resp, err := http.Get("http://" + b.Repository + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return body
}

// revoke has the root revoke the bridge CA, and imports the CRL.
func (w *twoLevels) revoke(t *testing.T) {
	t.Helper()
	r, err := ceremony.OpenRoot(t.Context(), w.rootDir, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Revoke(t.Context(), w.ca.SerialNumber, crosscert.CACompromise); err != nil {
		t.Fatal(err)
	}
	l, err := r.CRL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "root.crl")
	if err := os.WriteFile(file, l.Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ceremony.ImportCRL(string(w.dir), file, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// path seeks one from the root to beta's first user.
func (w *twoLevels) path(t *testing.T) error {
	t.Helper()
	anchor, err := pathval.ParseCertificate(w.root.Raw)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := pathval.ParseCertificate(user(t, w.beta).Certificate.Raw)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Artifacts().BuildPath(t.Context(), leaf, pathval.Inputs{Anchors: []*pathval.Certificate{anchor}, At: time.Now(), ExplicitPolicy: true})
	return err
}

// TestOfflineRoot serves below a root, and goes on serving when the root no
// longer vouches for the bridge CA, without giving any trust.
func TestOfflineRoot(t *testing.T) {
	w := newTwoLevels(t)
	roots := x509.NewCertPool()
	roots.AddCert(w.root)
	list := func() *signedlist.List {
		t.Helper()
		l, err := signedlist.Open(w.get(t, daemon.ListPath), roots, time.Now())
		if err != nil {
			t.Fatalf("with the root as anchor: %v", err)
		}
		return l
	}
	if got := len(list().Entries); got != 1 {
		t.Errorf("got %d entries, want beta's", got)
	}
	if err := w.path(t); err != nil {
		t.Errorf("from the root to beta: %v", err)
	}
	if !bytes.Equal(w.get(t, crosscert.RootPath), w.root.Raw) || !bytes.Equal(w.get(t, daemon.BridgeCAPath), w.ca.Raw) {
		t.Error("the repository has other certificates")
	}
	if !bytes.Contains(w.get(t, crosscert.IssuedToPath), w.ca.Raw) {
		t.Error("the bundle of what was issued to the bridge CA lacks what the root issued")
	}

	w.revoke(t)
	// What takes trust away is signed still.
	decide := func(steps ...lab.Step) {
		t.Helper()
		for _, s := range steps {
			// That nothing new is signed is what the desk complains of.
			if err := w.desk(t).Take(t.Context(), "beta", s); err != nil && !strings.Contains(err.Error(), "revoked the bridge CA") {
				t.Fatal(err)
			}
		}
	}
	decide(lab.Step{Verb: membership.Suspend, By: lab.Ada})
	if got := len(list().Entries); got != 0 {
		t.Errorf("got %d entries, want none after the suspension", got)
	}
	l, err := x509.ParseRevocationList(w.get(t, crosscert.RootCRLPath))
	if err != nil || len(l.RevokedCertificateEntries) != 1 {
		t.Errorf("got CRL %v, %v, want the one with the bridge CA", l, err)
	}
	decide(lab.Step{Verb: membership.Check, By: lab.Ada}, lab.Step{Verb: membership.Resume, By: lab.Dora}, lab.Step{Verb: membership.Resume, By: lab.Emil})
	got, err := w.as(t, lab.Ada.Person).GetMember(t.Context(), &proto.GetMemberRequest{Id: "beta"})
	if err != nil {
		t.Fatal(err)
	}
	if m := got.GetMember(); m.GetProjection().GetListed() || !strings.Contains(m.GetPending(), "revoked the bridge CA") {
		t.Errorf("got listed: %v, pending: %q, want the root's revocation as the reason", m.GetProjection().GetListed(), m.GetPending())
	}
	if err := w.path(t); err == nil {
		t.Error("there is still a path from the root")
	}
}

// TestRootMismatch starts with what does not belong together.
func TestRootMismatch(t *testing.T) {
	other := founded(t, "o=bridge", filepath.Join(t.TempDir(), "other"))
	for name, spoil := range map[string]func(d statedir.Dir) error{
		"another root": func(d statedir.Dir) error {
			c, err := other.dir.ReadCertificate(statedir.Root)
			if err != nil {
				return err
			}
			return d.WriteCertificate(statedir.Root, c)
		},
		"no root": func(d statedir.Dir) error { return os.Remove(d.Certificate(statedir.Root)) },
	} {
		b := founded(t, "o=bridge", filepath.Join(t.TempDir(), "root"))
		if err := spoil(b.dir); err != nil {
			t.Fatal(err)
		}
		c, err := config.LoadFile(b.dir.Config())
		if err != nil {
			t.Fatal(err)
		}
		if err := daemon.Validate(c); fault.KindOf(err) != fault.Invalid && fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: validating: got %v, want a refusal", name, err)
		}
		if _, err := daemon.New(t.Context(), c, "test", slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: it started", name)
		}
	}
}

// TestOpenSSLOfflineRoot has OpenSSL verify everything with the root alone.
func TestOpenSSLOfflineRoot(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS is not 1")
	}
	w := newTwoLevels(t)
	dir := t.TempDir()
	write := func(name, kind string, ders ...[]byte) {
		var out []byte
		for _, der := range ders {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
		}
		if err := os.WriteFile(filepath.Join(dir, name), out, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cross := w.Artifacts().Trusted[0].CrossTo[0]
	write("root.pem", "CERTIFICATE", w.root.Raw)
	write("ca.pem", "CERTIFICATE", w.ca.Raw)
	write("cross.pem", "CERTIFICATE", cross.Raw)
	write("chain.pem", "CERTIFICATE", w.ca.Raw, cross.Raw, w.beta.Issuing.Certificate.Raw)
	write("bob.pem", "CERTIFICATE", user(t, w.beta).Certificate.Raw)
	write("crls.pem", "X509 CRL", w.get(t, crosscert.RootCRLPath), w.get(t, crosscert.CRLPath))
	if err := os.WriteFile(filepath.Join(dir, "list.p7s"), w.get(t, daemon.ListPath), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ command, want string }{
		{"verify -x509_strict -crl_check_all -CRLfile crls.pem -policy_check -explicit_policy -policy " + level + " -CAfile root.pem -untrusted ca.pem cross.pem", "cross.pem: OK"},
		{"verify -x509_strict -policy_check -explicit_policy -policy " + level + " -purpose smimesign -CAfile root.pem -untrusted chain.pem bob.pem", "bob.pem: OK"},
		{"cms -verify -inform DER -in list.p7s -CAfile root.pem -out list.der", "successful"},
		{"ocsp -no_nonce -url http://" + w.Responder + "/ -CAfile root.pem -verify_other ca.pem -issuer ca.pem -cert cross.pem", "cross.pem: good"},
		{"ocsp -no_nonce -url http://" + w.Responder + "/ -CAfile root.pem -verify_other ca.pem -issuer ca.pem -cert cross.pem", "Response verify OK"},
	} {
		cmd := exec.CommandContext(t.Context(), "openssl", strings.Fields(tt.command)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("openssl %s: %v\n%swant %q", tt.command, err, out, tt.want)
		}
	}
}
