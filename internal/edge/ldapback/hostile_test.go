package ldapback_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bridge.example/internal/edge/ldapback"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

// Whatever a member does on its first connection, the search ends in time with
// Unavailable or the deadline, memory stays bounded, and the second connection
// is used.
func TestHostileMember(t *testing.T) {
	for name, script := range map[string]func(s *session, id int32){
		"closes":                  func(*session, int32) {},
		"closes inside a message": func(s *session, id int32) { s.raw([]byte{0x30, 0x20, 2, 1}) },
		"closes between entries":  func(s *session, id int32) { s.send(id, entry("cn=a")) },
		"says nothing":            func(s *session, id int32) { s.drain() },
		"never ends a message": func(s *session, id int32) {
			s.raw([]byte{0x30, 0x84, 0, 0, 1, 0, 2})
			s.drain()
		},
		"drips":                func(s *session, id int32) { drip(s) },
		"drips after an entry": func(s *session, id int32) { s.send(id, entry("cn=a")); drip(s) },
		"garbage":              func(s *session, id int32) { s.raw([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); s.drain() },
		"indefinite length":    func(s *session, id int32) { s.raw([]byte{0x30, 0x80, 2, 1, 1, 0, 0}); s.drain() },
		"announces 1 GB":       func(s *session, id int32) { s.raw([]byte{0x30, 0x84, 0x40, 0, 0, 0}); s.drain() },
		"one message of 2 MiB": func(s *session, id int32) {
			s.send(id, entry("cn=a", attr("x", strings.Repeat("x", 2<<20))))
			s.drain()
		},
		"entries without end": func(s *session, id int32) { flood(s, id, entry("cn=a", attr("x", strings.Repeat("x", 100<<10)))) },
		"references without end": func(s *session, id int32) {
			flood(s, id, ldap.SearchResultReference{URLs: []string{strings.Repeat("x", 100<<10)}})
		},
		"answers a search that was not asked": func(s *session, id int32) { s.send(id+7, done(ldap.Success)); s.drain() },
		"answers with a bind response":        func(s *session, id int32) { s.send(id, ldap.BindResponse{}); s.drain() },
		"answers with a request":              func(s *session, id int32) { s.send(id, ldap.SearchRequest{Filter: question.Filter}); s.drain() },
		"message without id":                  func(s *session, id int32) { s.send(0, done(ldap.Success)); s.drain() },
		"notice of disconnection": func(s *session, id int32) {
			s.raw(must(ldap.NoticeOfDisconnection(ldap.Unavailable, "secret").AppendTo(nil)))
			s.drain()
		},
		"a range that goes back":   ranges("userCertificate;range=0-0", "userCertificate;range=0-0"),
		"a range that never ends":  ranges("userCertificate;range=0-0", "userCertificate;range=%d-%d"),
		"a range with a gap":       ranges("userCertificate;range=0-0", "userCertificate;range=5-*"),
		"a range from the middle":  ranges("userCertificate;range=5-*"),
		"a range upside down":      ranges("userCertificate;range=9-1"),
		"a range of words":         ranges("userCertificate;range=one-two"),
		"a range beyond all count": ranges("userCertificate;range=0-99999999999999999999"),
		"a range without the rest": ranges("userCertificate;range=0-0", "userCertificate"),
	} {
		synctest.Test(t, func(t *testing.T) {
			m := &member{script: func(s *session) {
				if s.n > 1 {
					honest(s)
					return
				}
				if id, _, ok := s.search(); ok {
					script(s, id)
				}
			}}
			p := m.pool(t, ldapback.Options{})
			start := time.Now()
			_, _, err := ask(t, p)
			if err == nil || fault.KindOf(err) != fault.Unavailable && !errors.Is(err, context.DeadlineExceeded) ||
				strings.Contains(err.Error(), "secret") || time.Since(start) > 2*time.Second {
				t.Errorf("%s: got %v after %v", name, err, time.Since(start))
			}
			time.Sleep(5 * time.Second) // of the bubble's clock: back-off, and the message timeout
			got, _, err := ask(t, p)
			if ranged := strings.HasPrefix(name, "a range"); err != nil || len(got) != 1 || !ranged && m.opened.Load() != 2 {
				t.Errorf("%s: the next search got %v, %v on connection %d", name, got, err, m.opened.Load())
			}
		})
	}
}

// flood sends one message until the connection ends, and returns how many bytes
// that took.
func flood(s *session, id int32, op ldap.Op) int {
	b := must((ldap.Message{ID: id, Op: op}).AppendTo(nil))
	for total := 0; ; {
		n, err := s.Write(b)
		total += n
		if err != nil {
			return total
		}
	}
}

// drip begins a message and sends a byte of it now and then.
func drip(s *session) {
	s.raw([]byte{0x30, 0x84, 0, 0, 0x10, 0})
	for {
		time.Sleep(100 * time.Millisecond) // of the bubble's clock
		if _, err := s.Write([]byte{0}); err != nil {
			return
		}
	}
}

// A server that goes on after Abandon is not listened to for ever.
func TestFloodAfterAbandon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &member{script: func(s *session) {
			id, _, _ := s.search()
			s.send(id, entry("cn=a"), entry("cn=b"))
			s.abandoned(id)
			if n := flood(s, id, entry("cn=a", attr("x", strings.Repeat("x", 100<<10)))); n > 5<<20 {
				t.Errorf("%d bytes were read", n)
			}
		}}
		p := m.pool(t, ldapback.Options{})
		q := question
		q.SizeLimit = 1
		out, err := p.Search(t.Context(), q, func(vdir.Entry) error { return nil })
		if err != nil || !out.SizeLimitExceeded {
			t.Errorf("got %v, %v", out, err)
		}
		synctest.Wait()
	})
}

// ranges answers with one entry whose attribute has the first name, and each
// question for more with the next; the last is used for ever, with the first
// value asked for filled in. Afterwards the member is honest about o=member.
func ranges(names ...string) func(s *session, id int32) {
	return func(s *session, id int32) {
		s.send(id, entry("cn=a", attr(names[0], "0")), done(ldap.Success))
		for n := 1; ; n++ {
			id, r, ok := s.search()
			if !ok {
				return
			}
			if r.Base == "o=member" {
				s.send(id, entry(r.Base), done(ldap.Success))
				continue
			}
			if n > 100 {
				s.t.Error("asked more than 100 times for one attribute")
				return
			}
			name := names[min(n, len(names)-1)]
			if strings.Contains(name, "%d") {
				name = fmt.Sprintf(name, n, n)
			}
			s.send(id, entry(r.Base, attr(name, "0")), done(ldap.Success))
		}
	}
}
