// Package adminapi serves the administrative interface: gRPC over mutual TLS,
// for the persons of the bridge. It knows who calls, whether that person may, and how to say
// what the federation answers in the words of bridge.v1.
package adminapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"strings"

	"google.golang.org/grpc"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/notice"
	"bridge.example/internal/people"
	"bridge.example/membership"
)

// Federation is what the interface gives access to. Every error has a kind of
// [fault], which becomes the status of the call.
type Federation interface {
	Apply(ctx context.Context, by membership.Actor, a membership.Application) (federation.Case, error)
	Edit(ctx context.Context, id membership.ID, by membership.Actor, hash string, a membership.Application) (federation.Case, error)
	Check(ctx context.Context, id membership.ID, by membership.Actor) (federation.Case, error)
	Decide(ctx context.Context, id membership.ID, d membership.Decision) (federation.Case, error)
	PutDocument(ctx context.Context, id membership.ID, content []byte) (hash string, err error)
	// Document returns one that the record of id names, else NotFound.
	Document(ctx context.Context, id membership.ID, hash string) ([]byte, error)
	Case(ctx context.Context, id membership.ID) (federation.Case, error)
	Preview(ctx context.Context, id membership.ID) (federation.Preview, error)
	InboundRequest(ctx context.Context, id membership.ID, compatible bool) (federation.InboundRequest, error)
	WithdrawInbound(ctx context.Context, id membership.ID, by membership.Actor, name, reason string) (federation.Case, error)
	AcceptInbound(ctx context.Context, id membership.ID, by membership.Actor, der []byte, trial bool) (federation.InboundVerdict, error)
	// Page returns at most limit members with an id above after, ordered by id.
	Page(ctx context.Context, after membership.ID, limit int) ([]membership.Member, error)
	Status(ctx context.Context) (federation.Status, error)
	// Artifacts returns what is published now; nil before anything is.
	Artifacts() *federation.Artifacts
}

// Options tune the server.
type Options struct {
	Version string // of the service, told by GetStatus
	// Notices returns what there is to announce; nil when nothing is watched.
	Notices func(ctx context.Context) ([]notice.Item, error)
	// Audit records every call that may change something before it is let in.
	// Without one, none is.
	Audit *auditlog.Log
	Log   *slog.Logger // slog.Default when nil
}

// New returns a gRPC server that serves f to the persons in p, whose
// certificates the admin CA issued, and to others what anyone may ask. It
// presents server. The caller gives it a listener, and stops it.
func New(f Federation, p *people.Register, server tls.Certificate, admin *x509.Certificate, o Options) *grpc.Server {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	g := gate{people: p, rules: rules(), guests: newGuests(), log: o.Log, audit: o.Audit}
	s := grpc.NewServer(serverOptions(tlsConfig(server, admin), g)...)
	proto.RegisterBridgeServer(s, &service{federation: f, people: p, rules: g.rules, version: o.Version, audit: o.Audit, notices: o.Notices})
	return s
}

// service answers the RPCs. The gate has let the caller in.
type service struct {
	proto.UnsafeBridgeServer // a new RPC without a method here does not compile
	federation               Federation
	people                   *people.Register
	rules                    map[string]*proto.Rule
	version                  string
	audit                    *auditlog.Log
	notices                  func(ctx context.Context) ([]notice.Item, error)
}

func (s *service) GetStatus(ctx context.Context, _ *proto.GetStatusRequest) (*proto.GetStatusResponse, error) {
	st, err := s.federation.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := fromStatus(st)
	out.Version = s.version
	if s.audit != nil {
		if err := s.audit.Closed(); err != nil {
			out.Problem = strings.TrimSpace("nothing can be changed: " + err.Error() + "\n" + out.Problem)
		}
	}
	return out, nil
}

func (s *service) ApplyMember(ctx context.Context, r *proto.ApplyMemberRequest) (*proto.ApplyMemberResponse, error) {
	c, err := s.federation.Apply(ctx, callerOf(ctx).actor, convert.ToApplication(r.GetApplication()))
	if err != nil {
		return nil, err
	}
	return &proto.ApplyMemberResponse{Member: fromCase(c)}, nil
}

func (s *service) GetMember(ctx context.Context, r *proto.GetMemberRequest) (*proto.GetMemberResponse, error) {
	id, err := membership.ParseID(r.GetId())
	if err != nil {
		return nil, err
	}
	c, err := s.federation.Case(ctx, id)
	if err != nil {
		return nil, err
	}
	return &proto.GetMemberResponse{Member: fromCase(c)}, nil
}

// Members on one page.
const (
	defaultPage = 100
	maxPage     = 500
)

func (s *service) ListMembers(ctx context.Context, r *proto.ListMembersRequest) (*proto.ListMembersResponse, error) {
	size := int(r.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	if size < 1 || size > maxPage {
		return nil, fault.New(fault.Invalid, "page_size: want 1 to %d", maxPage)
	}
	// The token is the last id of the page before, so members that come and go
	// between two pages do not shift the rest.
	var after membership.ID
	if t := r.GetPageToken(); t != "" {
		var err error
		if after, err = membership.ParseID(t); err != nil {
			return nil, fault.New(fault.Invalid, "page_token: not one of this service")
		}
	}
	members, err := s.federation.Page(ctx, after, size+1)
	if err != nil {
		return nil, err
	}
	out := &proto.ListMembersResponse{}
	if len(members) > size {
		members = members[:size]
		out.NextPageToken = string(members[size-1].ID)
	}
	out.Members = convert.Each(members, fromMember)
	return out, nil
}

func (s *service) GetList(context.Context, *proto.GetListRequest) (*proto.GetListResponse, error) {
	a := s.federation.Artifacts()
	if a == nil || len(a.List) == 0 {
		return nil, fault.New(fault.NotFound, "no list has been published yet")
	}
	return &proto.GetListResponse{
		Number: a.ListNumber, List: a.List, IssuedAt: convert.FromTime(a.ListIssuedAt), NextUpdate: convert.FromTime(a.ListNextUpdate),
	}, nil
}
