package adminapi

import (
	"context"
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
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
	"bridge.example/internal/people"
	"bridge.example/membership"
)

// caller is who calls, proven by a certificate; the zero caller has none.
type caller struct {
	actor    membership.Actor
	notAfter time.Time // of the certificate
}

func (c caller) anonymous() bool { return c.actor.Person == "" }

type callerKey struct{}

// callerOf returns the caller whom the gate let in.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// callTime bounds one call. An examination may take five minutes, and whoever
// puts a member into force waits another for the projections to follow.
const callTime = 7 * time.Minute

// gate is the one way in: every call passes it.
type gate struct {
	people *people.Register
	rules  map[string]*proto.Rule
	guests *guests
	log    *slog.Logger
	audit  *auditlog.Log // nil lets in only what changes nothing
}

func (g gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	c, err := g.identify(ctx)
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
		g.refused(ctx, info.FullMethod, c, err)
		return nil, err
	}
	leave, err := g.admit(ctx, c, info.FullMethod, req)
	if err != nil {
		g.refused(ctx, info.FullMethod, c, err)
		return nil, err
	}
	defer leave()
	ctx = context.WithValue(ctx, callerKey{}, c)
	if reads[info.FullMethod] {
		return handler(ctx, req)
	}
	return g.recorded(ctx, info.FullMethod, c, req, handler)
}

// admit holds one call against the rule of its method. Without one nobody is
// let in.
func (g gate) admit(ctx context.Context, c caller, method string, req any) (leave func(), err error) {
	rule := g.rules[method]
	switch {
	case c.anonymous() && !rule.GetAnyone():
		return nil, fault.New(fault.Denied, "no client certificate of this bridge's admin CA")
	case !allows(rule, c.actor, req):
		return nil, fault.New(fault.Denied, "%s, who is %s, may not call %s", c.actor.Person, titles(c.actor), method)
	case c.anonymous():
		p, ok := peer.FromContext(ctx)
		if !ok {
			return nil, errors.New("a call without a connection")
		}
		return g.guests.enter(p.Addr, time.Now())
	}
	return func() {}, nil
}

// titles says what a person is, in words.
func titles(a membership.Actor) string {
	if len(a.Roles) == 0 {
		return "without a role"
	}
	var names []string
	for _, r := range a.Roles {
		names = append(names, string(r))
	}
	text := strings.Join(names, ", ")
	if a.Member != "" {
		text += " for " + string(a.Member)
	}
	return text
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

// identify returns who calls; the zero caller shows no certificate. One that is
// shown and not in force is Denied, whatever is asked: it is looked up at each
// call, so that what is withdrawn ends on open connections too.
func (g gate) identify(ctx context.Context) (caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}, errors.New("a call without a connection")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	switch {
	case !ok:
		return caller{}, fault.New(fault.Denied, "no TLS")
	case len(info.State.PeerCertificates) == 0:
		return caller{}, nil
	case len(info.State.VerifiedChains) == 0:
		return caller{}, fault.New(fault.Denied, "the client certificate was not verified")
	}
	person, k, err := g.people.Identify(ctx, info.State.VerifiedChains[0][0])
	if err != nil {
		return caller{}, err
	}
	return caller{
		actor:    membership.Actor{Person: string(person.ID), Credential: k.SHA256, Roles: person.Roles, Member: person.Member},
		notAfter: k.NotAfter,
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
