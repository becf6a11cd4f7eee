package checkup

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
)

// errNoPassword means that a directory wants a password nobody gave here.
var errNoPassword = fault.New(fault.NotFound, "the directory wants a password, which only the bridge has")

// errKeepPassword means that a password was kept back.
var errKeepPassword = errors.New("the password was not sent: the TLS certificate does not verify")

// link is a connection to a directory, bound as the application says.
type link struct {
	*goldap.Conn
	tls    *tls.ConnectionState // nil without TLS
	tlsErr error                // what is wrong with the server's certificate
}

// account says as whom and in which version to bind.
type account struct {
	version  int
	dn       string
	password func() ([]byte, error)
}

// hostPort is where a ldap or ldaps URL leads.
func hostPort(u *url.URL) (host, port string) {
	if port = u.Port(); port == "" {
		port = map[string]string{"ldap": "389", "ldaps": "636"}[u.Scheme]
	}
	return u.Hostname(), port
}

// connect opens a link that ends with ctx. The caller closes it.
func (x *examination) connect(ctx context.Context, u *url.URL, startTLS bool, as account) (*link, error) {
	host, port := hostPort(u)
	nc, err := x.Dial(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, outside(err)
	}
	if end, ok := ctx.Deadline(); ok {
		err = nc.SetDeadline(end)
	}
	l := &link{}
	if err == nil {
		nc, err = x.secure(ctx, nc, l, host, u.Scheme == "ldaps", startTLS)
	}
	if err == nil {
		err = l.bind(nc, as)
	}
	if err != nil {
		if l.Conn != nil {
			_ = l.Close()
		}
		_ = nc.Close()
		return nil, err
	}
	return l, nil
}

// secure starts TLS where it is wanted. A certificate that does not verify is
// noted, not refused: whether anything else works is worth knowing.
func (x *examination) secure(ctx context.Context, nc net.Conn, l *link, host string, direct, startTLS bool) (net.Conn, error) {
	if startTLS {
		answer, err := exchange(nc, ldap.ExtendedRequest{Name: ldap.OIDStartTLS})
		if err != nil {
			return nc, fmt.Errorf("starting TLS: %w", err)
		}
		if m, ok := answer.(ldap.ExtendedResponse); !ok || m.Code != ldap.Success {
			return nc, errors.New("starting TLS: refused")
		}
	}
	if !startTLS && !direct {
		return nc, nil
	}
	c := tls.Client(nc, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true})
	if err := c.HandshakeContext(ctx); err != nil {
		return nc, fmt.Errorf("starting TLS: %w", err)
	}
	state := c.ConnectionState()
	l.tls = &state
	opts := x509.VerifyOptions{DNSName: host, Roots: x.Roots, CurrentTime: x.at, Intermediates: x509.NewCertPool()}
	for _, i := range state.PeerCertificates[1:] {
		opts.Intermediates.AddCert(i)
	}
	_, l.tlsErr = state.PeerCertificates[0].Verify(opts)
	return c, nil
}

// bind hands nc to the client library. That speaks version 3 only: a bind of
// version 2 goes before.
func (l *link) bind(nc net.Conn, as account) error {
	var password []byte
	if as.dn != "" {
		if l.tlsErr != nil {
			return errKeepPassword
		}
		var err error
		if password, err = as.password(); err != nil {
			return err
		}
		defer clear(password)
		if len(password) == 0 {
			return fault.New(fault.Invalid, "the password is empty (RFC 4513 §5.1.2)")
		}
	}
	if as.version == 2 {
		answer, err := exchange(nc, ldap.BindRequest{Version: 2, Name: as.dn, Method: ldap.Simple, Credentials: password})
		if err != nil {
			return fmt.Errorf("binding: %w", err)
		}
		if m, ok := answer.(ldap.BindResponse); !ok || m.Code != ldap.Success {
			return errors.New("binding with LDAPv2: refused")
		}
	}
	l.Conn = goldap.NewConn(newGuardedConn(nc), l.tls != nil)
	l.SetTimeout(askTime)
	l.Start()
	var err error
	switch {
	case as.version == 2:
	case as.dn == "":
		err = l.UnauthenticatedBind("")
	default:
		err = l.Bind(as.dn, string(password))
	}
	if err != nil {
		return fmt.Errorf("binding: %w", err)
	}
	return nil
}

// exchange sends one request and reads its answer, before the client library
// has the connection.
func exchange(nc net.Conn, op ldap.Op) (ldap.Op, error) {
	b, err := ldap.Message{ID: 1, Op: op}.AppendTo(nil)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	if _, err := nc.Write(b); err != nil {
		return nil, err
	}
	r := bufio.NewReader(nc)
	m, err := ldap.ReadMessage(r, ldap.Limits{MaxPDUBytes: 64 << 10, MaxElements: 1000})
	switch {
	case err != nil:
		return nil, err
	case m.ID != 1 || r.Buffered() > 0:
		return nil, errors.New("the server sent what was not asked for")
	}
	return m.Op, nil
}

// search asks one bounded question.
func (l *link) search(ctx context.Context, base string, scope, limit int, filter string, attributes ...string) (*goldap.SearchResult, time.Duration, error) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	began := time.Now()
	res, err := l.Search(&goldap.SearchRequest{
		BaseDN: base, Scope: scope, SizeLimit: limit, EnforceSizeLimit: true, TimeLimit: int(askTime / time.Second),
		Filter: filter, Attributes: attributes,
	})
	return res, time.Since(began), err
}

// outside says of a connection that failed only what the subject may know: not
// whether an address inside answers.
func outside(err error) error {
	if _, dialled := errors.AsType[*net.OpError](err); dialled && fault.KindOf(err) == fault.Denied {
		return fault.New(fault.Denied, "its address is not public")
	}
	return err
}
