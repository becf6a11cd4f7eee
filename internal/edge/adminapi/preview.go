package adminapi

import (
	"context"
	"crypto/x509"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/federation"
	"bridge.example/membership"
)

func (s *service) PreviewMember(ctx context.Context, r *proto.PreviewMemberRequest) (*proto.PreviewMemberResponse, error) {
	id, err := membership.ParseID(r.GetId())
	if err != nil {
		return nil, err
	}
	p, err := s.federation.Preview(ctx, id)
	if err != nil {
		return nil, err
	}
	return fromPreview(p), nil
}

func fromPreview(p federation.Preview) *proto.PreviewMemberResponse {
	return &proto.PreviewMemberResponse{
		Digest:     p.Digest(),
		RecordHash: p.RecordHash, Bridge: p.Bridge,
		Members: convert.Each(p.Members, func(id membership.ID) string { return string(id) }),
		Opened:  int32(p.Opened), Closed: int32(p.Closed), Kept: int32(p.Kept), Cut: int32(p.Cut), CutOthers: int32(p.CutOthers),
		Paths: convert.Each(p.Paths, func(x federation.PreviewPath) *proto.PreviewPath {
			return &proto.PreviewPath{
				Change: fromChange(x.Change), From: string(x.From), To: string(x.To), Anchor: x.Anchor, Ca: x.CA,
				Policies: convert.Each(x.Policies, x509.OID.String), Via: x.Via, Beyond: x.Beyond,
			}
		}),
		Overlaps: convert.Each(p.Overlaps, func(o federation.Overlap) *proto.Overlap {
			return &proto.Overlap{Kind: string(o.Kind), Name: o.Name, With: string(o.With), Other: o.Other}
		}),
	}
}

func fromChange(c federation.Change) proto.Change {
	switch c {
	case federation.Opens:
		return proto.Change_CHANGE_OPENS
	case federation.Closes:
		return proto.Change_CHANGE_CLOSES
	case federation.Stays:
		return proto.Change_CHANGE_STAYS
	}
	return proto.Change_CHANGE_UNSPECIFIED
}
