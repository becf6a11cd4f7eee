package daemon

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

// pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// material is what a bridge signs and speaks TLS with.
type material struct {
	bridgeCA, listSigner, ocspSigner pair
	adminCA                          pair
	root                             *root // nil when the bridge CA signed itself
	adminServer                      tls.Certificate
	startTLS                         *tls.Config // nil when not offered
	levels                           []x509.OID
}

// load reads keys and certificates, and reports all problems at once.
func load(c *config.Config) (*material, error) {
	d := statedir.Dir(c.State)
	passphrase, err := keys.Passphrase(c.Keys.PassphraseFile)
	if err != nil {
		return nil, err
	}
	m := &material{}
	var errs []error
	// A wrong PIN is tried once: tokens lock after a few.
	denied := false
	read := func(name, locator string) pair {
		if denied {
			return pair{}
		}
		if locator == "" {
			locator = d.Key(name)
		}
		p, err := readPair(d, name, locator, passphrase)
		denied = fault.KindOf(err) == fault.Denied && err != nil
		if err != nil {
			errs = append(errs, err)
		}
		return p
	}
	m.bridgeCA, m.listSigner, m.ocspSigner = read(statedir.BridgeCA, c.Keys.BridgeCA), read(statedir.ListSigner, c.Keys.ListSigner), read(statedir.OCSPSigner, c.Keys.OCSPSigner)
	server := read(statedir.AdminServer, "")
	m.adminCA = read(statedir.AdminCA, "") // persons come and go while the service runs
	if c.Directory.Certificate != "" {
		t, err := tls.LoadX509KeyPair(c.Directory.Certificate, c.Directory.Key)
		if err != nil {
			errs = append(errs, fault.New(fault.Invalid, "directory.certificate: %w", err))
		}
		m.startTLS = &tls.Config{Certificates: []tls.Certificate{t}, MinVersion: tls.VersionTLS12}
	}
	for _, l := range c.Bridge.Policies {
		oid, err := x509.ParseOID(l.OID)
		errs = append(errs, err)
		m.levels = append(m.levels, oid)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, signer := range []*x509.Certificate{m.listSigner.cert, m.ocspSigner.cert} {
		if err := signer.CheckSignatureFrom(m.bridgeCA.cert); err != nil {
			errs = append(errs, fault.New(fault.Invalid, "certificate of %q was not issued by this bridge CA: %w", signer.Subject, err))
		}
	}
	m.root, err = readRoot(d, m.bridgeCA.cert, m.levels)
	errs = append(errs, err)
	m.adminServer = tls.Certificate{Certificate: [][]byte{server.cert.Raw}, PrivateKey: server.key, Leaf: server.cert}
	return m, errors.Join(errs...)
}

// readPair reads a certificate and its key, and checks that they belong
// together and that the certificate is valid now.
func readPair(d statedir.Dir, name, locator string, passphrase []byte) (p pair, err error) {
	var certErr, keyErr error
	p.cert, certErr = d.ReadCertificate(name)
	p.key, keyErr = keys.Open(locator, passphrase)
	if err := errors.Join(certErr, keyErr); err != nil {
		return pair{}, err
	}
	if !samePublicKey(p.key.Public(), p.cert.PublicKey) {
		return pair{}, fault.New(fault.Invalid, "the key of %s is not the one in certificate %s", name, d.Certificate(name))
	}
	if now := time.Now(); now.Before(p.cert.NotBefore) || now.After(p.cert.NotAfter) {
		return pair{}, fault.New(fault.Invalid, "certificate %s is valid from %s to %s, which is not now",
			d.Certificate(name), p.cert.NotBefore.Format(time.RFC3339), p.cert.NotAfter.Format(time.RFC3339))
	}
	return p, nil
}

func samePublicKey(a, b crypto.PublicKey) bool {
	switch a := a.(type) {
	case *rsa.PublicKey:
		return a.Equal(b)
	case *ecdsa.PublicKey:
		return a.Equal(b)
	case ed25519.PublicKey:
		return a.Equal(b)
	}
	return false
}
