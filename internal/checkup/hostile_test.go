package checkup_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bridge.example/internal/checkup"
	"bridge.example/internal/outbound"
)

// TestHanging has servers that take connections and never answer: each costs
// its deadline.
func TestHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHouse(t).build(t)
		w.Dial = func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() { // reads, as a kernel does for nobody
				b := make([]byte, 1024)
				for {
					if _, err := server.Read(b); err != nil {
						return
					}
				}
			}()
			return client, nil
		}
		w.Client = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		began := time.Now()
		r := w.examine(t)
		if took := time.Since(began); took > 5*time.Minute {
			t.Errorf("took %v, want at most 5m", took)
		}
		if got, want := with(r, checkup.Fail), "D2 D4 V1 V4"; got != want {
			t.Errorf("got failures %q, want %q", got, want)
			logAll(t, r)
		}
	})
}

// TestHostileDirectory sends what a client library must not be shown.
func TestHostileDirectory(t *testing.T) {
	// Bytes of an LDAPMessage with the length of what it holds.
	message := func(announced int, content []byte) []byte {
		return append([]byte{0x30, 0x84, byte(announced >> 24), byte(announced >> 16), byte(announced >> 8), byte(announced)}, content...)
	}
	deep := bytes.Repeat([]byte{0x30, 0x80}, 1<<16)
	nested := []byte{}
	for range 4000 {
		n := len(nested)
		nested = append([]byte{0x30, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, nested...)
	}
	for name, answer := range map[string][]byte{
		"two gigabytes announced": message(1<<31-1, []byte{2, 1, 1}),
		"indefinite lengths":      deep,
		"nested":                  message(len(nested), nested),
		"a million elements":      message(2<<20, bytes.Repeat([]byte{5, 0}, 1<<20)),
		"an inner length beyond":  message(4, []byte{0x61, 0x7f, 0, 0}),
		"no LDAP":                 []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"nothing":                 {},
		"a bare sequence":         {0x30, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHouse(t).build(t)
			w.Application.Directories[0].StartTLS = false
			w.Dial = func(context.Context, string, string) (net.Conn, error) {
				client, server := net.Pipe()
				go func() {
					defer server.Close()
					_, _ = server.Read(make([]byte, 1024))
					_, _ = server.Write(answer)
				}()
				return client, nil
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := w.examine(t)
			runtime.ReadMemStats(&after)
			if got, want := with(r, checkup.Fail), "D2 D4"; got != want {
				t.Errorf("got failures %q, want %q", got, want)
				logAll(t, r)
			}
			if grown := (after.TotalAlloc - before.TotalAlloc) >> 20; grown > 64 {
				t.Errorf("allocated %d MiB", grown)
			}
		})
	}
}

// endless is a body without end.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 0x30
	}
	return len(b), nil
}
func (endless) Close() error { return nil }

func TestHostileWeb(t *testing.T) {
	w := newHouse(t).build(t)
	w.Client = &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Status: "200 OK", Body: endless{}, Header: http.Header{}}, nil
	})}
	r := w.examine(t)
	if got, want := with(r, checkup.Fail), "V2 V4"; got != want {
		t.Errorf("got failures %q, want %q", got, want)
		logAll(t, r)
	}
	for _, f := range r.Findings {
		if len(strings.Join(f.Evidence, "")) > 24*400 {
			t.Errorf("%s: %d bytes of evidence", f.ID, len(strings.Join(f.Evidence, "")))
		}
	}
}

// TestNoWayInside points every kind of URL at this machine: nothing is reached,
// and a port where somebody listens looks like one where nobody does.
func TestNoWayInside(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reached := make(chan struct{}, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			reached <- struct{}{}
			_ = c.Close()
		}
	}()
	_, open, _ := net.SplitHostPort(l.Addr().String())
	seen := map[string]string{}
	for _, host := range []string{"127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "0.0.0.0", "[::]",
		"[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1%25lo]", "169.254.169.254", "[fd00:ec2::254]", "10.0.0.1", "224.0.0.1", "255.255.255.255"} {
		for _, port := range []string{open, "1"} {
			w := newHouse(t).build(t)
			w.Dial, w.Client, w.Resolver = outbound.Dial(outbound.Policy{}), outbound.Client(outbound.Policy{}), literal{}
			at := host + ":" + port
			w.Application.Directories[0].URL = "ldap://" + at
			i := &w.Application.Intermediates[0]
			i.CRL = []string{"http://" + at + "/crl", "https://" + at + "/crl", "ldap://" + at + "/cn=crl", "ldaps://" + at + "/cn=crl"}
			i.OCSP = []string{"http://" + at + "/"}
			w.Application.Anchors[0].CRL = nil
			var said []string
			for _, f := range w.examine(t).Findings {
				switch f.ID {
				case "D1", "D10", "V1", "V4":
					said = append(said, string(f.Verdict))
					if f.Verdict != checkup.Fail && f.ID != "D1" {
						t.Errorf("%s: %s is %s: %q", at, f.ID, f.Verdict, f.Evidence)
					}
					if text := strings.Join(f.Evidence, " "); strings.Contains(text, "refused") || strings.Contains(text, "timeout") {
						t.Errorf("%s: %s tells what is inside: %s", at, f.ID, text)
					}
				}
			}
			if other, ok := seen[host]; ok && other != strings.Join(said, " ") {
				t.Errorf("%s: an open port looks different: %q and %q", host, other, said)
			}
			seen[host] = strings.Join(said, " ")
		}
	}
	if len(reached) > 0 {
		t.Errorf("reached %d times", len(reached))
	}
}

// literal resolves addresses to themselves.
type literal struct{ zone }

func (literal) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	a, err := netip.ParseAddr(host)
	return []netip.Addr{a}, err
}
