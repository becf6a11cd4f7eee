package adminapi

import (
	"cmp"
	"slices"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/federation"
	"bridge.example/membership"
)

func fromActor(a membership.Actor) *proto.Actor {
	return &proto.Actor{Person: a.Person, Credential: a.Credential, Roles: convert.Each(a.Roles, convert.FromRole), Member: string(a.Member)}
}

func fromDecision(d membership.Decision) *proto.Decision {
	return &proto.Decision{
		Verb: convert.FromVerb(d.Verb), By: fromActor(d.By), RecordHash: d.RecordHash, Reason: d.Reason,
		At: convert.FromTime(d.At), To: convert.FromState(d.To),
		Documents: convert.Each(d.Documents, convert.FromDocument), Fingerprints: d.Fingerprints,
		Mappings: convert.Each(d.Mappings, convert.FromPolicy), Preview: d.Preview, Date: convert.FromTime(d.Date),
	}
}

func fromMember(m membership.Member) *proto.MemberSummary {
	out := &proto.MemberSummary{
		Id: string(m.ID), Name: m.Name, State: convert.FromState(m.State), Since: convert.FromTime(m.Since),
		MailDomains: m.MailDomains, Approvals: int32(len(m.Approvals)),
	}
	if m.Amendment != nil {
		out.Amendment = convert.FromState(m.Amendment.Stage)
	}
	return out
}

func fromCase(c federation.Case) *proto.Member {
	m, p := c.Member, c.Projection
	out := &proto.Member{
		Application: convert.FromApplication(m.Application), RecordHash: c.RecordHash,
		State: convert.FromState(m.State), Since: convert.FromTime(m.Since), Reason: m.Reason,
		AppliedBy: fromActor(m.AppliedBy), AppliedAt: convert.FromTime(m.AppliedAt),
		Approvals: convert.Each(m.Approvals, fromDecision),
		Decisions: convert.Each(m.Decisions, fromDecision),
		Projection: &proto.Projection{
			Listed: p.Listed, ListNumber: p.ListNumber,
			DirectoryDomains: p.DirectoryDomains, ResponderIssuers: p.ResponderIssuers, Untrusted: p.Untrusted,
			CrossCertificates: convert.Each(p.CrossCertificates, func(x federation.CrossCertificate) *proto.CrossCertificate {
				return &proto.CrossCertificate{
					Serial: x.Serial, Subject: x.Subject, NotAfter: convert.FromTime(x.NotAfter),
					RevokedAt: convert.FromTime(x.RevokedAt), Reason: x.Reason,
				}
			}),
		},
		Pending: c.Pending,
		Accepted: convert.Each(m.Inbound, func(i membership.Inbound) *proto.AcceptedCertificate {
			out := &proto.AcceptedCertificate{Certificate: i.Certificate, By: fromActor(i.By), At: convert.FromTime(i.At)}
			if w := i.Withdrawn; w != nil {
				out.WithdrawnBy, out.WithdrawnAt, out.Reason = fromActor(w.By), convert.FromTime(w.At), w.Reason
			}
			return out
		}),
		Halted: m.Halted, Prepared: m.Prepared, Round: int32(m.Round),
		Barred: convert.Each(m.Barred, func(b membership.Barred) *proto.Barred {
			return &proto.Barred{Certificate: b.Certificate, Reason: b.Reason, At: convert.FromTime(b.At)}
		}),
		ActiveSince: convert.FromTime(m.ActiveSince), RenewBy: convert.FromTime(m.RenewBy), ExitAt: convert.FromTime(m.ExitAt),
		Next: convert.Each(c.Next, func(n membership.Next) *proto.Next {
			return &proto.Next{
				Verb: convert.FromVerb(n.Verb), Who: convert.Each(n.Who, convert.FromRole), Persons: int32(n.Persons), Given: n.Given,
				Documents: convert.Each(n.Documents, func(k membership.DocumentKind) string { return string(k) }), Missing: n.Missing,
			}
		}),
	}
	if a := m.Amendment; a != nil {
		out.Amendment = &proto.Amendment{
			Application: convert.FromApplication(a.Application), Stage: convert.FromState(a.Stage), Since: convert.FromTime(a.Since), Renewal: a.Renewal,
		}
	}
	if r := m.Report; r != nil {
		out.Report = &proto.Report{Document: r.Document, RecordHash: r.RecordHash, Passed: r.Passed, Failed: r.Failed, At: convert.FromTime(r.At)}
	}
	return out
}

func fromStatus(s federation.Status) *proto.GetStatusResponse {
	out := &proto.GetStatusResponse{
		Bridge: s.Bridge, BridgeNotAfter: convert.FromTime(s.BridgeNotAfter),
		ListNumber: s.ListNumber, ListNextUpdate: convert.FromTime(s.ListNextUpdate),
		CrlNumber: s.CRLNumber, CrlNextUpdate: convert.FromTime(s.CRLNextUpdate),
		ReconciledAt: convert.FromTime(s.ReconciledAt), Problem: s.Problem, EndedAt: convert.FromTime(s.EndedAt),
	}
	for _, g := range s.Generations {
		out.BridgeKeys = append(out.BridgeKeys, &proto.BridgeKey{
			Generation: int32(g.Number), Phase: string(g.Phase), Since: convert.FromTime(g.Since), NotAfter: convert.FromTime(g.NotAfter),
			InForce: int32(g.InForce), CrlNumber: g.CRLNumber, CrlNextUpdate: convert.FromTime(g.CRLNextUpdate),
		})
	}
	for state, n := range s.Members {
		out.Members = append(out.Members, &proto.StateCount{State: convert.FromState(state), Count: int32(n)})
	}
	slices.SortFunc(out.Members, func(a, b *proto.StateCount) int { return cmp.Compare(a.State, b.State) })
	return out
}
