package adminapi

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"

	"bridge.example/internal/fault"
)

// What callers without a credential may cost together, so that persons always
// get through.
const (
	guestConnections = 64
	guestLife        = 2 * time.Minute // of one connection
	guestBytes       = 1 << 20         // that one connection may send
	guestCalls       = 4               // at work at once
	guestAddresses   = 10000           // remembered at once
)

// What one address may ask: so many questions at once, then one each interval.
const (
	guestBurst    = 10
	guestInterval = time.Second
)

// guests counts what callers without a credential do.
type guests struct {
	mu      sync.Mutex
	running int
	next    map[netip.Prefix]time.Time // when the address will have earned all its questions again
}

func newGuests() *guests { return &guests{next: map[netip.Prefix]time.Time{}} }

// enter lets one call from addr in at the instant now; leave ends it. The error
// is Unavailable.
func (g *guests) enter(addr net.Addr, now time.Time) (leave func(), err error) {
	from, err := prefixOf(addr)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	next := g.next[from]
	if next.Before(now) {
		next = now
	}
	if next.Sub(now) > (guestBurst-1)*guestInterval {
		return nil, fault.New(fault.Unavailable, "too many questions from your address; ask again in a few seconds")
	}
	if g.running >= guestCalls || !g.room(now) {
		return nil, fault.New(fault.Unavailable, "too many questions at once; ask again in a few seconds")
	}
	g.next[from] = next.Add(guestInterval)
	g.running++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.running--
	}, nil
}

// room forgets addresses that have all their questions again, when it has to.
func (g *guests) room(now time.Time) bool {
	if len(g.next) < guestAddresses {
		return true
	}
	for from, next := range g.next {
		if next.Before(now) {
			delete(g.next, from)
		}
	}
	return len(g.next) < guestAddresses
}

// prefixOf is what counts as one address: of IPv6 a /64, which one site has.
func prefixOf(addr net.Addr) (netip.Prefix, error) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}, errors.New("a call from no TCP address")
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	return ip.Prefix(bits)
}

// lobby is TLS that holds only so many connections without a client
// certificate, each for a short time.
type lobby struct {
	credentials.TransportCredentials
	seats chan struct{}
}

func newLobby(t credentials.TransportCredentials) lobby {
	return lobby{t, make(chan struct{}, guestConnections)}
}

func (l lobby) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := l.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	if t, ok := info.(credentials.TLSInfo); ok && len(t.State.VerifiedChains) > 0 {
		return conn, info, nil
	}
	select {
	case l.seats <- struct{}{}:
	default:
		return nil, nil, errors.Join(errors.New("too many connections without a client certificate"), conn.Close())
	}
	// The seat is free when time is up even if nobody closes the connection.
	life, end := context.WithTimeout(context.Background(), guestLife)
	context.AfterFunc(life, func() {
		conn.Close()
		<-l.seats
	})
	return &guest{conn, guestBytes, end}, info, nil
}

// guest is a connection without a client certificate.
type guest struct {
	net.Conn
	left int // bytes
	end  context.CancelFunc
}

func (g *guest) Read(b []byte) (int, error) {
	if g.left <= 0 {
		return 0, errors.New("a guest sent too much")
	}
	n, err := g.Conn.Read(b[:min(len(b), g.left)])
	g.left -= n
	return n, err
}

func (g *guest) Close() error {
	defer g.end()
	return g.Conn.Close()
}
