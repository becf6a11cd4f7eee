package lab

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// Ports are where an organisation listens on 127.0.0.1; 0 is any free one.
type Ports struct {
	LDAP int `json:"ldap"`
	OCSP int `json:"ocsp"`
	HTTP int `json:"http"` // CRLs and CA certificates
}

// Organisation is a simulated member. Its methods may be called concurrently,
// Start and Close apart.
type Organisation struct {
	Spec    Spec
	Ports   Ports
	Root    *Authority // self-signed
	Issuing *Authority // below Root; issues to users

	dir       string
	listeners []net.Listener // LDAP, OCSP, HTTP
	mu        sync.Mutex     // over users, and one writer of files
	users     []User
	servers   []*http.Server
	ldap      *ldapListener
	running   sync.WaitGroup
}

// Authority is a CA.
type Authority struct {
	Certificate *x509.Certificate
	File        string // PEM of Certificate
	OCSP        string // URL of the responder
	CRL         string // URL

	name      string
	issuer    string // URL of Certificate
	key       crypto.Signer
	responder *x509.Certificate // signs OCSP responses
	respKey   crypto.Signer
	issued    *index
}

// User is a person with a certificate.
type User struct {
	Mail        string
	CN          string
	State       State
	Certificate *x509.Certificate
	File        string // PEM of Certificate
	KeyFile     string // PEM, PKCS #8
}

// The file that is written last and makes a directory complete. It keeps the
// ports, which certificates name in their URLs.
const portsFile = "ports.json"

// New makes the organisation in dir, or loads it when dir has it already, and
// listens; connections wait until [Organisation.Start]. An organisation that is
// loaded keeps the ports it was made with, whatever p says. An address that is
// taken is a Conflict.
func New(dir string, spec Spec, p Ports) (_ *Organisation, err error) {
	o := &Organisation{Spec: spec, dir: dir}
	raw, err := os.ReadFile(filepath.Join(dir, portsFile))
	made := err == nil
	if made {
		err = json.Unmarshal(raw, &p)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(filepath.Join(dir, "users"), 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the state of %s: %w", spec.ID, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Close())
		}
	}()
	if err := o.listen(p); err != nil {
		return nil, err
	}
	o.Root, o.Issuing = o.authority("root"), o.authority("issuing")
	if !made {
		if err := o.create(time.Now()); err != nil {
			return nil, fmt.Errorf("making %s: %w", spec.ID, err)
		}
	}
	if err := o.load(); err != nil {
		return nil, fmt.Errorf("loading %s: %w", spec.ID, err)
	}
	return o, nil
}

func (o *Organisation) listen(p Ports) error {
	for _, port := range []*int{&p.LDAP, &p.OCSP, &p.HTTP} {
		ln, err := listenOn(*port)
		if err != nil {
			return fault.New(fault.Conflict, "listening for %s: %w", o.Spec.ID, err)
		}
		o.listeners = append(o.listeners, ln)
		*port = ln.Addr().(*net.TCPAddr).Port
	}
	o.Ports = p
	return nil
}

// listenOn listens on a port of loopback. 0 takes a free one below the numbers
// that systems hand to outgoing connections: the organisation comes back to it
// later, and none of those may have it then.
func listenOn(port int) (ln net.Listener, err error) {
	if port != 0 {
		return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	}
	for range 100 {
		if ln, err = listenOn(10000 + rand.IntN(20000)); err == nil {
			return ln, nil
		}
	}
	return nil, err
}

func (o *Organisation) authority(name string) *Authority {
	web := fmt.Sprintf("http://127.0.0.1:%d/%s", o.Ports.HTTP, name)
	return &Authority{
		name: name, File: o.path(name + ".pem"),
		OCSP: fmt.Sprintf("http://127.0.0.1:%d/", o.Ports.OCSP),
		CRL:  web + ".crl", issuer: web + ".cer",
		issued: &index{file: o.path(name + ".index")},
	}
}

// Start serves until [Organisation.Close].
func (o *Organisation) Start() error {
	dir, err := newDirectory(o)
	if err != nil {
		return err
	}
	o.ldap = newLDAPListener(o.listeners[0])
	o.running.Go(func() { serveLDAP(o.ldap, dir) })
	for i, h := range []http.Handler{http.HandlerFunc(o.serveOCSP), o.publication()} {
		s := &http.Server{Handler: h, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
		o.servers = append(o.servers, s)
		o.running.Go(func() { _ = s.Serve(o.listeners[i+1]) })
	}
	return nil
}

// Close ends every connection and waits for what Start began.
func (o *Organisation) Close() error {
	var errs []error
	if o.ldap != nil {
		o.ldap.shut()
	}
	for _, s := range o.servers {
		errs = append(errs, s.Close())
	}
	for _, ln := range o.listeners {
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	o.running.Wait()
	return errors.Join(errs...)
}

// Users returns the users as they are now.
func (o *Organisation) Users() []User {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]User(nil), o.users...)
}

// User returns the user with this mail address or the part of it before the
// @; NotFound when there is none.
func (o *Organisation) User(local string) (User, error) {
	for _, u := range o.Users() {
		if u.Mail == local || u.Mail == local+"@"+o.Spec.Domain {
			return u, nil
		}
	}
	return User{}, fault.New(fault.NotFound, "%s has no user %q", o.Spec.ID, local)
}

// RevokeIssuing has the root revoke the issuing CA.
func (o *Organisation) RevokeIssuing() error {
	return o.Root.issued.revoke(o.Issuing.Certificate.SerialNumber, time.Now())
}

// Revoke makes the certificate of a user revoked, at the responder and in the
// CRL, from now on. local is as in [Organisation.User]. Revoking twice changes
// nothing.
func (o *Organisation) Revoke(local string) error {
	u, err := o.User(local)
	if err != nil {
		return err
	}
	if err := o.Issuing.issued.revoke(u.Certificate.SerialNumber, time.Now()); err != nil {
		return fmt.Errorf("revoking %s: %w", u.Mail, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.users {
		if o.users[i].Mail == u.Mail {
			o.users[i].State = Revoked
		}
	}
	return nil
}

// Directory is the simulated directory as the register describes it. Its
// credential, which holds Spec.Password, is named after the organisation.
func (o *Organisation) Directory() membership.Directory {
	d := membership.Directory{
		URL:  fmt.Sprintf("ldap://127.0.0.1:%d", o.Ports.LDAP),
		Base: o.Spec.Suffix, Dialect: o.Spec.Dialect, BindDN: o.Spec.BindDN,
	}
	if d.BindDN != "" {
		d.Credential = o.Spec.ID
	}
	return d
}

// Application is what the organisation declares when it applies: its policy as
// the equal of bridgePolicy, and the DER certificates it issued to the bridge.
// Users serve as test mailbox and for test serials.
func (o *Organisation) Application(bridgePolicy string, cross ...[]byte) membership.Application {
	ca := func(a *Authority) []membership.CA {
		return []membership.CA{{Certificate: a.Certificate.Raw, OCSP: []string{a.OCSP}, CRL: []string{a.CRL}}}
	}
	directory, issuing := o.Directory(), ca(o.Issuing)
	for _, u := range o.Users() {
		switch serial := u.Certificate.SerialNumber.Text(16); u.State {
		case Valid:
			directory.TestMailbox, issuing[0].TestSerials.Valid = u.Mail, serial
		case Revoked:
			issuing[0].TestSerials.Revoked = serial
		}
	}
	return membership.Application{
		ID: membership.ID(o.Spec.ID), Name: o.Spec.Name, Country: o.Spec.Country,
		Contacts:          []membership.Contact{{Name: "PKI office of " + o.Spec.Name, Email: "pki@" + o.Spec.Domain}},
		MailDomains:       []string{o.Spec.Domain},
		Policies:          []membership.Policy{{Member: o.Spec.Policy, Bridge: bridgePolicy}},
		Directories:       []membership.Directory{directory},
		Anchors:           ca(o.Root),
		Intermediates:     issuing,
		CrossCertificates: cross,
		Documents:         Declared(),
	}
}

func (o *Organisation) path(name string) string { return filepath.Join(o.dir, name) }
