package ldapfront_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"bridge.example/internal/edge/ldapfront"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

func TestBind(t *testing.T) {
	bind := func(b ldap.BindRequest) ldap.Message { return ldap.Message{ID: 1, Op: b} }
	tests := map[string]struct {
		v2      bool
		request ldap.Message
		want    ldap.ResultCode
	}{
		"anonymous":                      {false, anonymousBind(1), ldap.Success},
		"password":                       {false, bind(ldap.BindRequest{Version: 3, Name: "cn=a", Credentials: []byte("x")}), ldap.InvalidCredentials},
		"password without name":          {false, bind(ldap.BindRequest{Version: 3, Credentials: []byte("x")}), ldap.InvalidCredentials},
		"name without password":          {false, bind(ldap.BindRequest{Version: 3, Name: "cn=a"}), ldap.UnwillingToPerform},
		"SASL":                           {false, bind(ldap.BindRequest{Version: 3, Method: ldap.SASL, Mechanism: "EXTERNAL"}), ldap.AuthMethodNotSupported},
		"Windows method":                 {false, bind(ldap.BindRequest{Version: 3, Method: 9, Credentials: []byte("NTLM")}), ldap.AuthMethodNotSupported},
		"version 2, not offered":         {false, bind(ldap.BindRequest{Version: 2}), ldap.ProtocolError},
		"version 2, offered":             {true, bind(ldap.BindRequest{Version: 2}), ldap.Success},
		"version 2, offered, a name":     {true, bind(ldap.BindRequest{Version: 2, Name: "cn=a"}), ldap.UnwillingToPerform},
		"version 4":                      {true, bind(ldap.BindRequest{Version: 4}), ldap.ProtocolError},
		"critical control":               {false, withControl(anonymousBind(1), "1.2.3", true), ldap.UnavailableCriticalExtension},
		"other control":                  {false, withControl(anonymousBind(1), "1.2.3", false), ldap.Success},
		"critical paged results control": {false, withControl(anonymousBind(1), ldap.OIDPagedResults, true), ldap.UnavailableCriticalExtension},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := start(t, bobOnly, ldapfront.Options{LDAPv2: tt.v2}).dial(t)
			c.send(tt.request)
			c.want(1, tt.want)
			// Whatever came of it, the connection goes on, anonymously.
			c.send(search(2))
			c.receive()
			c.want(2, ldap.Success)
		})
	}
}

func withControl(m ldap.Message, oid string, critical bool) ldap.Message {
	m.Controls = append(m.Controls, ldap.Control{OID: oid, Critical: critical})
	return m
}

// What the directory is asked, and what the client gets, without a bind.
func TestSearchBothWays(t *testing.T) {
	asked := make(chan vdir.Query, 1)
	f := start(t, func(ctx context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
		asked <- q
		return bobOnly(ctx, q, yield)
	}, ldapfront.Options{SizeLimit: 100, TimeLimit: time.Minute})
	c := f.dial(t)
	c.send(ldap.Message{ID: 9, Op: ldap.SearchRequest{
		Base: "o=Bridge", Scope: ldap.SingleLevel, Deref: 3, SizeLimit: 2, TimeLimit: 3600, TypesOnly: true,
		Filter: ldap.Filter{Op: ldap.Present, Attribute: "mail"}, Attributes: []string{"*", "usercertificate;binary"},
	}})
	entry := ldap.Message{ID: 9, Op: ldap.SearchResultEntry{DN: bob.DN, Attributes: []ldap.Attribute{
		ldap.Attribute(bob.Attributes[0]), ldap.Attribute(bob.Attributes[1]),
	}}}
	if got := c.receive(); !reflect.DeepEqual(got, entry) {
		t.Errorf("got %+v, want %+v", got, entry)
	}
	c.want(9, ldap.Success)
	want := vdir.Query{
		Base: "o=Bridge", Scope: vdir.SingleLevel, Filter: ldap.Filter{Op: ldap.Present, Attribute: "mail"},
		Attributes: []string{"*", "usercertificate;binary"}, TypesOnly: true, SizeLimit: 2, TimeLimit: time.Minute,
	}
	if got := <-asked; !reflect.DeepEqual(got, want) {
		t.Errorf("asked %+v, want %+v", got, want)
	}
}

func TestResults(t *testing.T) {
	tests := map[string]struct {
		outcome vdir.Outcome
		err     error
		want    ldap.Result
	}{
		"found all":   {want: ldap.Result{}},
		"more":        {outcome: vdir.Outcome{SizeLimitExceeded: true}, want: ldap.Result{Code: ldap.SizeLimitExceeded}},
		"mounts gone": {outcome: vdir.Outcome{Unavailable: []string{"alpha", "beta"}}, want: ldap.Result{Code: ldap.Unavailable, Diagnostic: "no answer from alpha, beta"}},
		"more, and mounts gone": {outcome: vdir.Outcome{SizeLimitExceeded: true, Unavailable: []string{"beta"}},
			want: ldap.Result{Code: ldap.SizeLimitExceeded, Diagnostic: "no answer from beta"}},
		"unwilling":   {err: fmt.Errorf("bob@beta.example: %w", vdir.ErrUnwilling), want: ldap.Result{Code: ldap.UnwillingToPerform, Diagnostic: vdir.ErrUnwilling.Error()}},
		"invalid":     {err: fault.New(fault.Invalid, "secret"), want: ldap.Result{Code: ldap.ProtocolError, Diagnostic: "malformed base or filter"}},
		"not found":   {err: fault.New(fault.NotFound, "secret"), want: ldap.Result{Code: ldap.NoSuchObject}},
		"conflict":    {err: fault.New(fault.Conflict, "secret"), want: ldap.Result{Code: ldap.Busy}},
		"denied":      {err: fault.New(fault.Denied, "secret"), want: ldap.Result{Code: ldap.InsufficientAccessRights}},
		"unavailable": {err: fault.New(fault.Unavailable, "secret"), want: ldap.Result{Code: ldap.Unavailable}},
		"a mount too slow": {err: fault.New(fault.Unavailable, "secret: %w", context.DeadlineExceeded), outcome: vdir.Outcome{Unavailable: []string{"beta"}},
			want: ldap.Result{Code: ldap.Unavailable, Diagnostic: "no answer from beta"}},
		"too slow": {err: fmt.Errorf("secret: %w", context.DeadlineExceeded), want: ldap.Result{Code: ldap.TimeLimitExceeded}},
		"given up": {err: context.Canceled, want: ldap.Result{Code: ldap.Unavailable}},
		"internal": {err: fault.New(fault.Internal, "secret"), want: ldap.Result{Code: ldap.Other}},
		"unknown":  {err: errors.New("secret"), want: ldap.Result{Code: ldap.Other}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := start(t, func(_ context.Context, _ vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
				if err := yield(bob); err != nil {
					return vdir.Outcome{}, err
				}
				return tt.outcome, tt.err
			}, ldapfront.Options{}).dial(t)
			c.send(search(1))
			c.receive() // the entry found before
			if got := c.result(1); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// What is not a search gets a response of its own type.
func TestOtherRequests(t *testing.T) {
	c := start(t, bobOnly, ldapfront.Options{}).dial(t)
	unwilling := ldap.Result{Code: ldap.UnwillingToPerform, Diagnostic: "this directory only answers searches"}
	for _, op := range []ldap.UpdateOp{ldap.Modify, ldap.Add, ldap.Delete, ldap.ModifyDN, ldap.Compare} {
		c.send(ldap.Message{ID: 5, Op: ldap.UpdateRequest{Op: op, Body: []byte{4, 0}}})
		if got, want := c.receive(), (ldap.Message{ID: 5, Op: ldap.UpdateResponse{Op: op, Result: unwilling}}); !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %+v, want %+v", op, got, want)
		}
	}
	c.send(ldap.Message{ID: 6, Op: ldap.ExtendedRequest{Name: ldap.OIDWhoAmI}})
	if got, want := c.receive(), (ldap.Message{ID: 6, Op: ldap.ExtendedResponse{Value: []byte{}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("who am I: got %+v, want %+v", got, want)
	}
	for name, want := range map[string]ldap.ResultCode{
		"1.2.3":          ldap.ProtocolError,
		ldap.OIDStartTLS: ldap.ProtocolError, // no TLS configured
		ldap.OIDCancel:   ldap.ProtocolError, // no value
	} {
		c.send(ldap.Message{ID: 7, Op: ldap.ExtendedRequest{Name: name}})
		c.want(7, want)
	}
	c.send(ldap.Message{ID: 8, Op: ldap.Cancel(1)})
	c.want(8, ldap.NoSuchOperation)
	c.send(ldap.Message{ID: 9, Op: ldap.UnbindRequest{}})
	c.wantEnd()
}

func TestControls(t *testing.T) {
	c := start(t, bobOnly, ldapfront.Options{}).dial(t)
	page := func(p ldap.PagedResults) ldap.Message {
		m := search(1)
		m.Controls = []ldap.Control{p.Control(true)}
		return m
	}
	for name, tt := range map[string]struct {
		request ldap.Message
		want    ldap.ResultCode
	}{
		"unknown, critical":     {withControl(search(1), "1.2.3", true), ldap.UnavailableCriticalExtension},
		"paged, without value":  {withControl(search(1), ldap.OIDPagedResults, false), ldap.ProtocolError},
		"paged, foreign cookie": {page(ldap.PagedResults{Size: 1, Cookie: []byte("x")}), ldap.UnwillingToPerform},
	} {
		c.send(tt.request)
		if got := c.result(1); got.Code != tt.want {
			t.Errorf("%s: got %+v, want %v", name, got, tt.want)
		}
	}
	c.send(withControl(withControl(search(2), "1.2.3", false), ldap.OIDManageDsaIT, true))
	c.receive()
	c.want(2, ldap.Success)

	c.send(page(ldap.PagedResults{Size: 1}))
	c.receive()
	want := ldap.Message{ID: 1, Op: ldap.SearchResultDone{}, Controls: []ldap.Control{ldap.PagedResults{}.Control(false)}}
	if got := c.receive(); !reflect.DeepEqual(got, want) {
		t.Errorf("paged: got %+v, want %+v", got, want)
	}
}

// Requests as real clients sent them, in one piece and byte by byte.
func TestGoldenRequests(t *testing.T) {
	f := start(t, bobOnly, ldapfront.Options{})
	for name, wire := range map[string]string{
		"dirmngr": "3034020101632f04036f3d610a01020a0100020100020100010100a31704046d61696c040f757365723540612e6578616d706c653000",
		"JNDI": "3051020101632f04036f3d610a01020a0103020100020100010100a31704046d61696c040f757365723540612e6578616d706c653000" +
			"a01b30190417322e31362e3834302e312e3131333733302e332e342e32",
		"Windows": "3084000000400201016384000000370" + "4036f3d610a01020a0100020100020100010100" +
			"a3840000001704046d61696c040f757365723540612e6578616d706c65308400000000",
	} {
		request, err := hex.DecodeString(wire)
		if err != nil {
			t.Fatal(err)
		}
		c := f.dial(t)
		c.sendRaw(request)
		c.receive()
		c.want(1, ldap.Success)
		for _, b := range request {
			c.sendRaw([]byte{b})
		}
		c.receive()
		if r := c.result(1); r.Code != ldap.Success {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

// Bytes that are no request: a notice, the end, and nobody else notices.
func TestMalformed(t *testing.T) {
	nots := ldap.Filter{Op: ldap.Present, Attribute: "cn"}
	for range 5000 {
		nots = ldap.Filter{Op: ldap.Not, Children: []ldap.Filter{nots}}
	}
	f := start(t, bobOnly, ldapfront.Options{})
	bystander := f.dial(t)
	tests := map[string][]byte{
		"one byte":         []byte("G"),
		"HTTP":             []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("x", 100_000)),
		"TLS hello":        {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc},
		"2 GiB follow":     {0x30, 0x84, 0x7f, 0xff, 0xff, 0xff},
		"indefinite":       {0x30, 0x80},
		"empty search":     {0x30, 0x05, 0x02, 0x01, 0x01, 0x63, 0x00},
		"5000 nested NOTs": encode(t, ldap.Message{ID: 1, Op: ldap.SearchRequest{Filter: nots}}),
		"message ID 0":     encode(t, search(0)),
		"a response":       encode(t, ldap.Message{ID: 1, Op: ldap.SearchResultDone{}}),
	}
	for name, wire := range tests {
		t.Run(name, func(t *testing.T) {
			c := f.dial(t)
			c.sendRaw(wire)
			c.wantNotice(ldap.ProtocolError)
		})
	}
	bystander.send(search(1))
	bystander.receive()
	bystander.want(1, ldap.Success)
}

func TestPanicIsOneOperations(t *testing.T) {
	f := start(t, func(ctx context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
		if q.Base == "panic" {
			panic("oops")
		}
		return bobOnly(ctx, q, yield)
	}, ldapfront.Options{})
	c := f.dial(t)
	c.send(ldap.Message{ID: 1, Op: ldap.SearchRequest{Base: "panic", Filter: ldap.Filter{Op: ldap.And}}})
	if got, want := c.result(1), (ldap.Result{Code: ldap.Other}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	c.send(search(2))
	c.receive()
	c.want(2, ldap.Success)
	if err := f.stop(); err != nil { // the log comes after the answers
		t.Fatal(err)
	}
	if log := f.log.String(); !strings.Contains(log, "oops") || !strings.Contains(log, "level=ERROR") {
		t.Errorf("the panic is not in the log:\n%s", log)
	}
}

// No mail address reaches the log, wherever a client puts one.
func TestLogHasNoAddresses(t *testing.T) {
	f := start(t, func(context.Context, vdir.Query, func(vdir.Entry) error) (vdir.Outcome, error) {
		return vdir.Outcome{}, fault.New(fault.NotFound, "no entry mail=bob@beta.example,o=bridge")
	}, ldapfront.Options{})
	c := f.dial(t)
	value := []byte("bob@beta.example")
	filters := []ldap.Filter{
		{Op: ldap.Equality, Attribute: "mail", Value: value},
		{Op: ldap.Substrings, Attribute: "mail", Initial: value, Any: [][]byte{value}, Final: value},
		{Op: ldap.Extensible, Attribute: "mail", Rule: string(value), Value: value},
		{Op: ldap.Present, Attribute: string(value)},
	}
	for _, base := range []string{"mail=bob@beta.example,o=bridge", `mail=bob\40beta.example`, "mail=#0c10626f6240626574612e6578616d706c65", "bob%40beta.example"} {
		c.send(ldap.Message{ID: 1, Op: ldap.SearchRequest{
			Base: base, Filter: ldap.Filter{Op: ldap.Or, Children: filters}, Attributes: []string{string(value)},
		}})
		c.want(1, ldap.NoSuchObject)
	}
	c.send(ldap.Message{ID: 2, Op: ldap.BindRequest{Version: 3, Name: string(value), Credentials: []byte("hunter2")}})
	c.want(2, ldap.InvalidCredentials)
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	log := f.log.String()
	for _, secret := range []string{"bob", "beta.example", "626f62", "hunter2"} {
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log:\n%s", secret, log)
		}
	}
	if want := `filter="(|(mail=)(mail=**)(mail?=)(?=*))" entries=0 code=noSuchObject`; strings.Count(log, want) != 4 {
		t.Errorf("want four times %s:\n%s", want, log)
	}
}

// outOfDescriptors fails twice before it accepts.
type outOfDescriptors struct {
	net.Listener
	failures int
}

func (l *outOfDescriptors) Accept() (net.Conn, error) {
	if l.failures < 2 {
		l.failures++
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestAcceptFailures(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := startOn(t, &outOfDescriptors{Listener: ln}, bobOnly, ldapfront.Options{}).dial(t)
	c.send(anonymousBind(1))
	c.want(1, ldap.Success)
}

func TestListenerClosedByOthers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := ldapfront.Serve(t.Context(), ln, directory(bobOnly), ldapfront.Options{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want %v", err, net.ErrClosed)
	}
}
