// Package ceremony founds a bridge: it makes the state directory with the
// bridge CA, the signers it certifies, the admin CA, the first persons with
// their credentials, the store, and a configuration that fits.
package ceremony

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/engine/auditlog"
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

	// Operator goes into the configuration. Without it the signed list is not
	// published in the format of TS 119 612.
	Operator config.Operator

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

	// Certified is a directory with what an offline root gave back for the
	// request that [Request] made. Without it the bridge CA signs itself, unless
	// Root is set.
	Certified string
	// Root is the directory of an offline root that certifies the bridge CA. One
	// that is not there is founded, sealed under RootPassphrase, which must be
	// another than Passphrase.
	Root           string
	RootPassphrase func() ([]byte, error)

	Now func() time.Time
}

const bridgeYears = 10

// Found makes the state directory dir, which must not exist or be empty
// (Conflict). The configuration is written last: a directory without one was
// not finished, and is of no use.
func Found(ctx context.Context, dir string, o Options) (_ *Report, err error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	d := statedir.Dir(dir)
	if err := awaits(d, o); err != nil {
		return nil, err
	}
	passphrase, err := newPassphrase(o.PlainKeys, o.Passphrase)
	if err != nil {
		return nil, err
	}
	places := map[string]string{statedir.BridgeCA: o.Keys.BridgeCA, statedir.ListSigner: o.Keys.ListSigner, statedir.OCSPSigner: o.Keys.OCSPSigner, statedir.AuditLog: o.Keys.AuditLog}
	var above *certified
	if o.Certified != "" {
		if above, err = readCertified(o.Certified, o); err != nil {
			return nil, err
		}
		if o.Keys.BridgeCA == "" {
			places[statedir.BridgeCA] = d.Key(statedir.BridgeCA)
		}
	}
	existing, err := openExisting(places, passphrase)
	if err != nil {
		return nil, err
	}
	if key, ok := existing[statedir.BridgeCA]; ok && above != nil && !isKeyOf(key, above.ca) {
		return nil, fault.New(fault.Invalid, "the root certified another key than the one in %s", key.place)
	}
	r := &Report{Made: "bridge", Directory: dir, Config: d.Config(), RootDirectory: o.Root, Persons: map[people.ID]string{}}
	var root *Root
	if o.Root != "" {
		if root, r.Keys, err = o.openRoot(ctx, passphrase); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, root.Close()) }()
	}
	if err := begin(d, d.Folders()); err != nil {
		return nil, err
	}
	ring := keyring{d, passphrase, existing, r}
	now := o.Now().UTC().Truncate(time.Second)
	caKey, err := ring.key(statedir.BridgeCA, o.Key)
	if err != nil {
		return nil, err
	}
	if root != nil {
		if above, err = root.certify(ctx, d, caKey, o); err != nil {
			return nil, err
		}
	}
	if above != nil {
		r.Root = above.Certificate
	}
	if r.BridgeCA, err = foundBridge(ctx, d, o, ring, caKey, above, now); err != nil {
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
	if err := statedir.Replace(d.Config(), []byte(render(o)), 0o600); err != nil {
		return nil, err
	}
	return r, finish(d)
}

// complete fills in defaults and refuses what cannot work.
func (o *Options) complete() error {
	if o.Key == "" {
		o.Key = keys.RSA3072
	}
	if !slices.Contains(kinds, o.Key) {
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
	if o.Root != "" && o.Certified != "" {
		return fault.New(fault.Invalid, "a bridge CA has one root: what it gave back, or its directory")
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

// subject is a name that belongs to the bridge called bridge.
func subject(bridge, country, cn string) pkix.Name {
	n := pkix.Name{Organization: []string{bridge}, CommonName: cn}
	if country != "" {
		n.Country = []string{country}
	}
	return n
}

// awaits reports whether a bridge can be founded at d: nothing is there or, for
// what a root certified, what Request made.
func awaits(d statedir.Dir, o Options) error {
	if o.Certified == "" {
		return vacant(d, d.Config())
	}
	for _, path := range []string{d.Unfinished(), d.Config(), d.Store()} {
		if _, err := os.Stat(path); err == nil {
			return vacant(d, d.Config())
		}
	}
	if _, err := os.Stat(d.Request()); err != nil {
		return fault.New(fault.NotFound, "founding a bridge: %s is not where \"bridged ceremony request\" began: %w", d, err)
	}
	return nil
}

// vacant reports whether something can be founded at d. last is the file that
// is written last.
func vacant(d statedir.Dir, last string) error {
	entries, err := os.ReadDir(string(d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fault.New(fault.Denied, "founding a bridge: %w", err)
	case len(entries) > 0:
		if _, err := os.Stat(last); err == nil {
			return fault.New(fault.Conflict, "founding: %s holds one already", d)
		}
		if _, err := os.Stat(d.Unfinished()); err == nil {
			return fault.New(fault.Conflict, "founding: an earlier attempt broke off in %s; its file %s says what to do", d, filepath.Base(d.Unfinished()))
		}
		return fault.New(fault.Conflict, "founding: %s is not empty", d)
	}
	return nil
}

const unfinished = `A founding began here and was not finished. Nothing here may be used.
Remove this directory and begin again. If a root has certified the bridge CA
whose key is here, revoke that certificate with "bridged ceremony revoke".
`

// begin makes the folders, and the file that stays until finish.
func begin(d statedir.Dir, folders []string) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fault.New(fault.Denied, "founding: %w", err)
	}
	if err := os.WriteFile(d.Unfinished(), []byte(unfinished), 0o600); err != nil {
		return fault.New(fault.Denied, "founding: %w", err)
	}
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fault.New(fault.Denied, "founding: %w", err)
		}
	}
	return nil
}

func finish(d statedir.Dir) error { return os.Remove(d.Unfinished()) }

func isKeyOf(key crypto.Signer, c *x509.Certificate) bool {
	k, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(c.PublicKey)
}

// foundBridge makes the certificate of the bridge CA, or takes the one that a
// root gave it, and through its ledger the two signers.
func foundBridge(ctx context.Context, d statedir.Dir, o Options, ring keyring, caKey crypto.Signer, above *certified, now time.Time) (ca *x509.Certificate, err error) {
	if above == nil {
		ca, err = crosscert.NewRoot(caKey, subject(o.Name, o.Country, o.Name+" CA"), o.URL+crosscert.IssuedByBridgePath, now.Add(-time.Minute), now.AddDate(bridgeYears, 0, 0).Add(-time.Minute))
	} else {
		ca = above.ca
		err = errors.Join(d.WriteCertificate(statedir.Root, above.Certificate), statedir.Replace(d.RootCRL(), above.CRL.Raw, 0o644))
	}
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
	audit, err := beginAudit(ctx, store, o, ring, ca)
	if err != nil {
		return nil, err
	}
	authority, err := crosscert.New(ca, caKey, store.Ledger(), crosscert.Options{
		BaseURL: o.URL, Now: o.Now, Log: slog.New(slog.DiscardHandler), Audit: audit.Act,
	})
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
			Profile: s.profile, Name: subject(o.Name, o.Country, s.name), Key: key.Public(), Policies: []x509.OID{level},
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

// beginAudit makes the audit log, whose first event is the bridge itself.
func beginAudit(ctx context.Context, store *boltstore.Store, o Options, ring keyring, ca *x509.Certificate) (*auditlog.Log, error) {
	key, err := ring.key(statedir.AuditLog, keys.Ed25519)
	if err != nil {
		return nil, err
	}
	if ring.report.AuditKey, err = auditlog.Fingerprint(key.Public()); err != nil {
		return nil, err
	}
	log, err := auditlog.Open(ctx, store.Audit(), key, auditlog.Options{Now: o.Now})
	if err != nil {
		return nil, err
	}
	var persons []string
	for _, p := range o.Persons {
		persons = append(persons, fmt.Sprintf("%s=%s", p.ID, p.Roles))
	}
	return log, log.Act(ctx, auditlog.Event{
		Kind: "bridge.found", Evidence: []auditlog.Evidence{auditlog.Document("certificate", ca.Raw)},
		Details: map[string]string{"name": o.Name, "persons": strings.Join(persons, " ")},
	})
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

// Fingerprint is the SHA-256 of a certificate as people compare it: upper-case
// hex, in pairs.
func Fingerprint(c *x509.Certificate) string { return KeyFingerprint(c.Raw) }
