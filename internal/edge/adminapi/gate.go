package adminapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// role is what a caller must be for an RPC.
type role uint8

const (
	nobody  role = iota // so that an RPC without a row below is refused
	officer             // a person with a certificate of the admin CA
)

// allowed says who may call what.
var allowed = map[string]role{
	proto.Bridge_WhoAmI_FullMethodName:        officer,
	proto.Bridge_GetStatus_FullMethodName:     officer,
	proto.Bridge_ApplyMember_FullMethodName:   officer,
	proto.Bridge_GetMember_FullMethodName:     officer,
	proto.Bridge_ListMembers_FullMethodName:   officer,
	proto.Bridge_ApproveMember_FullMethodName: officer,
	proto.Bridge_SuspendMember_FullMethodName: officer,
	proto.Bridge_PreviewMember_FullMethodName: officer,
	proto.Bridge_GetList_FullMethodName:       officer,
	proto.Bridge_BuildPath_FullMethodName:     officer,

	proto.Bridge_RequestCrossCertificate_FullMethodName:  officer,
	proto.Bridge_AcceptCrossCertificate_FullMethodName:   officer,
	proto.Bridge_WithdrawCrossCertificate_FullMethodName: officer,
}

// caller is who calls, proven by a certificate.
type caller struct {
	actor    membership.Actor
	role     role
	notAfter time.Time // of the certificate
}

type callerKey struct{}

// callerOf returns the caller whom the gate let in.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// callTime bounds one call. A decision may wait a minute for the projections
// to follow.
const callTime = 90 * time.Second

// gate is the one way in: every call passes it.
type gate struct{ log *slog.Logger }

func (g gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	c, err := identify(ctx, start)
	defer func() {
		if r := recover(); r != nil {
			resp, err = nil, fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
		// What broke because the caller went away is no fault of the service.
		if err != nil && ctx.Err() != nil && fault.KindOf(err) == fault.Internal {
			err = fault.New(fault.Unavailable, "the call ended early: %w", err)
		}
		st := statusOf(err)
		g.line(ctx, info.FullMethod, c, st.Code(), start, err)
		err = st.Err()
	}()
	if err != nil {
		return nil, err
	}
	if allowed[info.FullMethod] == nobody || c.role != allowed[info.FullMethod] {
		return nil, fault.New(fault.Denied, "%s may not call %s", c.actor.Person, info.FullMethod)
	}
	return handler(context.WithValue(ctx, callerKey{}, c), req)
}

// stream refuses: no RPC of the interface is a stream.
func (g gate) stream(_ any, s grpc.ServerStream, info *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
	err := fault.New(fault.Denied, "%s is not part of this interface", info.FullMethod)
	g.line(s.Context(), info.FullMethod, caller{}, statusOf(err).Code(), time.Now(), err)
	return statusOf(err).Err()
}

// line logs one call at its end.
func (g gate) line(ctx context.Context, method string, c caller, code codes.Code, start time.Time, err error) {
	level := slog.LevelInfo
	switch code {
	case codes.Internal:
		level = slog.LevelError
	case codes.PermissionDenied:
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("method", method), slog.String("person", c.actor.Person),
		slog.String("code", code.String()), slog.Duration("duration", time.Since(start)),
	}
	if p, ok := peer.FromContext(ctx); ok {
		attrs = append(attrs, slog.String("remote", p.Addr.String()))
	}
	if err != nil {
		attrs = append(attrs, slog.String("err", err.Error()))
	}
	g.log.LogAttrs(ctx, level, "admin call", attrs...)
}

// identify returns who calls at the instant now. Errors are Denied: what the
// handshake let in may still have no name, or have expired since.
func identify(ctx context.Context, now time.Time) (caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}, errors.New("a call without a connection")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return caller{}, fault.New(fault.Denied, "no client certificate")
	}
	cert := info.State.VerifiedChains[0][0]
	if now.After(cert.NotAfter) {
		return caller{}, fault.New(fault.Denied, "the client certificate expired at %s", cert.NotAfter.UTC().Format(time.RFC3339))
	}
	person, err := membership.ParseID(cert.Subject.CommonName)
	if err != nil {
		return caller{}, fault.New(fault.Denied, "the client certificate's common name %q names no person", cert.Subject.CommonName)
	}
	sum := sha256.Sum256(cert.Raw)
	return caller{
		actor: membership.Actor{Person: string(person), Credential: hex.EncodeToString(sum[:])},
		role:  officer, notAfter: cert.NotAfter,
	}, nil
}

// maxTextBytes bounds the text of a status, which travels in a header.
const maxTextBytes = 8 << 10

// statusOf turns the kind of err into the status of a call. Internal carries
// no text: that is for the log.
func statusOf(err error) *status.Status {
	if err == nil {
		return nil
	}
	code := codes.Internal
	switch fault.KindOf(err) {
	case fault.Invalid:
		code = codes.InvalidArgument
	case fault.NotFound:
		code = codes.NotFound
	case fault.Conflict:
		code = codes.Aborted
	case fault.Denied:
		code = codes.PermissionDenied
	case fault.Unavailable:
		code = codes.Unavailable
	}
	text := err.Error()
	if code == codes.Internal {
		text = "internal error; the log of the service says more"
	}
	if len(text) > maxTextBytes {
		text = text[:maxTextBytes] + " …"
	}
	return status.New(code, strings.ToValidUTF8(text, "\uFFFD"))
}
