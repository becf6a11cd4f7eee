package ldapback_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"bridge.example/internal/edge/ldapback"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
)

func TestBind(t *testing.T) {
	const name, secret = "cn=bridge,o=member", "correct horse"
	password := func() ([]byte, error) { return []byte(secret), nil }
	for _, c := range []struct {
		name string
		o    ldapback.Options
		want *ldap.BindRequest // nil: the search comes first
	}{
		{"anonymous", ldapback.Options{}, nil},
		{"anonymous, version 2", ldapback.Options{LDAPVersion: 2}, &ldap.BindRequest{Version: 2}},
		{"with a password", ldapback.Options{BindDN: name, Password: password}, &ldap.BindRequest{Version: 3, Name: name, Credentials: []byte(secret)}},
		{"with a password, version 2", ldapback.Options{BindDN: name, Password: password, LDAPVersion: 2}, &ldap.BindRequest{Version: 2, Name: name, Credentials: []byte(secret)}},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := &member{script: func(s *session) {
				if c.want != nil {
					first, _ := s.next()
					got, _ := first.Op.(ldap.BindRequest)
					if got.Version != c.want.Version || got.Name != c.want.Name || got.Method != ldap.Simple || !bytes.Equal(got.Credentials, c.want.Credentials) {
						t.Errorf("%s: got %#v", c.name, first.Op)
					}
					s.send(first.ID, ldap.BindResponse{})
				}
				first, _ := s.next()
				if _, ok := first.Op.(ldap.SearchRequest); !ok {
					t.Errorf("%s: got %#v, want a search", c.name, first.Op)
				}
				s.send(first.ID, done(ldap.Success))
				s.drain()
			}}
			if _, _, err := ask(t, m.pool(t, c.o)); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		})
	}
}

func TestBindFails(t *testing.T) {
	secret := func() ([]byte, error) { return []byte("secret"), nil }
	for _, c := range []struct {
		name     string
		password func() ([]byte, error)
		script   func(s *session, bind ldap.Message)
	}{
		{"wrong password", secret, func(s *session, b ldap.Message) {
			s.send(b.ID, ldap.BindResponse{Result: ldap.Result{Code: ldap.InvalidCredentials, Diagnostic: "secret detail"}})
		}},
		{"SASL", secret, func(s *session, b ldap.Message) {
			s.send(b.ID, ldap.BindResponse{Result: ldap.Result{Code: ldap.SASLBindInProgress}})
		}},
		{"another answer", secret, func(s *session, b ldap.Message) { s.send(b.ID, done(ldap.Success)) }},
		{"another id", secret, func(s *session, b ldap.Message) {
			s.send(b.ID+1, ldap.BindResponse{})
			honest(s)
		}},
		{"garbage", secret, func(s *session, b ldap.Message) { s.raw([]byte("220 smtp.example\r\n")) }},
		{"silence", secret, func(s *session, b ldap.Message) { s.drain() }},
		{"no password", func() ([]byte, error) { return nil, errors.New("no file") }, nil},
		{"empty password", func() ([]byte, error) { return nil, nil }, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := &member{script: func(s *session) {
				if b, ok := s.next(); ok {
					c.script(s, b)
				}
			}}
			p := m.pool(t, ldapback.Options{BindDN: "cn=bridge", Password: c.password, OpenTimeout: time.Second})
			_, _, err := ask(t, p)
			if err == nil || fault.KindOf(err) != fault.Unavailable || bytes.Contains([]byte(err.Error()), []byte("secret")) {
				t.Errorf("%s: got %v, want Unavailable", c.name, err)
			}
		})
	}
}

func TestPasswordIsCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		password := []byte("correct horse")
		m := &member{script: func(s *session) {
			b, _ := s.next()
			s.send(b.ID, ldap.BindResponse{})
			honest(s)
		}}
		p := m.pool(t, ldapback.Options{BindDN: "cn=bridge", Password: func() ([]byte, error) { return password, nil }})
		if _, _, err := ask(t, p); err != nil || bytes.ContainsAny(password, "correct horse") {
			t.Errorf("got %v; the password is now %q", err, password)
		}
	})
}

// serverTLS is a certificate for member.example and a pool that trusts it.
func serverTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"member.example"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots}
}

// overTLS goes on with the script inside TLS.
func overTLS(s *session, c *tls.Config, script func(*session)) {
	secure := tls.Server(s.Conn, c)
	script(&session{Conn: secure, t: s.t, r: bufio.NewReader(secure), n: s.n})
}

// startTLS accepts StartTLS, early bytes included, and goes on inside.
func startTLS(s *session, c *tls.Config, early []byte) {
	m, _ := s.next()
	if r, ok := m.Op.(ldap.ExtendedRequest); !ok || r.Name != ldap.OIDStartTLS {
		s.t.Errorf("got %#v, want StartTLS", m.Op)
	}
	s.raw(append(must((ldap.Message{ID: m.ID, Op: ldap.ExtendedResponse{}}).AppendTo(nil)), early...))
	overTLS(s, c, honest)
}

func TestTLS(t *testing.T) {
	server, client := serverTLS(t)
	for _, c := range []struct {
		name, url string
		o         ldapback.Options
		script    func(s *session)
		ok        bool
	}{
		{"ldaps", "ldaps://member.example", ldapback.Options{TLS: client}, func(s *session) { overTLS(s, server, honest) }, true},
		{"ldaps, stranger's certificate", "ldaps://member.example", ldapback.Options{}, func(s *session) { overTLS(s, server, honest) }, false},
		{"ldaps, another name", "ldaps://other.example", ldapback.Options{TLS: client}, func(s *session) { overTLS(s, server, honest) }, false},
		{"ldaps, no TLS there", "ldaps://member.example", ldapback.Options{TLS: client}, honest, false},
		{"StartTLS", "ldap://member.example", ldapback.Options{TLS: client, StartTLS: true}, func(s *session) { startTLS(s, server, nil) }, true},
		{"StartTLS, stranger's certificate", "ldap://member.example", ldapback.Options{StartTLS: true}, func(s *session) { startTLS(s, server, nil) }, false},
		{"StartTLS, data before the handshake", "ldap://member.example", ldapback.Options{TLS: client, StartTLS: true}, func(s *session) {
			startTLS(s, server, must((ldap.Message{ID: 2, Op: done(ldap.Success)}).AppendTo(nil)))
		}, false},
		{"StartTLS, refused", "ldap://member.example", ldapback.Options{TLS: client, StartTLS: true}, func(s *session) {
			m, _ := s.next()
			s.send(m.ID, ldap.ExtendedResponse{Result: ldap.Result{Code: ldap.ProtocolError}})
			honest(s)
		}, false},
	} {
		m := &member{script: c.script}
		c.o.Dial, c.o.OpenTimeout = m.dial(t), time.Second
		p, err := ldapback.New(c.url, c.o)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := ask(t, p)
		if (err == nil) != c.ok || c.ok != (len(got) == 1) || !c.ok && fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: got %v, %v, want success: %v", c.name, got, err, c.ok)
		}
		p.Close()
		m.wg.Wait()
	}
}
