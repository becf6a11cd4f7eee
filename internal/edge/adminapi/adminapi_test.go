package adminapi_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/lab"
	"bridge.example/membership"
)

var quiet = slog.New(slog.DiscardHandler)

// application uses every field.
func application(t *testing.T, id string) *proto.Application {
	t.Helper()
	der := func(name string) []byte { return newAuthority(t, id+" "+name).cert.Raw }
	return &proto.Application{
		Id: id, Name: "Org " + id, Country: "DE",
		Contacts:      []*proto.Contact{{Name: "A", Email: "a@" + id + ".example", Phone: "+49 1", Role: "security"}},
		MailDomains:   []string{id + ".example"},
		Policies:      []*proto.Policy{{Member: "1.2.3.4", Bridge: "1.2.3.5"}},
		Directories:   []*proto.Directory{{Url: "ldaps://ldap." + id + ".example", Base: "o=x", Dialect: "inetOrgPerson", BindDn: "cn=b", Credential: "file", StartTls: true, TestMailbox: "test@" + id + ".example"}},
		Anchors:       []*proto.CA{{Certificate: der("root"), Ocsp: []string{"http://o.example/"}, Crl: []string{"http://c.example/"}, TestSerials: &proto.TestSerials{Valid: "1a", Revoked: "2b", Unused: "3c"}}},
		Intermediates: []*proto.CA{{Certificate: der("issuing")}}, CrossCertificates: [][]byte{der("cross")}, CrossProfile: "compatible",
		DirectoryNames: []string{"O=" + id}, ExcludedDomains: []string{"guests." + id + ".example"},
		RegisterNumber: "HRB 1", Address: "1 Main Street", Sector: "health", Website: "https://" + id + ".example/", Languages: []string{"de"},
		Services: []string{"list", "cross-certificate"}, Delivery: "to-end", Escrow: true,
		Documents: convert.Each(lab.Declared(), convert.FromDocument),
	}
}

func TestRefusals(t *testing.T) {
	client := start(t, newFake(t), quiet).as(t, "anna")
	ctx := t.Context()
	decide := func(r *proto.DecideMemberRequest) func() error {
		return func() error { _, err := client.DecideMember(ctx, r); return err }
	}
	for _, tt := range []struct {
		name string
		call func() error
		want codes.Code
	}{
		{"no application", func() error { _, err := client.ApplyMember(ctx, &proto.ApplyMemberRequest{}); return err }, codes.InvalidArgument},
		{"an id that cannot be", func() error { _, err := client.GetMember(ctx, &proto.GetMemberRequest{Id: "../x"}); return err }, codes.InvalidArgument},
		{"a member nobody knows", func() error { _, err := client.GetMember(ctx, &proto.GetMemberRequest{Id: "gamma"}); return err }, codes.NotFound},
		{"approving nobody", decide(&proto.DecideMemberRequest{Id: "gamma", Verb: proto.Verb_VERB_APPROVE, RecordHash: strings.Repeat("0", 64)}), codes.NotFound},
		{"suspending an empty id", decide(&proto.DecideMemberRequest{Verb: proto.Verb_VERB_SUSPEND}), codes.InvalidArgument},
		{"a verb of nobody", decide(&proto.DecideMemberRequest{Id: "gamma", Verb: proto.Verb_VERB_EDIT}), codes.PermissionDenied},
		{"a verb of the calendar", decide(&proto.DecideMemberRequest{Id: "gamma", Verb: proto.Verb_VERB_LAPSE}), codes.PermissionDenied},
		{"a verb of tomorrow", decide(&proto.DecideMemberRequest{Id: "gamma", Verb: 1000}), codes.PermissionDenied},
		{"editing nobody", func() error {
			_, err := client.EditMember(ctx, &proto.EditMemberRequest{Id: "gamma", Application: application(t, "gamma")})
			return err
		}, codes.NotFound},
		{"checking nobody", func() error { _, err := client.CheckMember(ctx, &proto.CheckMemberRequest{Id: "gamma"}); return err }, codes.NotFound},
		{"an empty document", func() error { _, err := client.PutDocument(ctx, &proto.PutDocumentRequest{Id: "gamma"}); return err }, codes.InvalidArgument},
		{"a document too large", func() error {
			_, err := client.PutDocument(ctx, &proto.PutDocumentRequest{Id: "gamma", Content: make([]byte, membership.MaxDocumentBytes+1)})
			return err
		}, codes.InvalidArgument},
		{"a list before the first", func() error { _, err := client.GetList(ctx, &proto.GetListRequest{}); return err }, codes.NotFound},
		{"a page too large", func() error { _, err := client.ListMembers(ctx, &proto.ListMembersRequest{PageSize: 501}); return err }, codes.InvalidArgument},
		{"a negative page", func() error { _, err := client.ListMembers(ctx, &proto.ListMembersRequest{PageSize: -1}); return err }, codes.InvalidArgument},
		{"a foreign page token", func() error {
			_, err := client.ListMembers(ctx, &proto.ListMembersRequest{PageToken: "A!"})
			return err
		}, codes.InvalidArgument},
		{"a request too large", func() error {
			_, err := client.ApplyMember(ctx, &proto.ApplyMemberRequest{Application: &proto.Application{Name: strings.Repeat("x", 9<<20)}})
			return err
		}, codes.ResourceExhausted},
	} {
		if got := status.Code(tt.call()); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestLargestDocument stores and reads a document of the size that is allowed,
// as the tool does.
func TestLargestDocument(t *testing.T) {
	i := start(t, newFake(t), quiet)
	anna := i.as(t, "anna")
	content := make([]byte, membership.MaxDocumentBytes)
	put, err := anna.PutDocument(t.Context(), &proto.PutDocumentRequest{Id: "alpha", Content: content})
	if err != nil {
		t.Fatal(err)
	}
	app := application(t, "alpha")
	app.Documents[0].Hash = put.Hash
	if _, err := anna.ApplyMember(t.Context(), &proto.ApplyMemberRequest{Application: app}); err != nil {
		t.Fatal(err)
	}
	got, err := anna.GetDocument(t.Context(), &proto.GetDocumentRequest{Id: "alpha", Hash: put.Hash}, grpc.MaxCallRecvMsgSize(membership.MaxDocumentBytes+1<<10))
	if err != nil || !bytes.Equal(got.Content, content) {
		t.Errorf("reading it: %d bytes, %v", len(got.GetContent()), err)
	}
}

func TestKinds(t *testing.T) {
	f := newFake(t)
	var log bytes.Buffer
	client := start(t, f, slog.New(slog.NewTextHandler(&log, nil))).as(t, "anna")
	for _, tt := range []struct {
		name string
		err  error
		code codes.Code
		text string
	}{
		{"invalid", fault.New(fault.Invalid, "text"), codes.InvalidArgument, "text"},
		{"not found", fault.New(fault.NotFound, "text"), codes.NotFound, "text"},
		{"conflict", fault.New(fault.Conflict, "text"), codes.Aborted, "text"},
		{"denied", fault.New(fault.Denied, "text"), codes.PermissionDenied, "text"},
		{"unavailable", fault.New(fault.Unavailable, "text"), codes.Unavailable, "text"},
		{"internal", fault.New(fault.Internal, "hunter2"), codes.Internal, "internal error; the log of the service says more"},
		{"unclassified", errors.New("hunter2"), codes.Internal, "internal error; the log of the service says more"},
		{"broken text", fault.New(fault.Invalid, "a\xffb"), codes.InvalidArgument, "a\uFFFDb"},
		{"long text", fault.New(fault.Invalid, "%s", strings.Repeat("x", 100_000)), codes.InvalidArgument, strings.Repeat("x", 8192) + " …"},
	} {
		f.err = tt.err
		_, err := client.GetStatus(t.Context(), &proto.GetStatusRequest{})
		if s := status.Convert(err); s.Code() != tt.code || s.Message() != tt.text {
			t.Errorf("%s: got %s %.100q, want %s %.100q", tt.name, s.Code(), s.Message(), tt.code, tt.text)
		}
	}
	f.panics = true
	_, err := client.GetStatus(t.Context(), &proto.GetStatusRequest{})
	if s := status.Convert(err); s.Code() != codes.Internal || strings.Contains(s.Message(), "hunter2") {
		t.Errorf("a panic: got %v", err)
	}
	if got := strings.Count(log.String(), "level=ERROR"); got != 3 {
		t.Errorf("got %d errors in the log, want 3: two internal, one panic", got)
	}
	for _, want := range []string{"method=/bridge.v1.Bridge/GetStatus", "person=anna", "code=InvalidArgument", "duration=", "remote=127.0.0.1:", "panic: the password"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

func TestPreview(t *testing.T) {
	client := start(t, newFake(t), quiet).as(t, "anna")
	for id, want := range map[string]codes.Code{"Not an id": codes.InvalidArgument, "nobody": codes.NotFound} {
		if _, err := client.PreviewMember(t.Context(), &proto.PreviewMemberRequest{Id: id}); status.Code(err) != want {
			t.Errorf("%q: got %v, want %s", id, err, want)
		}
	}
	applied, err := client.ApplyMember(t.Context(), &proto.ApplyMemberRequest{Application: application(t, "alpha")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.PreviewMember(t.Context(), &proto.PreviewMemberRequest{Id: "alpha"})
	if err != nil {
		t.Fatal(err)
	}
	want := &proto.PreviewMemberResponse{
		RecordHash: applied.Member.RecordHash, Bridge: "CN=Bridge", Members: []string{"alpha", "beta"}, Opened: 1, Closed: 2, Kept: 3, Cut: 4, CutOthers: 5,
		Paths: []*proto.PreviewPath{{
			Change: proto.Change_CHANGE_OPENS, From: "alpha", To: "beta", Anchor: "CN=A", Ca: "CN=B", Policies: []string{"2.999.1"},
			Via: []string{"CN=Bridge", "CN=B"}, Beyond: true,
		}, {Change: proto.Change_CHANGE_CLOSES}, {Change: proto.Change_CHANGE_STAYS}},
		Overlaps: []*proto.Overlap{{Kind: "mail domain", Name: "a.example", With: "beta", Other: "example"}},
	}
	if len(got.Digest) != 64 {
		t.Errorf("got digest %q", got.Digest)
	}
	want.Digest = got.Digest
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Errorf("the preview differs (-want +got):\n%s", d)
	}
}

func TestStrangers(t *testing.T) {
	i := start(t, newFake(t), quiet)
	officer := i.as(t, "anna")
	other := newAuthority(t, "admin CA") // same name, other key
	for _, tt := range []struct {
		name  string
		edit  func(*tls.Config)
		certs []tls.Certificate
		want  codes.Code
	}{
		{"no certificate", nil, nil, codes.PermissionDenied},
		{"a second certificate, not recorded", nil, []tls.Certificate{i.ca.issue(t, "anna", x509.ExtKeyUsageClientAuth)}, codes.PermissionDenied},
		{"a person nobody knows", nil, []tls.Certificate{i.ca.issue(t, "carl", x509.ExtKeyUsageClientAuth)}, codes.PermissionDenied},
		{"the name in capitals", nil, []tls.Certificate{i.ca.issue(t, "ANNA", x509.ExtKeyUsageClientAuth)}, codes.PermissionDenied},
		{"a certificate of another CA", nil, []tls.Certificate{other.issue(t, "anna", x509.ExtKeyUsageClientAuth)}, codes.Unavailable},
		{"a certificate for servers", nil, []tls.Certificate{i.ca.issue(t, "anna", x509.ExtKeyUsageServerAuth)}, codes.Unavailable},
		{"a certificate for any purpose", nil, []tls.Certificate{i.ca.issue(t, "anna")}, codes.Unavailable},
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, []tls.Certificate{i.ca.issue(t, "anna", x509.ExtKeyUsageClientAuth)}, codes.Unavailable},
		{"a name that is no person", nil, []tls.Certificate{i.ca.issue(t, "Anna <root>", x509.ExtKeyUsageClientAuth)}, codes.PermissionDenied},
		{"no name", nil, []tls.Certificate{i.ca.issue(t, "", x509.ExtKeyUsageClientAuth)}, codes.PermissionDenied},
	} {
		client := proto.NewBridgeClient(i.dial(t, tt.edit, tt.certs...))
		if _, err := client.WhoAmI(t.Context(), &proto.WhoAmIRequest{}); status.Code(err) != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
		if _, err := officer.WhoAmI(t.Context(), &proto.WhoAmIRequest{}); err != nil {
			t.Errorf("%s disturbs an officer: %v", tt.name, err)
		}
	}
}

func TestGarbage(t *testing.T) {
	i := start(t, newFake(t), quiet)
	officer := i.as(t, "anna")
	for _, garbage := range []string{"", "\x00", "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x00\x05\x01\x00\x00\xff\xff", strings.Repeat("\xff", 1<<16)} {
		c, err := net.Dial("tcp", i.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() // stays open: nobody waits for it
		if _, err := c.Write([]byte(garbage)); err != nil && !errors.Is(err, net.ErrClosed) && len(garbage) < 100 {
			t.Fatal(err)
		}
		if _, err := officer.WhoAmI(t.Context(), &proto.WhoAmIRequest{}); err != nil {
			t.Errorf("%.20q disturbs an officer: %v", garbage, err)
		}
		if _, err := i.as(t, "bert").WhoAmI(t.Context(), &proto.WhoAmIRequest{}); err != nil {
			t.Errorf("%.20q keeps a new officer out: %v", garbage, err)
		}
	}
}

func TestWhoAmI(t *testing.T) {
	i := start(t, newFake(t), quiet)
	cert := i.ca.issue(t, "anna", x509.ExtKeyUsageClientAuth)
	i.enrol(t, "anna", cert, "alpha", membership.Applicant)
	got, err := proto.NewBridgeClient(i.dial(t, nil, cert)).WhoAmI(t.Context(), &proto.WhoAmIRequest{})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.Certificate[0])
	own := func(rpc string, v proto.Verb) *proto.Permission {
		return &proto.Permission{Rpc: rpc, Verb: v, Scope: proto.Scope_SCOPE_OWN}
	}
	all := func(rpc string) *proto.Permission {
		return &proto.Permission{Rpc: rpc, Scope: proto.Scope_SCOPE_ALL}
	}
	want := []*proto.Permission{
		own("ApplyMember", 0), all("BuildPath"), own("DecideMember", proto.Verb_VERB_SUBMIT), own("DecideMember", proto.Verb_VERB_WITHDRAW), own("EditMember", 0),
		own("GetDocument", 0), all("GetList"), own("GetMember", 0), own("PutDocument", 0), all("RenewCredential"), own("RequestCrossCertificate", 0),
		all("WhoAmI"), {Rpc: "WithdrawCredential", Scope: proto.Scope_SCOPE_SELF}, {Rpc: "WithdrawRole", Scope: proto.Scope_SCOPE_SELF},
	}
	if d := cmp.Diff(want, got.May, protocmp.Transform()); d != "" {
		t.Errorf("what an applicant may (-want +got):\n%s", d)
	}
	if got.Actor.Person != "anna" || got.Actor.Credential != hex.EncodeToString(sum[:]) || !got.NotAfter.AsTime().After(time.Now()) {
		t.Errorf("got %v", got)
	}
}

func TestPages(t *testing.T) {
	client := start(t, newFake(t), quiet).as(t, "anna")
	want := []string{"aa", "bb", "cc", "dd", "ee"}
	for _, id := range want {
		if _, err := client.ApplyMember(t.Context(), &proto.ApplyMemberRequest{Application: application(t, id)}); err != nil {
			t.Fatal(err)
		}
	}
	for size := range int32(7) {
		var got []string
		for token := ""; ; {
			page, err := client.ListMembers(t.Context(), &proto.ListMembersRequest{PageSize: size, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			if size > 0 && len(page.Members) > int(size) {
				t.Errorf("size %d: a page of %d", size, len(page.Members))
			}
			for _, m := range page.Members {
				got = append(got, m.Id)
			}
			if token = page.NextPageToken; token == "" {
				break
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("size %d (-want +got):\n%s", size, d)
		}
	}
	// The member a token names may be gone.
	page, err := client.ListMembers(t.Context(), &proto.ListMembersRequest{PageToken: "cd"})
	if err != nil || len(page.Members) != 2 {
		t.Errorf("after a member that is gone: %v, %v", page, err)
	}
}

func TestStatusAndList(t *testing.T) {
	f := newFake(t)
	issued := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.artifacts = &federation.Artifacts{List: []byte{0x30, 0}, ListNumber: 7, ListIssuedAt: issued}
	client := start(t, f, quiet).as(t, "anna")
	st, err := client.GetStatus(t.Context(), &proto.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := &proto.GetStatusResponse{Version: "v1", Bridge: "CN=Bridge", ListNumber: 7, Members: []*proto.StateCount{
		{State: proto.State_STATE_DRAFT, Count: 2}, {State: proto.State_STATE_ACTIVE, Count: 3}, {State: proto.State_STATE_SUSPENDED, Count: 1},
	}}
	if d := cmp.Diff(want, st, protocmp.Transform()); d != "" {
		t.Errorf("status (-want +got):\n%s", d)
	}
	list, err := client.GetList(t.Context(), &proto.GetListRequest{})
	if err != nil || list.Number != 7 || !bytes.Equal(list.List, f.artifacts.List) || !list.IssuedAt.AsTime().Equal(issued) || list.NextUpdate != nil {
		t.Errorf("list: %v, %v", list, err)
	}
}

// TestCrossCertificate asks for a certificate, tries one, and hands it in.
func TestCrossCertificate(t *testing.T) {
	anna := start(t, newFake(t), quiet).as(t, "anna")
	app := application(t, "alpha")
	if _, err := anna.ApplyMember(t.Context(), &proto.ApplyMemberRequest{Application: app}); err != nil {
		t.Fatal(err)
	}
	q, err := anna.RequestCrossCertificate(t.Context(), &proto.RequestCrossCertificateRequest{Id: "alpha"})
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Fields) == 0 || len(q.CertificateRequest) == 0 || !bytes.Equal(q.BridgeCa, app.Anchors[0].Certificate) || len(q.Issuers) != 1 {
		t.Errorf("got %v", q)
	}
	accept := &proto.AcceptCrossCertificateRequest{Id: "alpha", Certificate: newAuthority(t, "x").cert.Raw, Trial: true}
	for _, accepted := range []bool{false, true} {
		r, err := anna.AcceptCrossCertificate(t.Context(), accept)
		if err != nil {
			t.Fatal(err)
		}
		if r.Accepted != accepted || (r.Member != nil) != accepted || len(r.Findings) != 1 || !r.Findings[0].Should {
			t.Errorf("trial %v: got %v", accept.Trial, r)
		}
		if accepted && (len(r.Member.Accepted) != 1 || r.Member.Accepted[0].By.GetPerson() != "anna") {
			t.Errorf("got %v, want the certificate, accepted by anna", r.Member.Accepted)
		}
		accept.Trial = false
	}
	sum := sha256.Sum256(accept.Certificate)
	withdraw := &proto.WithdrawCrossCertificateRequest{Id: "alpha", Certificate: hex.EncodeToString(sum[:])}
	for _, tt := range []struct {
		reason string
		want   codes.Code
	}{{"", codes.InvalidArgument}, {"drill", codes.OK}, {"drill", codes.Aborted}} {
		withdraw.Reason = tt.reason
		r, err := anna.WithdrawCrossCertificate(t.Context(), withdraw)
		if status.Code(err) != tt.want {
			t.Errorf("withdrawn for %q: got %v, want %v", tt.reason, err, tt.want)
		}
		if a := r.GetMember().GetAccepted(); err == nil && (len(a) != 1 || a[0].GetWithdrawnBy().GetPerson() != "anna" || a[0].GetReason() != "drill" || a[0].GetWithdrawnAt() == nil) {
			t.Errorf("got %v, want the certificate, withdrawn by anna", a)
		}
	}
	for _, id := range []string{"../etc", ""} {
		_, err := anna.RequestCrossCertificate(t.Context(), &proto.RequestCrossCertificateRequest{Id: id})
		_, err2 := anna.AcceptCrossCertificate(t.Context(), &proto.AcceptCrossCertificateRequest{Id: id})
		_, err3 := anna.WithdrawCrossCertificate(t.Context(), &proto.WithdrawCrossCertificateRequest{Id: id, Certificate: "1", Reason: "x"})
		if status.Code(err) != codes.InvalidArgument || status.Code(err2) != codes.InvalidArgument || status.Code(err3) != codes.InvalidArgument {
			t.Errorf("id %q: got %v, %v and %v", id, err, err2, err3)
		}
	}
}
