package lab

import (
	"context"
	"fmt"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/membership"
)

// Service returns the desk of a bridge behind its administrative interface; as
// gives the connection of one person. Ada asks what only needs an officer.
func Service(as func(person string) (proto.BridgeClient, error)) Desk {
	return Desk{
		Member: func(ctx context.Context, id membership.ID) (membership.Member, error) {
			c, err := as(Ada.Person)
			if err != nil {
				return membership.Member{}, err
			}
			r, err := c.GetMember(ctx, &proto.GetMemberRequest{Id: string(id)})
			return recordOf(r.GetMember()), err
		},
		Decide: func(ctx context.Context, id membership.ID, d membership.Decision) error {
			c, err := as(d.By.Person)
			if err != nil {
				return err
			}
			r, err := c.DecideMember(ctx, Request(id, d))
			if pending := r.GetMember().GetPending(); err == nil && pending != "" {
				return fmt.Errorf("decided, and the world does not see it: %s", pending)
			}
			return err
		},
		Check: func(ctx context.Context, id membership.ID, by membership.Actor) error {
			c, err := as(by.Person)
			if err != nil {
				return err
			}
			r, err := c.CheckMember(ctx, &proto.CheckMemberRequest{Id: string(id)})
			if report := r.GetMember().GetReport(); err == nil && !report.GetPassed() {
				return fmt.Errorf("%s failed at %v", id, report.GetFailed())
			}
			return err
		},
		Put: func(ctx context.Context, id membership.ID, content []byte) (string, error) {
			c, err := as(Ada.Person)
			if err != nil {
				return "", err
			}
			r, err := c.PutDocument(ctx, &proto.PutDocumentRequest{Id: string(id), Content: content})
			return r.GetHash(), err
		},
		Preview: func(ctx context.Context, id membership.ID) (string, error) {
			c, err := as(Ada.Person)
			if err != nil {
				return "", err
			}
			r, err := c.PreviewMember(ctx, &proto.PreviewMemberRequest{Id: string(id)})
			return r.GetDigest(), err
		},
	}
}

// recordOf is what decisions are made from: what the record hash is over, and
// where the record stands.
func recordOf(m *proto.Member) membership.Member {
	out := membership.Member{
		Application: convert.ToApplication(m.GetApplication()), State: convert.ToState(m.GetState()), Round: int(m.GetRound()),
		Halted: m.GetHalted(), ActiveSince: convert.ToTime(m.GetActiveSince()),
	}
	for _, a := range m.GetApprovals() {
		out.Approvals = append(out.Approvals, membership.Decision{
			Verb: convert.ToVerb(a.GetVerb()), By: membership.Actor{Person: a.GetBy().GetPerson()}, RecordHash: a.GetRecordHash(), At: convert.ToTime(a.GetAt()),
		})
	}
	if a := m.GetAmendment(); a != nil {
		out.Amendment = &membership.Amendment{Application: convert.ToApplication(a.GetApplication()), Stage: convert.ToState(a.GetStage())}
	}
	return out
}

// Request is a decision in the words of the interface.
func Request(id membership.ID, d membership.Decision) *proto.DecideMemberRequest {
	return &proto.DecideMemberRequest{
		Id: string(id), Verb: convert.FromVerb(d.Verb), RecordHash: d.RecordHash, Reason: d.Reason,
		Documents: convert.Each(d.Documents, convert.FromDocument), Fingerprints: d.Fingerprints,
		Mappings: convert.Each(d.Mappings, convert.FromPolicy), Preview: d.Preview, Date: convert.FromTime(d.Date),
	}
}
