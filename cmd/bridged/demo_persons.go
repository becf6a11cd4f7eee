package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"bridge.example/api/client"
	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/lab"
	"bridge.example/internal/people"
	"bridge.example/internal/setup/statedir"
	"bridge.example/membership"
)

// demoPersons are those of the demo, each with one duty, and an applicant for
// each organisation.
func demoPersons() []people.Person {
	one := func(id people.ID, name string, r membership.Role) people.Person {
		return people.Person{ID: id, Name: name, Roles: []membership.Role{r}}
	}
	out := []people.Person{
		one("ada", "Ada", membership.Officer), one("grace", "Grace", membership.Officer), one("alan", "Alan", membership.Assessor),
		one("barbara", "Barbara", membership.Approver), one("edsger", "Edsger", membership.Approver), one("donald", "Donald", membership.Signer),
		one("dorothy", "Dorothy", membership.Auditor), one("olga", "Olga", membership.Operator),
		one("alfred", "Alfred", membership.Applicant), one("berta", "Berta", membership.Applicant),
	}
	for i := range out {
		switch out[i].ID {
		case "alfred":
			out[i].Member = "alpha"
		case "berta":
			out[i].Member = "beta"
		}
	}
	return out
}

// holders are the ids of the demo's persons with a role; of applicants those
// for one member.
func holders(r membership.Role, member membership.ID) (out []string) {
	for _, p := range demoPersons() {
		if p.Has(r) && p.Member == member {
			out = append(out, string(p.ID))
		}
	}
	return out
}

// admit takes one organisation through the administrative interface, from
// wherever an earlier demo left it: its applicant applies, two approvers approve.
func (d *demo) admit(ctx context.Context, m *lab.Organisation) error {
	bridgeCA, err := d.bridge.ReadCertificate(statedir.BridgeCA)
	if err != nil {
		return err
	}
	cross, err := m.CrossCertify(bridgeCA, demoLevel)
	if err != nil {
		return err
	}
	for _, person := range holders(membership.Applicant, membership.ID(m.Spec.ID)) {
		err := d.as(person, func(c proto.BridgeClient) error {
			_, err := c.ApplyMember(ctx, &proto.ApplyMemberRequest{Application: convert.FromApplication(m.Application(demoLevel, cross))})
			return err
		})
		// One that is there already is an earlier demo's.
		if err != nil && status.Code(err) != codes.Aborted {
			return err
		}
	}
	for _, person := range holders(membership.Approver, "") {
		if err := d.as(person, func(c proto.BridgeClient) error { return d.approve(ctx, c, m.Spec.ID, person) }); err != nil {
			return err
		}
	}
	return nil
}

// approve approves what has been applied for, unless person has done so.
func (d *demo) approve(ctx context.Context, c proto.BridgeClient, id, person string) error {
	got, err := c.GetMember(ctx, &proto.GetMemberRequest{Id: id})
	if err != nil {
		return err
	}
	member := got.GetMember()
	if member.GetState() == proto.State_STATE_APPLIED && !approvedBy(member, person) {
		r, err := c.ApproveMember(ctx, &proto.ApproveMemberRequest{Id: id, RecordHash: member.GetRecordHash(), Reason: "demo"})
		if err != nil {
			return err
		}
		member = r.GetMember()
	}
	d.suspended[id] = member.GetState() == proto.State_STATE_SUSPENDED
	return nil
}

func approvedBy(m *proto.Member, person string) bool {
	for _, a := range m.GetApprovals() {
		if a.GetBy().GetPerson() == person {
			return true
		}
	}
	return false
}

// as calls f with a connection of one person's.
func (d *demo) as(person string, f func(proto.BridgeClient) error) error {
	credentials, err := client.Open(d.bridge.Officer(person), "", time.Now())
	if err != nil {
		return err
	}
	conn, err := credentials.Dial()
	if err != nil {
		return err
	}
	return errors.Join(f(proto.NewBridgeClient(conn)), conn.Close())
}
