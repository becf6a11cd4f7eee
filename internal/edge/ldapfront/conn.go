package ldapfront

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
)

// conn is one client. Unless said otherwise its fields belong to the goroutine
// that reads.
type conn struct {
	*server
	nc     net.Conn // as accepted, for all: deadlines and Close reach through TLS
	stream net.Conn // what is read and written: nc, or TLS over it
	r      *bufio.Reader
	out    *writer // for all
	remote string

	slots   chan struct{} // one taken by each search in flight
	running sync.WaitGroup

	mu         sync.Mutex
	operations map[*operation]struct{} // guarded by mu
}

// notice is the end of a connection that the client is told about.
type notice struct {
	code ldap.ResultCode
	text string
}

func (n *notice) Error() string { return n.code.String() + ": " + n.text }

var (
	errShutdown = &notice{ldap.Unavailable, "the server is shutting down"}
	errIdle     = &notice{ldap.Unavailable, "idle for too long"}

	errUnbound = errors.New("unbound")
	errTLS     = errors.New("TLS handshake")
	errPanic   = errors.New("panic")
)

// panicked makes an error of what recover returned, for the log.
func panicked(p any) error {
	return fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
}

// serve runs one connection to its end. ctx ends when the service does,
// searches when those in flight have to be given up.
func (s *server) serve(ctx, searches context.Context, nc net.Conn) {
	defer nc.Close()
	from := source(nc)
	if !s.admit(from) {
		s.opt.Log.Warn("refusing ldap connection, too many", "remote", nc.RemoteAddr().String())
		return
	}
	defer s.leave(from)
	searches, cancel := context.WithCancel(searches)
	defer cancel()
	c := &conn{
		server:     s,
		nc:         nc,
		stream:     nc,
		r:          bufio.NewReader(nc),
		out:        newWriter(nc, s.opt.WriteTimeout),
		remote:     nc.RemoteAddr().String(),
		slots:      make(chan struct{}, s.opt.MaxOutstanding),
		operations: make(map[*operation]struct{}),
	}
	stop := context.AfterFunc(ctx, func() { nc.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()

	err := c.run(ctx, searches)
	c.logEnd(err)
	n, tell := errors.AsType[*notice](err)
	if n != errShutdown {
		cancel()
	}
	if !tell {
		nc.Close() // first, so that nobody waits for the peer to read
	}
	c.running.Wait()
	if tell {
		c.out.send(ldap.NoticeOfDisconnection(n.code, n.text))
	}
	c.finish()
}

// finish sends what is queued and closes, both within limits. Closing while
// the peer's bytes are unread would reset the connection and might cost it the
// notice; so they are read for a moment.
func (c *conn) finish() {
	const grace, linger, lingerBytes = time.Second, 500 * time.Millisecond, 256 << 10
	late := time.AfterFunc(grace, func() { c.nc.Close() })
	defer late.Stop()
	c.out.close()
	if half, ok := c.stream.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		c.nc.SetReadDeadline(time.Now().Add(linger))
		io.CopyN(io.Discard, c.nc, lingerBytes)
	}
}

// run reads and handles requests until the connection ends, and says why:
// a *notice if the client is to be told.
func (c *conn) run(ctx, searches context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	if t, ok := c.nc.(*tls.Conn); ok {
		if err := c.handshake(ctx, t); err != nil {
			return err
		}
	}
	for {
		// A client that does not read is not read from either.
		if err := c.out.room(ctx); err != nil {
			return c.why(ctx, err)
		}
		m, err := c.read(ctx)
		if err != nil {
			return c.why(ctx, err)
		}
		if err := c.handle(ctx, searches, m); err != nil {
			return c.why(ctx, err)
		}
	}
}

// why gives the end of a connection its reason.
func (c *conn) why(ctx context.Context, err error) error {
	switch {
	case c.out.failure() != nil:
		return fmt.Errorf("writing answers: %v", c.out.failure())
	case errors.Is(err, errTLS): // a notice in the clear would be no use
		return err
	case ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, os.ErrDeadlineExceeded)):
		return errShutdown // and not a client that left at that moment
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errIdle
	case fault.KindOf(err) == fault.Invalid: // RFC 4511 §4.1.1
		return &notice{ldap.ProtocolError, err.Error()}
	}
	return err
}

// read returns the next request. Searches in flight keep a connection alive.
func (c *conn) read(ctx context.Context) (ldap.Message, error) {
	for c.r.Buffered() == 0 {
		c.deadline(ctx, c.opt.IdleTimeout)
		if _, err := c.r.Peek(1); err == nil {
			break
		} else if ctx.Err() != nil || len(c.slots) == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return ldap.Message{}, err
		}
	}
	c.deadline(ctx, c.opt.ReadTimeout)
	return ldap.ReadMessage(c.r, c.opt.Limits)
}

// deadline lets reads fail after d, or at once when ctx has ended: whichever of
// this and serve's AfterFunc comes second sees the other.
func (c *conn) deadline(ctx context.Context, d time.Duration) {
	c.nc.SetReadDeadline(time.Now().Add(d))
	if ctx.Err() != nil {
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

func (c *conn) handshake(ctx context.Context, t *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, c.opt.ReadTimeout)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	return nil
}
