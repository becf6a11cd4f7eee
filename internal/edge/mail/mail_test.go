package mail_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/edge/mail"
	"bridge.example/internal/fault"
)

// sink is a relay that keeps one message.
type sink struct {
	net.Listener
	cert *tls.Certificate // nil: no STARTTLS
	got  chan received
}

type received struct {
	lines []string // commands
	body  string
	tls   bool
}

func newSink(t *testing.T, cert *tls.Certificate) *sink {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{Listener: l, cert: cert, got: make(chan received, 1)}
	done := make(chan struct{})
	go func() { defer close(done); s.serve() }()
	t.Cleanup(func() { l.Close(); <-done })
	return s
}

func (s *sink) serve() {
	conn, err := s.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	var r received
	in := bufio.NewReader(conn)
	say := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") }
	say("220 sink")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		r.lines = append(r.lines, line)
		switch verb, _, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "EHLO":
			if s.cert != nil && !r.tls {
				say("250-sink")
				say("250 STARTTLS")
			} else {
				say("250 sink")
			}
		case "STARTTLS":
			say("220 go on")
			over := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*s.cert}})
			if over.Handshake() != nil {
				return
			}
			conn, in, r.tls = over, bufio.NewReader(over), true
		case "DATA":
			say("354 go on")
			for {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				r.body += strings.TrimPrefix(l, ".")
			}
			say("250 kept")
			s.got <- r
		case "RCPT":
			if strings.Contains(line, "nobody@") {
				say("550 no such person")
				continue
			}
			say("250 well")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 well")
		}
	}
}

func certificate(t *testing.T) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestSend(t *testing.T) {
	cert, pool := certificate(t)
	s := newSink(t, cert)
	r := mail.Relay{Addr: s.Addr().String(), From: "bridge@bridge.example", Dial: new(net.Dialer).DialContext, TLS: &tls.Config{RootCAs: pool}}
	text := "Zertifikat läuft ab\n.\nQUIT\n" + strings.Repeat("long ", 300) + "\n"
	at := time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)
	if err := r.Send(t.Context(), []string{"a@alpha.example", "b@beta.example"}, "3 Hinweise für Sie\r\nBcc: all@evil.example", text, at); err != nil {
		t.Fatal(err)
	}
	got := <-s.got
	if !got.tls {
		t.Error("it went without TLS")
	}
	m, err := netmail.ReadMessage(strings.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil || strings.ReplaceAll(string(body), "\r\n", "\n") != text {
		t.Errorf("got %q, %v", body, err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if date, dateErr := m.Header.Date(); err != nil || dateErr != nil || !strings.HasPrefix(subject, "3 Hinweise für Sie") || m.Header.Get("Bcc") != "" || !date.Equal(at) {
		t.Errorf("got subject %q, date %v, headers %v", subject, date, m.Header)
	}
	for line := range strings.SplitSeq(got.body, "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestRefusals(t *testing.T) {
	cert, _ := certificate(t)
	for _, tt := range []struct {
		name string
		cert *tls.Certificate
		to   string
		edit func(*mail.Relay, *sink)
		want fault.Kind
	}{
		{"no STARTTLS", nil, "a@alpha.example", nil, fault.Denied},
		{"a certificate of nobody we know", cert, "a@alpha.example", nil, fault.Denied},
		{"a recipient whom the relay refuses", nil, "nobody@alpha.example", func(r *mail.Relay, _ *sink) { r.Plain = true }, fault.Unavailable},
		{"a command in an address", nil, "a@alpha.example>\r\nDATA", nil, fault.Invalid},
		{"nobody listens", nil, "a@alpha.example", func(_ *mail.Relay, s *sink) { s.Close() }, fault.Unavailable},
	} {
		s := newSink(t, tt.cert)
		r := mail.Relay{Addr: s.Addr().String(), From: "bridge@bridge.example", Dial: new(net.Dialer).DialContext}
		if tt.edit != nil {
			tt.edit(&r, s)
		}
		if err := r.Send(t.Context(), []string{tt.to}, "s", "t", time.Now()); fault.KindOf(err) != tt.want || err == nil {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestSilentRelay: one that says nothing costs no more than the time there is.
func TestSilentRelay(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := mail.Relay{Addr: l.Addr().String(), From: "bridge@bridge.example", Dial: new(net.Dialer).DialContext}
	if err := r.Send(ctx, []string{"a@alpha.example"}, "s", "t", time.Now()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
}
