package ldapfront_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"bridge.example/internal/edge/ldapfront"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

var _ ldapfront.Directory = (*vdir.Directory)(nil)

// directory is a Directory made of a function.
type directory func(ctx context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error)

func (d directory) Search(ctx context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
	return d(ctx, q, yield)
}

var bob = vdir.Entry{
	DN: "mail=bob@beta.example,o=bridge",
	Attributes: []vdir.Attribute{
		{Type: "mail", Values: [][]byte{[]byte("bob@beta.example")}},
		{Type: "userCertificate;binary", Values: [][]byte{bytes.Repeat([]byte{0x30, 0x82}, 750)}},
	},
}

// bobOnly yields one entry whatever is asked.
func bobOnly(_ context.Context, _ vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
	return vdir.Outcome{}, yield(bob)
}

// hang waits until the search is given up.
func hang(ctx context.Context, _ vdir.Query, _ func(vdir.Entry) error) (vdir.Outcome, error) {
	<-ctx.Done()
	return vdir.Outcome{}, ctx.Err()
}

// safeBuffer is a log that tests may read while the server writes.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// front is a running server.
type front struct {
	addr string
	log  *safeBuffer
	stop func() error // ends the server and waits for it; may be called again
}

func start(t testing.TB, d directory, o ldapfront.Options) *front {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, ln, d, o)
}

func startOn(t testing.TB, ln net.Listener, d directory, o ldapfront.Options) *front {
	t.Helper()
	f := &front{addr: ln.Addr().String(), log: new(safeBuffer)}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ldapfront.Serve(ctx, ln, d, o) }()
	f.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(10 * time.Second):
			return errors.New("Serve does not return")
		}
	})
	t.Cleanup(func() {
		if err := f.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return f
}

// client speaks raw messages. Its methods fail the test after 10 s.
type client struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

func (f *front) dial(t testing.TB) *client {
	t.Helper()
	nc, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{t: t, nc: nc, r: bufio.NewReader(nc)}
}

func encode(t testing.TB, ms ...ldap.Message) []byte {
	t.Helper()
	var b []byte
	var err error
	for _, m := range ms {
		if b, err = m.AppendTo(b); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// send writes all messages at once.
func (c *client) send(ms ...ldap.Message) {
	c.t.Helper()
	c.sendRaw(encode(c.t, ms...))
}

func (c *client) sendRaw(b []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) receive() ldap.Message {
	c.t.Helper()
	m, err := ldap.ReadMessage(c.r, ldap.Limits{MaxPDUBytes: 16 << 20})
	if err != nil {
		c.t.Fatalf("receiving: %v", err)
	}
	return m
}

// result receives the final response to id, which must be what comes next.
func (c *client) result(id int32) ldap.Result {
	c.t.Helper()
	m := c.receive()
	if m.ID != id {
		c.t.Fatalf("got %T to %d, want the response to %d", m.Op, m.ID, id)
	}
	switch op := m.Op.(type) {
	case ldap.SearchResultDone:
		return op.Result
	case ldap.BindResponse:
		return op.Result
	case ldap.UpdateResponse:
		return op.Result
	case ldap.ExtendedResponse:
		return op.Result
	}
	c.t.Fatalf("got %T, want a final response", m.Op)
	return ldap.Result{}
}

func (c *client) want(id int32, code ldap.ResultCode) {
	c.t.Helper()
	if r := c.result(id); r.Code != code || r.MatchedDN != "" {
		c.t.Fatalf("operation %d ended with %+v, want %v", id, r, code)
	}
}

// wantNotice expects a Notice of Disconnection and the end.
func (c *client) wantNotice(code ldap.ResultCode) {
	c.t.Helper()
	m := c.receive()
	op, ok := m.Op.(ldap.ExtendedResponse)
	if !ok || m.ID != 0 || op.Name != ldap.OIDNoticeOfDisconnection || op.Code != code {
		c.t.Fatalf("got %+v, want a notice of disconnection with %v", m, code)
	}
	c.wantEnd()
}

func (c *client) wantEnd() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); err != nil || len(b) > 0 {
		c.t.Fatalf("got %x, %v; want the end of the connection", b, err)
	}
}

func search(id int32) ldap.Message {
	return ldap.Message{ID: id, Op: ldap.SearchRequest{
		Base:   "o=bridge",
		Scope:  ldap.WholeSubtree,
		Filter: ldap.Filter{Op: ldap.Equality, Attribute: "mail", Value: []byte("bob@beta.example")},
	}}
}

func anonymousBind(id int32) ldap.Message {
	return ldap.Message{ID: id, Op: ldap.BindRequest{Version: 3}}
}

// serverTLS is a fresh self-signed certificate for 127.0.0.1, and a client's
// configuration that trusts it.
func serverTLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}
