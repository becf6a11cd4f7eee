package adminapi

import (
	"context"
	"time"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/notice"
)

func (s *service) GetDigest(ctx context.Context, r *proto.GetDigestRequest) (*proto.GetDigestResponse, error) {
	if s.notices == nil {
		return &proto.GetDigestResponse{}, nil
	}
	items, err := s.notices(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if !r.GetAll() {
		items = notice.Due(items, now)
	}
	return &proto.GetDigestResponse{Notices: convert.Each(items, func(i notice.Item) *proto.Notice {
		return &proto.Notice{
			Key: i.Key, Member: i.Member, Kind: i.Kind, Text: i.Text, Ends: convert.FromTime(i.Ends), Overdue: i.Overdue(now),
		}
	})}, nil
}
