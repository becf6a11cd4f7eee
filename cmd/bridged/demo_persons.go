package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
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

// duties are the demo's persons who take the steps of the lab's.
var duties = map[string]string{
	lab.Ada.Person: "ada", lab.Bob.Person: "grace", lab.Cleo.Person: "alan",
	lab.Dora.Person: "barbara", lab.Emil.Person: "edsger", lab.Finn.Person: "donald",
}

// admit takes one organisation through the administrative interface, from
// wherever an earlier demo left it: its applicant applies and submits, each of
// the others does their part. A record that is in force, or over for good, is
// left alone.
func (d *demo) admit(ctx context.Context, m *lab.Organisation) (err error) {
	id := membership.ID(m.Spec.ID)
	applicant := holders(membership.Applicant, id)[0]
	o := office{demo: d, clients: map[string]proto.BridgeClient{}}
	defer func() { err = errors.Join(err, o.close()) }()
	desk := lab.Service(func(person string) (proto.BridgeClient, error) { return o.client(cmp.Or(duties[person], person)) })
	if err := d.apply(ctx, o.client, desk, applicant, m); err != nil {
		return err
	}
	record, err := desk.Member(ctx, id)
	if err != nil {
		return err
	}
	if record.ActiveSince.IsZero() {
		steps := lab.Admission()
		steps[0].By.Person = applicant
		if err := desk.Follow(ctx, id, steps); err != nil {
			return err
		}
		if record, err = desk.Member(ctx, id); err != nil {
			return err
		}
	}
	if !record.Served() {
		d.stopped[m.Spec.ID] = true
	}
	return nil
}

// apply has the applicant open the record, unless it is there.
func (d *demo) apply(ctx context.Context, as func(string) (proto.BridgeClient, error), desk lab.Desk, applicant string, m *lab.Organisation) error {
	bridgeCA, err := d.bridge.ReadCertificate(statedir.BridgeCA)
	if err != nil {
		return err
	}
	cross, err := m.CrossCertify(bridgeCA, demoLevel)
	if err != nil {
		return err
	}
	a := m.Application(demoLevel, cross)
	for i, doc := range a.Documents {
		if a.Documents[i], err = desk.Document(ctx, a.ID, doc.Kind); err != nil {
			return err
		}
	}
	c, err := as(applicant)
	if err != nil {
		return err
	}
	_, err = c.ApplyMember(ctx, &proto.ApplyMemberRequest{Application: convert.FromApplication(a)})
	// One that is there already is an earlier demo's.
	if status.Code(err) == codes.Aborted {
		return nil
	}
	return err
}

// office keeps a connection of each person who was needed.
type office struct {
	*demo
	clients map[string]proto.BridgeClient
	conns   []*grpc.ClientConn
}

func (o *office) client(person string) (proto.BridgeClient, error) {
	if c, ok := o.clients[person]; ok {
		return c, nil
	}
	credentials, err := client.Open(o.bridge.Officer(person), "", time.Now())
	if err != nil {
		return nil, err
	}
	conn, err := credentials.Dial()
	if err != nil {
		return nil, err
	}
	o.conns = append(o.conns, conn)
	o.clients[person] = proto.NewBridgeClient(conn)
	return o.clients[person], nil
}

func (o *office) close() (err error) {
	for _, c := range o.conns {
		err = errors.Join(err, c.Close())
	}
	return err
}
