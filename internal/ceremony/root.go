package ceremony

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

const (
	day = 24 * time.Hour
	// rootCRLDays is the default: a CRL a month, and some days to carry it over
	// (FBCA CP §4.9.7).
	rootCRLDays    = 35
	maxRootCRLDays = 366 // S/MIME BR §4.9.7
)

// RootOptions say what root to found. Name and URL have no default.
type RootOptions struct {
	Name, Country string // of the bridge
	URL           string // of the bridge's repository, where the root's CRL will be
	Kind          keys.Kind
	Key           string // a file or pkcs11: URI of a key that exists already
	// CRLDays is how many days a CRL of the root is good for; 35 when 0, at
	// most 366.
	CRLDays    int
	Passphrase func() ([]byte, error)
	PlainKeys  bool
	Now        func() time.Time
}

// rootSettings is what a root knows beside its ledger.
type rootSettings struct {
	Name    string `json:"name"`
	URL     string `json:"url"`
	Key     string `json:"key"`
	CRLDays int    `json:"crl_days"`
}

// Root is an offline root CA, opened in its own directory.
type Root struct {
	Certificate *x509.Certificate
	authority   *crosscert.Authority
	store       *boltstore.Store
	now         func() time.Time
}

func (o *RootOptions) complete() error {
	if o.Kind == "" {
		o.Kind = keys.RSA3072
	}
	if o.CRLDays == 0 {
		o.CRLDays = rootCRLDays
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	u, err := url.Parse(o.URL)
	switch {
	case strings.TrimSpace(o.Name) == "":
		return fault.New(fault.Invalid, "name: a root needs one")
	case err != nil || u.Scheme != "http" || u.Host == "" || strings.HasSuffix(o.URL, "/"):
		return fault.New(fault.Invalid, "url: %q: want http://host without a trailing slash", o.URL)
	case o.CRLDays < 1 || o.CRLDays > maxRootCRLDays:
		return fault.New(fault.Invalid, "a CRL for %d days: want 1 to %d", o.CRLDays, maxRootCRLDays)
	case !slices.Contains(kinds, o.Kind):
		return fault.New(fault.Invalid, "%q is not a kind of key", o.Kind)
	case !o.PlainKeys && o.Passphrase == nil:
		return fault.New(fault.Invalid, "keys: want a passphrase")
	}
	return nil
}

// FoundRoot makes an offline root in the directory dir, which must not exist or
// be empty (Conflict), with its first CRL. It never needs to be on the machine
// that runs the bridge.
func FoundRoot(ctx context.Context, dir string, o RootOptions) (_ *Report, err error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	d := statedir.Dir(dir)
	if err := vacant(d, d.RootSettings()); err != nil {
		return nil, err
	}
	passphrase, err := newPassphrase(o.PlainKeys, o.Passphrase)
	if err != nil {
		return nil, err
	}
	existing, err := openExisting(map[string]string{statedir.Root: o.Key}, passphrase)
	if err != nil {
		return nil, err
	}
	if err := begin(d, d.RootFolders()); err != nil {
		return nil, err
	}
	r := &Report{Made: "root", Directory: dir}
	ring := keyring{d, passphrase, existing, r}
	key, err := ring.key(statedir.Root, o.Kind)
	if err != nil {
		return nil, err
	}
	s := rootSettings{Name: o.Name, URL: o.URL, Key: o.Key, CRLDays: o.CRLDays}
	from := o.Now().UTC().Truncate(time.Second).Add(-time.Minute)
	if r.Root, err = crosscert.NewRoot(key, subject(o.Name, o.Country, o.Name+" Root CA"), "", from, from.AddDate(bridgeYears, 0, 0)); err != nil {
		return nil, err
	}
	if err := d.WriteCertificate(statedir.Root, r.Root); err != nil {
		return nil, err
	}
	store, err := boltstore.Create(d.RootLedger())
	if err != nil {
		return nil, err
	}
	root, err := newRoot(r.Root, key, store, s, o.Now)
	if err == nil {
		_, err = root.CRL(ctx)
	}
	if err := errors.Join(err, store.Close()); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := statedir.Replace(d.RootSettings(), append(b, '\n'), 0o600); err != nil {
		return nil, err
	}
	return r, finish(d)
}

// OpenRoot opens the root in dir. passphrase is asked only for a key that is
// sealed. What a crash left half done is revoked first. Errors: NotFound where
// no root is, or none was finished; those of keys and ledger.
func OpenRoot(ctx context.Context, dir string, passphrase func() ([]byte, error), now func() time.Time) (*Root, error) {
	d := statedir.Dir(dir)
	var s rootSettings
	b, err := os.ReadFile(d.RootSettings())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.NotFound, "opening the root: %s holds none that was finished", dir)
	case err != nil:
		return nil, fault.New(fault.Denied, "opening the root: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fault.New(fault.Invalid, "reading %s: %w", d.RootSettings(), err)
	}
	cert, err := d.ReadCertificate(statedir.Root)
	if err != nil {
		return nil, err
	}
	locator := s.Key
	if locator == "" {
		locator = d.Key(statedir.Root)
	}
	key, err := unlock(locator, passphrase)
	if err != nil {
		return nil, err
	}
	store, err := boltstore.Open(d.RootLedger())
	if err != nil {
		return nil, fmt.Errorf("opening what the root remembers: %w", err)
	}
	r, err := newRoot(cert, key, store, s, now)
	if err == nil {
		err = r.authority.Recover(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return r, nil
}

// unlock opens a key, and asks for the passphrase when it needs one.
func unlock(locator string, passphrase func() ([]byte, error)) (crypto.Signer, error) {
	key, err := keys.Open(locator, nil)
	if err == nil || fault.KindOf(err) != fault.Denied || passphrase == nil {
		return key, err
	}
	p, err := passphrase()
	if err != nil {
		return nil, err
	}
	return keys.Open(locator, p)
}

func newRoot(cert *x509.Certificate, key crypto.Signer, store *boltstore.Store, s rootSettings, now func() time.Time) (*Root, error) {
	a, err := crosscert.New(cert, key, store.Ledger(), crosscert.Options{
		BaseURL: s.URL, CRLValidity: time.Duration(s.CRLDays) * day, Now: now, Log: slog.New(slog.DiscardHandler),
	})
	return &Root{cert, a, store, now}, err
}

// Close ends the use of the root.
func (r *Root) Close() error { return r.store.Close() }

// Certify issues the certificate of the bridge CA that asks by request, with
// these policies. One that says the same, and has more than half of its life
// before it, is returned again: a ceremony that broke off can be repeated.
func (r *Root) Certify(ctx context.Context, request *x509.CertificateRequest, policies []x509.OID) (*x509.Certificate, error) {
	live, err := r.Live(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range live {
		if bytes.Equal(c.RawSubject, request.RawSubject) && bytes.Equal(c.RawSubjectPublicKeyInfo, request.RawSubjectPublicKeyInfo) &&
			c.NotAfter.Sub(r.now()) > c.NotAfter.Sub(c.NotBefore)/2 && samePolicies(c.Policies, policies) && request.CheckSignature() == nil {
			return c, nil
		}
	}
	return r.authority.IssueSubordinate(ctx, request, policies)
}

func samePolicies(a, b []x509.OID) bool {
	in := func(ps []x509.OID) func(x509.OID) bool {
		return func(p x509.OID) bool { return !slices.ContainsFunc(ps, p.Equal) }
	}
	return !slices.ContainsFunc(a, in(b)) && !slices.ContainsFunc(b, in(a))
}

// Live returns the certificates of bridge CAs that are in force.
func (r *Root) Live(ctx context.Context) ([]*x509.Certificate, error) {
	return r.authority.Live(ctx, "")
}

// Revoke revokes a bridge CA's certificate for ever. The next CRL says so.
func (r *Root) Revoke(ctx context.Context, serial *big.Int, why crosscert.Reason) error {
	return r.authority.Revoke(ctx, serial, why)
}

// CRL returns the root's CRL: a new one, unless the last is of today and says
// the same.
func (r *Root) CRL(ctx context.Context) (*x509.RevocationList, error) { return r.authority.CRL(ctx) }
