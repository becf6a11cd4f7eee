package ceremony

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
	"bridge.example/internal/setup/statedir"
)

// certified is what a root gave back.
type certified struct {
	crosscert.OfflineRoot
	ca *x509.Certificate
}

// readCertified reads what Export wrote, and checks that it is good for this
// level and repository.
func readCertified(dir string, o Options) (*certified, error) {
	var c certified
	var err error
	if c.Certificate, err = statedir.ReadCertificateFile(filepath.Join(dir, rootFile)); err != nil {
		return nil, err
	}
	if c.ca, err = statedir.ReadCertificateFile(filepath.Join(dir, bridgeCAFile)); err != nil {
		return nil, err
	}
	if c.CRL, err = statedir.ReadCRL(filepath.Join(dir, rootCRLFile)); err != nil {
		return nil, err
	}
	return &c, c.check(o)
}

func (c *certified) check(o Options) error {
	if err := c.Certifies(c.ca); err != nil {
		return err
	}
	if err := c.Supports(c.ca, o.Now()); err != nil {
		return err
	}
	if now := o.Now(); now.Before(c.ca.NotBefore) || now.After(c.ca.NotAfter) {
		return fault.New(fault.Invalid, "the certificate of the bridge CA is valid from %s to %s, which is not now",
			c.ca.NotBefore.Format(time.RFC3339), c.ca.NotAfter.Format(time.RFC3339))
	}
	if want := o.URL + crosscert.RootCRLPath; c.ca.CRLDistributionPoints[0] != want {
		return fault.New(fault.Invalid, "url: the root says that its CRL will be at %s, and this bridge would publish it at %s", c.ca.CRLDistributionPoints[0], want)
	}
	if !slices.ContainsFunc(c.ca.Policies, func(p x509.OID) bool { return p.String() == o.Level }) {
		return fault.New(fault.Invalid, "level: the root certified the bridge CA for other levels than %s", o.Level)
	}
	return nil
}

// openRoot opens the root that is to certify, or founds it first; then made are
// its keys.
func (o *Options) openRoot(ctx context.Context, passphrase []byte) (_ *Root, made []Key, err error) {
	d, ask := statedir.Dir(o.Root), o.RootPassphrase
	if _, err := os.Stat(d.RootSettings()); errors.Is(err, fs.ErrNotExist) {
		p, err := newPassphrase(o.PlainKeys, ask)
		if err != nil {
			return nil, nil, fmt.Errorf("founding the root: %w", err)
		}
		if p != nil && bytes.Equal(p, passphrase) {
			return nil, nil, fault.New(fault.Invalid, "founding the root: its passphrase is that of the bridge's keys, which the daemon knows; choose another")
		}
		ask = func() ([]byte, error) { return p, nil }
		r, err := FoundRoot(ctx, o.Root, RootOptions{
			Name: o.Name, Country: o.Country, URL: o.URL, Kind: o.Key, Passphrase: ask, PlainKeys: o.PlainKeys, Now: o.Now,
		})
		if err != nil {
			return nil, nil, err
		}
		made = r.Keys
	}
	root, err := OpenRoot(ctx, o.Root, ask, o.Now)
	return root, made, err
}

// certify does on one machine what Request, Certify and Export do on two.
func (r *Root) certify(ctx context.Context, d statedir.Dir, key crypto.Signer, o Options) (*certified, error) {
	if err := writeRequest(d, key, o.Name, o.Country); err != nil {
		return nil, err
	}
	request, err := ReadRequest(d.Request())
	if err != nil {
		return nil, err
	}
	level, err := x509.ParseOID(o.Level)
	if err != nil {
		return nil, err
	}
	var c certified
	c.Certificate = r.Certificate
	if c.ca, err = r.Certify(ctx, request, []x509.OID{level}); err != nil {
		return nil, err
	}
	if c.CRL, err = r.CRL(ctx); err != nil {
		return nil, err
	}
	return &c, c.check(o)
}
