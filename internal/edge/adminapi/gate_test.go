package adminapi_test

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"bridge.example/api/convert"
	bridgev1 "bridge.example/api/proto"
	"bridge.example/internal/people"
	"bridge.example/membership"
)

var update = flag.Bool("update", false, "write the golden table anew")

const matrixFile = "testdata/who-may-what.txt"

// visitor is a kind of caller, and the connection of one.
type visitor struct {
	name string
	conn *grpc.ClientConn
	role membership.Role // "" for those who are no person in force
}

// visitors are one of each role, and one of each kind who may do nothing.
func visitors(t *testing.T, i interfaceAt) (out []visitor) {
	t.Helper()
	enrolled := func(name string, roles ...membership.Role) tls.Certificate {
		cert := i.ca.issue(t, name, x509.ExtKeyUsageClientAuth)
		var member membership.ID
		if slices.Contains(roles, membership.Applicant) || slices.Contains(roles, membership.MemberRole) {
			member = "alpha"
		}
		i.enrol(t, people.ID(name), cert, member, roles...)
		return cert
	}
	for _, r := range membership.Roles() {
		out = append(out, visitor{string(r), i.dial(t, nil, enrolled(string(r)+"-1", r)), r})
	}
	withdrawn := enrolled("withdrawn", membership.Officer)
	expired := enrolled("expired", membership.Officer)
	for id, edit := range map[people.ID]func(*people.Credential){
		"withdrawn": func(c *people.Credential) { c.Withdrawal = &people.Withdrawal{Reason: "lost"} },
		"expired":   func(c *people.Credential) { c.NotAfter = time.Now().Add(-time.Minute) },
	} {
		p, err := i.store.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		edit(&p.Credentials[0])
		if _, err := i.store.Save(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	return append(out,
		visitor{name: "anonymous", conn: i.dial(t, nil)},
		visitor{name: "withdrawn", conn: i.dial(t, nil, withdrawn)},
		visitor{name: "expired", conn: i.dial(t, nil, expired)},
		visitor{name: "no role", conn: i.dial(t, nil, enrolled("roleless"))},
		visitor{name: "unknown", conn: i.dial(t, nil, i.ca.issue(t, "carl", x509.ExtKeyUsageClientAuth))},
		visitor{name: "foreign CA", conn: i.dial(t, nil, newAuthority(t, "admin CA").issue(t, "officer-1", x509.ExtKeyUsageClientAuth))},
	)
}

// expected is what the option in bridge.proto says about a visitor: "yes",
// "own", "self" or "-".
func expected(rule *bridgev1.Rule, v visitor) string {
	switch {
	case rule.Anyone && (v.role != "" || v.name == "anonymous" || v.name == "no role"):
		return "yes"
	case v.role == "":
		return "-"
	case rule.Person, slices.Contains(rule.Roles, convert.FromRole(v.role)):
		return "yes"
	case slices.Contains(rule.Own, convert.FromRole(v.role)):
		return "own"
	case rule.Self:
		return "self"
	}
	return "-"
}

// deed is what the matrix has a line for: an RPC, or one decision.
type deed struct {
	name   string
	method protoreflect.MethodDescriptor
	verb   membership.Verb
	rule   *bridgev1.Rule // what bridge.proto or the table of decisions says
}

func deeds(t *testing.T) (out []deed) {
	t.Helper()
	methods := bridgev1.File_bridge_proto.Services().ByName("Bridge").Methods()
	for j := range methods.Len() {
		m := methods.Get(j)
		rule, ok := proto.GetExtension(m.Options(), bridgev1.E_Rule).(*bridgev1.Rule)
		if !ok || rule == nil {
			t.Fatalf("%s has no rule", m.Name())
		}
		if !rule.Decides {
			out = append(out, deed{string(m.Name()), m, "", rule})
			continue
		}
		out = append(out, deed{string(m.Name()) + " of none", m, "", &bridgev1.Rule{}})
		for _, v := range membership.Verbs() {
			d := deed{string(m.Name()) + " " + string(v), m, v, &bridgev1.Rule{}}
			for _, r := range membership.Deciders(v) {
				if r == membership.Applicant || r == membership.MemberRole {
					d.rule.Own = append(d.rule.Own, convert.FromRole(r))
				} else {
					d.rule.Roles = append(d.rule.Roles, convert.FromRole(r))
				}
			}
			out = append(out, d)
		}
	}
	return out
}

// ask makes a call about the member and person named, and reports whether the
// gate let it in. Whatever else is wrong with the request does not matter.
func ask(t *testing.T, v visitor, d deed, member, person string) bool {
	t.Helper()
	m := d.method
	request := dynamicpb.NewMessage(m.Input())
	set := func(to protoreflect.Message, name protoreflect.Name, value string) {
		if f := to.Descriptor().Fields().ByName(name); f != nil && f.Kind() == protoreflect.StringKind {
			to.Set(f, protoreflect.ValueOfString(value))
		}
	}
	set(request, "id", member)
	set(request, "person", person)
	if f := m.Input().Fields().ByName("application"); f != nil {
		set(request.Mutable(f).Message(), "id", member)
	}
	if f := m.Input().Fields().ByName("verb"); f != nil {
		request.Set(f, protoreflect.ValueOfEnum(convert.FromVerb(d.verb).Number()))
	}
	err := v.conn.Invoke(t.Context(), fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()), request, dynamicpb.NewMessage(m.Output()))
	switch s := status.Convert(err); {
	case s.Code() == codes.Internal, s.Code() == codes.Unimplemented, s.Code() == codes.Unknown:
		t.Errorf("%s calls %s: %v", v.name, d.name, err)
	case s.Code() == codes.Unavailable:
		return false // the handshake; how that is said depends on who closes first
	case s.Code() == codes.PermissionDenied:
		// Who was let in may still be refused, by the register of persons.
		return strings.Contains(s.Message(), "nobody appoints themselves")
	}
	return true
}

// may is what a person was told of a deed, as in the table.
func (v visitor) may(t *testing.T, d deed) string {
	t.Helper()
	me, err := bridgev1.NewBridgeClient(v.conn).WhoAmI(t.Context(), &bridgev1.WhoAmIRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range me.May {
		if p.Rpc == string(d.method.Name()) && p.Verb == convert.FromVerb(d.verb) {
			return map[bridgev1.Scope]string{bridgev1.Scope_SCOPE_ALL: "yes", bridgev1.Scope_SCOPE_OWN: "own", bridgev1.Scope_SCOPE_SELF: "self"}[p.Scope]
		}
	}
	return "-"
}

// TestMatrix has every kind of caller make every call and try every decision,
// and holds the answers against bridge.proto, the table of decisions, what
// WhoAmI promises, and a table for people to read.
func TestMatrix(t *testing.T) {
	i := start(t, newFake(t), quiet)
	all := visitors(t, i)
	var table bytes.Buffer
	fmt.Fprintf(&table, "Who may call and decide what, made by the tests from bridge.proto and membership.\nown: about the member for whom they act; self: about themselves.\n\n%-26s", "")
	for _, v := range all {
		fmt.Fprintf(&table, "%-11s", v.name)
	}
	table.WriteString("\n")
	for _, d := range deeds(t) {
		fmt.Fprintf(&table, "%-26s", d.name)
		for _, v := range all {
			self := string(v.role) + "-1"
			want, got := expected(d.rule, v), "-"
			switch {
			case ask(t, v, d, "beta", "somebody"):
				got = "yes"
			case ask(t, v, d, "alpha", "somebody"):
				got = "own"
			case ask(t, v, d, "beta", self):
				got = "self"
			}
			if got != want {
				t.Errorf("%s calls %s: got %q, want %q", v.name, d.name, got, want)
			}
			if v.role != "" {
				if told := v.may(t, d); told != want {
					t.Errorf("%s was told %q about %s, want %q", v.name, told, d.name, want)
				}
			}
			fmt.Fprintf(&table, "%-11s", want)
		}
		table.WriteString("\n")
	}
	lines := strings.Split(table.String(), "\n")
	for k := range lines {
		lines[k] = strings.TrimRight(lines[k], " ")
	}
	got := strings.Join(lines, "\n")
	if *update {
		if err := os.MkdirAll(filepath.Dir(matrixFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(matrixFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(matrixFile)
	if err != nil || string(want) != got {
		t.Errorf("%s is not what the rules say; look at the difference and run the test with -update: %v\n%s", matrixFile, err, got)
	}
}

// TestWithdrawnOnOpenConnection ends a credential whose connection stays open.
func TestWithdrawnOnOpenConnection(t *testing.T) {
	i := start(t, newFake(t), quiet)
	for _, other := range []string{"dora", "emil"} {
		i.as(t, other)
	}
	anna, bert := i.as(t, "anna"), i.as(t, "bert")
	if _, err := anna.GetStatus(t.Context(), &bridgev1.GetStatusRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := bert.WithdrawCredential(t.Context(), &bridgev1.WithdrawCredentialRequest{Person: "anna", Reason: "stolen"}); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"reading": func() error { _, err := anna.GetStatus(t.Context(), &bridgev1.GetStatusRequest{}); return err }(),
		"a path":  func() error { _, err := anna.BuildPath(t.Context(), &bridgev1.BuildPathRequest{}); return err }(),
	} {
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s after the withdrawal: got %v", name, err)
		}
	}
	// A role goes as fast.
	if _, err := bert.WithdrawRole(t.Context(), &bridgev1.WithdrawRoleRequest{Person: "emil", Role: bridgev1.Role_ROLE_APPROVER, Reason: "left"}); err != nil {
		t.Fatal(err)
	}
}

// TestGuests has somebody without a credential ask for paths until told to wait.
func TestGuests(t *testing.T) {
	i := start(t, newFake(t), quiet)
	anna := i.as(t, "anna")
	guest := bridgev1.NewBridgeClient(i.dial(t, nil))
	answered := 0
	for range 30 {
		_, err := guest.BuildPath(t.Context(), &bridgev1.BuildPathRequest{})
		if status.Code(err) == codes.InvalidArgument {
			answered++
		} else if status.Code(err) != codes.Unavailable {
			t.Fatalf("got %v", err)
		}
	}
	if answered < 10 || answered > 20 {
		t.Errorf("%d of 30 questions were answered, want about 10", answered)
	}
	if _, err := anna.BuildPath(t.Context(), &bridgev1.BuildPathRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a guest's questions count against anna: %v", err)
	}
}

// TestLobby opens more connections without a certificate than there are seats,
// and sends more than one may.
func TestLobby(t *testing.T) {
	i := start(t, newFake(t), quiet)
	open := func() *tls.Conn {
		c, err := tls.Dial("tcp", i.addr, i.clientTLS())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	// The server speaks first, when there is a seat.
	seated := func(c *tls.Conn) bool { _, err := c.Read(make([]byte, 1)); return err == nil }
	var first *tls.Conn
	for range 64 {
		c := open()
		if !seated(c) {
			t.Fatal("no seat for one of the first 64")
		}
		first = cmp.Or(first, c)
	}
	if seated(open()) {
		t.Error("a seat for the 65th")
	}
	if _, err := i.as(t, "anna").WhoAmI(t.Context(), &bridgev1.WhoAmIRequest{}); err != nil {
		t.Errorf("guests keep anna out: %v", err)
	}
	if _, err := first.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(first, nil)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var err error
	for n := 0; err == nil && n < 4<<20; n += 17 {
		err = framer.WritePing(true, [8]byte{})
	}
	if err == nil {
		t.Error("a guest may send 4 MiB")
	}
	// Whoever is shown out leaves a seat.
	free := false
	for n := 0; !free && n < 100; n++ {
		free = seated(open())
	}
	if !free {
		t.Error("no seat after one became free")
	}
}

// TestPaths asks for RPCs by names that are not quite theirs, below the gRPC
// client, which would refuse some itself.
func TestPaths(t *testing.T) {
	i := start(t, newFake(t), quiet)
	officer := i.ca.issue(t, "anna", x509.ExtKeyUsageClientAuth)
	i.enrol(t, "anna", officer, "", membership.Auditor)
	for _, path := range []string{
		"bridge.v1.Bridge/DecideMember", "//bridge.v1.Bridge/DecideMember", "/bridge.v1.Bridge//DecideMember", "/bridge.v1.Bridge/DecideMember/",
		"/bridge.v1.bridge/DecideMember", "/bridge.v1.Bridge/decidemember", "/bridge.v1.Bridge/BuildPath/../DecideMember", "/bridge.v1.Bridge/DecideMember?x",
		"/bridge.v1.Bridge/%44ecideMember", "/x/../bridge.v1.Bridge/DecideMember", "*", "", "/", "/bridge.v1.Bridge/", "/bridge.v1.Bridge/Novelty",
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
		"/grpc.health.v1.Health/Check", "/grpc.channelz.v1.Channelz/GetServers",
	} {
		got := i.post(t, officer, path)
		if got != "12" && got != "7" && got != "reset" { // UNIMPLEMENTED, PERMISSION_DENIED
			t.Errorf("%q: grpc-status %q", path, got)
		}
	}
	if got := i.post(t, officer, "/bridge.v1.Bridge/GetStatus"); got != "0" {
		t.Errorf("the true path: grpc-status %q, want 0", got)
	}
}

// post makes one call with an empty message and returns its grpc-status.
func (i interfaceAt) post(t *testing.T, cert tls.Certificate, path string) string {
	t.Helper()
	c, err := tls.Dial("tcp", i.addr, i.clientTLS(cert))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":path", path}, {":authority", "bridged"}, {"content-type", "application/grpc"}, {"te", "trailers"}} {
		if err := encoder.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(c, c)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for _, err := range []error{
		framer.WriteSettings(),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}),
		framer.WriteData(1, true, make([]byte, 5)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			return "reset"
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			for _, h := range f.Fields {
				if h.Name == "grpc-status" {
					return h.Value
				}
			}
			if f.StreamEnded() {
				return "reset"
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return "reset"
		}
	}
}

// clientTLS trusts the server, and shows certs.
func (i interfaceAt) clientTLS(certs ...tls.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(i.ca.cert)
	return &tls.Config{RootCAs: pool, ServerName: "bridged", Certificates: certs, NextProtos: []string{"h2"}}
}
