package lab_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"bridge.example/internal/lab"
)

// dial connects to a directory, bound as the account that may search.
func dial(t *testing.T, o *lab.Organisation, port int) *ldap.Conn {
	t.Helper()
	c, err := ldap.DialURL(fmt.Sprintf("ldap://127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetTimeout(10 * time.Second)
	if o.Spec.BindDN != "" {
		if err := c.Bind(o.Spec.BindDN, o.Spec.Password); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func find(base string, scope int, filter string, attributes ...string) *ldap.SearchRequest {
	return &ldap.SearchRequest{BaseDN: base, Scope: scope, Filter: filter, Attributes: attributes}
}

// testDirectory asks what can be asked of a directory of either kind.
func testDirectory(t *testing.T, o *lab.Organisation) {
	testEntries(t, o, dial(t, o, o.Ports.LDAP))
	testBind(t, o)

	ad := o.Spec.Dialect == lab.ActiveDirectory
	c := dial(t, o, o.Ports.LDAP)
	people, first, class := "OU=people,"+o.Spec.Suffix, o.Spec.Users[0], "inetOrgPerson"
	if ad {
		people, class = "cn=users , "+strings.ToLower(o.Spec.Suffix), "user"
	}
	n := len(o.Spec.Users)
	for _, tt := range []struct {
		name, base string
		scope      int
		filter     string
		want       int
	}{
		{"the suffix", o.Spec.Suffix, ldap.ScopeBaseObject, "(objectClass=*)", 1},
		{"one level of the suffix", o.Spec.Suffix, ldap.ScopeSingleLevel, "(objectClass=*)", 1},
		{"one level of the people", people, ldap.ScopeSingleLevel, "(objectClass=*)", n},
		{"the whole tree", o.Spec.Suffix, ldap.ScopeWholeSubtree, "(objectClass=*)", n + 2},
		{"a class", o.Spec.Suffix, ldap.ScopeWholeSubtree, "(objectclass=" + class + ")", n},
		{"both", people, ldap.ScopeWholeSubtree, "(&(cn=" + first.CN + ")(mail=*))", 1},
		{"either", people, ldap.ScopeWholeSubtree, "(|(mail=" + first.Local + "@" + o.Spec.Domain + ")(cn=" + o.Spec.Users[1].CN + "))", 2},
		{"all but", people, ldap.ScopeSingleLevel, "(!(cn=" + first.CN + "))", n - 1},
		{"neither is known", people, ldap.ScopeWholeSubtree, "(!(shoeSize=43))", 0},
		{"known or not", people, ldap.ScopeWholeSubtree, "(|(shoeSize=43)(cn=" + first.CN + "))", 1},
		{"not ordered", people, ldap.ScopeWholeSubtree, "(cn>=a)", 0},
		{"nor the contrary", people, ldap.ScopeWholeSubtree, "(!(cn>=a))", 0},
		{"beginning", people, ldap.ScopeWholeSubtree, "(cn=" + strings.ToUpper(first.CN[:4]) + "*)", 1},
		{"middle", people, ldap.ScopeWholeSubtree, "(mail=*@*)", n},
		{"end", people, ldap.ScopeWholeSubtree, "(mail=*@" + strings.ToUpper(o.Spec.Domain) + ")", n},
		{"parts overlapping", people, ldap.ScopeWholeSubtree, "(cn=" + first.CN + "*" + first.CN + ")", 0},
		{"parts in disorder", people, ldap.ScopeWholeSubtree, "(mail=*.example*@*)", 0},
	} {
		r, err := c.Search(find(tt.base, tt.scope, tt.filter, "cn"))
		if err != nil || len(r.Entries) != tt.want {
			t.Errorf("%s: got %v, %v, want %d entries", tt.name, r, err, tt.want)
			continue
		}
		referred := ad && tt.base == o.Spec.Suffix && tt.scope == ldap.ScopeWholeSubtree
		if (len(r.Referrals) == 1) != referred {
			t.Errorf("%s: got references %q, want one: %v", tt.name, r.Referrals, referred)
		}
	}

	critical := find(o.Spec.Suffix, ldap.ScopeWholeSubtree, "(cn=*)")
	critical.Controls = []ldap.Control{ldap.NewControlString("1.2.3.4", true, "")}
	manage := find(o.Spec.Suffix, ldap.ScopeBaseObject, "(objectClass=*)")
	manage.Controls = []ldap.Control{ldap.NewControlManageDsaIT(true)}
	limited := find(people, ldap.ScopeSingleLevel, "(objectClass=*)")
	limited.SizeLimit = 1
	for name, tt := range map[string]struct {
		request *ldap.SearchRequest
		code    uint16
	}{
		"no such base":                 {find("o=elsewhere", ldap.ScopeWholeSubtree, "(cn=*)"), ldap.LDAPResultNoSuchObject},
		"no name":                      {find("nonsense", ldap.ScopeWholeSubtree, "(cn=*)"), ldap.LDAPResultInvalidDNSyntax},
		"an unknown, critical control": {critical, ldap.LDAPResultUnavailableCriticalExtension},
		"manageDsaIT":                  {manage, ldap.LDAPResultSuccess},
		"the client's own limit":       {limited, ldap.LDAPResultSizeLimitExceeded},
	} {
		if _, err := c.Search(tt.request); !ldap.IsErrorWithCode(codeOf(err), tt.code) {
			t.Errorf("%s: got %v, want code %d", name, err, tt.code)
		}
	}
	if err := c.Del(ldap.NewDelRequest(people, nil)); !ldap.IsErrorWithCode(err, ldap.LDAPResultUnwillingToPerform) {
		t.Errorf("deleting: got %v, want unwillingToPerform", err)
	}
	if _, err := c.WhoAmI(nil); !ldap.IsErrorWithCode(err, ldap.LDAPResultProtocolError) {
		t.Errorf("an extended operation: got %v, want protocolError", err)
	}
}

// codeOf makes success an error too.
func codeOf(err error) error {
	if err == nil {
		return ldap.NewError(ldap.LDAPResultSuccess, io.EOF)
	}
	return err
}

// testEntries checks what each user's entry shows, and under which names.
// A real directory must pass it as the simulated one does.
func testEntries(t *testing.T, o *lab.Organisation, c *ldap.Conn) {
	t.Helper()
	ad := o.Spec.Dialect == lab.ActiveDirectory
	for _, u := range o.Users() {
		filter := "(mail=" + strings.ToUpper(u.Mail) + ")"
		if ad {
			filter = "(proxyaddresses=smtp:" + u.Mail + ")"
		}
		for _, asked := range []struct {
			attributes []string
			shown      bool
		}{
			{nil, true}, {[]string{"*"}, true}, {[]string{"userCertificate"}, true}, {[]string{"usercertificate", "mail"}, true},
			{[]string{"userCertificate;binary"}, !ad}, {[]string{"mail"}, false}, {[]string{"1.1"}, false},
		} {
			r, err := c.Search(find(o.Spec.Suffix, ldap.ScopeWholeSubtree, filter, asked.attributes...))
			if err != nil || len(r.Entries) != 1 {
				t.Errorf("%s: got %v, %v, want one entry", filter, r, err)
				continue
			}
			e, name := r.Entries[0], "userCertificate;binary"
			if ad {
				name = "userCertificate"
			}
			got := e.GetEqualFoldRawAttributeValue(name)
			if want := u.Certificate.Raw; asked.shown != bytes.Equal(got, want) || asked.shown != (len(got) > 0) {
				t.Errorf("%s asked for %q: got %d bytes of %s, want %d: %v", filter, asked.attributes, len(got), name, len(want), asked.shown)
			}
			if len(asked.attributes) == 0 && e.GetAttributeValue("telephoneNumber") == "" {
				t.Errorf("%s: nothing there that the bridge must hide", u.Mail)
			}
		}
	}
}

func testBind(t *testing.T, o *lab.Organisation) {
	c, err := ldap.DialURL(o.Directory().URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	root, err := c.Search(find("", ldap.ScopeBaseObject, "(objectClass=*)"))
	if err != nil || len(root.Entries) != 1 || root.Entries[0].GetAttributeValue("namingContexts") != o.Spec.Suffix {
		t.Errorf("root DSE: got %v, %v", root, err)
	}
	guarded := o.Spec.BindDN != ""
	search := func(when string, allowed bool) {
		t.Helper()
		_, err := c.Search(find(o.Spec.Suffix, ldap.ScopeWholeSubtree, "(cn=*)"))
		if allowed != (err == nil) || !allowed && !ldap.IsErrorWithCode(err, ldap.LDAPResultOperationsError) {
			t.Errorf("searching %s: got %v, want allowed: %v", when, err, allowed)
		}
	}
	search("without a bind", !guarded)
	if err := c.UnauthenticatedBind(""); err != nil {
		t.Errorf("anonymous bind: %v", err)
	}
	search("anonymously", !guarded)
	for name, want := range map[string]uint16{"cn=nobody": ldap.LDAPResultInvalidCredentials, o.Spec.BindDN: ldap.LDAPResultInvalidCredentials} {
		if err := c.Bind(name, "wrong"); !ldap.IsErrorWithCode(err, want) {
			t.Errorf("binding as %q with a wrong password: got %v, want %d", name, err, want)
		}
	}
	search("after a wrong password", !guarded)
	if err := c.UnauthenticatedBind("cn=somebody"); !ldap.IsErrorWithCode(err, ldap.LDAPResultUnwillingToPerform) {
		t.Errorf("a name without a password: got %v, want unwillingToPerform", err)
	}
	if err := c.ExternalBind(); !ldap.IsErrorWithCode(err, ldap.LDAPResultAuthMethodNotSupported) {
		t.Errorf("SASL: got %v, want authMethodNotSupported", err)
	}
	if guarded {
		if err := c.Bind(strings.ToLower(o.Spec.BindDN), o.Spec.Password); err != nil {
			t.Error(err)
		}
		search("as the account", true)
		if err := c.Bind(o.Spec.BindDN, "wrong"); err == nil {
			t.Error("the second bind did not fail")
		}
		search("after the bind was lost", false)
		testPipelined(t, o)
	}
}

// testPipelined sends bind and search in one go: the search must wait.
func testPipelined(t *testing.T, o *lab.Organisation) {
	bind := tlv(0x30, tlv(2, "\x01"), tlv(0x60, tlv(2, "\x03"), tlv(4, o.Spec.BindDN), tlv(0x80, o.Spec.Password)))
	search := tlv(0x30, tlv(2, "\x02"), tlv(0x63, tlv(4, o.Spec.Suffix), tlv(10, "\x00"), tlv(10, "\x00"),
		tlv(2, "\x00"), tlv(2, "\x00"), tlv(1, "\x00"), tlv(0x87, "objectClass"), tlv(0x30)))
	end, err := hex.DecodeString(unbind)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		got, err := exchange(t, o.Ports.LDAP, []byte(bind+search+string(end)))
		if err != nil || !strings.Contains(hex.EncodeToString(got), done(2, ldap.LDAPResultSuccess)) {
			t.Fatalf("got %x, %v, want success for the search", got, err)
		}
	}
}

// tlv encodes a short BER value.
func tlv(tag byte, content ...string) string {
	c := strings.Join(content, "")
	return string([]byte{tag, byte(len(c))}) + c
}

// exchange sends segments and returns all that comes until the other side
// closes.
func exchange(t *testing.T, port int, segments ...[]byte) ([]byte, error) {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		_, _ = conn.Write(s) // refused when the other side has heard enough
	}
	got, err := io.ReadAll(conn)
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil // closed with something unread
	}
	return got, err
}

// done is a search's end with a result code, in hex, as far as the code.
func done(id, code byte) string { return hex.EncodeToString([]byte{2, 1, id, 0x65, 7, 10, 1, code}) }

// requests as real clients send them, in hex: a search by dirmngr, and one for
// the root DSE with lengths of four octets as Windows writes them.
const (
	dirmngr = "3034020101632f04036f3d610a01020a0100020100020100010100a31704046d61696c040f757365723540612e6578616d706c653000"
	windows = "30840000002d02010263840000002404000a01000a0100020100020100010100870b6f626a656374436c617373308400000000"
	unbind  = "30050201034200"
	abandon = "3006020104500101"
	garbage = "16030100010100"
	huge    = "30847fffffff020101"
)

// TestWire sends bytes as they are and wants the answers of the servers that
// real members have, or the end of the connection.
func TestWire(t *testing.T) {
	o := start(t, t.TempDir(), small())
	deep := tlv(0x87, "cn")
	for range 40 {
		deep = tlv(0xa2, deep)
	}
	deep = tlv(0x30, tlv(2, "\x01"), tlv(0x63, tlv(4), tlv(10, "\x00"), tlv(10, "\x00"), tlv(2, "\x00"), tlv(2, "\x00"), tlv(1, "\x00"), deep, tlv(0x30)))
	for _, tt := range []struct {
		name  string
		parts []string // of the stream, each a segment of its own
		want  []string // all found in the answers; nil: there is none
	}{
		{"a search that never bound", []string{dirmngr, unbind}, []string{done(1, 32)}},
		{"lengths as Windows writes them", []string{windows, unbind}, []string{"737570706f727465644c44415056657273696f6e", done(2, 0)}},
		{"byte by byte", append(strings.Split(strings.TrimSpace(spaced(dirmngr)), " "), unbind), []string{done(1, 32)}},
		{"two at once", []string{dirmngr + windows + unbind}, []string{done(1, 32), done(2, 0)}},
		{"an abandon between", []string{abandon + dirmngr, unbind}, []string{done(1, 32)}},
		{"no LDAP", []string{garbage}, nil},
		{"two gigabytes announced", []string{huge}, nil},
		{"an empty message", []string{"3000"}, nil},
		{"an empty search", []string{"30050201016300"}, nil},
		{"forty times not", []string{hex.EncodeToString([]byte(deep))}, nil},
		{"nothing but filters", []string{"3084000000c8020101" + strings.Repeat("a280", 100)}, nil},
	} {
		var segments [][]byte
		for _, p := range tt.parts {
			b, err := hex.DecodeString(p)
			if err != nil {
				t.Fatal(err)
			}
			segments = append(segments, b)
		}
		raw, err := exchange(t, o.Ports.LDAP, segments...)
		got := hex.EncodeToString(raw)
		if err != nil || tt.want == nil && got != "" {
			t.Errorf("%s: got %s, %v, want an answer: %v", tt.name, got, err, tt.want != nil)
		}
		for _, w := range tt.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: got %s, want %s in it", tt.name, got, w)
			}
		}
	}
	testEntries(t, o, dial(t, o, o.Ports.LDAP)) // and it still serves
}

func spaced(h string) string {
	var b strings.Builder
	for pair := range slices.Chunk([]byte(h), 2) {
		b.Write(append(pair[:2:2], ' '))
	}
	return b.String()
}

// TestManySearches goes through message IDs of one and two octets, whose first
// bit may be set.
func TestManySearches(t *testing.T) {
	o := start(t, t.TempDir(), small())
	c := dial(t, o, o.Ports.LDAP)
	for i := range 300 {
		r, err := c.Search(find(o.Spec.Suffix, ldap.ScopeWholeSubtree, "(mail="+o.Users()[0].Mail+")"))
		if err != nil || len(r.Entries) != 1 {
			t.Fatalf("search %d: got %v, %v, want one entry", i, r, err)
		}
	}
}

// TestLoad asks much at once over one connection, binds between, and closes
// the server under it.
func TestLoad(t *testing.T) {
	o := start(t, t.TempDir(), small())
	c := dial(t, o, o.Ports.LDAP)
	var asking sync.WaitGroup
	for i := range 100 {
		asking.Go(func() {
			if i%10 == 0 {
				if err := c.UnauthenticatedBind(""); err != nil {
					t.Error(err)
				}
			}
			r, err := c.Search(find(o.Spec.Suffix, ldap.ScopeWholeSubtree, "(mail="+o.Users()[0].Mail+")"))
			if err != nil || len(r.Entries) != 1 {
				t.Errorf("got %v, %v, want one entry", r, err)
			}
		})
	}
	asking.Wait()
	silent, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", o.Ports.LDAP))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var cut sync.WaitGroup
	for range 20 {
		cut.Go(func() { _, _ = c.Search(find(o.Spec.Suffix, ldap.ScopeWholeSubtree, "(cn=*)")) })
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	cut.Wait()
	_ = silent.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := silent.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a silent client is still connected after Close")
	}
	if _, err := ldap.DialURL(o.Directory().URL); err == nil {
		t.Error("the directory still answers after Close")
	}
}
