package ceremony_test

import (
	"bytes"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/ceremony"
	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

// site is the two machines of a ceremony.
type site struct {
	root, state statedir.Dir
	back        string
	now         time.Time
}

// newSite founds a root and makes a request.
func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{root: statedir.Dir(filepath.Join(dir, "root")), state: statedir.Dir(filepath.Join(dir, "state")), back: filepath.Join(dir, "back"), now: time.Now()}
	o := options()
	if _, err := ceremony.FoundRoot(t.Context(), string(s.root), ceremony.RootOptions{Name: o.Name, URL: o.URL, Kind: keys.P256, PlainKeys: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := ceremony.Request(string(s.state), ceremony.RequestOptions{Name: o.Name, Kind: keys.P256, PlainKeys: true}); err != nil {
		t.Fatal(err)
	}
	return s
}

// with opens the root for what do does.
func (s *site) with(t *testing.T, do func(*ceremony.Root) error) {
	t.Helper()
	r, err := ceremony.OpenRoot(t.Context(), string(s.root), nil, func() time.Time { return s.now })
	if err != nil {
		t.Fatal(err)
	}
	if err := do(r); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// certify answers the request for these levels.
func (s *site) certify(t *testing.T, levels ...string) (ca *x509.Certificate) {
	t.Helper()
	var policies []x509.OID
	for _, l := range levels {
		oid, err := x509.ParseOID(l)
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, oid)
	}
	s.with(t, func(r *ceremony.Root) (err error) {
		q, err := ceremony.ReadRequest(s.state.Request())
		if err != nil {
			return err
		}
		if ca, err = r.Certify(t.Context(), q, policies); err != nil {
			return err
		}
		return r.Export(t.Context(), s.back, ca)
	})
	return ca
}

func (s *site) found(t *testing.T, edit func(*ceremony.Options)) (*ceremony.Report, error) {
	o := options()
	o.Certified = s.back
	if edit != nil {
		edit(&o)
	}
	return ceremony.Found(t.Context(), string(s.state), o)
}

func TestTwoMachines(t *testing.T) {
	s := newSite(t)
	level := options().Level
	ca := s.certify(t, level)
	if again := s.certify(t, level); !again.Equal(ca) {
		t.Error("repeating the ceremony made another certificate")
	}
	for name, tt := range map[string]struct {
		edit func(*ceremony.Options)
		want string
	}{
		"another level":      {func(o *ceremony.Options) { o.Level = "1.3.6.1.4.1.32473.1.9" }, "level"},
		"another repository": {func(o *ceremony.Options) { o.URL = "http://elsewhere.example" }, "url"},
		"two roots":          {func(o *ceremony.Options) { o.Root = string(s.root) }, "one root"},
	} {
		if _, err := s.found(t, tt.edit); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want Invalid naming %q", name, err, tt.want)
		}
	}
	r, err := s.found(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !r.BridgeCA.Equal(ca) || r.BridgeCA.CheckSignatureFrom(r.Root) != nil {
		t.Errorf("got %v under %v", r.BridgeCA.Subject, r.Root.Subject)
	}
	rootKey, err := os.ReadFile(s.root.Key(statedir.Root))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{s.state.Unfinished(), s.root.Unfinished(), s.state.Key(statedir.Root)} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is there", path)
		}
	}
	if err := filepath.WalkDir(filepath.Dir(s.back), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(path, string(s.root)) {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, rootKey) {
			t.Errorf("%s holds the root's key", path)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	if _, err := s.found(t, nil); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a second time: got %v, want Conflict", err)
	}
}

// TestRootCRLs follows the root over a year: numbers rise, a bridge takes the
// newest only, and what was revoked stays so.
func TestRootCRLs(t *testing.T) {
	s := newSite(t)
	ca := s.certify(t, options().Level)
	if _, err := s.found(t, nil); err != nil {
		t.Fatal(err)
	}
	next := func(revoke bool) (file string, number *big.Int) {
		t.Helper()
		s.now = s.now.AddDate(0, 1, 0)
		s.with(t, func(r *ceremony.Root) error {
			if revoke {
				if err := r.Revoke(t.Context(), ca.SerialNumber, crosscert.Superseded); err != nil {
					return err
				}
			}
			l, err := r.CRL(t.Context())
			if err != nil {
				return err
			}
			file, number = filepath.Join(t.TempDir(), "root.crl"), l.Number
			return statedir.Replace(file, l.Raw, 0o644)
		})
		return file, number
	}
	last := big.NewInt(1)
	var files []string
	for i := range 12 {
		file, number := next(i == 11)
		if number.Cmp(last) <= 0 {
			t.Fatalf("CRL %v follows %v", number, last)
		}
		last, files = number, append(files, file)
		if _, err := ceremony.ImportCRL(string(s.state), file, s.now); err != nil {
			t.Fatal(err)
		}
	}
	for name, file := range map[string]string{"of last month": files[10], "of the first": filepath.Join(s.back, "root.crl")} {
		if _, err := ceremony.ImportCRL(string(s.state), file, s.now); fault.KindOf(err) != fault.Conflict {
			t.Errorf("the CRL %s: got %v, want Conflict", name, err)
		}
	}
	if _, err := ceremony.ImportCRL(string(s.state), filepath.Join(newSiteOf(t).back, "root.crl"), s.now); fault.KindOf(err) != fault.Invalid {
		t.Errorf("another root's CRL: got %v, want Invalid", err)
	}
	l, err := statedir.ReadCRL(s.state.RootCRL())
	if err != nil || l.Number.Cmp(last) != 0 || len(l.RevokedCertificateEntries) != 1 {
		t.Errorf("got %v, %v, want CRL %v with one entry", l, err, last)
	}
}

// TestNewLevel has the root certify the bridge CA again, for one level more.
func TestNewLevel(t *testing.T) {
	s := newSiteOf(t)
	if _, err := s.found(t, nil); err != nil {
		t.Fatal(err)
	}
	ca := s.certify(t, options().Level, "1.3.6.1.4.1.32473.1.2")
	got, err := ceremony.ImportCertified(string(s.state), s.back, s.now)
	if err != nil || !got.Equal(ca) || len(ca.Policies) != 2 {
		t.Errorf("got %v, %v, want the new certificate with two levels", got, err)
	}
	if kept, err := s.state.ReadCertificate(statedir.BridgeCA); err != nil || !kept.Equal(ca) {
		t.Errorf("got %v, %v in place", kept, err)
	}
	if _, err := ceremony.ImportCertified(string(s.state), newSiteOf(t).back, s.now); fault.KindOf(err) != fault.Invalid {
		t.Errorf("from another root: got %v, want Invalid", err)
	}
}

// newSiteOf is a site whose root answered.
func newSiteOf(t *testing.T) *site {
	s := newSite(t)
	s.certify(t, options().Level)
	return s
}

// TestAnotherKey gives a bridge what a root gave to another.
func TestAnotherKey(t *testing.T) {
	s := newSiteOf(t)
	s.back = newSiteOf(t).back
	if _, err := s.found(t, nil); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "another key") {
		t.Errorf("got %v, want Invalid", err)
	}
}

func TestOneMachine(t *testing.T) {
	dir := t.TempDir()
	o := options()
	o.Root = filepath.Join(dir, "root")
	first, err := ceremony.Found(t.Context(), filepath.Join(dir, "one"), o)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ceremony.Found(t.Context(), filepath.Join(dir, "two"), o)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Root.Equal(second.Root) || first.BridgeCA.Equal(second.BridgeCA) {
		t.Error("want one root over two bridge CAs")
	}
	o.PlainKeys = false
	o.Passphrase = func() ([]byte, error) { return []byte(passphrase), nil }
	o.Root, o.RootPassphrase = filepath.Join(dir, "sealed"), o.Passphrase
	if _, err := ceremony.Found(t.Context(), filepath.Join(dir, "three"), o); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "choose another") {
		t.Errorf("one passphrase for both: got %v, want Invalid", err)
	}
	for _, path := range []string{o.Root, filepath.Join(dir, "three")} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was made nevertheless", path)
		}
	}
}

// TestUnfinished shows what a ceremony that was killed leaves behind.
func TestUnfinished(t *testing.T) {
	s := newSiteOf(t)
	for _, d := range []statedir.Dir{s.root, s.state} {
		if err := os.WriteFile(d.Unfinished(), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(s.root.RootSettings()); err != nil {
		t.Fatal(err)
	}
	if _, err := ceremony.OpenRoot(t.Context(), string(s.root), nil, time.Now); fault.KindOf(err) != fault.NotFound {
		t.Errorf("opening the root: got %v, want NotFound", err)
	}
	o := options()
	_, err := ceremony.FoundRoot(t.Context(), string(s.root), ceremony.RootOptions{Name: o.Name, URL: o.URL, PlainKeys: true})
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "UNFINISHED") {
		t.Errorf("founding the root again: got %v, want Conflict", err)
	}
	if _, err := s.found(t, nil); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "UNFINISHED") {
		t.Errorf("founding the bridge again: got %v, want Conflict", err)
	}
}

func TestFoundRootRefuses(t *testing.T) {
	for name, edit := range map[string]func(*ceremony.RootOptions){
		"no name":         func(o *ceremony.RootOptions) { o.Name = "" },
		"https":           func(o *ceremony.RootOptions) { o.URL = "https://bridge.example" },
		"a CRL for years": func(o *ceremony.RootOptions) { o.CRLDays = 367 },
		"a weak key":      func(o *ceremony.RootOptions) { o.Kind = "rsa-512" },
		"no passphrase":   func(o *ceremony.RootOptions) { o.PlainKeys = false },
	} {
		o := ceremony.RootOptions{Name: "x", URL: "http://bridge.example", PlainKeys: true}
		edit(&o)
		dir := filepath.Join(t.TempDir(), "root")
		if _, err := ceremony.FoundRoot(t.Context(), dir, o); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: it left something behind", name)
		}
	}
}
