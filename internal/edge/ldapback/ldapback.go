// Package ldapback speaks LDAP to one directory of a member: a few connections,
// many searches in flight on each.
//
// The member is not trusted to behave. Whatever it sends is bounded in bytes,
// entries and time; a connection that breaks the protocol is dropped; referrals
// are never followed; and its diagnostic texts and names stay out of every error.
package ldapback

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"sync"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/vdir"
)

// Options tune a Pool; all but Dial may be left zero.
type Options struct {
	// Dial opens every connection; it decides which addresses may be reached.
	// Required.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// BindDN is the name to bind with; empty means anonymous. Password is asked
	// for each time a connection opens; the slice it returns is cleared after
	// use. Without TLS the password crosses the network readable.
	BindDN   string
	Password func() ([]byte, error)

	LDAPVersion int         // 2 or 3; default 3
	TLS         *tls.Config // for ldaps and StartTLS; the server's name is filled in when empty
	StartTLS    bool        // RFC 4511 §4.14; not with ldaps, nor with version 2

	Connections int           // at most; default 2
	Searches    int           // in flight on one connection; default 64: slapd drops anonymous ones above 100
	OpenTimeout time.Duration // for dialling, TLS and bind together; default 5 s
	IdleTimeout time.Duration // a connection unused for longer is not used again; default 1 min

	MaxEntries     int // of one search that sets no limit of its own; default 1000
	MaxPDUBytes    int // of one message; default 1 MiB
	MaxSearchBytes int // of all messages that answer one search; default 4 MiB
}

func (o Options) withDefaults() Options {
	for _, n := range []struct {
		field *int
		value int
	}{
		{&o.LDAPVersion, 3}, {&o.Connections, 2}, {&o.Searches, 64},
		{&o.MaxEntries, 1000}, {&o.MaxPDUBytes, 1 << 20}, {&o.MaxSearchBytes, 4 << 20},
	} {
		if *n.field == 0 {
			*n.field = n.value
		}
	}
	if o.OpenTimeout <= 0 {
		o.OpenTimeout = 5 * time.Second
	}
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = time.Minute
	}
	return o
}

// Pool is a vdir.Backend over one directory server. It connects when it is
// first asked.
type Pool struct {
	addr string // host:port
	tls  *tls.Config
	o    Options

	mu      sync.Mutex
	conns   []*conn  // open ones
	opening *attempt // nil when none is under way
	retry   backoff
	closed  bool
	stop    context.CancelFunc // ends the attempt under way
	running sync.WaitGroup     // goroutines
}

var _ vdir.Backend = (*Pool)(nil)

// New returns a Pool for a URL that names scheme, host and maybe port:
// ldap://host or ldaps://host:1636. It opens no connection. The error is
// Invalid.
func New(rawURL string, o Options) (*Pool, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return nil, fault.New(fault.Invalid, "directory: want a URL such as ldap://host:389")
	}
	port := u.Port()
	switch u.Scheme {
	case "ldap":
		if port == "" {
			port = "389"
		}
	case "ldaps":
		if port == "" {
			port = "636"
		}
	default:
		return nil, fault.New(fault.Invalid, "directory %s: want ldap or ldaps", u.Redacted())
	}
	o = o.withDefaults()
	secure := u.Scheme == "ldaps"
	switch {
	case o.Dial == nil:
		return nil, fault.New(fault.Invalid, "directory %s: Dial is required", u.Redacted())
	case o.LDAPVersion != 2 && o.LDAPVersion != 3:
		return nil, fault.New(fault.Invalid, "directory %s: LDAP version %d; want 2 or 3", u.Redacted(), o.LDAPVersion)
	case o.StartTLS && (secure || o.LDAPVersion == 2):
		return nil, fault.New(fault.Invalid, "directory %s: StartTLS needs ldap:// and version 3", u.Redacted())
	case (o.BindDN == "") != (o.Password == nil):
		return nil, fault.New(fault.Invalid, "directory %s: bind name and password go together", u.Redacted())
	}
	p := &Pool{addr: net.JoinHostPort(u.Hostname(), port), o: o}
	if secure || o.StartTLS {
		p.tls = &tls.Config{}
		if o.TLS != nil {
			p.tls = o.TLS.Clone()
		}
		if p.tls.ServerName == "" {
			p.tls.ServerName = u.Hostname()
		}
	}
	return p, nil
}

// Search asks the member, as vdir.Backend has it. Search references are left
// out; attributes delivered in ranges (MS-ADTS §3.1.1.3.1.3.3) come whole.
//
// Errors: the context's; yield's; NotFound for a base that the member does not
// have; Denied where it wants other credentials or refuses the question;
// Unavailable for everything else, which includes every breach of protocol and
// of the bounds in Options.
func (p *Pool) Search(ctx context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
	yielded := false
	tell := func(e vdir.Entry) error {
		yielded = true
		return yield(e)
	}
	for again := false; ; again = true {
		c, used, err := p.acquire(ctx)
		if err != nil {
			return vdir.Outcome{}, err
		}
		out, err := c.search(ctx, q, tell)
		p.release(c)
		// Servers close idle connections; the search that notices is no
		// failure, the first on a fresh connection is.
		if errors.Is(err, errLost) && used && !again && !yielded && ctx.Err() == nil {
			continue
		}
		return out, err
	}
}

// Close ends all searches and connections and waits for them. Later searches
// are Unavailable.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	conns := p.conns
	p.conns = nil
	if p.opening != nil {
		p.stop()
	}
	p.mu.Unlock()
	for _, c := range conns {
		c.fail(errClosed)
	}
	p.running.Wait()
	return nil
}
