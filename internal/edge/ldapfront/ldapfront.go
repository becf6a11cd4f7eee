// Package ldapfront serves a directory to LDAP clients (RFC 4511), read only
// and anonymously. It owns the protocol: framing and limits, pipelining, binds
// in order, Abandon and Cancel, StartTLS, controls, result codes. What may be
// asked and what is answered is the directory's business.
//
// Each connection has one goroutine that reads, one that writes, and one for
// each search in flight. A client that does not read its answers slows, and in
// the end loses, its own connection only.
package ldapfront

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

// Directory answers searches; [vdir.Backend] states the contract. The root DSE
// (base "", scope base) and the subschema are entries like others.
type Directory interface {
	Search(ctx context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error)
}

// Options are the limits of a listener. The zero value is ready for use on a
// public port; a zero field takes its default.
type Options struct {
	TLS    *tls.Config // offers StartTLS; nil means it is refused
	LDAPv2 bool        // accept binds of version 2 (RFC 1777)

	Limits         ldap.Limits   // of one request
	SizeLimit      int           // entries of one search; default 500
	TimeLimit      time.Duration // of one search; default 30 s
	MaxOutstanding int           // searches in flight on one connection; beyond it reading pauses; default 64

	MaxConns           int           // default 4096; more are closed at once
	MaxConnsPerAddress int           // per IPv4 address or IPv6 /64; default 256
	IdleTimeout        time.Duration // without a request; default 5 min
	ReadTimeout        time.Duration // for the rest of a request, or a TLS handshake; default 10 s
	WriteTimeout       time.Duration // for a client that does not read; default 30 s
	Drain              time.Duration // for searches in flight when Serve has to end; default 5 s

	Log *slog.Logger // nil means none; mail addresses never appear in it
}

func (o Options) withDefaults() Options {
	o.SizeLimit = cmp.Or(o.SizeLimit, 500)
	o.TimeLimit = cmp.Or(o.TimeLimit, 30*time.Second)
	o.MaxOutstanding = cmp.Or(o.MaxOutstanding, 64)
	o.MaxConns = cmp.Or(o.MaxConns, 4096)
	o.MaxConnsPerAddress = cmp.Or(o.MaxConnsPerAddress, 256)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 5*time.Minute)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, 10*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 30*time.Second)
	o.Drain = cmp.Or(o.Drain, 5*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}

// Serve answers LDAP on ln from d until ctx ends. Then it accepts nothing new,
// gives searches in flight o.Drain to finish, tells every client with a Notice
// of Disconnection, and returns nil when all its goroutines have ended. It
// closes ln. A listener that somebody else closes is an error. For LDAPS, ln
// is a TLS listener.
func Serve(ctx context.Context, ln net.Listener, d Directory, o Options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer ln.Close()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	// Searches outlive ctx by the drain.
	searches, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()

	s := &server{dir: d, opt: o.withDefaults(), perAddress: make(map[netip.Prefix]int)}
	var conns sync.WaitGroup
	err := s.accept(ctx, ln, func(nc net.Conn) {
		conns.Go(func() { s.serve(ctx, searches, nc) })
	})
	stop()

	ended := make(chan struct{})
	go func() {
		conns.Wait()
		close(ended)
	}()
	drained := time.NewTimer(s.opt.Drain)
	defer drained.Stop()
	select {
	case <-ended:
	case <-drained.C:
		cancel()
		<-ended
	}
	return err
}

type server struct {
	dir Directory
	opt Options

	mu         sync.Mutex
	conns      int
	perAddress map[netip.Prefix]int
}

// accept hands connections to serve until ctx ends. Lack of descriptors and
// the like must not end a service, so other errors are waited out.
func (s *server) accept(ctx context.Context, ln net.Listener, serve func(net.Conn)) error {
	const firstPause, maxPause = 5 * time.Millisecond, time.Second
	pause := firstPause
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = firstPause
			serve(nc)
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accepting LDAP connections: %w", err)
		}
		s.opt.Log.Error("accepting ldap connection", "err", err)
		select {
		case <-time.After(pause):
			pause = min(2*pause, maxPause)
		case <-ctx.Done():
		}
	}
}

// admit counts a connection in, unless there are too many.
func (s *server) admit(from netip.Prefix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns >= s.opt.MaxConns || s.perAddress[from] >= s.opt.MaxConnsPerAddress {
		return false
	}
	s.conns++
	s.perAddress[from]++
	return true
}

func (s *server) leave(from netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns--
	if s.perAddress[from]--; s.perAddress[from] == 0 {
		delete(s.perAddress, from)
	}
}

// source is what connections are counted by: an IPv4 address, or the /64 that
// one IPv6 host commonly has to itself.
func source(nc net.Conn) netip.Prefix {
	remote, err := netip.ParseAddrPort(nc.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{} // not TCP: all count together
	}
	addr := remote.Addr().Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	prefix, _ := addr.Prefix(bits) // no error: bits fit the address
	return prefix
}
