// Package ceremony founds a bridge: it makes the state directory with the
// bridge CA, the signers it certifies, the admin CA, the first persons with
// their credentials, the store, and a configuration that fits.
package ceremony

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/template"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/fault"
	"bridge.example/internal/people"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
	"bridge.example/membership"
)

// Options say what bridge to found. Name, Level, URL and ResponderURL have no
// default.
type Options struct {
	Name      string // of the bridge, for people
	Country   string // in the bridge CA's name; may be empty
	Level     string // OID of the first assurance level
	LevelName string // for people
	// Persons are the first ones: at least two officers or operators, who appoint
	// others, and two approvers, who admit members.
	Persons []people.Person
	// Officers are further ones, by id, for a bridge that few persons run: each is
	// officer and approver.
	Officers []string

	URL          string // of the repository, as the world reaches it
	ResponderURL string

	// Listening addresses; empty means the configuration's default.
	Admin, Directory, Responder, Repository string
	Suffix                                  string   // of the directory tree
	Allow                                   []string // non-public ranges that may be connected to

	// Key is the kind of the bridge CA's and signers' keys. Default RSA, which
	// every mail client can verify.
	Key keys.Kind
	// Passphrase is asked once, when everything else was found in order, for
	// what the key files are sealed under. Persons' credentials are not: they
	// leave for other machines. Required, unless PlainKeys.
	Passphrase func() ([]byte, error)
	// Keys goes into the configuration: where the daemon finds the passphrase,
	// and where keys are that exist already, for those are opened, not made.
	Keys config.Keys
	// PlainKeys leaves the key files unsealed.
	PlainKeys bool
	Now       func() time.Time
}

// Report says what was made.
type Report struct {
	Config   string
	BridgeCA *x509.Certificate
	Keys     []string             // files of the keys made; persons' are in Persons
	Persons  map[people.ID]string // credential directories
	// Appointers is how many of the persons can appoint others.
	Appointers int
}

const bridgeYears = 10

// Found makes the state directory dir, which must not exist or be empty
// (Conflict). The configuration is written last: a directory without one was
// not finished, and is of no use.
func Found(ctx context.Context, dir string, o Options) (*Report, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	d := statedir.Dir(dir)
	if err := vacant(d); err != nil {
		return nil, err
	}
	var passphrase []byte
	if !o.PlainKeys {
		var err error
		if passphrase, err = o.Passphrase(); err != nil {
			return nil, err
		}
		if err := keys.Strong(passphrase); err != nil {
			return nil, err
		}
	}
	existing, err := openExisting(o.Keys, passphrase)
	if err != nil {
		return nil, err
	}
	if err := makeFolders(d); err != nil {
		return nil, err
	}
	r := &Report{Config: d.Config(), Persons: map[people.ID]string{}}
	ring := keyring{d, passphrase, existing, r}
	now := o.Now().UTC().Truncate(time.Second)
	if r.BridgeCA, err = foundBridge(ctx, d, o, ring, now); err != nil {
		return nil, err
	}
	admin, err := newAdminCA(d, o.Name, ring, now)
	if err != nil {
		return nil, err
	}
	if err := admin.server(d, ring, now); err != nil {
		return nil, err
	}
	if err := admin.persons(ctx, d, o, r); err != nil {
		return nil, err
	}
	return r, writeConfig(d, o)
}

// complete fills in defaults and refuses what cannot work.
func (o *Options) complete() error {
	if o.Key == "" {
		o.Key = keys.RSA3072
	}
	if !slices.Contains([]keys.Kind{keys.RSA3072, keys.P256, keys.P384}, o.Key) {
		return fault.New(fault.Invalid, "%q is not a kind of key", o.Key)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Admin == "" {
		o.Admin = "127.0.0.1:7443"
	}
	if o.LevelName == "" {
		o.LevelName = "medium"
	}
	if !o.PlainKeys && o.Passphrase == nil {
		return fault.New(fault.Invalid, "keys: want a passphrase")
	}
	if strings.TrimSpace(o.Name) == "" {
		return fault.New(fault.Invalid, "name: a bridge needs one")
	}
	if _, err := x509.ParseOID(o.Level); err != nil {
		return fault.New(fault.Invalid, "level: %q is not an object identifier", o.Level)
	}
	for _, officer := range o.Officers {
		o.Persons = append(o.Persons, people.Person{ID: people.ID(officer), Roles: []membership.Role{membership.Officer, membership.Approver}})
	}
	o.Officers = nil
	if err := people.CheckFirst(o.Persons); err != nil {
		return err
	}
	// What will be written must load: better to refuse now than after keys
	// were made.
	_, err := config.Load(strings.NewReader(render(*o)), ".")
	return err
}

func (o *Options) subject(cn string) pkix.Name {
	n := pkix.Name{Organization: []string{o.Name}, CommonName: cn}
	if o.Country != "" {
		n.Country = []string{o.Country}
	}
	return n
}

// vacant reports whether a bridge can be founded at d.
func vacant(d statedir.Dir) error {
	entries, err := os.ReadDir(string(d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fault.New(fault.Denied, "founding a bridge: %w", err)
	case len(entries) > 0:
		if _, err := os.Stat(d.Config()); err == nil {
			return fault.New(fault.Conflict, "founding a bridge: %s holds one already", d)
		}
		return fault.New(fault.Conflict, "founding a bridge: %s is not empty; if an earlier attempt broke off there, remove it", d)
	}
	return nil
}

func makeFolders(d statedir.Dir) error {
	for _, folder := range append([]string{string(d)}, d.Folders()...) {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fault.New(fault.Denied, "founding a bridge: %w", err)
		}
	}
	return nil
}

// foundBridge makes the bridge CA, and through its ledger the two signers.
func foundBridge(ctx context.Context, d statedir.Dir, o Options, ring keyring, now time.Time) (ca *x509.Certificate, err error) {
	caKey, err := ring.key(statedir.BridgeCA, o.Key)
	if err != nil {
		return nil, err
	}
	ca, err = crosscert.NewRoot(caKey, o.subject(o.Name+" CA"), now.Add(-time.Minute), now.AddDate(bridgeYears, 0, 0).Add(-time.Minute))
	if err != nil {
		return nil, err
	}
	if err := d.WriteCertificate(statedir.BridgeCA, ca); err != nil {
		return nil, err
	}
	store, err := boltstore.Create(d.Store())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	authority, err := crosscert.New(ca, caKey, store.Ledger(), crosscert.Options{BaseURL: o.URL, Now: o.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	level, err := x509.ParseOID(o.Level)
	if err != nil {
		return nil, err
	}
	for _, s := range []struct {
		file, name string
		profile    crosscert.Profile
	}{
		{statedir.ListSigner, o.Name + " list signer", crosscert.ListSigner},
		{statedir.OCSPSigner, o.Name + " OCSP signer", crosscert.OCSPSigner},
	} {
		key, err := ring.key(s.file, o.Key)
		if err != nil {
			return nil, err
		}
		cert, err := authority.IssueSigner(ctx, crosscert.SignerRequest{
			Profile: s.profile, Name: o.subject(s.name), Key: key.Public(), Policies: []x509.OID{level},
		})
		if err != nil {
			return nil, fmt.Errorf("certifying the %s: %w", s.name, err)
		}
		if err := d.WriteCertificate(s.file, cert); err != nil {
			return nil, err
		}
	}
	return ca, nil
}

//go:embed bridged.yaml.tmpl
var configTemplate string

func render(o Options) string {
	var b strings.Builder
	t := template.Must(template.New("bridged.yaml").Parse(configTemplate))
	if err := t.Execute(&b, o); err != nil {
		panic(err) // the template and Options are both ours
	}
	return b.String()
}

// writeConfig writes the configuration whole or not at all.
func writeConfig(d statedir.Dir, o Options) error {
	temp := d.Config() + ".new"
	if err := os.WriteFile(temp, []byte(render(o)), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, d.Config())
}

// Fingerprint is the SHA-256 of a certificate as people compare it: upper-case
// hex, in pairs.
func Fingerprint(c *x509.Certificate) string {
	h := sha256.Sum256(c.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", h), " ", ":")
}
