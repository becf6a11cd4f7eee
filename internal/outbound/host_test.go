package outbound_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/outbound"
)

func TestParseHost(t *testing.T) {
	for in, want := range map[string]outbound.Host{
		"ldap.example":       {Name: "ldap.example"},
		"LDAP.Example.:389":  {Name: "ldap.example", Port: 389},
		"127.0.0.1":          {Name: "127.0.0.1"},
		"127.0.0.1:8080":     {Name: "127.0.0.1", Port: 8080},
		"::1":                {Name: "::1"},
		"[::1]":              {Name: "::1"},
		"[::ffff:10.0.0.1]":  {Name: "10.0.0.1"},
		"[0:0::1]:65535":     {Name: "::1", Port: 65535},
		"localhost:http":     {},
		"localhost:0":        {},
		"localhost:65536":    {},
		"localhost:":         {},
		"":                   {},
		":80":                {},
		"a:b:c":              {},
		"*.example":          {},
		"http://example":     {},
		"anna@example":       {},
		"example/path":       {},
		"example:80/path":    {},
		"[example]":          {},
		"[example]:80":       {Name: "example", Port: 80},
		"two words":          {},
		"host.example:00080": {Name: "host.example", Port: 80},
	} {
		got, err := outbound.ParseHost(in)
		if got != want || (err == nil) != (want != outbound.Host{}) || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: got %+v, %v, want %+v", in, got, err, want)
		}
	}
}

// TestHosts lets one port of this machine be reached, by one name.
func TestHosts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	host := func(s string) outbound.Host {
		h, err := outbound.ParseHost(s)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for _, tt := range []struct {
		allow, address string
		want           bool
	}{
		{"127.0.0.1", "127.0.0.1:" + port, true},
		{"127.0.0.1:" + port, "127.0.0.1:" + port, true},
		{"127.0.0.1:" + port, "[::ffff:127.0.0.1]:" + port, true},
		{"localhost", "LocalHost:" + port, true},
		{"127.0.0.1:1", "127.0.0.1:" + port, false},
		{"127.0.0.1", "localhost:" + port, false},
		{"localhost", "127.0.0.1:" + port, false},
		{"127.0.0.1", "127.0.0.2:" + port, false},
	} {
		p := outbound.Policy{Hosts: []outbound.Host{host(tt.allow)}}
		conn, err := outbound.Dial(p)(t.Context(), "tcp4", tt.address)
		if err == nil {
			conn.Close()
		}
		if (err == nil) != tt.want || err != nil && fault.KindOf(err) != fault.Denied {
			t.Errorf("%s with %s allowed: got %v, want reached: %v", tt.address, tt.allow, err, tt.want)
		}
	}
}

func TestPorts(t *testing.T) {
	dial := outbound.Dial(outbound.Policy{Ports: []uint16{80, 389}})
	for _, address := range []string{"mail.example:25", "192.0.2.1:8080", "192.0.2.1:http", "192.0.2.1"} {
		_, err := dial(t.Context(), "tcp", address)
		if fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "port") {
			t.Errorf("%s: got %v, want the port denied", address, err)
		}
	}
	if _, err := dial(t.Context(), "tcp", "127.0.0.1:389"); fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "not public") {
		t.Errorf("got %v, want the address denied", err)
	}
}
