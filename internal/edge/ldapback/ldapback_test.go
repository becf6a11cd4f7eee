package ldapback_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bridge.example/internal/edge/ldapback"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

func TestSearchOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &member{script: func(s *session) {
			id, r, _ := s.search()
			if r.Base != "o=member" || r.Scope != ldap.WholeSubtree || r.Filter.String() != "(mail=a@x.example)" ||
				strings.Join(r.Attributes, " ") != "mail userCertificate" || r.SizeLimit != 1000 || r.TimeLimit != 2 || r.Deref != 0 || r.TypesOnly {
				t.Errorf("the member is asked %+v", r)
			}
			s.send(id,
				ldap.SearchResultReference{URLs: []string{"ldap://elsewhere/"}},
				ldap.IntermediateResponse{Name: "1.2.3"},
				entry("cn=a", attr("mail", "a@x.example"), attr("userCertificate;binary", "1", "2")),
				entry("cn=b"),
				ldap.SearchResultReference{URLs: []string{"ldap://elsewhere/CN=Configuration"}},
				done(ldap.Success))
			s.drain()
		}}
		got, out, err := ask(t, m.pool(t, ldapback.Options{}))
		if err != nil || out.SizeLimitExceeded || len(got) != 2 || got[0].DN != "cn=a" || got[1].DN != "cn=b" ||
			len(got[0].Attributes) != 2 || got[0].Attributes[1].Type != "userCertificate;binary" || string(got[0].Attributes[1].Values[1]) != "2" {
			t.Errorf("got %v, %v, %v", got, out, err)
		}
	})
}

func TestResultCodes(t *testing.T) {
	for code, want := range map[ldap.ResultCode]fault.Kind{
		ldap.NoSuchObject:                 fault.NotFound,
		ldap.OperationsError:              fault.Denied,
		ldap.InsufficientAccessRights:     fault.Denied,
		ldap.StrongerAuthRequired:         fault.Denied,
		ldap.UnwillingToPerform:           fault.Denied,
		ldap.Referral:                     fault.Unavailable,
		ldap.Busy:                         fault.Unavailable,
		ldap.TimeLimitExceeded:            fault.Unavailable,
		ldap.ProtocolError:                fault.Unavailable,
		ldap.InvalidDNSyntax:              fault.Unavailable,
		ldap.UndefinedAttributeType:       fault.Unavailable,
		ldap.UnavailableCriticalExtension: fault.Unavailable,
		ldap.ResultCode(4711):             fault.Unavailable,
	} {
		synctest.Test(t, func(t *testing.T) {
			m := &member{script: func(s *session) {
				for id, _, ok := s.search(); ok; id, _, ok = s.search() {
					s.send(id, done(code))
				}
			}}
			p := m.pool(t, ldapback.Options{})
			for range 3 { // an answer, so the connection stays
				got, _, err := ask(t, p)
				if err == nil || fault.KindOf(err) != want || len(got) > 0 || strings.Contains(err.Error(), "secret") {
					t.Errorf("%v: got %v, %v, want %v", code, got, err, want)
				}
			}
			if n := m.opened.Load(); n != 1 {
				t.Errorf("%v: %d connections, want 1", code, n)
			}
		})
	}
	for code, exceeded := range map[ldap.ResultCode]bool{ldap.Success: false, 9: false, ldap.SizeLimitExceeded: true} {
		synctest.Test(t, func(t *testing.T) {
			m := &member{script: func(s *session) {
				id, _, _ := s.search()
				s.send(id, entry("cn=a"), done(code))
				s.drain()
			}}
			got, out, err := ask(t, m.pool(t, ldapback.Options{}))
			if err != nil || len(got) != 1 || out.SizeLimitExceeded != exceeded {
				t.Errorf("%v: got %v, %v, %v", code, got, out, err)
			}
		})
	}
}

// abandoned reads up to an Abandon of id.
func (s *session) abandoned(id int32) {
	for {
		m, ok := s.next()
		if !ok {
			s.t.Errorf("connection ended before search %d was abandoned", id)
			return
		}
		if a, ok := m.Op.(ldap.AbandonRequest); ok {
			if a.ID != id {
				s.t.Errorf("search %d abandoned, want %d", a.ID, id)
			}
			return
		}
	}
}

// A search given up is abandoned, and the connection goes on.
func TestAbandon(t *testing.T) {
	stop := errors.New("enough")
	for name, end := range map[string]func(*ldapback.Pool) error{
		"yield": func(p *ldapback.Pool) error {
			_, err := p.Search(context.Background(), question, func(vdir.Entry) error { return stop })
			return err
		},
		"cancel": func(p *ldapback.Pool) error {
			ctx, cancel := context.WithCancelCause(context.Background())
			_, err := p.Search(ctx, question, func(vdir.Entry) error { cancel(stop); return nil })
			if errors.Is(err, context.Canceled) {
				return stop
			}
			return err
		},
		"deadline": func(p *ldapback.Pool) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_, err := p.Search(ctx, question, func(vdir.Entry) error { return nil })
			if errors.Is(err, context.DeadlineExceeded) {
				return stop
			}
			return err
		},
		"size limit": func(p *ldapback.Pool) error {
			q := question
			q.SizeLimit = 1
			out, err := p.Search(context.Background(), q, func(vdir.Entry) error { return nil })
			if err == nil && out.SizeLimitExceeded {
				return stop
			}
			return err
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := &member{script: func(s *session) {
				id, _, _ := s.search()
				s.send(id, entry("cn=a"), entry("cn=b"))
				s.abandoned(id)
				s.send(id, entry("cn=late"), done(ldap.Success)) // crossed with Abandon on the way
				honest(s)
			}}
			p := m.pool(t, ldapback.Options{})
			if err := end(p); !errors.Is(err, stop) {
				t.Errorf("%s: got %v", name, err)
			}
			if got, _, err := ask(t, p); err != nil || len(got) != 1 || got[0].DN != "o=member" || m.opened.Load() != 1 {
				t.Errorf("%s: the next search got %v, %v on %d connections", name, got, err, m.opened.Load())
			}
		})
	}
}

func TestRangedValuesComeWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &member{script: func(s *session) {
			id, _, _ := s.search()
			s.send(id,
				entry("cn=many", attr("mail", "a@x.example"), attr("userCertificate"), attr("userCertificate;binary;range=0-1", "0", "1")),
				entry("cn=few", attr("mail", "b@x.example")), done(ldap.Success))
			for _, step := range []struct {
				want string
				give ldap.Attribute
			}{
				{"userCertificate;binary;range=2-*", attr("usercertificate;binary;Range=2-3", "2", "3")},
				{"userCertificate;binary;range=4-*", attr("userCertificate;binary;range=4-*", "4")},
			} {
				id, r, _ := s.search()
				if r.Base != "cn=many" || r.Scope != ldap.BaseObject || strings.Join(r.Attributes, " ") != step.want {
					t.Errorf("asked for %v of %q, want %s", r.Attributes, r.Base, step.want)
				}
				s.send(id, entry("cn=many", step.give), done(ldap.Success))
			}
			s.drain()
		}}
		got, _, err := ask(t, m.pool(t, ldapback.Options{}))
		if err != nil || len(got) != 2 {
			t.Fatalf("got %v, %v", got, err)
		}
		i := slices.IndexFunc(got, func(e vdir.Entry) bool { return e.DN == "cn=many" })
		a := got[i].Attributes[2]
		if a.Type != "userCertificate;binary" || fmt.Sprintf("%s", a.Values) != "[0 1 2 3 4]" {
			t.Errorf("got %s with %s", a.Type, a.Values)
		}
	})
}

// A server that closes an idle connection costs the next search nothing.
func TestReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &member{script: func(s *session) {
			id, _, _ := s.search()
			s.send(id, entry("cn=a"), done(ldap.Success))
			s.search() // hangs up on the second
		}}
		p := m.pool(t, ldapback.Options{})
		for i := range 5 {
			if got, _, err := ask(t, p); err != nil || len(got) != 1 {
				t.Fatalf("search %d: got %v, %v", i, got, err)
			}
		}
	})
}

func TestIdleConnectionIsNotUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &member{script: honest}
		p := m.pool(t, ldapback.Options{IdleTimeout: time.Minute})
		for _, pause := range []time.Duration{0, 50 * time.Second, 61 * time.Second} {
			time.Sleep(pause) // of the bubble's clock
			if _, _, err := ask(t, p); err != nil {
				t.Error(err)
			}
		}
		if n := m.opened.Load(); n != 2 {
			t.Errorf("%d connections opened, want 2", n)
		}
	})
}

// A server that is down is not dialled for every search.
func TestBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &member{script: honest}
		dials, down := 0, true
		up := m.dial(t)
		p := m.pool(t, ldapback.Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials++
			if network != "tcp" || addr != "member.example:389" {
				t.Errorf("dialled %s %s", network, addr)
			}
			if down {
				return nil, errors.New("connection refused")
			}
			return up(ctx, network, addr)
		}})
		for range 1000 {
			if _, _, err := ask(t, p); fault.KindOf(err) != fault.Unavailable || err == nil {
				t.Fatalf("got %v, want Unavailable", err)
			}
			time.Sleep(10 * time.Millisecond) // of the bubble's clock
		}
		if dials > 10 {
			t.Errorf("%d dials in 10 s, want about 7", dials)
		}
		down = false
		time.Sleep(11 * time.Second) // of the bubble's clock
		if _, _, err := ask(t, p); err != nil {
			t.Errorf("after it came up: %v", err)
		}
	})
}

// Searches share few connections evenly and are answered in any order; beyond
// the bound they are refused at once.
func TestManySearchesFewConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const connections, each = 2, 4
		var mu sync.Mutex
		perConn := map[int32]int{}
		release := make(chan struct{})
		m := &member{script: func(s *session) {
			var ids []int32
			for range each {
				id, _, ok := s.search()
				if !ok {
					return
				}
				ids = append(ids, id)
				mu.Lock()
				perConn[s.n]++
				mu.Unlock()
			}
			<-release
			slices.Reverse(ids)
			for _, id := range ids {
				s.send(id, entry(fmt.Sprintf("cn=%d", id)), done(ldap.Success))
			}
			s.drain()
		}}
		p := m.pool(t, ldapback.Options{Connections: connections, Searches: each})
		var wg sync.WaitGroup
		for range connections * each {
			wg.Go(func() {
				if got, _, err := ask(t, p); err != nil || len(got) != 1 {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		synctest.Wait()
		if _, _, err := ask(t, p); fault.KindOf(err) != fault.Unavailable || err == nil {
			t.Errorf("one search too many: got %v, want Unavailable", err)
		}
		close(release)
		wg.Wait()
		if len(perConn) != connections || perConn[1] != each || perConn[2] != each {
			t.Errorf("searches per connection: %v", perConn)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var unbound atomic.Bool
		m := &member{script: func(s *session) {
			for m, ok := s.next(); ok; m, ok = s.next() {
				if _, ok := m.Op.(ldap.UnbindRequest); ok {
					unbound.Store(true)
				}
			}
		}}
		p := m.pool(t, ldapback.Options{})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, _, err := ask(t, p); fault.KindOf(err) != fault.Unavailable || err == nil {
					t.Errorf("search during Close: got %v, want Unavailable", err)
				}
			})
		}
		synctest.Wait()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		m.wg.Wait()
		if !unbound.Load() {
			t.Error("the member saw no Unbind")
		}
		if _, _, err := ask(t, p); fault.KindOf(err) != fault.Unavailable || err == nil {
			t.Errorf("search after Close: got %v, want Unavailable", err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no") }
	password := func() ([]byte, error) { return nil, nil }
	for _, c := range []struct {
		url string
		o   ldapback.Options
	}{
		{"", ldapback.Options{Dial: dial}},
		{"http://member.example", ldapback.Options{Dial: dial}},
		{"ldapi://%2fvar%2frun%2fldapi", ldapback.Options{Dial: dial}},
		{"ldap:///o=member", ldapback.Options{Dial: dial}},
		{"ldap://user:pw@member.example", ldapback.Options{Dial: dial}},
		{"ldap://member.example", ldapback.Options{}},
		{"ldap://member.example", ldapback.Options{Dial: dial, LDAPVersion: 1}},
		{"ldaps://member.example", ldapback.Options{Dial: dial, StartTLS: true}},
		{"ldap://member.example", ldapback.Options{Dial: dial, StartTLS: true, LDAPVersion: 2}},
		{"ldap://member.example", ldapback.Options{Dial: dial, BindDN: "cn=bridge"}},
		{"ldap://member.example", ldapback.Options{Dial: dial, Password: password}},
	} {
		if _, err := ldapback.New(c.url, c.o); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("New(%q): got %v, want Invalid", c.url, err)
		}
	}
}
