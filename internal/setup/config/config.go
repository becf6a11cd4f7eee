// Package config reads bridged.yaml. The comments of its structs are the
// manual of that file; every complaint about one is reported at once.
package config

import (
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bridge.example/internal/fault"
)

// Config is the whole of bridged.yaml.
type Config struct {
	// State is the directory that "bridged init" made: store, keys,
	// certificates, credentials. A relative path is taken from the directory of
	// the configuration file. Required.
	State string `yaml:"state"`

	Bridge     Bridge     `yaml:"bridge"`
	Operator   Operator   `yaml:"operator"`
	Keys       Keys       `yaml:"keys"`
	Admin      Admin      `yaml:"admin"`
	Directory  Directory  `yaml:"directory"`
	Responder  Responder  `yaml:"responder"`
	Repository Repository `yaml:"repository"`
	Outgoing   Outgoing   `yaml:"outgoing"`
	Checks     Checks     `yaml:"checks"`
	Watch      Watch      `yaml:"watch"`
	Notices    Notices    `yaml:"notices"`
	Log        Log        `yaml:"log"`

	// Reconcile is how often the projections are compared with the register
	// even when nothing changed. What begins or ends by the calendar does not
	// wait for it. Default 30s.
	Reconcile time.Duration `yaml:"reconcile"`
	// Drain is how long running requests may take to finish at shutdown.
	// Default 10s.
	Drain time.Duration `yaml:"drain"`
}

// Bridge describes the federation.
type Bridge struct {
	// Name is shown in the directory and on the repository's pages. Required.
	Name string `yaml:"name"`
	// Policies are the assurance levels of the bridge; members map their own
	// policies to these, and to no others. At least one.
	Policies []Level `yaml:"policies"`
}

// Level is one assurance level.
type Level struct {
	OID  string `yaml:"oid"`  // dotted object identifier
	Name string `yaml:"name"` // for people
}

// Keys says how the bridge's private keys are opened.
type Keys struct {
	// PassphraseFile is a file with one line, readable by its owner alone, that
	// opens the encrypted files under keys/ in the state directory. Default
	// none: then the systemd credential bridged-passphrase is used
	// (LoadCredential=), and without that only plain key files can be opened.
	PassphraseFile string `yaml:"passphrase_file"`
	// BridgeCA, ListSigner, OCSPSigner and AuditLog say where these keys are: a file, or
	// an RFC 7512 URI of a key on a PKCS #11 token,
	//
	//	pkcs11:token=bridge;object=ca?module-path=/usr/lib/hsm.so&pin-source=file:/etc/pin
	//
	// which needs a bridged built with -tags pkcs11. Default: the file under
	// keys/ in the state directory. BridgeCA is the first of the bridge CA's
	// keys; those that a roll-over makes are such files.
	BridgeCA   string `yaml:"bridge_ca"`
	ListSigner string `yaml:"list_signer"`
	OCSPSigner string `yaml:"ocsp_signer"`
	// NextListSigner is the key, named in the same way, that is to sign lists after
	// this one: they announce it, and subscribers refuse a signer that was not.
	// When it becomes ListSigner, the daemon certifies it. Named in both places, it
	// replaces a key that is lost. Default none.
	NextListSigner string `yaml:"next_list_signer"`
	// AuditLog signs the checkpoints of the audit log: Ed25519, or ECDSA on
	// P-256, and never changed, since it is by what the log is known.
	AuditLog string `yaml:"audit_log"`
}

// Admin is the gRPC interface of the bridge's persons. TLS certificate, key and client CA
// are those in the state directory.
type Admin struct {
	// Listen is host:port. Default 127.0.0.1:7443.
	Listen string `yaml:"listen"`
}

// Directory is the virtual LDAP directory.
type Directory struct {
	// Listen is host:port. Default 127.0.0.1:7389.
	Listen string `yaml:"listen"`
	// Suffix is the name of the tree's root, RFC 4514. Default o=bridge.
	Suffix string `yaml:"suffix"`
	// LDAPv2 accepts binds of LDAP version 2 as well. Default false.
	LDAPv2 bool `yaml:"ldapv2"`
	// Certificate and Key are PEM files; with both, StartTLS is offered.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// MemberTimeout is how long one member may take to answer. Default 5s.
	MemberTimeout time.Duration `yaml:"member_timeout"`
	// MaxConnections bounds clients connected at once. Default 10000.
	MaxConnections int `yaml:"max_connections"`
	// MaxConnectionsPerAddress bounds those from one IP address. Default 100.
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address"`
}

// Responder is the virtual OCSP responder.
type Responder struct {
	// Listen is host:port. Default 127.0.0.1:7800.
	Listen string `yaml:"listen"`
	// MemberTimeout is how long one member's responder may take. Default 5s.
	MemberTimeout time.Duration `yaml:"member_timeout"`
}

// Repository is the HTTP publication point.
type Repository struct {
	// Listen is host:port. Default 127.0.0.1:7080.
	Listen string `yaml:"listen"`
	// URL is how the world reaches it, without a slash at the end; it is
	// written into every certificate the bridge issues. http, because a client
	// cannot check a certificate with what it needs that certificate for.
	// Required.
	URL string `yaml:"url"`
	// ResponderURL is how the world reaches the OCSP responder. Required.
	ResponderURL string `yaml:"responder_url"`
}

// Outgoing governs connections to members, whose addresses members supply.
type Outgoing struct {
	// Allow lists address ranges that may be reached although they are
	// loopback, private, link-local or otherwise not public. Default none.
	Allow []string `yaml:"allow"`
}

// Checks governs the examinations of applicants and members.
type Checks struct {
	// Resolver is host:port of a DNS server that is asked for proofs of mail
	// domains instead of the system's, such as one that sees what the world
	// outside sees. Default: the system's.
	Resolver string `yaml:"resolver"`
}

// Watch says how members in force are watched.
type Watch struct {
	// Status is how often their CA certificates are asked about, at the CRLs and
	// responders of those who issued them. One that was revoked leaves at once.
	// Default 15m.
	Status time.Duration `yaml:"status"`
	// CRLGrace suspends a member this long after its CRL ended, when no newer one
	// is published. Default 0: nobody is suspended for that. An outage of status
	// makes no certificate false, and clients ask for themselves; the digest says
	// so in any case.
	CRLGrace time.Duration `yaml:"crl_grace"`
	// Checks is how often each member is examined again, at a time of its own; who
	// has applied is four times as often.
	// Default 24h.
	Checks time.Duration `yaml:"checks"`
}

// Notices says when and to whom the daily digest goes: what ends, and what is
// wrong. It always goes to the log.
type Notices struct {
	// At is the time of the day, UTC. Default 06:00.
	At string `yaml:"at"`
	// SMTP is host:port of a relay, which must offer STARTTLS. Default none: no
	// mail is sent.
	SMTP string `yaml:"smtp"`
	// Plain allows a relay that has no STARTTLS. Default false.
	Plain bool `yaml:"plain"`
	// From is the sender, To are those who get everything. Required with SMTP.
	From string   `yaml:"from"`
	To   []string `yaml:"to"`
	// MemberRole is the role of those contacts of a member who get what is about
	// it. Default none: members get no mail.
	MemberRole string `yaml:"member_role"`
}

// Log says what is written to standard error.
type Log struct {
	// Level is debug, info, warn or error. Default info.
	Level string `yaml:"level"`
	// Format is text or json. Default text.
	Format string `yaml:"format"`
}

// Load reads a configuration, fills in defaults and validates it. dir is where
// relative paths start. The error is Invalid and names every problem with its
// place.
func Load(r io.Reader, dir string) (*Config, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	if len(b) > maxBytes {
		return nil, fault.New(fault.Invalid, "configuration: longer than %d bytes", maxBytes)
	}
	c := &Config{}
	p := decode(b, c)
	if len(p) == 0 {
		c.defaults(dir)
		p = c.problems()
	}
	if len(p) > 0 {
		return nil, fault.New(fault.Invalid, "configuration: %d problem(s)\n  %s", len(p), strings.Join(p, "\n  "))
	}
	return c, nil
}

const maxBytes = 1 << 20

// LoadFile is Load of a file; relative paths start at its directory.
func LoadFile(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "configuration: %w", err)
	}
	defer f.Close()
	return Load(f, filepath.Dir(path))
}

func (c *Config) defaults(dir string) {
	for _, d := range []struct {
		field *string
		value string
	}{
		{&c.Admin.Listen, "127.0.0.1:7443"},
		{&c.Directory.Listen, "127.0.0.1:7389"},
		{&c.Directory.Suffix, "o=bridge"},
		{&c.Responder.Listen, "127.0.0.1:7800"},
		{&c.Repository.Listen, "127.0.0.1:7080"},
		{&c.Notices.At, "06:00"},
		{&c.Log.Level, "info"},
		{&c.Log.Format, "text"},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	for _, d := range []struct{ field, value *time.Duration }{
		{&c.Reconcile, new(30 * time.Second)},
		{&c.Drain, new(10 * time.Second)},
		{&c.Watch.Status, new(15 * time.Minute)},
		{&c.Watch.Checks, new(24 * time.Hour)},
		{&c.Directory.MemberTimeout, new(5 * time.Second)},
		{&c.Responder.MemberTimeout, new(5 * time.Second)},
	} {
		if *d.field == 0 {
			*d.field = *d.value
		}
	}
	if c.Directory.MaxConnections == 0 {
		c.Directory.MaxConnections = 10000
	}
	if c.Directory.MaxConnectionsPerAddress == 0 {
		c.Directory.MaxConnectionsPerAddress = 100
	}
	for _, path := range []*string{&c.State, &c.Directory.Certificate, &c.Directory.Key, &c.Keys.PassphraseFile, &c.Keys.BridgeCA, &c.Keys.ListSigner, &c.Keys.NextListSigner, &c.Keys.OCSPSigner, &c.Keys.AuditLog} {
		if *path != "" && !filepath.IsAbs(*path) && !strings.HasPrefix(*path, "pkcs11:") {
			*path = filepath.Join(dir, *path)
		}
	}
}

// problems reports everything that is wrong with c, each with its path.
func (c *Config) problems() (p []string) {
	complain := func(path, format string, args ...any) {
		p = append(p, path+": "+fmt.Sprintf(format, args...))
	}
	if c.State == "" {
		complain("state", "missing; name the directory that \"bridged init\" made")
	}
	if strings.TrimSpace(c.Bridge.Name) == "" {
		complain("bridge.name", "missing")
	}
	if len(c.Bridge.Policies) == 0 {
		complain("bridge.policies", "want at least one assurance level")
	}
	for i, l := range c.Bridge.Policies {
		if _, err := x509.ParseOID(l.OID); err != nil {
			complain(fmt.Sprintf("bridge.policies[%d].oid", i), "%q is not an object identifier", l.OID)
		}
	}
	if s := c.Scheme(); s != nil {
		if err := s.Check(); err != nil {
			complain("operator", "%v", err)
		}
	}
	for path, addr := range map[string]string{
		"admin.listen": c.Admin.Listen, "directory.listen": c.Directory.Listen,
		"responder.listen": c.Responder.Listen, "repository.listen": c.Repository.Listen,
	} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			complain(path, "%q is not host:port", addr)
		}
	}
	for path, s := range map[string]string{"repository.url": c.Repository.URL, "repository.responder_url": c.Repository.ResponderURL} {
		if u, err := url.Parse(s); err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || strings.HasSuffix(s, "/") {
			complain(path, "%q is not an http URL without a slash at the end", s)
		}
	}
	if (c.Directory.Certificate == "") != (c.Directory.Key == "") {
		complain("directory", "certificate and key go together")
	}
	for i, s := range c.Outgoing.Allow {
		if _, err := netip.ParsePrefix(s); err != nil {
			complain(fmt.Sprintf("outgoing.allow[%d]", i), "%q is not an address range such as 10.1.0.0/16", s)
		}
	}
	if c.Checks.Resolver != "" {
		if _, _, err := net.SplitHostPort(c.Checks.Resolver); err != nil {
			complain("checks.resolver", "%q is not host:port", c.Checks.Resolver)
		}
	}
	for path, d := range map[string]time.Duration{
		"reconcile": c.Reconcile, "drain": c.Drain,
		"directory.member_timeout": c.Directory.MemberTimeout, "responder.member_timeout": c.Responder.MemberTimeout,
	} {
		if d < 0 || d > time.Hour {
			complain(path, "%v is not between 0 and 1h", d)
		}
	}
	p = append(p, c.Watch.problems()...)
	p = append(p, c.Notices.problems()...)
	if c.Directory.MaxConnections < 1 || c.Directory.MaxConnectionsPerAddress < 1 {
		complain("directory.max_connections", "want positive numbers")
	}
	if !oneOf(c.Log.Level, "debug", "info", "warn", "error") {
		complain("log.level", "%q is not debug, info, warn or error", c.Log.Level)
	}
	if !oneOf(c.Log.Format, "text", "json") {
		complain("log.format", "%q is not text or json", c.Log.Format)
	}
	return sorted(p)
}

// Prefixes returns the address ranges of Allow. It panics on a configuration
// that was never validated.
func (o Outgoing) Prefixes() (out []netip.Prefix) {
	for _, s := range o.Allow {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
