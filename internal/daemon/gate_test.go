package daemon_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// gate stands before a member's server. While it is shut, questions reach it
// and no answer comes back.
type gate struct {
	addr  string
	asked chan struct{} // gets a signal for each read of the bridge's bytes

	mu   sync.Mutex
	open chan struct{} // closed while answers pass
}

// newGate listens in front of target, host:port, until the test ends.
func newGate(t *testing.T, target string) *gate {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{addr: ln.Addr().String(), asked: make(chan struct{}, 1024), open: make(chan struct{})}
	close(g.open)
	ended := make(chan struct{})
	var wg sync.WaitGroup
	t.Cleanup(func() {
		ln.Close()
		close(ended)
		wg.Wait()
	})
	wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				in.Close()
				continue
			}
			wg.Go(func() { g.pass(out, in, false, ended) })
			wg.Go(func() { g.pass(in, out, true, ended) })
			wg.Go(func() { <-ended; in.Close(); out.Close() })
		}
	})
	return g
}

// pass copies until either side ends, and then ends the other.
func (g *gate) pass(to, from net.Conn, gated bool, ended <-chan struct{}) {
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if gated && n > 0 {
			g.mu.Lock()
			open := g.open
			g.mu.Unlock()
			select {
			case <-open:
			case <-ended:
				return
			}
		} else if n > 0 {
			select {
			case g.asked <- struct{}{}:
			default: // nobody counts that far
			}
		}
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			if tcp, ok := to.(*net.TCPConn); ok && err == io.EOF {
				_ = tcp.CloseWrite()
			}
			return
		}
	}
}

// shut holds answers back from now on, and forgets what was asked before.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
	for len(g.asked) > 0 {
		<-g.asked
	}
}

func (g *gate) pull() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.open)
}
