package retrieve_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bridge.example/internal/engine/retrieve"
	"bridge.example/internal/outbound"
)

// world is an outside that may be reached, 127.0.0.3, and an inside that may
// not, all other addresses of this machine; on all of them one port listens.
type world struct {
	port    int
	ldap    int          // a directory outside
	reached atomic.Int32 // connections made to the inside
	asked   sync.Map     // by name: how often the resolver was asked
}

func newWorld(t *testing.T) *world {
	w := new(world)
	var outside net.Listener
	for outside == nil {
		outside = w.listen(t)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(w.serveHTTP))
	server.Listener.Close()
	server.Listener = outside
	server.Start()
	t.Cleanup(server.Close)
	w.ldap = newDirectory(t, "127.0.0.3:0", w.directory())
	return w
}

// listen takes one port on every address, or returns nil to try another.
func (w *world) listen(t *testing.T) net.Listener {
	outside, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	w.port = outside.Addr().(*net.TCPAddr).Port
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(w.port)))
		if err != nil && host != "::1" { // not every machine speaks IPv6
			outside.Close()
			return nil
		}
		if err != nil {
			continue
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
				w.reached.Add(1)
				conn.Close()
			}
		}()
	}
	return outside
}

func (w *world) serveHTTP(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Connection", "close") // so that each hop resolves again
	switch r.URL.Path {
	case "/to":
		rw.Header().Set("Location", r.URL.RawQuery)
		rw.WriteHeader(http.StatusFound)
	case "/permanent":
		rw.Header().Set("Location", r.URL.RawQuery)
		rw.WriteHeader(http.StatusPermanentRedirect)
	case "/refresh":
		rw.Header().Set("Refresh", "0; url="+r.URL.RawQuery)
		fmt.Fprintf(rw, `<meta http-equiv="refresh" content="0; url=%s">`, r.URL.RawQuery)
	case "/endless":
		for _, err := rw.Write(make([]byte, 64<<10)); err == nil; _, err = rw.Write(make([]byte, 64<<10)) {
		}
	case "/long":
		rw.Header().Set("Content-Length", "9223372036854775807")
		fmt.Fprint(rw, "0")
	case "/slow":
		fmt.Fprint(rw, "0")
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	case "/silent":
		<-r.Context().Done()
	case "/headers":
		rw.Header().Set("X", strings.Repeat("x", 1<<20))
	case "/gzip":
		rw.Header().Set("Content-Encoding", "gzip")
		fmt.Fprint(rw, "\x1f\x8b\x08\x00")
	default:
		fmt.Fprint(rw, "nothing of use")
	}
}

// resolver knows every name, and what it tells is hostile.
func (w *world) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go w.answer(there)
		return here, nil
	}}
}

// answer speaks as much DNS over a stream (RFC 1035 §4.2.2) as it takes.
func (w *world) answer(conn net.Conn) {
	defer conn.Close()
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return
	}
	query := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return
	}
	var labels []string
	at := 12
	for n := int(query[at]); n > 0; n = int(query[at]) {
		labels = append(labels, string(query[at+1:at+1+n]))
		at += 1 + n
	}
	question := query[12 : at+5]
	var records []byte
	var count uint16
	for _, a := range w.addresses(strings.Join(labels, "."), query[at+2]) {
		bits := a.AsSlice()
		records = append(records, 0xc0, 12, 0, query[at+2], 0, 1, 0, 0, 0, 0, 0, byte(len(bits)))
		records = append(records, bits...)
		count++
	}
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, byte(count >> 8), byte(count), 0, 0, 0, 0}, question...)
	reply = append(reply, records...)
	_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
}

func (w *world) addresses(name string, kind byte) []netip.Addr {
	const a, aaaa = 1, 28
	list := func(all ...string) (out []netip.Addr) {
		for _, s := range all {
			if addr := netip.MustParseAddr(s); addr.Is4() == (kind == a) {
				out = append(out, addr)
			}
		}
		return out
	}
	switch name {
	case "outside.example":
		return list("127.0.0.3")
	case "rebind.example":
		n, _ := w.asked.LoadOrStore(name, new(atomic.Int32))
		if kind == a && n.(*atomic.Int32).Add(1) == 1 {
			return list("127.0.0.3")
		}
		return list("127.0.0.1")
	case "six.example":
		return list("::1", "fd00:ec2::254")
	case "mapped.example":
		return list("::ffff:127.0.0.1")
	case "mixed.example":
		return list("10.0.0.1", "127.0.0.1", "::1")
	case "metadata.example":
		return list("169.254.169.254")
	}
	return list("127.0.0.2") // inside, however the name is written
}

// TestHostileURLs follows what a certificate could say. Nothing of it may work,
// reach the inside, or take long.
func TestHostileURLs(t *testing.T) {
	w := newWorld(t)
	// "PORT" is the port that listens everywhere, "LDAP" that of the directory.
	fill := strings.NewReplacer("PORT", fmt.Sprint(w.port), "LDAP", fmt.Sprint(w.ldap), "OUT", fmt.Sprintf("http://outside.example:%d", w.port))
	for _, tt := range []struct{ name, url string }{
		{"loopback", "http://127.0.0.1:PORT/"},
		{"loopback elsewhere", "http://127.0.0.2:PORT/"},
		{"loopback by name", "http://localhost:PORT/"},
		{"loopback by name, dotted", "http://localhost.:PORT/"},
		{"name that leads inside", "http://innocent.example:PORT/"},
		{"wildcard name service", "http://127.0.0.1.nip.example:PORT/"},
		{"unspecified", "http://0.0.0.0:PORT/"},
		{"unspecified, short", "http://0:PORT/"},
		{"decimal", "http://2130706433:PORT/"},
		{"octal", "http://0177.0.0.1:PORT/"},
		{"octal whole", "http://017700000001:PORT/"},
		{"hexadecimal", "http://0x7f.0.0.1:PORT/"},
		{"hexadecimal whole", "http://0x7f000001:PORT/"},
		{"short form", "http://127.1:PORT/"},
		{"overflowing", "http://127.0.0.257:PORT/"},
		{"full-width digits", "http://１２７.０.０.１:PORT/"},
		{"enclosed digits", "http://①②⑦.0.0.1:PORT/"},
		{"percent-encoded", "http://%31%32%37.0.0.1:PORT/"},
		{"IPv6 loopback", "http://[::1]:PORT/"},
		{"IPv6 loopback in full", "http://[0:0:0:0:0:0:0:1]:PORT/"},
		{"IPv6 unspecified", "http://[::]:PORT/"},
		{"IPv6 mapped", "http://[::ffff:127.0.0.1]:PORT/"},
		{"IPv6 mapped, hexadecimal", "http://[::ffff:7f00:1]:PORT/"},
		{"IPv6 compatible", "http://[::127.0.0.1]:PORT/"},
		{"IPv6 by NAT64", "http://[64:ff9b::7f00:1]:PORT/"},
		{"IPv6 by 6to4", "http://[2002:7f00:1::]:PORT/"},
		{"IPv6 by Teredo", "http://[2001:0:7f00:1::]:PORT/"},
		{"IPv6 with zone", "http://[fe80::1%25lo]:PORT/"},
		{"IPv6 unique local", "http://[fd00::1]:PORT/"},
		{"IPv6 link-local all nodes", "http://[ff02::1]:PORT/"},
		{"IPv6 by name", "http://six.example:PORT/"},
		{"IPv6 mapped by name", "http://mapped.example:PORT/"},
		{"several addresses", "http://mixed.example:PORT/"},
		{"private 10", "http://10.0.0.1:PORT/"},
		{"private 172.16", "http://172.16.0.1:PORT/"},
		{"private 192.168", "http://192.168.0.1:PORT/"},
		{"shared 100.64", "http://100.64.0.1:PORT/"},
		{"multicast", "http://224.0.0.1:PORT/"},
		{"broadcast", "http://255.255.255.255:PORT/"},
		{"metadata", "http://169.254.169.254/latest/meta-data/"},
		{"metadata by name", "http://metadata.example/latest/meta-data/"},
		{"metadata, IPv6", "http://[fd00:ec2::254]/latest/meta-data/"},
		{"user information", "http://outside.example@127.0.0.1:PORT/"},
		{"password", "http://anna:secret@outside.example:PORT/"},
		{"backslash", `http://outside.example:PORT\@127.0.0.1:PORT/`},
		{"two ports", "http://outside.example:PORT:PORT/"},
		{"line feed", "http://outside.example:PORT/\r\nHost: inside"},
		{"fragment", "http://127.0.0.1:PORT#@outside.example/"},
		{"redirect inside", "OUT/to?http://127.0.0.1:PORT/"},
		{"permanent redirect inside", "OUT/permanent?http://127.0.0.2:PORT/"},
		{"redirect to a name inside", "OUT/to?http://innocent.example:PORT/"},
		{"redirect without scheme", "OUT/to?//127.0.0.1:PORT/"},
		{"redirect to IPv6", "OUT/to?http://[::1]:PORT/"},
		{"redirect to octal", "OUT/to?http://0177.0.0.1:PORT/"},
		{"redirect with password", "OUT/to?http://anna:secret@outside.example:PORT/"},
		{"redirect to https inside", "OUT/to?https://127.0.0.1:PORT/"},
		{"redirect to a file", "OUT/to?file:///etc/passwd"},
		{"redirect to ldap", "OUT/to?ldap://127.0.0.1:PORT/"},
		{"redirect to gopher", "OUT/to?gopher://127.0.0.1:PORT/_x"},
		{"redirect twice", "OUT/to?/to?http://127.0.0.1:PORT/"},
		{"redirect for ever", "OUT/to?/to?/to?/to?/to?/to?http://127.0.0.1:PORT/"},
		{"refresh", "OUT/refresh?http://127.0.0.1:PORT/"},
		{"rebinding", "http://rebind.example:PORT/to?http://rebind.example:PORT/"},
		{"endless body", "OUT/endless"},
		{"body of a claimed length", "OUT/long"},
		{"slow body", "OUT/slow"},
		{"no answer", "OUT/silent"},
		{"huge headers", "OUT/headers"},
		{"compressed body", "OUT/gzip"},
		{"https inside", "https://127.0.0.1:PORT/"},
		{"file", "file:///etc/passwd"},
		{"file with a host", "file://127.0.0.1/etc/passwd"},
		{"gopher", "gopher://127.0.0.1:PORT/_x"},
		{"ldapi", "ldapi://%2fvar%2frun%2fldapi"},
		{"data", "data:,x"},
		{"no scheme", "127.0.0.1:PORT"},
		{"no host", "http:///etc/passwd"},
		{"ldap inside", "ldap://127.0.0.1:PORT/cn=CA"},
		{"ldap to a name inside", "ldap://innocent.example:PORT/cn=CA"},
		{"ldap, IPv6", "ldap://[::1]:PORT/cn=CA"},
		{"ldap without host", "ldap:///cn=CA?cACertificate"},
		{"ldap with credentials", "ldap://cn=admin:secret@outside.example:LDAP/cn=CA"},
		{"ldap with a bind name", "ldap://outside.example:LDAP/cn=CA????!bindname=cn=admin"},
		{"ldap subtree", "ldap://outside.example:LDAP/cn=CA?cACertificate?sub"},
		{"ldap passwords", "ldap://outside.example:LDAP/cn=CA?userPassword"},
		{"ldap everything", "ldap://outside.example:LDAP/cn=CA?*"},
		{"ldap broken filter", "ldap://outside.example:LDAP/cn=CA???(((("},
		{"ldap referral inside", "ldap://outside.example:LDAP/cn=referral"},
		{"ldap slow", "ldap://outside.example:LDAP/cn=silent"},
		{"ldap huge", "ldap://outside.example:LDAP/cn=huge"},
		{"ldap endless", "ldap://outside.example:LDAP/cn=endless"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			policy := outbound.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")}, Resolver: w.resolver(), Timeout: time.Second}
			r := retrieve.New(policy, retrieve.Limits{ReplyBytes: 1 << 20, Reply: 300 * time.Millisecond})
			before := time.Now()
			if found, err := r.Get(t.Context(), fill.Replace(tt.url)); err == nil {
				t.Errorf("got %d certificates and %d CRLs, want an error", len(found.Certificates), len(found.CRLs))
			}
			if took := time.Since(before); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
			if n := w.reached.Swap(0); n > 0 {
				t.Errorf("the inside was reached %d times", n)
			}
			w.asked.Clear()
			browse(t, policy, fill.Replace(tt.url))
			if n := w.reached.Swap(0); n > 0 {
				t.Errorf("the inside was reached %d times by a client", n)
			}
		})
	}
}

// browse opens a URL as those do who use the guarded client by itself.
func browse(t *testing.T, policy outbound.Policy, url string) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	if resp, err := outbound.Client(policy).Do(req); err == nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 1<<20)
		resp.Body.Close()
	}
}

// TestHostOfOperator allows a name, wherever it leads; what it leads on to is
// not allowed with it.
func TestHostOfOperator(t *testing.T) {
	w := newWorld(t)
	policy := outbound.Policy{
		Hosts: []outbound.Host{{Name: "outside.example", Port: uint16(w.port)}}, Ports: retrieve.Ports(), Resolver: w.resolver(),
	}
	r := retrieve.New(policy, retrieve.Limits{})
	at := fmt.Sprintf("http://outside.example:%d", w.port)
	for url, want := range map[string]string{
		at + "/":                            "neither certificate nor CRL",
		at + "/to?http://metadata.example/": "not public",
		at + fmt.Sprintf("/to?http://127.0.0.3:%d/", w.port):     "no rule allows the port",
		at + fmt.Sprintf("/to?http://inside.example:%d", w.port): "no rule allows the port",
		fmt.Sprintf("ldap://outside.example:%d/cn=CA", w.ldap):   "no rule allows the port",
		"ldap://outside.example/cn=CA":                           "not public",
		"http://inside.example/":                                 "not public",
	} {
		_, err := r.Get(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
	}
	if n := w.reached.Load(); n > 0 {
		t.Errorf("the inside was reached %d times", n)
	}
}
