package adminapi_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"bridge.example/api/proto"
	"bridge.example/internal/engine/auditlog"
)

// TestTrail reads a log of several parts and pages, as a whole and in excerpts.
func TestTrail(t *testing.T) {
	i := start(t, newFake(t), slog.New(slog.DiscardHandler))
	anna := i.as(t, "anna")
	ctx := t.Context()
	const events = 520
	for n := range events {
		if err := i.audit.Act(ctx, auditlog.Event{Kind: "test", Member: fmt.Sprintf("m%d", n%10), Person: fmt.Sprintf("p%d", n%7)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		r    *proto.ListAuditEventsRequest
		want int
	}{
		{"all", &proto.ListAuditEventsRequest{}, events},
		{"in small pages", &proto.ListAuditEventsRequest{PageSize: 77}, events},
		{"from one on", &proto.ListAuditEventsRequest{From: 501}, 20},
		{"beyond the end", &proto.ListAuditEventsRequest{From: 1 << 63}, 0},
		{"of a member", &proto.ListAuditEventsRequest{Member: "m3", PageSize: 5}, 52},
		{"of a member and a person", &proto.ListAuditEventsRequest{Member: "m3", Person: "p3"}, 8},
		{"of nobody", &proto.ListAuditEventsRequest{Person: "nobody"}, 0},
		{"since before", &proto.ListAuditEventsRequest{Since: timestamppb.New(time.Now().Add(-time.Hour))}, events},
		{"since later", &proto.ListAuditEventsRequest{Since: timestamppb.New(time.Now().Add(time.Hour))}, 0},
	} {
		var last uint64
		got := 0
		for {
			page, err := anna.ListAuditEvents(ctx, tt.r)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			for _, text := range page.Events {
				e, err := auditlog.DecodeEvent([]byte(text))
				if err != nil || e.Number <= last {
					t.Fatalf("%s: got event %d after %d, %v", tt.name, e.Number, last, err)
				}
				last = e.Number
				got++
			}
			if page.Next == 0 {
				break
			}
			tt.r.From = page.Next
		}
		if got != tt.want {
			t.Errorf("%s: got %d events, want %d", tt.name, got, tt.want)
		}
	}

	var want, got bytes.Buffer
	if err := i.audit.Export(ctx, &want); err != nil {
		t.Fatal(err)
	}
	parts := 0
	for r := (&proto.ExportAuditRequest{}); ; parts++ {
		part, err := anna.ExportAudit(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(part.Part)
		// What is recorded meanwhile is not part of it.
		if err := i.audit.Act(ctx, auditlog.Event{Kind: "test"}); err != nil {
			t.Fatal(err)
		}
		if r.Size, r.From = part.Size, part.Next; part.Next == 0 {
			break
		}
	}
	if !bytes.Equal(want.Bytes(), got.Bytes()) || parts != 3 {
		t.Errorf("got %d bytes in %d parts, want %d", got.Len(), parts+1, want.Len())
	}
	for _, r := range []*proto.ExportAuditRequest{{Size: 9999, From: 1}, {Size: 5, From: 6}, {From: 1}, {Size: 1 << 63, From: 1 << 62}} {
		if _, err := anna.ExportAudit(ctx, r); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: got %v, want InvalidArgument", r, err)
		}
	}
	if _, err := anna.ListAuditEvents(ctx, &proto.ListAuditEventsRequest{PageSize: 501}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v for a large page, want InvalidArgument", err)
	}
}
