package ceremony_test

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bridge.example/internal/ceremony"
	"bridge.example/internal/fault"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

var passphrase = "correct horse battery staple"

func options() ceremony.Options {
	return ceremony.Options{
		Name: "Test: \"Bridge\"", Level: "1.3.6.1.4.1.32473.1.1", Officers: []string{"ada", "grace"},
		URL: "http://127.0.0.1:1", ResponderURL: "http://127.0.0.1:2", Allow: []string{"127.0.0.0/8", "::1/128"}, Key: keys.P256, PlainKeys: true,
	}
}

func TestFound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	r, err := ceremony.Found(t.Context(), dir, options())
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.LoadFile(r.Config)
	if err != nil {
		t.Fatalf("the configuration it wrote: %v", err)
	}
	if c.State != dir || c.Bridge.Name != options().Name || len(c.Outgoing.Allow) != 2 {
		t.Errorf("got configuration %+v", c)
	}
	d := statedir.Dir(dir)
	for _, name := range []string{statedir.ListSigner, statedir.OCSPSigner} {
		signer, err := d.ReadCertificate(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := signer.CheckSignatureFrom(r.BridgeCA); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for person, dir := range r.Persons {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		ca, err := d.ReadCertificate(statedir.AdminCA)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca)
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil || pair.Leaf.Subject.CommonName != string(person) {
			t.Errorf("credential of %s: %v, %v", person, pair.Leaf.Subject, err)
		}
	}
	// No secret is readable by anybody else.
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && strings.Contains(path, "key") && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := ceremony.Found(t.Context(), dir, options()); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v from founding a second bridge in the same place, want Conflict", err)
	}
}

// TestSealedKeys checks that what stays on the machine needs the passphrase,
// and what leaves it does not.
func TestSealedKeys(t *testing.T) {
	o := options()
	o.PlainKeys, o.Keys.PassphraseFile = false, "/etc/bridged/passphrase"
	o.Passphrase = func() ([]byte, error) { return []byte(passphrase), nil }
	d := statedir.Dir(filepath.Join(t.TempDir(), "state"))
	r, err := ceremony.Found(t.Context(), string(d), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{statedir.BridgeCA, statedir.ListSigner, statedir.OCSPSigner, statedir.AdminCA, statedir.AdminServer} {
		if _, err := keys.Open(d.Key(name), nil); fault.KindOf(err) != fault.Denied {
			t.Errorf("%s: got %v without the passphrase, want Denied", name, err)
		}
	}
	if _, err := keys.Open(d.Key(statedir.BridgeCA), []byte(passphrase)); err != nil {
		t.Error(err)
	}
	for _, dir := range r.Persons {
		if _, err := keys.Open(filepath.Join(dir, "key.pem"), nil); err != nil {
			t.Errorf("an officer's credential: %v", err)
		}
	}
	c, err := config.LoadFile(r.Config)
	if err != nil || c.Keys != o.Keys {
		t.Errorf("got %v, %v, want the passphrase's file in the configuration", c, err)
	}
	err = filepath.WalkDir(string(d), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), passphrase) {
			t.Errorf("%s holds the passphrase", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestFoundRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*ceremony.Options)
		want string
	}{
		{"no name", func(o *ceremony.Options) { o.Name = " " }, "name"},
		{"a level that is no OID", func(o *ceremony.Options) { o.Level = "medium" }, "level"},
		{"neither a passphrase nor the wish to do without", func(o *ceremony.Options) { o.PlainKeys = false }, "passphrase"},
		{"a short passphrase", func(o *ceremony.Options) {
			o.PlainKeys, o.Passphrase = false, func() ([]byte, error) { return []byte("hunter2"), nil }
		}, "at least 15"},
		{"a key that is nowhere", func(o *ceremony.Options) { o.Keys.BridgeCA = "pkcs11:token=a" }, "want object"},
		{"one officer", func(o *ceremony.Options) { o.Officers = o.Officers[:1] }, "at least 2 officers"},
		{"one officer twice", func(o *ceremony.Options) { o.Officers = []string{"ada", "ada"} }, "named twice"},
		{"an officer's name with a path in it", func(o *ceremony.Options) { o.Officers[0] = "../ada" }, "person"},
		{"no repository URL", func(o *ceremony.Options) { o.URL = "" }, "repository.url"},
		{"an address range that is none", func(o *ceremony.Options) { o.Allow = []string{"here"} }, "outgoing.allow"},
		{"an unknown kind of key", func(o *ceremony.Options) { o.Key = "rsa-512" }, "rsa-512"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			tt.edit(&o)
			dir := filepath.Join(t.TempDir(), "state")
			_, err := ceremony.Found(t.Context(), dir, o)
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want Invalid naming %q", err, tt.want)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("it left something behind")
			}
		})
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ceremony.Found(t.Context(), dir, options()); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("got %v from a directory with something in it, want Conflict", err)
	}
}
