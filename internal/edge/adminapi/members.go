package adminapi

import (
	"context"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

func (s *service) EditMember(ctx context.Context, r *proto.EditMemberRequest) (*proto.EditMemberResponse, error) {
	id, err := membership.ParseID(r.GetId())
	if err != nil {
		return nil, err
	}
	c, err := s.federation.Edit(ctx, id, callerOf(ctx).actor, r.GetRecordHash(), convert.ToApplication(r.GetApplication()))
	if err != nil {
		return nil, err
	}
	return &proto.EditMemberResponse{Member: fromCase(c)}, nil
}

func (s *service) CheckMember(ctx context.Context, r *proto.CheckMemberRequest) (*proto.CheckMemberResponse, error) {
	id, err := membership.ParseID(r.GetId())
	if err != nil {
		return nil, err
	}
	c, err := s.federation.Check(ctx, id, callerOf(ctx).actor)
	if err != nil {
		return nil, err
	}
	return &proto.CheckMemberResponse{Member: fromCase(c)}, nil
}

func (s *service) DecideMember(ctx context.Context, r *proto.DecideMemberRequest) (*proto.DecideMemberResponse, error) {
	id, err := membership.ParseID(r.GetId())
	if err != nil {
		return nil, err
	}
	c, err := s.federation.Decide(ctx, id, membership.Decision{
		Verb: convert.ToVerb(r.GetVerb()), By: callerOf(ctx).actor, RecordHash: r.GetRecordHash(), Reason: r.GetReason(),
		Documents: convert.Each(r.GetDocuments(), convert.ToDocument), Fingerprints: r.GetFingerprints(),
		Mappings: convert.Each(r.GetMappings(), convert.ToPolicy), Preview: r.GetPreview(), Date: convert.ToTime(r.GetDate()),
	})
	if err != nil {
		return nil, err
	}
	return &proto.DecideMemberResponse{Member: fromCase(c)}, nil
}

func (s *service) PutDocument(ctx context.Context, r *proto.PutDocumentRequest) (*proto.PutDocumentResponse, error) {
	id, err := membership.ParseID(r.GetId())
	if err != nil {
		return nil, err
	}
	if len(r.GetContent()) == 0 {
		return nil, fault.New(fault.Invalid, "content: the document is empty")
	}
	hash, err := s.federation.PutDocument(ctx, id, r.GetContent())
	if err != nil {
		return nil, err
	}
	return &proto.PutDocumentResponse{Hash: hash}, nil
}

func (s *service) GetDocument(ctx context.Context, r *proto.GetDocumentRequest) (*proto.GetDocumentResponse, error) {
	id, err := membership.ParseID(r.GetId())
	if err != nil {
		return nil, err
	}
	content, err := s.federation.Document(ctx, id, r.GetHash())
	if err != nil {
		return nil, err
	}
	return &proto.GetDocumentResponse{Content: content}, nil
}
