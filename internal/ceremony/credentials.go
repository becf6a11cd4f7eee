package ceremony

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/people"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

// serverName is the DNS name in the admin interface's certificate. It is the
// same for every bridge: the admin CA tells which one it is.
const serverName = "bridged"

const adminYears = 10

// adminCA issues the certificates of the admin interface: its server's and
// persons'. It has nothing to do with the bridge CA.
type adminCA struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAdminCA(d statedir.Dir, bridge string, ring keyring, now time.Time) (adminCA, error) {
	key, err := ring.key(statedir.AdminCA, keys.P256)
	if err != nil {
		return adminCA{}, err
	}
	t := profile(bridge+" admin CA", now, now.AddDate(adminYears, 0, 0))
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	cert, err := sign(t, t, key.Public(), key)
	if err != nil {
		return adminCA{}, err
	}
	return adminCA{cert, key}, d.WriteCertificate(statedir.AdminCA, cert)
}

// server makes the certificate of the admin interface. It lives as long as
// the CA: when that ends, every credential has to be replaced anyhow.
func (a adminCA) server(d statedir.Dir, ring keyring, now time.Time) error {
	key, err := ring.key(statedir.AdminServer, keys.P256)
	if err != nil {
		return err
	}
	t := profile(serverName, now, a.cert.NotAfter)
	t.DNSNames = []string{serverName}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	cert, err := sign(t, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	return d.WriteCertificate(statedir.AdminServer, cert)
}

// persons records the first ones, and makes the credential directory of each,
// ready for "bridgectl --credentials".
func (a adminCA) persons(ctx context.Context, d statedir.Dir, o Options, r *Report) (err error) {
	store, err := boltstore.Open(d.Store())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	register := people.NewRegister(store.People(), people.NewAuthority(a.cert, a.key), people.Options{Now: o.Now, Log: slog.New(slog.DiscardHandler)})
	certs, err := register.Found(ctx, o.Persons, func(id people.ID) (crypto.PublicKey, error) {
		dir := d.Officer(string(id))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		key, err := keys.Create(filepath.Join(dir, "key.pem"), keys.P256, nil)
		if err != nil {
			return nil, err
		}
		return key.Public(), nil
	})
	if err != nil {
		return err
	}
	r.Lacking = people.Lacking(o.Persons)
	for i, cert := range certs {
		dir := d.Officer(string(o.Persons[i].ID))
		r.Persons[o.Persons[i].ID] = dir
		if o.Persons[i].Has(people.Appointers()...) {
			r.Appointers++
		}
		if err := a.credential(dir, cert, o.Admin); err != nil {
			return err
		}
	}
	return nil
}

// credential writes what lies beside a person's key.
func (a adminCA) credential(dir string, cert *x509.Certificate, server string) error {
	if err := statedir.WritePEM(filepath.Join(dir, "certificate.pem"), cert); err != nil {
		return err
	}
	if err := statedir.WritePEM(filepath.Join(dir, "ca.pem"), a.cert); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "server"), []byte(server+"\n"), 0o600)
}

// profile is what all these certificates have in common. The minutes before
// now are for persons whose clocks are behind.
func profile(name string, now, notAfter time.Time) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-5 * time.Minute), NotAfter: notAfter}
}

func sign(t, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	t.SerialNumber = serial.SetBit(serial, 126, 1) // never zero, never short
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate of %s: %w", t.Subject, err)
	}
	return x509.ParseCertificate(der)
}
