package outbound_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/outbound"
)

// TestForbidden dials addresses that lead inside; none may be tried. The port
// is one nothing needs to listen on: the check comes before the packet.
func TestForbidden(t *testing.T) {
	dial := outbound.Dial(outbound.Policy{Timeout: time.Second})
	for _, addr := range []string{
		"127.0.0.1:80", "localhost:80", "127.1.2.3:80", "[::1]:80", "0.0.0.0:80", "[::]:80",
		"10.0.0.1:80", "172.16.0.1:80", "192.168.1.1:80", "100.64.0.1:80", "169.254.169.254:80",
		"[fe80::1]:80", "[fd00:ec2::254]:80", "[fec0::1]:80", "224.0.0.1:80", "[ff02::1]:80", "255.255.255.255:80",
		"[::ffff:127.0.0.1]:80", "[::127.0.0.1]:80", "[::ffff:10.0.0.1]:80", "[64:ff9b::7f00:1]:80", "[2002:7f00:1::]:80", "[2001:0:7f00:1::]:80",
		"198.18.0.1:80", "203.0.113.9:80", "240.0.0.1:80",
	} {
		conn, err := dial(t.Context(), "tcp", addr)
		if err == nil {
			conn.Close()
		}
		if err == nil || fault.KindOf(err) != fault.Denied {
			t.Errorf("%s: got %v, want Denied", addr, err)
		}
	}
	if _, err := dial(t.Context(), "udp", "192.0.2.1:53"); fault.KindOf(err) != fault.Denied {
		t.Errorf("udp: got %v, want Denied", err)
	}
}

func TestAllowed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	conn, err := outbound.Dial(p)(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	l.Close()
	if _, err := outbound.Dial(p)(t.Context(), "tcp", l.Addr().String()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v from a closed port, want Unavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := outbound.Dial(p)(ctx, "tcp", l.Addr().String()); err == nil {
		t.Error("a cancelled context still connected")
	}
}

// TestRedirectInside lets an allowed server send the client where no rule
// allows it to go.
func TestRedirectInside(t *testing.T) {
	reached := false
	inside := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	inside.Listener.Close()
	inside.Listener = l
	inside.Start()
	defer inside.Close()
	outside := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusFound))
	defer outside.Close()
	c := outbound.Client(outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	resp, err := c.Get(outside.URL)
	if err == nil {
		resp.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "not public") || reached {
		t.Errorf("got %v (reached: %v), want the redirect refused", err, reached)
	}
}
