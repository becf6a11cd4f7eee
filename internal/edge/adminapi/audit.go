package adminapi

import (
	"context"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	protobuf "google.golang.org/protobuf/proto"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
)

// reads are the RPCs that change nothing. All others are recorded, one
// without a row here among them.
var reads = map[string]bool{
	proto.Bridge_WhoAmI_FullMethodName:                  true,
	proto.Bridge_GetStatus_FullMethodName:               true,
	proto.Bridge_GetMember_FullMethodName:               true,
	proto.Bridge_ListMembers_FullMethodName:             true,
	proto.Bridge_PreviewMember_FullMethodName:           true,
	proto.Bridge_GetList_FullMethodName:                 true,
	proto.Bridge_BuildPath_FullMethodName:               true,
	proto.Bridge_RequestCrossCertificate_FullMethodName: true,
	proto.Bridge_ListPersons_FullMethodName:             true,
	proto.Bridge_ListAuditEvents_FullMethodName:         true,
	proto.Bridge_GetAuditCheckpoint_FullMethodName:      true,
	proto.Bridge_ExportAudit_FullMethodName:             true,
	proto.Bridge_GetDocument_FullMethodName:             true,
	proto.Bridge_GetDigest_FullMethodName:               true,
}

// recorded announces a call in the audit log, lets it in only then, and records
// how it ended.
func (g gate) recorded(ctx context.Context, method string, c caller, req any, handler grpc.UnaryHandler) (resp any, err error) {
	e, err := announcement(method, c, req)
	if err != nil {
		return nil, err
	}
	if g.audit == nil {
		return nil, fault.New(fault.Unavailable, "%s is not done: there is no audit log to record it", method)
	}
	if e, err = g.audit.Record(ctx, e); err != nil {
		return nil, fmt.Errorf("%s is not done, as it cannot be recorded: %w", path.Base(method), err)
	}
	outcome := "internal" // unless the handler returns
	defer func() {
		// It is done: who asked must hear so. The intent stands without its
		// outcome, and the next call is refused.
		end := auditlog.Event{Kind: "call.end", Of: e.Number, Member: e.Member, Person: e.Person, Credential: e.Credential,
			Details: map[string]string{"method": e.Details["method"], "outcome": outcome}}
		if err != nil {
			end.Details["error"] = shortened(statusOf(err).Message())
		}
		if err := g.audit.Act(context.WithoutCancel(ctx), end); err != nil {
			g.log.ErrorContext(ctx, "an outcome is not recorded", "event", e.Number, "outcome", outcome, "err", err)
		}
	}()
	resp, err = handler(ctx, req)
	outcome = strings.ToLower(statusOf(err).Code().String())
	return resp, err
}

// announcement is the event of a call: whose record it is about, the reason
// given, and the hash of all that was sent.
func announcement(method string, c caller, req any) (auditlog.Event, error) {
	e := auditlog.Event{
		Kind: "call", Person: c.actor.Person, Credential: c.actor.Credential,
		Details: map[string]string{"method": path.Base(method)},
	}
	m, ok := req.(protobuf.Message)
	if !ok {
		return e, nil
	}
	b, err := protobuf.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return e, fault.New(fault.Invalid, "%s: %w", method, err)
	}
	e.Evidence = []auditlog.Evidence{auditlog.Document("request", b)}
	switch r := req.(type) {
	case interface{ GetId() string }:
		e.Member = r.GetId()
	case interface{ GetApplication() *proto.Application }:
		e.Member = r.GetApplication().GetId()
	}
	if r, ok := req.(interface{ GetReason() string }); ok && r.GetReason() != "" {
		e.Details["reason"] = r.GetReason()
	}
	if r, ok := req.(interface{ GetRecordHash() string }); ok && r.GetRecordHash() != "" {
		e.Details["record"] = r.GetRecordHash()
	}
	if r, ok := req.(interface{ GetVerb() proto.Verb }); ok {
		e.Details["verb"] = string(convert.ToVerb(r.GetVerb()))
	}
	return e, nil
}

// refused records that somebody whom the admin CA knows was not let in. That is
// refused already; whether it is recorded changes nothing for the caller.
// Strangers fill no log.
func (g gate) refused(ctx context.Context, method string, c caller, why error) {
	if g.audit == nil || !known(ctx) {
		return
	}
	err := g.audit.Act(ctx, auditlog.Event{
		Kind: "call.refuse", Person: c.actor.Person, Credential: c.actor.Credential,
		Details: map[string]string{"method": shortened(path.Base(method)), "error": shortened(statusOf(why).Message())},
	})
	if err != nil {
		g.log.ErrorContext(ctx, "a refusal is not recorded", "method", method, "err", err)
	}
}

// known reports whether the caller showed a certificate of the admin CA.
func known(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	return ok && len(info.State.VerifiedChains) > 0
}

// shortened is s in at most a kilobyte of UTF-8.
func shortened(s string) string {
	const most = 1 << 10
	for i := range s {
		if i > most-utf8.UTFMax {
			s = s[:i] + "…"
			break
		}
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
