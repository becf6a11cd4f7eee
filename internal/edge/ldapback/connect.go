package ldapback

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
)

// connect opens one connection: TCP, TLS, bind. The context's deadline holds
// for all of it.
func (p *Pool) connect(ctx context.Context) (*conn, error) {
	nc, err := p.o.Dial(ctx, "tcp", p.addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	c, err := p.handshake(ctx, nc)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

func (p *Pool) handshake(ctx context.Context, nc net.Conn) (*conn, error) {
	c := newConn(nc, p.o)
	if p.o.StartTLS {
		r, err := c.ask(ldap.ExtendedRequest{Name: ldap.OIDStartTLS})
		if err != nil {
			return nil, fmt.Errorf("starting TLS: %w", err)
		}
		if m, ok := r.(ldap.ExtendedResponse); !ok || m.Code != ldap.Success {
			return nil, errors.New("starting TLS: refused")
		}
		// What came early came unprotected, from anybody.
		if c.r.Buffered() > 0 {
			return nil, errors.New("starting TLS: data before the handshake")
		}
	}
	if p.tls != nil {
		t := tls.Client(nc, p.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		c = newConn(t, p.o)
		c.lastID = 1
	}
	if p.o.BindDN == "" && p.o.LDAPVersion == 3 {
		return c, nil // anonymous is how a connection starts: RFC 4513 §4
	}
	if err := p.bind(c); err != nil {
		return nil, fmt.Errorf("binding: %w", err)
	}
	return c, nil
}

// bind is a simple bind (RFC 4513 §5.1), anonymous without a name.
func (p *Pool) bind(c *conn) error {
	m := ldap.BindRequest{Version: p.o.LDAPVersion, Name: p.o.BindDN, Method: ldap.Simple}
	if p.o.BindDN != "" {
		password, err := p.o.Password()
		if err != nil {
			return err
		}
		defer clear(password)
		if len(password) == 0 {
			// The server would take it for anonymous: RFC 4513 §5.1.2.
			return errors.New("the password is empty")
		}
		m.Credentials = password
	}
	r, err := c.ask(m)
	if err != nil {
		return err
	}
	if m, ok := r.(ldap.BindResponse); !ok || m.Code != ldap.Success {
		return fault.New(fault.Denied, "refused with %v", m.Code)
	}
	return nil
}

// ask sends one request and reads its response, before the connection carries
// searches.
func (c *conn) ask(op ldap.Op) (ldap.Op, error) {
	c.lastID++
	b, err := ldap.Message{ID: c.lastID, Op: op}.AppendTo(nil)
	if err != nil {
		return nil, err
	}
	defer clear(b) // it may hold a password
	if _, err := c.nc.Write(b); err != nil {
		return nil, err
	}
	m, err := ldap.ReadMessage(c.r, c.limits)
	switch {
	case err != nil:
		return nil, err
	case m.ID != c.lastID:
		return nil, errors.New("response to something else")
	}
	return m.Op, nil
}

// newConn prepares a connection; nothing runs on it yet.
func newConn(nc net.Conn, o Options) *conn {
	c := &conn{
		nc:       nc,
		o:        o,
		limits:   ldap.Limits{MaxPDUBytes: o.MaxPDUBytes, MaxElements: maxElements},
		searches: map[int32]*inflight{},
		out:      make(chan []byte, o.Searches),
		dead:     make(chan struct{}),
	}
	c.r = bufio.NewReaderSize(countingReader{c}, 16<<10)
	return c
}

// countingReader counts what arrives.
type countingReader struct{ c *conn }

func (r countingReader) Read(b []byte) (int, error) {
	n, err := r.c.nc.Read(b)
	r.c.received += n
	return n, err
}
