package daemon_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bridge.example/api/client"
	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/ceremony"
	"bridge.example/internal/daemon"
	"bridge.example/internal/lab"
	"bridge.example/internal/people"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
	"bridge.example/membership"
)

// level is the bridge's assurance level, below the number that is set aside for
// documentation (RFC 5612).
const level = "1.3.6.1.4.1.32473.1.1"

// persons are those of the lab, each with one duty.
func persons() (out []people.Person) {
	for _, a := range lab.Office() {
		out = append(out, people.Person{ID: people.ID(a.Person), Name: a.Person, Roles: a.Roles})
	}
	return out
}

// alphaSpec owns the mail domain that stands in recorded requests.
func alphaSpec() lab.Spec {
	s := lab.Alpha()
	s.Domain = "a.example"
	s.Users = []lab.UserSpec{{Local: "user5", CN: "Uma Five", State: lab.Valid}, {Local: "rita", CN: "Rita Richter", State: lab.Revoked}}
	return s
}

func betaSpec() lab.Spec {
	s := lab.Beta()
	s.Key, s.Domain = lab.ECDSA, "b.example"
	s.Users = []lab.UserSpec{{Local: "bob", CN: "Bob Baron", State: lab.Valid}, {Local: "remy", CN: "Remy Renard", State: lab.Revoked}}
	return s
}

// organisation starts a simulated member that ends with the test.
func organisation(t *testing.T, spec lab.Spec) *lab.Organisation {
	t.Helper()
	o, err := lab.New(filepath.Join(t.TempDir(), spec.ID), spec, lab.Ports{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := o.Start(); err != nil {
		t.Fatal(err)
	}
	return o
}

// bridge is a daemon in this process.
type bridge struct {
	daemon.Addrs
	*daemon.Daemon
	dir statedir.Dir
	// stop ends the daemon and returns what Run returned; it may be called again.
	stop func() error
	// cancel begins the end without waiting for it.
	cancel context.CancelFunc
}

// start founds a bridge whose tree hangs at suffix and runs it on free ports
// until the test ends. Passwords for the directories of members are put in
// place.
func start(t *testing.T, suffix string, edit func(*config.Config), members ...*lab.Organisation) *bridge {
	t.Helper()
	return founded(t, suffix, "").start(t, edit, members...)
}

// founded is the state of a bridge, below the root in a directory unless that
// is empty.
func founded(t *testing.T, suffix, root string) *bridge {
	t.Helper()
	b := &bridge{dir: statedir.Dir(filepath.Join(t.TempDir(), "bridge"))}
	const free = "127.0.0.1:0"
	_, err := ceremony.Found(t.Context(), string(b.dir), ceremony.Options{
		Name: "Test Bridge", Level: level, Persons: persons(), Key: keys.P256, PlainKeys: true,
		// Nobody follows these; what is published is fetched where it listens.
		URL: "http://repository.bridge.example", ResponderURL: "http://ocsp.bridge.example",
		Admin: free, Directory: free, Responder: free, Repository: free,
		Suffix: suffix, Allow: []string{"127.0.0.1/32"}, Root: root,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// start runs the bridge whose state was founded.
func (b *bridge) start(t *testing.T, edit func(*config.Config), members ...*lab.Organisation) *bridge {
	t.Helper()
	for _, m := range members {
		if name := m.Directory().Credential; name != "" {
			if err := os.WriteFile(b.dir.Credential(name), []byte(m.Spec.Password), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := config.LoadFile(b.dir.Config())
	if err != nil {
		t.Fatal(err)
	}
	names, err := lab.StartDNS(0, members...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { names.Close() })
	c.Checks.Resolver = names.Addr
	edit(c)
	b.run(t, c)
	return b
}

// run starts the daemon over b's state, until the test ends.
func (b *bridge) run(t *testing.T, c *config.Config) {
	t.Helper()
	var err error
	if b.Daemon, err = daemon.New(t.Context(), c, "test", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	b.Addrs = b.Daemon.Addrs()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	b.cancel = cancel
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	b.stop = stop
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("the daemon ended with %v", err)
		}
	})
	select {
	case <-b.Ready():
	case <-time.After(20 * time.Second):
		t.Fatal("the daemon is not ready")
	}
}

// as returns one officer's connection to the officers' interface.
func (b *bridge) as(t *testing.T, person string) proto.BridgeClient {
	t.Helper()
	credentials, err := client.Open(b.dir.Officer(person), b.Admin, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := credentials.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return proto.NewBridgeClient(conn)
}

// application is what a member declares to this bridge, its certificate for the
// bridge included.
func (b *bridge) application(t *testing.T, m *lab.Organisation) membership.Application {
	t.Helper()
	ca, err := b.dir.ReadCertificate(statedir.BridgeCA)
	if err != nil {
		t.Fatal(err)
	}
	cross, err := m.CrossCertify(ca, level)
	if err != nil {
		t.Fatal(err)
	}
	return m.Application(level, cross)
}

// desk is where the persons decide, at the administrative interface.
func (b *bridge) desk(t *testing.T) lab.Desk {
	t.Helper()
	clients := map[string]proto.BridgeClient{}
	for _, p := range lab.Office() {
		clients[p.Person] = b.as(t, p.Person)
	}
	return lab.Service(func(person string) (proto.BridgeClient, error) { return clients[person], nil })
}

// admit takes an application all the way, through the administrative interface,
// with examinations that ask the member's servers.
func (b *bridge) admit(t *testing.T, a membership.Application) {
	t.Helper()
	desk := b.desk(t)
	for _, kind := range []membership.DocumentKind{membership.PolicyDocument, membership.PracticeStatement} {
		if _, err := desk.Document(t.Context(), a.ID, kind); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.as(t, lab.Ada.Person).ApplyMember(t.Context(), &proto.ApplyMemberRequest{Application: convert.FromApplication(a)}); err != nil {
		t.Fatal(err)
	}
	if err := desk.Admit(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	b.isListed(t, string(a.ID), true)
}

// resume has a suspended member examined, and both approvers bring it back.
func (b *bridge) resume(t *testing.T, id membership.ID) {
	t.Helper()
	desk := b.desk(t)
	for _, s := range []lab.Step{{Verb: membership.Check, By: lab.Ada}, {Verb: membership.Resume, By: lab.Dora}, {Verb: membership.Resume, By: lab.Emil}} {
		if err := desk.Take(t.Context(), id, s); err != nil {
			t.Fatal(err)
		}
	}
	b.isListed(t, string(id), true)
}

func (b *bridge) suspend(t *testing.T, id membership.ID) {
	t.Helper()
	if err := b.desk(t).Take(t.Context(), id, lab.Step{Verb: membership.Suspend, By: lab.Ada}); err != nil {
		t.Fatal(err)
	}
	b.isListed(t, string(id), false)
}

func (b *bridge) isListed(t *testing.T, id string, want bool) {
	t.Helper()
	r, err := b.as(t, lab.Ada.Person).GetMember(t.Context(), &proto.GetMemberRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	if m := r.GetMember(); m.GetProjection().GetListed() != want || m.GetPending() != "" {
		t.Fatalf("%s is %v, listed: %v, pending: %q", id, m.GetState(), m.GetProjection().GetListed(), m.GetPending())
	}
}

// user is the member's first user.
func user(t *testing.T, m *lab.Organisation) lab.User {
	t.Helper()
	return person(t, m, m.Spec.Users[0].Local)
}

// person is one of the member's users, by the part of the address before the @.
func person(t *testing.T, m *lab.Organisation, local string) lab.User {
	t.Helper()
	u, err := m.User(local)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
