package adminapi

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"bridge.example/api/proto"
	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
)

// maxPolicies bounds what one question names.
const maxPolicies = 100

func (s *service) BuildPath(ctx context.Context, r *proto.BuildPathRequest) (*proto.BuildPathResponse, error) {
	leaf, in, err := toPathQuestion(r)
	if err != nil {
		return nil, err
	}
	a := s.federation.Artifacts()
	if a == nil {
		return nil, fault.New(fault.Unavailable, "nothing has been published yet")
	}
	path, err := a.BuildPath(ctx, leaf, in)
	if none, ok := errors.AsType[*pathval.NoPathError](err); ok {
		return fromNoPath(none), nil
	}
	if err != nil {
		return nil, err
	}
	out := &proto.BuildPathResponse{}
	for _, c := range path.Path {
		out.Path = append(out.Path, c.Raw)
	}
	return out, nil
}

func toPathQuestion(r *proto.BuildPathRequest) (leaf *pathval.Certificate, in pathval.Inputs, err error) {
	anchor, err := pathval.ParseCertificate(r.GetAnchor())
	if err != nil {
		return nil, in, fault.New(fault.Invalid, "anchor: %w", err)
	}
	if leaf, err = pathval.ParseCertificate(r.GetLeaf()); err != nil {
		return nil, in, fault.New(fault.Invalid, "leaf: %w", err)
	}
	if len(r.GetPolicies()) > maxPolicies {
		return nil, in, fault.New(fault.Invalid, "policies: more than %d", maxPolicies)
	}
	in = pathval.Inputs{
		Anchors: []*pathval.Certificate{anchor}, At: time.Now(), Email: r.GetEmail(), ExplicitPolicy: r.GetExplicitPolicy(),
		InhibitPolicyMapping: r.GetInhibitMapping(), InhibitAnyPolicy: r.GetInhibitAnyPolicy(),
	}
	if in.Email != "" {
		in.Purpose = pathval.EmailProtection()
	}
	for _, p := range r.GetPolicies() {
		id, err := x509.ParseOID(p)
		if err != nil {
			return nil, in, fault.New(fault.Invalid, "policies: %q is no object identifier", p)
		}
		in.Policies = append(in.Policies, id)
	}
	return leaf, in, nil
}

func fromNoPath(e *pathval.NoPathError) *proto.BuildPathResponse {
	out := &proto.BuildPathResponse{Problem: e.Unwrap().Error(), Omitted: int32(e.Omitted)}
	for _, r := range e.Rejections {
		// What certificates say need not be UTF-8, which a message must be.
		message := strings.ToValidUTF8(r.Error(), "\uFFFD")
		out.Rejections = append(out.Rejections, &proto.Rejection{Reason: r.Reason.String(), Rule: r.Reason.Rule(), Message: message})
	}
	return out
}
