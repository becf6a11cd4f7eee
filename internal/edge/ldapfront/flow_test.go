package ldapfront_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bridge.example/internal/edge/ldapfront"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

// gate is a directory whose searches say that they began, and end when told.
type gate struct {
	began chan context.Context
	open  chan struct{}
}

func newGate() *gate {
	return &gate{began: make(chan context.Context, 1000), open: make(chan struct{})}
}

func (g *gate) search(ctx context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
	g.began <- ctx
	select {
	case <-g.open:
		return bobOnly(ctx, q, yield)
	case <-ctx.Done():
		return vdir.Outcome{}, ctx.Err()
	}
}

func TestBindWaitsForSearches(t *testing.T) {
	g := newGate()
	c := start(t, g.search, ldapfront.Options{}).dial(t)
	c.send(anonymousBind(1), search(2), anonymousBind(3), search(4))
	c.want(1, ldap.Success)
	<-g.began
	select {
	case <-g.began:
		t.Fatal("the second search began before the bind in front of it was answered")
	default:
	}
	close(g.open)
	c.receive()
	c.want(2, ldap.Success)
	c.want(3, ldap.Success)
	c.receive()
	c.want(4, ldap.Success)
}

func TestAbandonIsSilent(t *testing.T) {
	g := newGate()
	c := start(t, g.search, ldapfront.Options{}).dial(t)
	c.send(search(1))
	abandoned := <-g.began
	c.send(ldap.Message{ID: 2, Op: ldap.AbandonRequest{ID: 1}}, ldap.Message{ID: 3, Op: ldap.AbandonRequest{ID: 77}})
	<-abandoned.Done()
	c.send(anonymousBind(4)) // waits for everything before it
	c.want(4, ldap.Success)
}

// An Abandon that comes in one piece with its search finds it.
func TestAbandonAtOnce(t *testing.T) {
	c := start(t, hang, ldapfront.Options{TimeLimit: time.Hour}).dial(t)
	c.send(search(1), ldap.Message{ID: 2, Op: ldap.AbandonRequest{ID: 1}}, anonymousBind(3))
	c.want(3, ldap.Success)
}

func TestCancel(t *testing.T) {
	g := newGate()
	c := start(t, g.search, ldapfront.Options{}).dial(t)
	c.send(search(1))
	canceled := <-g.began
	c.send(ldap.Message{ID: 2, Op: ldap.Cancel(1)})
	<-canceled.Done()
	codes := make(map[int32]ldap.ResultCode)
	for range 2 { // in either order
		m := c.receive()
		switch op := m.Op.(type) {
		case ldap.SearchResultDone:
			codes[m.ID] = op.Code
		case ldap.ExtendedResponse:
			codes[m.ID] = op.Code
		}
	}
	if codes[1] != ldap.Canceled || codes[2] != ldap.Success || len(codes) != 2 {
		t.Errorf("got %v, want search canceled, cancel success", codes)
	}
}

func TestSizeLimit(t *testing.T) {
	f := start(t, func(_ context.Context, _ vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
		for range 10 {
			if err := yield(bob); err != nil {
				return vdir.Outcome{}, err
			}
		}
		return vdir.Outcome{}, nil
	}, ldapfront.Options{SizeLimit: 9})
	for name, tt := range map[string]struct {
		client  int32
		entries int
	}{
		"no limit of the client's": {0, 9},
		"smaller":                  {2, 2},
		"larger":                   {1000, 9},
	} {
		c := f.dial(t)
		m := search(1)
		op := m.Op.(ldap.SearchRequest)
		op.SizeLimit = tt.client
		c.send(ldap.Message{ID: 1, Op: op})
		for range tt.entries {
			if _, ok := c.receive().Op.(ldap.SearchResultEntry); !ok {
				t.Fatalf("%s: fewer than %d entries", name, tt.entries)
			}
		}
		c.want(1, ldap.SizeLimitExceeded)
	}
}

func TestTimeLimit(t *testing.T) {
	c := start(t, func(ctx context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
		_, err := hang(ctx, q, yield)
		return vdir.Outcome{}, fault.New(fault.Unavailable, "member does not answer: %w", err)
	}, ldapfront.Options{TimeLimit: 20 * time.Millisecond}).dial(t)
	c.send(search(1))
	c.want(1, ldap.TimeLimitExceeded)
}

func TestDisconnectEndsSearches(t *testing.T) {
	for name, leave := range map[string]func(c *client){
		"close":     func(c *client) { c.nc.Close() },
		"unbind":    func(c *client) { c.send(ldap.Message{ID: 2, Op: ldap.UnbindRequest{}}) },
		"malformed": func(c *client) { c.sendRaw([]byte("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate()
			c := start(t, g.search, ldapfront.Options{}).dial(t)
			c.send(search(1))
			ctx := <-g.began
			leave(c)
			<-ctx.Done()
			if !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("got %v, want it canceled", ctx.Err())
			}
		})
	}
}

// A connection has so many searches in flight and no more; the others wait
// their turn and are answered all the same.
func TestOutstandingIsBounded(t *testing.T) {
	const total, limit = 100, 4
	var running, most atomic.Int32
	c := start(t, func(ctx context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
		n := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		runtime.Gosched()
		return bobOnly(ctx, q, yield)
	}, ldapfront.Options{MaxOutstanding: limit}).dial(t)
	var burst []ldap.Message
	for id := range int32(total) {
		burst = append(burst, search(id+1))
	}
	c.send(burst...)
	done := make(map[int32]bool)
	for len(done) < total {
		m := c.receive()
		if _, ok := m.Op.(ldap.SearchResultDone); ok {
			done[m.ID] = true
		}
	}
	if most.Load() > limit {
		t.Errorf("%d searches at a time, want at most %d", most.Load(), limit)
	}
}

// A client that asks and never reads costs little and is closed.
func TestFloodUnread(t *testing.T) {
	large := bob
	large.Attributes = []vdir.Attribute{{Type: "x", Values: [][]byte{bytes.Repeat([]byte("x"), 32<<10)}}}
	var yielded atomic.Int32
	f := start(t, func(_ context.Context, _ vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
		yielded.Add(1)
		return vdir.Outcome{}, yield(large)
	}, ldapfront.Options{WriteTimeout: 200 * time.Millisecond})
	before := runtime.NumGoroutine()
	c := f.dial(t)
	burst := encode(t, search(1), search(2), search(3), search(4))
	var err error
	for err == nil { // until the server has enough
		_, err = c.nc.Write(burst)
		if n := runtime.NumGoroutine() - before; n > 2*64+10 { // each search may need one to wake it
			t.Fatalf("%d goroutines for one connection", n)
		}
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("got %v, want the connection closed by the server", err)
	}
	if n := yielded.Load(); n > 1000 { // most of it in the kernel's buffers
		t.Errorf("%d entries of 32 KiB queued for a client that reads none", n)
	}
}

// An endless answer that nobody reads stops at whichever limit is first.
func TestAnswerUnread(t *testing.T) {
	for name, o := range map[string]ldapfront.Options{
		"write timeout": {WriteTimeout: 50 * time.Millisecond, TimeLimit: time.Hour},
		"time limit":    {WriteTimeout: time.Hour, TimeLimit: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			o.SizeLimit = 1 << 30
			ended := make(chan error, 1)
			c := start(t, func(_ context.Context, _ vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
				for {
					if err := yield(bob); err != nil {
						ended <- err
						return vdir.Outcome{}, err
					}
				}
			}, o).dial(t)
			c.send(search(1))
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Fatal("the search goes on")
			}
			if o.TimeLimit < o.WriteTimeout { // the connection is still good
				c.send(ldap.Message{ID: 2, Op: ldap.UnbindRequest{}})
			}
			if _, err := io.Copy(io.Discard, c.r); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection stays open")
			}
		})
	}
}

func TestTimeouts(t *testing.T) {
	f := start(t, bobOnly, ldapfront.Options{IdleTimeout: 50 * time.Millisecond, ReadTimeout: 50 * time.Millisecond})
	idle := f.dial(t)
	idle.wantNotice(ldap.Unavailable)
	halfRequest := f.dial(t)
	halfRequest.sendRaw([]byte{0x30, 0x05, 0x02})
	halfRequest.wantNotice(ldap.Unavailable)
}

// A search that takes longer than the idle timeout is not idleness.
func TestSearchIsNotIdle(t *testing.T) {
	c := start(t, hang, ldapfront.Options{IdleTimeout: 10 * time.Millisecond, TimeLimit: 100 * time.Millisecond}).dial(t)
	c.send(search(1))
	c.want(1, ldap.TimeLimitExceeded)
	c.wantNotice(ldap.Unavailable)
}

func TestConnectionLimits(t *testing.T) {
	for name, o := range map[string]ldapfront.Options{
		"in all":      {MaxConns: 2},
		"per address": {MaxConnsPerAddress: 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, bobOnly, o)
			first, second := f.dial(t), f.dial(t)
			first.send(anonymousBind(1))
			first.want(1, ldap.Success)
			second.send(anonymousBind(1))
			second.want(1, ldap.Success)
			f.dial(t).wantEnd()
			first.send(ldap.Message{ID: 2, Op: ldap.UnbindRequest{}})
			first.wantEnd()
			// The place is free once the server has put the first away.
			for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
				c := f.dial(t)
				c.nc.Write(encode(t, anonymousBind(1)))
				if _, err := ldap.ReadMessage(c.r, ldap.Limits{}); err == nil {
					return
				} else if time.Now().After(deadline) {
					t.Fatal(err)
				}
			}
		})
	}
}

// Searches in flight finish; then the clients are told.
func TestShutdownDrains(t *testing.T) {
	g := newGate()
	f := start(t, g.search, ldapfront.Options{Drain: time.Minute})
	busy, idle := f.dial(t), f.dial(t)
	idle.send(anonymousBind(1))
	idle.want(1, ldap.Success)
	busy.send(search(1))
	<-g.began
	stopped := make(chan error)
	go func() { stopped <- f.stop() }()
	idle.wantNotice(ldap.Unavailable)
	if c, err := net.Dial("tcp", f.addr); err == nil {
		c.Close()
		t.Error("connections are still accepted")
	}
	close(g.open)
	busy.receive()
	busy.want(1, ldap.Success)
	busy.wantNotice(ldap.Unavailable)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A search that does not finish in time is given up.
func TestDrainEnds(t *testing.T) {
	g := newGate()
	f := start(t, g.search, ldapfront.Options{Drain: 20 * time.Millisecond})
	c := f.dial(t)
	c.send(search(1))
	<-g.began
	stopped := make(chan error)
	go func() { stopped <- f.stop() }()
	c.want(1, ldap.Unavailable)
	c.wantNotice(ldap.Unavailable)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	f := start(t, hang, ldapfront.Options{Drain: time.Millisecond})
	for range 20 {
		c := f.dial(t)
		c.send(anonymousBind(1), search(2))
		c.want(1, ldap.Success)
		defer c.nc.Close()
	}
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	if after := runtime.NumGoroutine(); after > before+1 {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

var startTLS = ldap.Message{ID: 1, Op: ldap.ExtendedRequest{Name: ldap.OIDStartTLS}}

func TestStartTLS(t *testing.T) {
	server, trusting := serverTLS(t)
	c := start(t, bobOnly, ldapfront.Options{TLS: server}).dial(t)
	c.send(startTLS)
	c.want(1, ldap.Success)
	secured := tls.Client(c.nc, trusting)
	c.nc = secured
	c.r.Reset(secured)
	c.send(search(2))
	c.receive()
	c.want(2, ldap.Success)
	c.send(startTLS)
	c.want(1, ldap.OperationsError)
	c.send(ldap.Message{ID: 3, Op: ldap.UnbindRequest{}})
	c.wantEnd()
}

func TestStartTLSRefusals(t *testing.T) {
	server, _ := serverTLS(t)
	t.Run("plaintext behind it", func(t *testing.T) {
		c := start(t, bobOnly, ldapfront.Options{TLS: server}).dial(t)
		c.send(startTLS, search(2))
		c.wantNotice(ldap.ProtocolError)
	})
	t.Run("a search in flight", func(t *testing.T) {
		g := newGate()
		c := start(t, g.search, ldapfront.Options{TLS: server}).dial(t)
		c.send(search(2))
		<-g.began
		c.send(startTLS)
		c.want(1, ldap.OperationsError)
		close(g.open)
		c.receive()
		c.want(2, ldap.Success)
	})
	t.Run("no handshake", func(t *testing.T) {
		c := start(t, bobOnly, ldapfront.Options{TLS: server, ReadTimeout: 50 * time.Millisecond}).dial(t)
		c.send(startTLS)
		c.want(1, ldap.Success)
		c.wantEnd() // and nothing more in the clear
	})
}

func TestLDAPS(t *testing.T) {
	server, trusting := serverTLS(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := startOn(t, tls.NewListener(ln, server), bobOnly, ldapfront.Options{TLS: server, ReadTimeout: 100 * time.Millisecond})
	c := f.dial(t)
	c.nc = tls.Client(c.nc, trusting)
	c.r.Reset(c.nc)
	c.send(search(1))
	c.receive()
	c.want(1, ldap.Success)
	c.send(startTLS)
	c.want(1, ldap.OperationsError)
	silent := f.dial(t)
	if _, err := io.ReadAll(silent.nc); err != nil {
		t.Errorf("a client that does not shake hands: got %v, want the end", err)
	}
}
