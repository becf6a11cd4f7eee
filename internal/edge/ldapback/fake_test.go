package ldapback_test

import (
	"bufio"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bridge.example/internal/edge/ldapback"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

// member is a scripted directory server: each connection is handed to script.
type member struct {
	script func(*session)
	opened atomic.Int32
	wg     sync.WaitGroup
}

// session is one connection, seen from the member.
type session struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
	n int32 // of this connection, from 1
}

func (m *member) dial(t *testing.T) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		n := m.opened.Add(1)
		m.wg.Go(func() {
			defer server.Close()
			m.script(&session{Conn: server, t: t, r: bufio.NewReader(server), n: n})
		})
		return client, nil
	}
}

// pool returns a Pool on m that is closed, and the script awaited, at the end.
func (m *member) pool(t *testing.T, o ldapback.Options) *ldapback.Pool {
	t.Helper()
	if o.Dial == nil {
		o.Dial = m.dial(t)
	}
	p, err := ldapback.New("ldap://member.example", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		m.wg.Wait()
	})
	return p
}

// next returns the next request; ok is false when the connection ends.
func (s *session) next() (ldap.Message, bool) {
	m, err := ldap.ReadMessage(s.r, ldap.Limits{})
	return m, err == nil
}

// search waits for the next search; false when the connection ends.
func (s *session) search() (int32, ldap.SearchRequest, bool) {
	for {
		m, ok := s.next()
		if !ok {
			return 0, ldap.SearchRequest{}, false
		}
		if r, ok := m.Op.(ldap.SearchRequest); ok {
			return m.ID, r, true
		}
	}
}

func (s *session) send(id int32, ops ...ldap.Op) {
	var b []byte
	for _, op := range ops {
		var err error
		if b, err = (ldap.Message{ID: id, Op: op}).AppendTo(b); err != nil {
			s.t.Error(err)
		}
	}
	s.raw(b)
}

func (s *session) raw(b []byte) {
	s.Write(b) // the other side may be gone: that is for the test to judge
}

// drain reads until the connection ends.
func (s *session) drain() {
	for ok := true; ok; {
		_, ok = s.next()
	}
}

func entry(dn string, attributes ...ldap.Attribute) ldap.SearchResultEntry {
	return ldap.SearchResultEntry{DN: dn, Attributes: attributes}
}

func attr(typ string, values ...string) ldap.Attribute {
	a := ldap.Attribute{Type: typ}
	for _, v := range values {
		a.Values = append(a.Values, []byte(v))
	}
	return a
}

func done(code ldap.ResultCode) ldap.SearchResultDone {
	return ldap.SearchResultDone{Result: ldap.Result{Code: code, MatchedDN: "ou=secret", Diagnostic: "secret detail"}}
}

// honest answers every search with one entry that names its base.
func honest(s *session) {
	for {
		id, r, ok := s.search()
		if !ok {
			return
		}
		s.send(id, entry(r.Base, attr("mail", "a@x.example")), done(ldap.Success))
	}
}

var question = vdir.Query{
	Base: "o=member", Scope: vdir.WholeSubtree,
	Filter:     ldap.Filter{Op: ldap.Equality, Attribute: "mail", Value: []byte("a@x.example")},
	Attributes: []string{"mail", "userCertificate"},
}

// ask searches with two seconds' patience.
func ask(t *testing.T, p *ldapback.Pool) ([]vdir.Entry, vdir.Outcome, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var got []vdir.Entry
	out, err := p.Search(ctx, question, func(e vdir.Entry) error {
		got = append(got, e)
		return nil
	})
	return got, out, err
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}
