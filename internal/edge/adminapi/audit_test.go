package adminapi_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"bridge.example/api/proto"
)

// told is what the log says, one line for each event.
func told(t *testing.T, i interfaceAt) (out []string) {
	t.Helper()
	for e, err := range i.audit.Events(t.Context(), 1, i.audit.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != "call.refuse" && len(e.Credential) != 64 {
			t.Errorf("event %d names the credential %q", e.Number, e.Credential)
		}
		out = append(out, strings.Join([]string{e.Kind, e.Person, e.Member, e.Details["method"], e.Details["outcome"], e.Details["reason"]}, " "))
	}
	return out
}

func TestCallsAreRecorded(t *testing.T) {
	i := start(t, newFake(t), slog.New(slog.DiscardHandler))
	anna := i.as(t, "anna")
	ctx := t.Context()
	if _, err := anna.ListMembers(ctx, &proto.ListMembersRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err := anna.DecideMember(ctx, &proto.DecideMemberRequest{Id: "alpha", Verb: proto.Verb_VERB_SUSPEND, Reason: "line\nbreak"})
	if status.Code(err) != codes.NotFound {
		t.Fatal(err)
	}
	_, err = i.as(t, "No Person").GetStatus(ctx, &proto.GetStatusRequest{})
	if status.Code(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
	// Strangers fill no log.
	if _, err := proto.NewBridgeClient(i.dial(t, nil)).GetStatus(ctx, &proto.GetStatusRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
	// What broke inside is for the log of the service, not for all officers.
	if _, err := anna.AcceptCrossCertificate(ctx, &proto.AcceptCrossCertificateRequest{Id: "broken"}); status.Code(err) != codes.Internal {
		t.Fatal(err)
	}
	for e, err := range i.audit.Events(ctx, 5, 5) {
		if err != nil || e.Kind != "call.end" || strings.Contains(e.Details["error"], "hunter2") {
			t.Errorf("got %v, %v", e, err)
		}
	}
	want := []string{
		"call anna alpha DecideMember  line\nbreak",
		"call.end anna alpha DecideMember notfound ",
		"call.refuse   GetStatus  ",
		"call anna broken AcceptCrossCertificate  ",
		"call.end anna broken AcceptCrossCertificate internal ",
	}
	if d := cmp.Diff(want, told(t, i)); d != "" {
		t.Error(d)
	}
}

// TestNoLogNoAct fills the disk: nothing may change any more, reading goes on.
func TestNoLogNoAct(t *testing.T) {
	f := newFake(t)
	i := start(t, f, slog.New(slog.DiscardHandler))
	anna := i.as(t, "anna")
	ctx := t.Context()
	i.disk.full.Store(true)
	_, err := anna.ApplyMember(ctx, &proto.ApplyMemberRequest{Application: application(t, "alpha")})
	if status.Code(err) != codes.Unavailable || !strings.Contains(status.Convert(err).Message(), "no space left on device") {
		t.Errorf("got %v, want Unavailable and why", err)
	}
	r, err := anna.ListMembers(ctx, &proto.ListMembersRequest{})
	if err != nil || len(r.GetMembers()) != 0 {
		t.Errorf("got %v, %v, want no members", r.GetMembers(), err)
	}
	if got := told(t, i); len(got) != 0 {
		t.Errorf("got events %q", got)
	}
	// It stays so until a restart, and everybody is told.
	i.disk.full.Store(false)
	_, err = anna.DecideMember(ctx, &proto.DecideMemberRequest{Id: "alpha", Verb: proto.Verb_VERB_SUSPEND, Reason: "a doubt"})
	if status.Code(err) != codes.Unavailable || !strings.Contains(status.Convert(err).Message(), "restart bridged") {
		t.Errorf("got %v, want Unavailable and what to do", err)
	}
	if s, err := anna.GetStatus(ctx, &proto.GetStatusRequest{}); err != nil || !strings.Contains(s.GetProblem(), "restart bridged") {
		t.Errorf("got the status %q, %v", s.GetProblem(), err)
	}
}
