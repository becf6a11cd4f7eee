// Package outbound is the only way out. Members and certificates supply URLs,
// and a URL can point at the bridge's own network; so the address is checked
// when a connection is made, after names are resolved, at every hop.
package outbound

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"bridge.example/internal/fault"
)

// Policy says which addresses may be reached.
type Policy struct {
	// Allow lists ranges that may be reached although they are not public.
	Allow []netip.Prefix
	// Hosts may be reached wherever their names lead, on the ports they say.
	Hosts []Host
	// Ports are the only ones reached at other hosts; none means any.
	Ports []uint16
	// Timeout bounds making one connection. Default 5s.
	Timeout time.Duration
	// Resolver looks names up; nil is the system's.
	Resolver *net.Resolver
}

// DialFunc makes a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Dial returns a DialFunc that reaches public unicast addresses and those p
// allows. Others are Denied before a packet leaves; all other failures are
// Unavailable.
func Dial(p Policy) DialFunc {
	guarded := net.Dialer{Timeout: p.Timeout, ControlContext: p.control, Resolver: p.Resolver}
	if guarded.Timeout == 0 {
		guarded.Timeout = 5 * time.Second
	}
	trusted := guarded
	trusted.ControlContext = nil
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if network != "tcp" && network != "tcp4" && network != "tcp6" {
			return nil, fault.New(fault.Denied, "connecting to %s: only TCP is spoken", address)
		}
		d := &guarded
		if p.names(address) {
			d = &trusted
		} else if !p.port(address) {
			return nil, fault.New(fault.Denied, "connecting to %s: no rule allows the port", address)
		}
		conn, err := d.DialContext(ctx, network, address)
		if err != nil && fault.KindOf(err) != fault.Denied {
			return nil, fault.New(fault.Unavailable, "connecting to %s: %w", address, err)
		}
		return conn, err
	}
}

// control runs for each address a name resolved to, just before the packet.
func (p Policy) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fault.New(fault.Denied, "connecting to %s: not an address", address)
	}
	if !p.allows(ap.Addr()) {
		return fault.New(fault.Denied, "connecting to %s: the address is not public and no rule allows it", address)
	}
	return nil
}

// reserved are ranges that netip does not name but that lead inside, or carry
// an IPv4 address that may (RFC 6890, RFC 6052, RFC 3056, RFC 4380).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

func (p Policy) allows(a netip.Addr) bool {
	// An IPv4 address in IPv6 clothes is the IPv4 address; a zone makes an
	// address local whatever its bits say.
	local := a.Zone() != ""
	a = a.Unmap().WithZone("")
	for _, r := range p.Allow {
		if r.Contains(a) {
			return true
		}
	}
	if local || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, r := range reserved {
		if r.Contains(a) {
			return false
		}
	}
	return true
}

// Client returns an HTTP client that dials by p, follows at most three
// redirects, uses no proxy, and keeps no cookies. Callers bound the body they
// read and the time by the request's context.
func Client(p Policy) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            Dial(p),
			TLSHandshakeTimeout:    5 * time.Second,
			ResponseHeaderTimeout:  10 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    16,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true, // a small body must not become a large one
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			switch {
			case len(via) > 3:
				return fault.New(fault.Denied, "more than three redirects")
			case req.URL.Scheme != "http" && req.URL.Scheme != "https", req.URL.User != nil:
				return fault.New(fault.Denied, "a redirect leads to %s", req.URL.Redacted())
			}
			return nil
		},
	}
}
