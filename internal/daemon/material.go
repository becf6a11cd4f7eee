package daemon

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"bridge.example/crosscert"
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
	bridgeCA               *x509.Certificate // of the first key
	bridgeKeys             map[int]crypto.Signer
	listSigner, ocspSigner pair
	nextListSigner         crypto.PublicKey // nil when none is announced
	audit                  crypto.Signer    // nil when it is yet to be made
	passphrase             []byte           // of key files
	adminServer            tls.Certificate
	adminCA                pair
	root                   *root       // nil when the bridge CA signed itself
	startTLS               *tls.Config // nil when not offered
	levels                 []x509.OID
}

// bridgeKey is for [crosscert.Open].
func (m *material) bridgeKey(generation int) (crypto.Signer, error) {
	return m.bridgeKeys[generation], nil
}

// load reads keys and certificates, and reports all problems at once. What
// signs in the bridge CA's name is in the ledger: s says which keys there are,
// and nil, of a ledger that another process has open, that they are not known.
func load(c *config.Config, s *crosscert.State) (*material, error) {
	d := statedir.Dir(c.State)
	passphrase, err := keys.Passphrase(c.Keys.PassphraseFile)
	if err != nil {
		return nil, err
	}
	m := &material{passphrase: passphrase, bridgeKeys: map[int]crypto.Signer{}}
	r := reader{d: d, passphrase: passphrase, ended: s != nil && !s.EndedAt.IsZero()}
	m.bridgeCA = r.certificate(statedir.BridgeCA)
	var current []*x509.Certificate // that what signs for the bridge may come from
	if s != nil {
		current = r.bridgeKeys(m, *s, c.Keys.BridgeCA)
	}
	m.listSigner, m.ocspSigner = r.signer(statedir.ListSigner, c.Keys.ListSigner), r.signer(statedir.OCSPSigner, c.Keys.OCSPSigner)
	m.nextListSigner = r.public(c.Keys.NextListSigner)
	server := r.pair(statedir.AdminServer, "")
	if !r.denied {
		m.audit, err = openAuditKey(c, passphrase)
		r.problem(err)
	}
	m.adminCA = r.pair(statedir.AdminCA, "") // persons come and go while the service runs
	if c.Directory.Certificate != "" {
		t, err := tls.LoadX509KeyPair(c.Directory.Certificate, c.Directory.Key)
		if err != nil {
			r.problem(fault.New(fault.Invalid, "directory.certificate: %w", err))
		}
		m.startTLS = &tls.Config{Certificates: []tls.Certificate{t}, MinVersion: tls.VersionTLS12}
	}
	for _, l := range c.Bridge.Policies {
		oid, err := x509.ParseOID(l.OID)
		r.problem(err)
		m.levels = append(m.levels, oid)
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	for _, signer := range []*x509.Certificate{m.listSigner.cert, m.ocspSigner.cert} {
		if s != nil && !slices.ContainsFunc(current, func(ca *x509.Certificate) bool { return signer.CheckSignatureFrom(ca) == nil }) {
			r.problem(fault.New(fault.Invalid, "certificate of %q was not issued by this bridge CA", signer.Subject))
		}
	}
	m.root, err = readRoot(d, m.bridgeCA, m.levels)
	r.problem(err)
	m.adminServer = tls.Certificate{Certificate: [][]byte{server.cert.Raw}, PrivateKey: server.key, Leaf: server.cert}
	return m, errors.Join(r.errs...)
}

// reader reads from a state directory and collects what is wrong.
type reader struct {
	d          statedir.Dir
	passphrase []byte
	ended      bool // the bridge: nothing signs any more, and nothing need be valid
	// denied is set by a wrong PIN, which is tried once: tokens lock after a few.
	denied bool
	errs   []error
}

func (r *reader) problem(err error) {
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

func (r *reader) certificate(name string) *x509.Certificate {
	c, err := r.d.ReadCertificate(name)
	r.problem(err)
	return c
}

// signer reads what signs in the bridge's name, of which an ended bridge has no
// more need.
func (r *reader) signer(name, locator string) pair {
	if r.ended {
		return pair{cert: r.certificate(name)}
	}
	return r.pair(name, locator)
}

// public reads the public half of a key, nil when locator is empty.
func (r *reader) public(locator string) crypto.PublicKey {
	if locator == "" || r.ended || r.denied {
		return nil
	}
	key, err := keys.Open(locator, r.passphrase)
	r.denied = fault.KindOf(err) == fault.Denied && err != nil
	if err != nil {
		r.problem(err)
		return nil
	}
	return key.Public()
}

func (r *reader) pair(name, locator string) pair {
	if r.denied {
		return pair{}
	}
	if locator == "" {
		locator = r.d.Key(name)
	}
	p, err := readPair(r.d, name, locator, r.passphrase, r.ended)
	r.denied = fault.KindOf(err) == fault.Denied && err != nil
	r.problem(err)
	return p
}

// bridgeKeys opens the keys of all generations that are not closed, and returns
// the certificates of all. locator is that of the first.
func (r *reader) bridgeKeys(m *material, s crosscert.State, locator string) (certs []*x509.Certificate) {
	if len(s.Generations) == 0 {
		p := r.pair(statedir.BridgeCA, locator)
		m.bridgeKeys[1] = p.key
		return []*x509.Certificate{p.cert}
	}
	for _, g := range s.Generations {
		cert, err := x509.ParseCertificate(g.Certificate)
		if err != nil {
			r.problem(fault.New(fault.Internal, "generation %d of the bridge CA: %w", g.Number, err))
			continue
		}
		certs = append(certs, cert)
		if g.Phase == crosscert.Closed || r.denied {
			continue
		}
		if g.Number > 1 || locator == "" {
			locator = r.d.Key(statedir.BridgeCAOf(g.Number))
		}
		key, err := keys.Open(locator, r.passphrase)
		r.denied = fault.KindOf(err) == fault.Denied && err != nil
		r.problem(err)
		m.bridgeKeys[g.Number] = key
		if g.Phase == crosscert.Signing && !r.ended && time.Now().After(cert.NotAfter) {
			r.problem(fault.New(fault.Invalid, "the certificate of the bridge CA's generation %d expired on %s", g.Number, cert.NotAfter.Format(time.RFC3339)))
		}
	}
	return certs
}

// readPair reads a certificate and its key, and checks that they belong
// together and that the certificate is valid now, unless it may have expired.
func readPair(d statedir.Dir, name, locator string, passphrase []byte, expired bool) (p pair, err error) {
	var certErr, keyErr error
	p.cert, certErr = d.ReadCertificate(name)
	p.key, keyErr = keys.Open(locator, passphrase)
	if err := errors.Join(certErr, keyErr); err != nil {
		return pair{}, err
	}
	// A list signer named in the configuration may be new: see mayFollow.
	isNew := name == statedir.ListSigner && locator != d.Key(name)
	if !isNew && !samePublicKey(p.key.Public(), p.cert.PublicKey) {
		return pair{}, fault.New(fault.Invalid, "the key of %s is not the one in certificate %s", name, d.Certificate(name))
	}
	if now := time.Now(); now.Before(p.cert.NotBefore) || now.After(p.cert.NotAfter) && !expired {
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
