package ldap_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(b []byte, lim ldap.Limits) (ldap.Message, error) {
	return ldap.ReadMessage(bufio.NewReader(bytes.NewReader(b)), lim)
}

// checkRoundTrip asserts that m reads back as itself.
func checkRoundTrip(t *testing.T, m ldap.Message) {
	t.Helper()
	b, err := m.AppendTo([]byte("before"))
	if err != nil {
		t.Fatalf("encoding %+v: %v", m, err)
	}
	b, ok := bytes.CutPrefix(b, []byte("before"))
	if !ok {
		t.Fatal("AppendTo changed what was there")
	}
	back, err := read(b, ldap.Limits{MaxPDUBytes: len(b), MaxElements: len(b), MaxDepth: 1000})
	if err != nil {
		t.Fatalf("%+v encodes to %x: %v", m, b, err)
	}
	if !reflect.DeepEqual(back, m) {
		t.Errorf("got  %+v\nwant %+v\nover %x", back, m, b)
	}
}

func mustFilter(t testing.TB, s string) ldap.Filter {
	t.Helper()
	f, err := ldap.ParseFilter(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return f
}

// Requests as real clients sent them.
func TestGoldenRequests(t *testing.T) {
	byMail := func(address string) ldap.Filter {
		return ldap.Filter{Op: ldap.Equality, Attribute: "mail", Value: []byte(address)}
	}
	tests := map[string]struct {
		wire string
		want ldap.Message
	}{
		"dirmngr": {
			"3034020101632f04036f3d610a01020a0100020100020100010100a31704046d61696c040f757365723540612e6578616d706c653000",
			ldap.Message{ID: 1, Op: ldap.SearchRequest{Base: "o=a", Scope: ldap.WholeSubtree, Filter: byMail("user5@a.example")}},
		},
		"JNDI with ManageDsaIT": {
			"3051020102632f04036f3d610a01020a0103020100020100010100a31704046d61696c040f757365723540612e6578616d706c653000" +
				"a01b30190417322e31362e3834302e312e3131333733302e332e342e32",
			ldap.Message{
				ID:       2,
				Op:       ldap.SearchRequest{Base: "o=a", Scope: ldap.WholeSubtree, Deref: 3, Filter: byMail("user5@a.example")},
				Controls: []ldap.Control{{OID: ldap.OIDManageDsaIT}},
			},
		},
		"Windows, four-byte lengths": {
			"30840000004002010163840000003704036f3d610a01020a0100020100020100010100a3840000001704046d61696c040f757365723540612e6578616d706c65308400000000",
			ldap.Message{ID: 1, Op: ldap.SearchRequest{Base: "o=a", Scope: ldap.WholeSubtree, Filter: byMail("user5@a.example")}},
		},
		"LDAPv2 bind": {
			"300c020101600702010204008000",
			ldap.Message{ID: 1, Op: ldap.BindRequest{Version: 2, Credentials: []byte{}}},
		},
		"padded message id": {
			"3008020400000007" + "4200",
			ldap.Message{ID: 7, Op: ldap.UnbindRequest{}},
		},
		"elements of a later version": {
			"3009020103500101800101",
			ldap.Message{ID: 3, Op: ldap.AbandonRequest{ID: 1}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			// One byte at a time: a message need not come in one segment.
			got, err := ldap.ReadMessage(bufio.NewReader(iotest.OneByteReader(bytes.NewReader(wire))), ldap.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			checkRoundTrip(t, got)
		})
	}
}

func everyMessage(t testing.TB) map[string]ldap.Message {
	failed := ldap.Result{Code: ldap.Unavailable, MatchedDN: "o=x", Diagnostic: "later", Referrals: []string{"ldap://a", "ldap://b"}}
	blob := bytes.Repeat([]byte{0xde, 0xad}, 40000)
	return map[string]ldap.Message{
		"bind":              {ID: 1, Op: ldap.BindRequest{Version: 3, Name: "cn=a", Credentials: []byte("secret")}},
		"bind SASL":         {ID: 1, Op: ldap.BindRequest{Version: 3, Method: ldap.SASL, Mechanism: "GSSAPI", Credentials: []byte{0}}},
		"bind SASL, short":  {ID: 1, Op: ldap.BindRequest{Version: 3, Method: ldap.SASL, Mechanism: "EXTERNAL"}},
		"bind sicily":       {ID: 1, Op: ldap.BindRequest{Version: 3, Method: 9, Credentials: []byte("NTLM")}},
		"bind response":     {ID: 1<<31 - 1, Op: ldap.BindResponse{Result: failed, ServerSASLCreds: []byte{}}},
		"unbind":            {ID: 128, Op: ldap.UnbindRequest{}},
		"abandon":           {ID: 255, Op: ldap.AbandonRequest{ID: 256}},
		"search":            {ID: 2, Op: ldap.SearchRequest{Base: "o=a", Scope: ldap.SingleLevel, SizeLimit: 100, TimeLimit: 60, TypesOnly: true, Filter: mustFilter(t, "(&(mail=a@b)(!(cn=x*y*z))(|)(c>=1)(d<=2)(e~=3)(f=*)(o:dn:2.4.6:=g))"), Attributes: []string{"*", "1.1"}}},
		"entry":             {ID: 2, Op: ldap.SearchResultEntry{DN: "cn=a", Attributes: []ldap.Attribute{{Type: "userCertificate;binary", Values: [][]byte{blob, {}}}, {Type: "cn"}}}},
		"reference":         {ID: 2, Op: ldap.SearchResultReference{URLs: []string{"ldap://x/o=y"}}},
		"done":              {ID: 2, Op: ldap.SearchResultDone{Result: failed}, Controls: []ldap.Control{ldap.PagedResults{Size: 1000, Cookie: []byte("c")}.Control(true)}},
		"add":               {ID: 3, Op: ldap.UpdateRequest{Op: ldap.Add, Body: []byte("opaque")}},
		"delete":            {ID: 3, Op: ldap.UpdateRequest{Op: ldap.Delete, Body: []byte("o=x")}},
		"modify response":   {ID: 3, Op: ldap.UpdateResponse{Op: ldap.Modify, Result: failed}},
		"add response":      {ID: 3, Op: ldap.UpdateResponse{Op: ldap.Add}},
		"delete response":   {ID: 3, Op: ldap.UpdateResponse{Op: ldap.Delete}},
		"modifyDN response": {ID: 3, Op: ldap.UpdateResponse{Op: ldap.ModifyDN}},
		"compare response":  {ID: 3, Op: ldap.UpdateResponse{Op: ldap.Compare}},
		"extended":          {ID: 4, Op: ldap.ExtendedRequest{Name: ldap.OIDStartTLS}},
		"cancel":            {ID: 4, Op: ldap.Cancel(300)},
		"extended response": {ID: 4, Op: ldap.ExtendedResponse{Name: "1.2", Value: []byte{}}},
		"intermediate":      {ID: 4, Op: ldap.IntermediateResponse{Name: "1.2.3", Value: []byte("v")}},
		"notice":            ldap.NoticeOfDisconnection(ldap.Unavailable, "going"),
	}
}

func TestEveryMessageRoundTrips(t *testing.T) {
	for name, m := range everyMessage(t) {
		t.Run(name, func(t *testing.T) { checkRoundTrip(t, m) })
	}
}

// Every proper prefix of a message is an unexpected end, and nothing else.
func TestCutMessages(t *testing.T) {
	b, err := everyMessage(t)["search"].AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(nil, ldap.Limits{}); err != io.EOF {
		t.Errorf("no bytes: got %v, want io.EOF itself", err)
	}
	for n := 1; n < len(b); n++ {
		if _, err := read(b[:n], ldap.Limits{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: got %v, want unexpected EOF", n, len(b), err)
		}
	}
}

func TestRefused(t *testing.T) {
	nots := func(n int) []byte {
		f := ldap.Filter{Op: ldap.Present, Attribute: "cn"}
		for range n {
			f = ldap.Filter{Op: ldap.Not, Children: []ldap.Filter{f}}
		}
		b, err := ldap.Message{ID: 1, Op: ldap.SearchRequest{Filter: f}}.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	ors, err := ldap.Message{ID: 1, Op: ldap.SearchRequest{Filter: ldap.Filter{Op: ldap.Or, Children: make([]ldap.Filter, 5000)}}}.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][]byte{
		"TLS hello":                  unhex(t, "1603010200010001fc0303"),
		"2 GiB follow":               unhex(t, "30847fffffff"),
		"2^63 follow":                unhex(t, "3088ffffffffffffffff"),
		"indefinite length":          unhex(t, "3080020101420000 00"),
		"nine length octets":         unhex(t, "3089000000000000000005020101 4200"),
		"indefinite length inside":   unhex(t, "3005020101 6380"),
		"5000 nested NOTs":           nots(5000),
		"62 nested NOTs":             nots(62),
		"5000 filters":               ors,
		"empty message":              unhex(t, "3000"),
		"id alone":                   unhex(t, "3003020101"),
		"empty search":               unhex(t, "3005020101 6300"),
		"negative id":                unhex(t, "30050201ff 4200"),
		"id of five octets":          unhex(t, "30090205 0100000000 4200"),
		"id without octets":          unhex(t, "30040200 4200"),
		"id of nine octets":          unhex(t, "300d0209 000000000000000001 4200"),
		"unknown operation":          unhex(t, "3005020101 7d00"),
		"inner longer than outer":    unhex(t, "3005020101 6004"),
		"tag of two octets":          unhex(t, "3006020101 7f2100"),
		"bind without choice":        unhex(t, "300a020101 6005 020103 0400"),
		"bind, SASL primitive":       unhex(t, "300c020101 6007 020103 0400 8300"),
		"NOT of two":                 unhex(t, "301e020101 6319 0400 0a0100 0a0100 020100 020100 010100 a204 8700 8700 3000"),
		"substrings of nothing":      unhex(t, "301e020101 6319 0400 0a0100 0a0100 020100 020100 010100 a404 0400 3000 3000"),
		"final substring first":      unhex(t, "30220201 01 631d 0400 0a0100 0a0100 020100 020100 010100 a408 0400 3004 8200 8100 3000"),
		"extensible without subject": unhex(t, "301c020101 6317 0400 0a0100 0a0100 020100 020100 010100 a902 8300 3000"),
		"filter choice 10":           unhex(t, "301a020101 6315 0400 0a0100 0a0100 020100 020100 010100 aa00 3000"),
		"boolean of two octets":      unhex(t, "301b020101 6316 0400 0a0100 0a0100 020100 020100 01020000 8700 3000"),
	}
	for name, wire := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := read(wire, ldap.Limits{})
			if err == nil || fault.KindOf(err) != fault.Invalid {
				t.Errorf("got %+v, %v; want an invalid message", m, err)
			}
		})
	}
	if _, err := read(nots(61), ldap.Limits{}); err != nil {
		t.Errorf("61 NOTs, 64 levels in all: %v", err)
	}
}

// A header alone makes nobody allocate what it claims.
func TestClaimedLengthIsNotAllocated(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, err := read(unhex(t, "308400ffffff0000"), ldap.Limits{MaxPDUBytes: 1 << 24}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(100*64<<10); got > limit {
		t.Errorf("100 headers claiming 16 MiB allocated %d bytes, want at most %d", got, limit)
	}
}

func TestReadErrorsAreKept(t *testing.T) {
	broken := errors.New("broken pipe")
	for name, first := range map[string]string{"before": "", "in the header": "30", "in the body": "300502"} {
		r := bufio.NewReader(io.MultiReader(bytes.NewReader(unhex(t, first)), iotest.ErrReader(broken)))
		if _, err := ldap.ReadMessage(r, ldap.Limits{}); !errors.Is(err, broken) {
			t.Errorf("%s: got %v, want %v", name, err, broken)
		}
	}
}

func TestNotEncodable(t *testing.T) {
	search := func(f ldap.Filter) ldap.Message { return ldap.Message{ID: 1, Op: ldap.SearchRequest{Filter: f}} }
	tests := map[string]ldap.Message{
		"nothing":               {},
		"negative id":           {ID: -1, Op: ldap.UnbindRequest{}},
		"negative limit":        {ID: 1, Op: ldap.SearchRequest{SizeLimit: -1}},
		"NOT of none":           search(ldap.Filter{Op: ldap.Not}),
		"substrings of nothing": search(ldap.Filter{Op: ldap.Substrings}),
		"extensible of nothing": search(ldap.Filter{Op: ldap.Extensible}),
		"no such choice":        search(ldap.Filter{Op: 10}),
	}
	for name, m := range tests {
		if b, err := m.AppendTo(nil); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %x, %v; want it refused", name, b, err)
		}
	}
}

func TestResponseTo(t *testing.T) {
	r := ldap.Result{Code: ldap.Busy}
	for _, tt := range []struct{ request, response ldap.Op }{
		{ldap.UnbindRequest{}, nil},
		{ldap.AbandonRequest{ID: 1}, nil},
		{ldap.SearchResultDone{}, nil},
		{ldap.BindRequest{}, ldap.BindResponse{Result: r}},
		{ldap.SearchRequest{}, ldap.SearchResultDone{Result: r}},
		{ldap.ExtendedRequest{}, ldap.ExtendedResponse{Result: r}},
		{ldap.UpdateRequest{Op: ldap.Delete}, ldap.UpdateResponse{Op: ldap.Delete, Result: r}},
	} {
		if got := ldap.ResponseTo(tt.request, r); !reflect.DeepEqual(got, tt.response) {
			t.Errorf("%T: got %#v, want %#v", tt.request, got, tt.response)
		}
	}
}

func TestControlValues(t *testing.T) {
	p := ldap.PagedResults{Size: 1000, Cookie: []byte("next")}
	if got, err := ldap.ParsePagedResults(p.Control(true).Value); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("got %+v, %v; want %+v", got, err, p)
	}
	if got, err := ldap.ParseCancel(ldap.Cancel(70000).Value); err != nil || got != 70000 {
		t.Errorf("got %d, %v; want 70000", got, err)
	}
	for _, bad := range []string{"", "00", "3000", "30030201ff", "3080"} {
		if p, err := ldap.ParsePagedResults(unhex(t, bad)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("paged results %q: got %+v, %v; want it refused", bad, p, err)
		}
		if id, err := ldap.ParseCancel(unhex(t, bad)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("cancel %q: got %d, %v; want it refused", bad, id, err)
		}
	}
}

// What parses encodes to bytes that parse to the same value, and to the same
// bytes from then on.
func FuzzReadMessage(f *testing.F) {
	for _, m := range everyMessage(f) {
		b, err := m.AppendTo(nil)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 1000 {
			f.Add(b)
		}
	}
	f.Add(unhex(f, "3084000000050201014200"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := read(b, ldap.Limits{})
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF {
				t.Fatalf("error of kind %v: %v", k, err)
			}
			return
		}
		checkRoundTrip(t, m)
		if s, ok := m.Op.(ldap.SearchRequest); ok {
			_ = s.Filter.String()
		}
	})
}

func BenchmarkSearch(b *testing.B) {
	request := ldap.Message{ID: 7, Op: ldap.SearchRequest{
		Base: "o=bridge", Scope: ldap.WholeSubtree, Filter: mustFilter(b, "(mail=bob@beta.example)"),
		Attributes: []string{"usercertificate;binary"},
	}}
	wire, err := request.AppendTo(nil)
	if err != nil {
		b.Fatal(err)
	}
	entry := ldap.Message{ID: 7, Op: ldap.SearchResultEntry{DN: "mail=bob@beta.example,o=bridge", Attributes: []ldap.Attribute{
		{Type: "mail", Values: [][]byte{[]byte("bob@beta.example")}},
		{Type: "userCertificate;binary", Values: [][]byte{make([]byte, 1500)}},
	}}}
	done := ldap.Message{ID: 7, Op: ldap.SearchResultDone{}}
	src := bytes.NewReader(nil)
	r := bufio.NewReader(src)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(wire)
		r.Reset(src)
		if _, err := ldap.ReadMessage(r, ldap.Limits{}); err != nil {
			b.Fatal(err)
		}
		if out, err = entry.AppendTo(out[:0]); err != nil {
			b.Fatal(err)
		}
		if out, err = done.AppendTo(out); err != nil {
			b.Fatal(err)
		}
	}
}
