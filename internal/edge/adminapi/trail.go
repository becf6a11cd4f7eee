package adminapi

import (
	"context"
	"crypto/x509"

	"bridge.example/api/proto"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
)

// maxLook bounds how many events one call looks at: a filter may fit none.
const maxLook = 5000

func (s *service) ListAuditEvents(ctx context.Context, r *proto.ListAuditEventsRequest) (*proto.ListAuditEventsResponse, error) {
	log, err := s.trail()
	if err != nil {
		return nil, err
	}
	size := int(r.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	if size < 1 || size > maxPage {
		return nil, fault.New(fault.Invalid, "page_size: want 1 to %d", maxPage)
	}
	from := max(r.GetFrom(), 1)
	if since := r.GetSince(); since != nil {
		first, err := log.Since(ctx, since.AsTime())
		if err != nil {
			return nil, err
		}
		from = max(from, first)
	}
	out := &proto.ListAuditEventsResponse{}
	end := log.Size()
	if from > end {
		return out, nil
	}
	for e, err := range log.Events(ctx, from, min(end, from+maxLook-1)) {
		if err != nil {
			return nil, err
		}
		if len(out.Events) == size {
			break
		}
		if out.Next = e.Number + 1; !wanted(e, r) {
			continue
		}
		text, err := e.Encode()
		if err != nil {
			return nil, err
		}
		out.Events = append(out.Events, string(text))
	}
	if out.Next > end {
		out.Next = 0
	}
	return out, nil
}

func wanted(e auditlog.Event, r *proto.ListAuditEventsRequest) bool {
	return (r.GetMember() == "" || r.GetMember() == e.Member) && (r.GetPerson() == "" || r.GetPerson() == e.Person)
}

func (s *service) GetAuditCheckpoint(context.Context, *proto.GetAuditCheckpointRequest) (*proto.GetAuditCheckpointResponse, error) {
	log, err := s.trail()
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKIXPublicKey(log.Key())
	return &proto.GetAuditCheckpointResponse{Checkpoint: log.Checkpoint(), PublicKey: key}, err
}

func (s *service) ExportAudit(ctx context.Context, r *proto.ExportAuditRequest) (*proto.ExportAuditResponse, error) {
	log, err := s.trail()
	if err != nil {
		return nil, err
	}
	out := &proto.ExportAuditResponse{Size: r.GetSize()}
	if r.GetFrom() == 0 {
		out.Part, out.Size = log.ExportHeader()
	} else if out.Part, err = log.ExportEvents(ctx, r.GetSize(), r.GetFrom()); err != nil {
		return nil, err
	}
	if out.Next = auditlog.NextPart(r.GetFrom()); out.Next > out.Size {
		out.Next = 0
	}
	return out, nil
}

// trail is the audit log, if there is one.
func (s *service) trail() (*auditlog.Log, error) {
	if s.audit == nil {
		return nil, fault.New(fault.Unavailable, "this service keeps no audit log")
	}
	return s.audit, nil
}
