package adminapi

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/federation"
	"bridge.example/membership"
)

// fromTime makes the zero time an absent timestamp.
func fromTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func fromState(s membership.State) proto.State {
	switch s {
	case membership.Applied:
		return proto.State_STATE_APPLIED
	case membership.Active:
		return proto.State_STATE_ACTIVE
	case membership.Suspended:
		return proto.State_STATE_SUSPENDED
	}
	return proto.State_STATE_UNSPECIFIED
}

func fromVerb(v membership.Verb) proto.Verb {
	switch v {
	case membership.Approve:
		return proto.Verb_VERB_APPROVE
	case membership.Suspend:
		return proto.Verb_VERB_SUSPEND
	}
	return proto.Verb_VERB_UNSPECIFIED
}

func fromActor(a membership.Actor) *proto.Actor {
	return &proto.Actor{Person: a.Person, Credential: a.Credential, Roles: convert.Each(a.Roles, convert.FromRole), Member: string(a.Member)}
}

func fromDecision(d membership.Decision) *proto.Decision {
	return &proto.Decision{
		Verb: fromVerb(d.Verb), By: fromActor(d.By), RecordHash: d.RecordHash, Reason: d.Reason,
		At: fromTime(d.At), To: fromState(d.To),
	}
}

func fromMember(m membership.Member) *proto.MemberSummary {
	return &proto.MemberSummary{
		Id: string(m.ID), Name: m.Name, State: fromState(m.State), Since: fromTime(m.Since),
		MailDomains: m.MailDomains, Approvals: int32(len(m.Approvals)),
	}
}

func fromCase(c federation.Case) *proto.Member {
	m, p := c.Member, c.Projection
	return &proto.Member{
		Application: convert.FromApplication(m.Application), RecordHash: c.RecordHash,
		State: fromState(m.State), Since: fromTime(m.Since), Reason: m.Reason,
		AppliedBy: fromActor(m.AppliedBy), AppliedAt: fromTime(m.AppliedAt),
		Approvals: convert.Each(m.Approvals, fromDecision), ApprovalsNeeded: membership.Quorum,
		Decisions: convert.Each(m.Decisions, fromDecision),
		Projection: &proto.Projection{
			Listed: p.Listed, ListNumber: p.ListNumber,
			DirectoryDomains: p.DirectoryDomains, ResponderIssuers: p.ResponderIssuers,
			CrossCertificates: convert.Each(p.CrossCertificates, func(x federation.CrossCertificate) *proto.CrossCertificate {
				return &proto.CrossCertificate{
					Serial: x.Serial, Subject: x.Subject, NotAfter: fromTime(x.NotAfter),
					RevokedAt: fromTime(x.RevokedAt), Reason: x.Reason,
				}
			}),
		},
		Pending: c.Pending,
		Accepted: convert.Each(m.Inbound, func(i membership.Inbound) *proto.AcceptedCertificate {
			out := &proto.AcceptedCertificate{Certificate: i.Certificate, By: fromActor(i.By), At: fromTime(i.At)}
			if w := i.Withdrawn; w != nil {
				out.WithdrawnBy, out.WithdrawnAt, out.Reason = fromActor(w.By), fromTime(w.At), w.Reason
			}
			return out
		}),
	}
}

func fromStatus(s federation.Status) *proto.GetStatusResponse {
	out := &proto.GetStatusResponse{
		Bridge: s.Bridge, BridgeNotAfter: fromTime(s.BridgeNotAfter),
		ListNumber: s.ListNumber, ListNextUpdate: fromTime(s.ListNextUpdate),
		CrlNumber: s.CRLNumber, CrlNextUpdate: fromTime(s.CRLNextUpdate),
		ReconciledAt: fromTime(s.ReconciledAt), Problem: s.Problem, EndedAt: fromTime(s.EndedAt),
	}
	for _, g := range s.Generations {
		out.BridgeKeys = append(out.BridgeKeys, &proto.BridgeKey{
			Generation: int32(g.Number), Phase: string(g.Phase), Since: fromTime(g.Since), NotAfter: fromTime(g.NotAfter),
			InForce: int32(g.InForce), CrlNumber: g.CRLNumber, CrlNextUpdate: fromTime(g.CRLNextUpdate),
		})
	}
	for state, n := range s.Members {
		out.Members = append(out.Members, &proto.StateCount{State: fromState(state), Count: int32(n)})
	}
	slices.SortFunc(out.Members, func(a, b *proto.StateCount) int { return cmp.Compare(a.State, b.State) })
	return out
}
