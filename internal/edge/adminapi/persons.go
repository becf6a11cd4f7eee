package adminapi

import (
	"context"
	"crypto/x509"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/people"
	"bridge.example/membership"
)

func (s *service) WhoAmI(ctx context.Context, _ *proto.WhoAmIRequest) (*proto.WhoAmIResponse, error) {
	c := callerOf(ctx)
	return &proto.WhoAmIResponse{
		Actor: fromActor(c.actor), NotAfter: convert.FromTime(c.notAfter), May: permissions(s.rules, c.actor.Roles),
	}, nil
}

func (s *service) ListPersons(ctx context.Context, _ *proto.ListPersonsRequest) (*proto.ListPersonsResponse, error) {
	persons, err := s.people.Persons(ctx)
	if err != nil {
		return nil, err
	}
	return &proto.ListPersonsResponse{Persons: convert.Each(persons, fromPerson)}, nil
}

func (s *service) ProposePerson(ctx context.Context, r *proto.ProposePersonRequest) (*proto.ProposePersonResponse, error) {
	p, err := s.people.Propose(ctx, callerOf(ctx).actor, people.ID(r.GetPerson()), people.Proposal{
		Reason: r.GetReason(), Name: r.GetName(), Roles: convert.Each(r.GetRoles(), convert.ToRole),
		Member: membership.ID(r.GetMember()), Request: r.GetRequest(),
	})
	if err != nil {
		return nil, err
	}
	return &proto.ProposePersonResponse{Person: fromPerson(p)}, nil
}

func (s *service) ConfirmPerson(ctx context.Context, r *proto.ConfirmPersonRequest) (*proto.ConfirmPersonResponse, error) {
	id, err := people.ParseID(r.GetPerson())
	if err != nil {
		return nil, err
	}
	p, cert, err := s.people.Confirm(ctx, callerOf(ctx).actor, id, r.GetHash())
	if err != nil {
		return nil, err
	}
	return &proto.ConfirmPersonResponse{Person: fromPerson(p), Certificate: raw(cert)}, nil
}

func (s *service) RenewCredential(ctx context.Context, r *proto.RenewCredentialRequest) (*proto.RenewCredentialResponse, error) {
	_, cert, err := s.people.Renew(ctx, callerOf(ctx).actor, r.GetRequest())
	if err != nil {
		return nil, err
	}
	return &proto.RenewCredentialResponse{Certificate: raw(cert)}, nil
}

func (s *service) WithdrawCredential(ctx context.Context, r *proto.WithdrawCredentialRequest) (*proto.WithdrawCredentialResponse, error) {
	id, err := people.ParseID(r.GetPerson())
	if err != nil {
		return nil, err
	}
	p, err := s.people.WithdrawCredential(ctx, callerOf(ctx).actor, id, r.GetSha256(), r.GetReason())
	if err != nil {
		return nil, err
	}
	return &proto.WithdrawCredentialResponse{Person: fromPerson(p)}, nil
}

func (s *service) WithdrawRole(ctx context.Context, r *proto.WithdrawRoleRequest) (*proto.WithdrawRoleResponse, error) {
	id, err := people.ParseID(r.GetPerson())
	if err != nil {
		return nil, err
	}
	p, err := s.people.WithdrawRole(ctx, callerOf(ctx).actor, id, convert.ToRole(r.GetRole()), r.GetReason())
	if err != nil {
		return nil, err
	}
	return &proto.WithdrawRoleResponse{Person: fromPerson(p)}, nil
}

func raw(c *x509.Certificate) []byte {
	if c == nil {
		return nil
	}
	return c.Raw
}

func fromPerson(p people.Person) *proto.Person {
	out := &proto.Person{
		Id: string(p.ID), Name: p.Name, Roles: convert.Each(p.Roles, convert.FromRole), Member: string(p.Member),
		Credentials: convert.Each(p.Credentials, fromCredential),
	}
	if q := p.Proposal; q != nil {
		out.Proposal = &proto.Proposal{
			Hash: q.Hash(p.ID), By: fromActor(q.By), At: convert.FromTime(q.At), Reason: q.Reason, Name: q.Name,
			Roles: convert.Each(q.Roles, convert.FromRole), Member: string(q.Member), Request: q.Request,
		}
	}
	return out
}

func fromCredential(c people.Credential) *proto.Credential {
	out := &proto.Credential{
		Sha256: c.SHA256, Serial: c.Serial, NotBefore: convert.FromTime(c.NotBefore), NotAfter: convert.FromTime(c.NotAfter), Certificate: c.Certificate,
		IssuedAt: convert.FromTime(c.IssuedAt), IssuedBy: convert.Each(c.IssuedBy, fromActor),
	}
	if w := c.Withdrawal; w != nil {
		out.WithdrawnAt, out.WithdrawnBy, out.WithdrawnReason = convert.FromTime(w.At), fromActor(w.By), w.Reason
	}
	return out
}
