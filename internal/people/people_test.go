package people_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/fault"
	"bridge.example/internal/people"
	"bridge.example/membership"
)

// bridge is a register with a clock, founded by ada and grace, officers, olga,
// an operator, and the approvers bea and ed.
type bridge struct {
	*people.Register
	now   time.Time
	mute  error        // of the audit log
	heard []people.Act // and what it was told
	ca    people.Authority
	certs map[people.ID]*x509.Certificate
}

func found(t *testing.T) *bridge {
	t.Helper()
	store, err := boltstore.Create(filepath.Join(t.TempDir(), "bridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	b := &bridge{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), certs: map[people.ID]*x509.Certificate{}}
	key := newKey(t)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "admin CA"}, NotBefore: b.now, NotAfter: b.now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if root, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	b.ca = people.NewAuthority(root, key)
	b.Register = people.NewRegister(store.People(), b.ca, people.Options{
		Now: func() time.Time { return b.now }, Log: slog.New(slog.DiscardHandler),
		Audit: func(_ context.Context, a people.Act) error { b.heard = append(b.heard, a); return b.mute },
	})
	first := []people.Person{
		{ID: "ada", Roles: []membership.Role{membership.Officer}}, {ID: "grace", Roles: []membership.Role{membership.Officer}},
		{ID: "olga", Roles: []membership.Role{membership.Operator}},
		{ID: "bea", Roles: []membership.Role{membership.Approver}}, {ID: "ed", Roles: []membership.Role{membership.Approver}},
	}
	certs, err := b.Found(t.Context(), first, func(people.ID) (crypto.PublicKey, error) { return newKey(t).Public(), nil })
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range certs {
		b.certs[first[i].ID] = c
	}
	return b
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// request is a PKCS #10 for key that claims a name it will not get.
func request(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "ada"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// as is who holds the first certificate of a person.
func (b *bridge) as(t *testing.T, id people.ID) membership.Actor {
	t.Helper()
	return b.with(t, b.certs[id])
}

func (b *bridge) with(t *testing.T, c *x509.Certificate) membership.Actor {
	t.Helper()
	p, k, err := b.Identify(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return membership.Actor{Person: string(p.ID), Credential: k.SHA256, Roles: p.Roles}
}

func wantKind(t *testing.T, what string, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != want {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func proposal(t *testing.T, roles ...membership.Role) people.Proposal {
	return people.Proposal{Roles: roles, Reason: "new here", Request: request(t, newKey(t))}
}

func TestAppoint(t *testing.T) {
	b := found(t)
	p, err := b.Propose(t.Context(), b.as(t, "ada"), "carl", proposal(t, membership.Approver))
	if err != nil {
		t.Fatal(err)
	}
	hash := p.Proposal.Hash("carl")
	if p.Has(membership.Approver) || len(p.Credentials) > 0 {
		t.Errorf("a proposal alone gives %v and %d credentials", p.Roles, len(p.Credentials))
	}
	// ada's second credential is still ada.
	_, second, err := b.Renew(t.Context(), b.as(t, "ada"), request(t, newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	confirm := func(by membership.Actor, hash string) error {
		_, _, err := b.Confirm(t.Context(), by, "carl", hash)
		return err
	}
	wantKind(t, "confirming one's own proposal", confirm(b.as(t, "ada"), hash), fault.Denied)
	wantKind(t, "with a second credential", confirm(b.with(t, second), hash), fault.Denied)
	wantKind(t, "an approver confirming", confirm(b.as(t, "bea"), hash), fault.Denied)
	wantKind(t, "another proposal", confirm(b.as(t, "grace"), p.Proposal.Hash("bea")), fault.Conflict)
	p, cert, err := b.Confirm(t.Context(), b.as(t, "olga"), "carl", hash)
	if err != nil {
		t.Fatal(err)
	}
	if cert.Subject.CommonName != "carl" || !p.Has(membership.Approver) || len(p.Credentials) != 1 || len(p.Credentials[0].IssuedBy) != 2 {
		t.Errorf("got %v, certificate for %q", p, cert.Subject.CommonName)
	}
	if got := b.with(t, cert); got.Person != "carl" {
		t.Errorf("the certificate is known as %q", got.Person)
	}
	wantKind(t, "confirming again", confirm(b.as(t, "grace"), hash), fault.NotFound)
}

func TestProposalsThatDoNotCount(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(*testing.T, *bridge)
		want fault.Kind
	}{
		{"of the day before yesterday", func(_ *testing.T, b *bridge) { b.now = b.now.Add(73 * time.Hour) }, fault.Conflict},
		{"replaced since", func(t *testing.T, b *bridge) {
			if _, err := b.Propose(t.Context(), b.as(t, "olga"), "carl", proposal(t, membership.Signer)); err != nil {
				t.Fatal(err)
			}
		}, fault.Conflict},
		{"whose author's credential was withdrawn", func(t *testing.T, b *bridge) {
			if _, err := b.WithdrawCredential(t.Context(), b.as(t, "olga"), "ada", "", "stolen"); err != nil {
				t.Fatal(err)
			}
		}, fault.Conflict},
		{"whose author lost the role", func(t *testing.T, b *bridge) {
			if _, err := b.WithdrawRole(t.Context(), b.as(t, "olga"), "ada", membership.Officer, "left"); err != nil {
				t.Fatal(err)
			}
		}, fault.Conflict},
		{"withdrawn", func(t *testing.T, b *bridge) {
			if _, err := b.WithdrawCredential(t.Context(), b.as(t, "ada"), "carl", "", "a mistake"); err != nil {
				t.Fatal(err)
			}
		}, fault.NotFound},
	} {
		b := found(t)
		p, err := b.Propose(t.Context(), b.as(t, "ada"), "carl", proposal(t, membership.Approver))
		if err != nil {
			t.Fatal(err)
		}
		tt.then(t, b)
		_, _, err = b.Confirm(t.Context(), b.as(t, "grace"), "carl", p.Proposal.Hash("carl"))
		wantKind(t, tt.name, err, tt.want)
	}
}

func TestRefusedProposals(t *testing.T) {
	b := found(t)
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	known := newKey(t)
	if _, _, err := b.Renew(t.Context(), b.as(t, "bea"), request(t, known)); err != nil {
		t.Fatal(err)
	}
	broken := request(t, newKey(t))
	broken[len(broken)-1] ^= 1
	for _, tt := range []struct {
		name string
		by   people.ID
		id   people.ID
		edit func(*people.Proposal)
		want fault.Kind
	}{
		{"by an approver", "bea", "carl", func(*people.Proposal) {}, fault.Denied},
		{"about oneself", "ada", "ada", func(*people.Proposal) {}, fault.Denied},
		{"an id in capitals", "ada", "Bea", func(*people.Proposal) {}, fault.Invalid},
		{"an id in Cyrillic", "ada", "b\u0435a", func(*people.Proposal) {}, fault.Invalid},
		{"an id with a space", "ada", "bea ", func(*people.Proposal) {}, fault.Invalid},
		{"an id with an invisible letter", "ada", "be\u200ba", func(*people.Proposal) {}, fault.Invalid},
		{"no roles", "ada", "carl", func(p *people.Proposal) { p.Roles = nil }, fault.Invalid},
		{"a role nobody knows", "ada", "carl", func(p *people.Proposal) { p.Roles = []membership.Role{"root"} }, fault.Invalid},
		{"no reason", "ada", "carl", func(p *people.Proposal) { p.Reason = " " }, fault.Invalid},
		{"a name with an escape", "ada", "carl", func(p *people.Proposal) { p.Name = "\x1b[2J" }, fault.Invalid},
		{"a name that turns the line", "ada", "carl", func(p *people.Proposal) { p.Name = "x\u202ey" }, fault.Invalid},
		{"no request for a new person", "ada", "carl", func(p *people.Proposal) { p.Request = nil }, fault.Invalid},
		{"a short RSA key", "ada", "carl", func(p *people.Proposal) { p.Request = request(t, weak) }, fault.Invalid},
		{"a broken signature", "ada", "carl", func(p *people.Proposal) { p.Request = broken }, fault.Invalid},
		{"no PKCS #10", "ada", "carl", func(p *people.Proposal) { p.Request = []byte{0x30} }, fault.Invalid},
		{"the key of another person", "ada", "carl", func(p *people.Proposal) { p.Request = request(t, known) }, fault.Conflict},
		{"an applicant without a member", "ada", "carl", func(p *people.Proposal) { p.Roles = []membership.Role{membership.Applicant} }, fault.Invalid},
		{"an officer with a member", "ada", "carl", func(p *people.Proposal) { p.Member = "alpha" }, fault.Invalid},
	} {
		p := proposal(t, membership.Officer)
		tt.edit(&p)
		_, err := b.Propose(t.Context(), b.as(t, tt.by), tt.id, p)
		wantKind(t, tt.name, err, tt.want)
	}
}

// TestRolesTogether holds every pair of roles against what may be one person.
func TestRolesTogether(t *testing.T) {
	free := map[membership.Role][]membership.Role{
		membership.Applicant: {membership.MemberRole},
		membership.Officer:   {membership.Assessor, membership.Approver, membership.Signer, membership.Operator},
		membership.Assessor:  {membership.Approver, membership.Signer},
		membership.Approver:  {membership.Signer},
	}
	roles := membership.Roles()
	for i, a := range roles {
		for _, c := range roles[i+1:] {
			first := []people.Person{
				{ID: "ada", Roles: []membership.Role{membership.Officer, membership.Approver}}, {ID: "bea", Roles: []membership.Role{membership.Officer, membership.Approver}},
				{ID: "x1", Roles: []membership.Role{a, c}},
			}
			if i < 2 {
				first[2].Member = "alpha"
			}
			if err := people.CheckFirst(first); (err == nil) != slices.Contains(free[a], c) {
				t.Errorf("%s and %s: got %v", a, c, err)
			}
		}
	}
}

func TestWithdraw(t *testing.T) {
	b := found(t)
	bea := b.as(t, "bea")
	if _, err := b.WithdrawCredential(t.Context(), b.as(t, "ada"), "bea", bea.Credential, "lost"); err != nil {
		t.Fatal(err)
	}
	_, _, err := b.Identify(t.Context(), b.certs["bea"])
	wantKind(t, "a withdrawn credential", err, fault.Denied)
	_, _, err = b.Renew(t.Context(), bea, request(t, newKey(t)))
	wantKind(t, "renewing with a withdrawn credential", err, fault.Denied)
	_, err = b.WithdrawCredential(t.Context(), bea, "ada", "", "revenge")
	wantKind(t, "withdrawing with a withdrawn credential", err, fault.Denied)
	_, err = b.WithdrawCredential(t.Context(), b.as(t, "ada"), "bea", bea.Credential, "again")
	wantKind(t, "withdrawing twice", err, fault.NotFound)
	_, err = b.WithdrawCredential(t.Context(), b.as(t, "ada"), "ed", "", "")
	wantKind(t, "no reason", err, fault.Invalid)

	// Of three who appoint one may go, and not the second.
	if _, err := b.WithdrawRole(t.Context(), b.as(t, "ada"), "olga", membership.Operator, "left"); err != nil {
		t.Fatal(err)
	}
	_, err = b.WithdrawRole(t.Context(), b.as(t, "ada"), "grace", membership.Officer, "coup")
	wantKind(t, "the last role but one", err, fault.Conflict)
	_, err = b.WithdrawCredential(t.Context(), b.as(t, "ada"), "grace", "", "coup")
	wantKind(t, "the last credentials but one", err, fault.Conflict)
	// A stolen one of the last two is replaced first.
	grace := b.as(t, "grace")
	if _, _, err := b.Renew(t.Context(), grace, request(t, newKey(t))); err != nil {
		t.Fatal(err)
	}
	if _, err := b.WithdrawCredential(t.Context(), b.as(t, "ada"), "grace", grace.Credential, "stolen"); err != nil {
		t.Error(err)
	}
}

// TestConcurrentWithdrawal has both of the last two but one withdraw each other.
func TestConcurrentWithdrawal(t *testing.T) {
	b := found(t)
	actors := map[people.ID]membership.Actor{"ada": b.as(t, "olga"), "grace": b.as(t, "ada"), "olga": b.as(t, "grace")}
	var wg sync.WaitGroup
	for target, by := range actors {
		wg.Go(func() { _, _ = b.WithdrawCredential(t.Context(), by, target, "", "race") })
	}
	wg.Wait()
	left := 0
	for target := range actors {
		if _, _, err := b.Identify(t.Context(), b.certs[target]); err == nil {
			left++
		}
	}
	if left != 2 {
		t.Errorf("%d are left who can appoint, want 2", left)
	}
}

func TestRenew(t *testing.T) {
	b := found(t)
	key := newKey(t)
	for range 3 {
		if _, _, err := b.Renew(t.Context(), b.as(t, "ed"), request(t, newKey(t))); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := b.Renew(t.Context(), b.as(t, "ed"), request(t, key))
	wantKind(t, "a fifth credential", err, fault.Conflict)
	b.now = b.now.AddDate(1, 0, 1)
	ed := membership.Actor{Person: "ed"}
	_, _, err = b.Renew(t.Context(), ed, request(t, key))
	wantKind(t, "after expiry", err, fault.Denied)
	_, _, err = b.Identify(t.Context(), b.certs["ed"])
	wantKind(t, "an expired credential", err, fault.Denied)
}

// TestImpostors presents certificates of the admin CA that are no credential.
func TestImpostors(t *testing.T) {
	b := found(t)
	for name, id := range map[string]people.ID{
		"a second certificate for ada": "ada", "a person nobody knows": "carl", "capitals": "ADA", "a space": "ada ",
		"a Cyrillic letter": "\u0430da", "a zero byte": "ada\x00x", "nobody": "",
	} {
		cert, err := b.ca.Issue(id, newKey(t).Public(), b.now)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = b.Identify(t.Context(), cert)
		wantKind(t, name, err, fault.Denied)
	}
	two := *b.certs["ada"]
	two.Subject.Names = append(slices.Clone(two.Subject.Names), two.Subject.Names...)
	_, _, err := b.Identify(t.Context(), &two)
	wantKind(t, "two common names", err, fault.Denied)
}

// TestLacking: what a founding leaves open is said.
func TestLacking(t *testing.T) {
	who := func(id string, roles ...membership.Role) people.Person {
		return people.Person{ID: people.ID(id), Roles: roles}
	}
	two := []people.Person{who("ada", membership.Officer, membership.Approver), who("bob", membership.Officer, membership.Approver)}
	whole := []people.Person{
		who("ada", membership.Officer, membership.Assessor), who("bob", membership.Officer),
		who("dora", membership.Approver, membership.Signer), who("emil", membership.Approver),
	}
	if got := people.Lacking(whole); len(got) != 0 {
		t.Errorf("got %q for four with all duties, want nothing lacking", got)
	}
	if got := people.Lacking(two); len(got) != 3 {
		t.Errorf("got %q for two officers who approve, want no assessor, no signer and too few in all", got)
	}
}

// TestAudit: what cannot be recorded is not done, and the record says what it
// is about.
func TestAudit(t *testing.T) {
	b := found(t)
	ada, grace := b.as(t, "ada"), b.as(t, "grace")
	p := proposal(t, membership.Approver)
	renewal := request(t, newKey(t))
	steps := []struct {
		verb string
		do   func() error
	}{
		{"propose", func() error { _, err := b.Propose(t.Context(), ada, "carl", p); return err }},
		{"confirm", func() error {
			persons, err := b.Persons(t.Context())
			if err != nil {
				return err
			}
			carl := persons[slices.IndexFunc(persons, func(p people.Person) bool { return p.ID == "carl" })]
			_, _, err = b.Confirm(t.Context(), grace, "carl", carl.Proposal.Hash("carl"))
			return err
		}},
		{"renew", func() error { _, _, err := b.Renew(t.Context(), ada, renewal); return err }},
		{"withdraw-role", func() error {
			_, err := b.WithdrawRole(t.Context(), ada, "carl", membership.Approver, "why")
			return err
		}},
		{"withdraw-credential", func() error { _, err := b.WithdrawCredential(t.Context(), ada, "carl", "", "why"); return err }},
	}
	for _, s := range steps {
		before, err := b.Persons(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.mute = fault.New(fault.Unavailable, "the disk is full")
		wantKind(t, s.verb+" without a log", s.do(), fault.Unavailable)
		if after, err := b.Persons(t.Context()); err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%s was done, and not recorded (%v)", s.verb, err)
		}
		b.mute, b.heard = nil, nil
		if err := s.do(); err != nil || len(b.heard) != 1 {
			t.Fatalf("%s: %v, heard %v", s.verb, err, b.heard)
		}
		a := b.heard[0]
		about := people.ID("carl")
		if s.verb == "renew" {
			about = "ada"
		}
		if a.Verb != s.verb || a.Person != about || a.By.Person == "" || a.Reason == "" && s.verb != "renew" ||
			(s.verb == "propose" || s.verb == "confirm") != (a.Proposal != "") || (s.verb == "withdraw-credential") != (len(a.Credentials) == 1) ||
			(s.verb == "propose" || s.verb == "confirm" || s.verb == "renew") != (a.Key != "") {
			t.Errorf("%s: recorded is %+v", s.verb, a)
		}
	}
}
