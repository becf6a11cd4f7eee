package retrieve_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"

	"bridge.example/internal/wire/ldap"
)

// newDirectory is an LDAP server that answers each search by its base, and says
// on which port.
func newDirectory(t *testing.T, address string, answer func(send func(ldap.Op) error, q ldap.SearchRequest)) (port int) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go func() {
				defer conn.Close()
				m, err := ldap.ReadMessage(bufio.NewReader(conn), ldap.Limits{})
				if q, ok := m.Op.(ldap.SearchRequest); err == nil && ok {
					answer(func(op ldap.Op) error {
						b, err := ldap.Message{ID: m.ID, Op: op}.AppendTo(nil)
						if err == nil {
							_, err = conn.Write(b)
						}
						return err
					}, q)
					_, _ = io.Copy(io.Discard, conn) // until the client leaves
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// directory is one that means harm.
func (w *world) directory() func(func(ldap.Op) error, ldap.SearchRequest) {
	inside := []string{fmt.Sprintf("ldap://127.0.0.1:%d/cn=CA", w.port)}
	entry := ldap.SearchResultEntry{DN: "cn=CA", Attributes: []ldap.Attribute{{Type: "cACertificate;binary", Values: [][]byte{make([]byte, 2<<20)}}}}
	return func(send func(ldap.Op) error, q ldap.SearchRequest) {
		var err error
		switch q.Base {
		case "cn=referral":
			_ = send(ldap.SearchResultReference{URLs: inside})
			_ = send(ldap.SearchResultDone{Result: ldap.Result{Code: ldap.Referral, Referrals: inside}})
		case "cn=huge":
			_ = send(entry)
		case "cn=endless":
			entry.Attributes = nil
			for ; err == nil; err = send(entry) {
			}
		case "cn=silent":
		default:
			_ = send(ldap.SearchResultDone{Result: ldap.Result{Code: ldap.NoSuchObject}})
		}
	}
}
