package adminapi

import (
	"context"
	"crypto/x509"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/crosscert"
	"bridge.example/membership"
)

func (s *service) RequestCrossCertificate(ctx context.Context, r *proto.RequestCrossCertificateRequest) (*proto.RequestCrossCertificateResponse, error) {
	id, err := membership.ParseID(r.GetId())
	if err != nil {
		return nil, err
	}
	q, err := s.federation.InboundRequest(ctx, id, r.GetCompatible())
	if err != nil {
		return nil, err
	}
	return &proto.RequestCrossCertificateResponse{
		BridgeCa: q.Inbound.Bridge.Raw, CertificateRequest: q.CertificateRequest, Compatible: q.Inbound.Compatible,
		Fields: convert.Each(q.Inbound.Fields(), func(f crosscert.Field) *proto.ProfileField {
			return &proto.ProfileField{Name: f.Name, Critical: f.Critical, Value: f.Value, Why: f.Why}
		}),
		Issuers: convert.Each(q.Inbound.Anchors, func(c *x509.Certificate) string { return c.Subject.String() }),
	}, nil
}

func (s *service) AcceptCrossCertificate(ctx context.Context, r *proto.AcceptCrossCertificateRequest) (*proto.AcceptCrossCertificateResponse, error) {
	id, err := membership.ParseID(r.GetId())
	if err != nil {
		return nil, err
	}
	v, err := s.federation.AcceptInbound(ctx, id, callerOf(ctx).actor, r.GetCertificate(), r.GetTrial())
	if err != nil {
		return nil, err
	}
	out := &proto.AcceptCrossCertificateResponse{
		Accepted: v.Accepted,
		Findings: convert.Each(v.Findings, func(f crosscert.Finding) *proto.Finding {
			return &proto.Finding{Rule: f.Rule, Source: f.Source, Problem: f.Problem, Should: f.Should}
		}),
	}
	if v.Accepted {
		out.Member = fromCase(v.Case)
	}
	return out, nil
}

func (s *service) WithdrawCrossCertificate(ctx context.Context, r *proto.WithdrawCrossCertificateRequest) (*proto.WithdrawCrossCertificateResponse, error) {
	id, err := membership.ParseID(r.GetId())
	if err != nil {
		return nil, err
	}
	c, err := s.federation.WithdrawInbound(ctx, id, callerOf(ctx).actor, r.GetCertificate(), r.GetReason())
	if err != nil {
		return nil, err
	}
	return &proto.WithdrawCrossCertificateResponse{Member: fromCase(c)}, nil
}
