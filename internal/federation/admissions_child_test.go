package federation_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/lab"
	"bridge.example/internal/people"
	"bridge.example/membership"
)

const (
	envLives     = "BRIDGE_LIVES" // how many
	envLivesDir  = "BRIDGE_LIVES_DIR"
	envLivesSeed = "BRIDGE_LIVES_SEED"
)

// witness is what a life says of one act, once it was told that it is done.
type witness struct {
	Member   *membership.Member  `json:",omitempty"`
	Revision membership.Revision `json:",omitempty"` // of the member, whose JSON has none
	Person   *people.Person      `json:",omitempty"`
	PersonAt uint64              `json:",omitempty"` // its revision
	Document string              `json:",omitempty"` // hash
	List     int64               `json:",omitempty"` // numbers published now
	CRL      int64               `json:",omitempty"`
}

// applicants are the members of these tests. Two of them want one domain.
var applicants = []membership.ID{"alpha", "beta", "gamma"}

// life is one process in which much goes on until it is killed.
type life struct {
	*bridge
	random *rand.Rand
	cas    map[membership.ID]*ca
	mu     sync.Mutex
}

// TestAdmissionsChild is the process that gets killed.
func TestAdmissionsChild(t *testing.T) {
	dir := os.Getenv(envLivesDir)
	if dir == "" {
		t.Skip("run by TestKillAdmissions")
	}
	seed, err := strconv.ParseUint(os.Getenv(envLivesSeed), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	l := &life{bridge: openAudited(t, dir, sound{}), random: rand.New(rand.NewPCG(seed, 1)), cas: map[membership.ID]*ca{}}
	for _, id := range applicants {
		l.cas[id] = readCA(t, dir, id)
	}
	ctx := t.Context()
	if err := l.authority.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.Reconcile(ctx); err != nil {
		t.Fatal(err)
	}
	go func() {
		for n := 0; ; n++ {
			p, err := l.appoint(ctx, n, rand.New(rand.NewPCG(seed, uint64(n))))
			if !refused(t, err) {
				l.say(t, witness{Person: &p, PersonAt: p.Revision})
			}
		}
	}()
	for {
		m, err := l.act(t, applicants[l.random.IntN(len(applicants))])
		if !refused(t, err) && m.ID != "" {
			a := l.Artifacts()
			l.say(t, witness{Member: &m, Revision: m.Revision, List: a.ListNumber, CRL: a.CRLNumber})
		}
		if l.random.IntN(20) == 0 {
			hash, err := l.PutDocument(ctx, "nobody", fmt.Append(nil, l.random.Uint64()))
			if err != nil {
				t.Error(err)
			}
			l.say(t, witness{Document: hash})
		}
	}
}

// refused reports whether err says that it is not the moment for an act. Other
// errors end the process.
func refused(t *testing.T, err error) bool {
	if err != nil && !slices.Contains([]fault.Kind{fault.Conflict, fault.Invalid, fault.Denied, fault.NotFound}, fault.KindOf(err)) {
		fmt.Printf("--- FAIL: %v\n", err)
		os.Exit(1)
	}
	return err != nil
}

func (l *life) say(t *testing.T, w witness) {
	line, err := json.Marshal(w)
	if err != nil {
		t.Error(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Printf("%s\n", line) // who does not listen any more kills soon
}

// steps are all that takes a member further, to admission and after it.
var steps = append(lab.Admission(),
	lab.Step{Verb: membership.Confirm, By: lab.Bob}, lab.Step{Verb: membership.Resume, By: lab.Emil},
	lab.Step{Verb: membership.Resume, By: lab.Dora}, lab.Step{Verb: membership.Renew, By: lab.Ada})

// act does one thing about a member, and returns its record then.
func (l *life) act(t *testing.T, id membership.ID) (membership.Member, error) {
	ctx := t.Context()
	m, err := l.Register.Member(ctx, id)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return m, err
	}
	if err != nil || slices.Contains([]membership.State{membership.Withdrawn, membership.Rejected}, m.State) {
		return record(l.apply(ctx, application(string(id), l.cas[id].cert.Raw)))
	}
	switch l.random.IntN(25) {
	case 0:
		return record(l.edit(ctx, m))
	case 1:
		der := certifyBridge(t, l.cas[id], l.BridgeCA, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(1 + l.random.Int64N(1<<60)) })
		v, err := l.AcceptInbound(ctx, id, lab.Ada, der, false)
		return v.Case.Member, err
	case 2:
		if stand := m.CertificatesForBridge(); len(stand) > 0 {
			return record(l.WithdrawInbound(ctx, id, lab.Bob, lab.Hash(stand[0]), "it is replaced"))
		}
	case 3:
		return record(l.Decide(ctx, id, suspension("a doubt")))
	case 4:
		if l.random.IntN(3) == 0 {
			return record(l.Decide(ctx, id, membership.Decision{Verb: membership.Withdraw, By: lab.Bob, Reason: "not now"}))
		}
	}
	due := slices.DeleteFunc(slices.Clone(steps), func(s lab.Step) bool { return !s.Due(m) })
	if len(due) == 0 {
		return membership.Member{}, nil
	}
	if err := l.desk().Take(ctx, id, due[l.random.IntN(len(due))]); err != nil {
		return membership.Member{}, err
	}
	return l.Register.Member(ctx, id)
}

func record(c federation.Case, err error) (membership.Member, error) { return c.Member, err }

// edit changes what binds nobody, or claims the domain that two want, or gives
// it up.
func (l *life) edit(ctx context.Context, m membership.Member) (federation.Case, error) {
	a := *m.Candidate()
	if l.random.IntN(2) == 0 {
		a.Contacts = []membership.Contact{{Name: fmt.Sprint("Desk ", l.random.IntN(100)), Email: "pki@" + string(m.ID) + ".example"}}
	} else if a.MailDomains = []string{string(m.ID) + ".example"}; len(m.Candidate().MailDomains) == 1 {
		a.MailDomains = append(a.MailDomains, contested)
	}
	return l.Edit(ctx, m.ID, lab.Ada, m.RecordHash(), a)
}

const contested = "contested.example"

// appoint does the next thing about persons.
func (l *life) appoint(ctx context.Context, n int, random *rand.Rand) (people.Person, error) {
	const id = "carl"
	ada, err1 := l.founder(ctx, "ada")
	grace, err2 := l.founder(ctx, "grace")
	if err1 != nil || err2 != nil {
		return people.Person{}, fmt.Errorf("%w, %w", err1, err2)
	}
	switch n % 4 {
	case 0:
		key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
		if err != nil {
			return people.Person{}, err
		}
		request, err := x509.CreateCertificateRequest(crand.Reader, &x509.CertificateRequest{}, key)
		if err != nil {
			return people.Person{}, err
		}
		return l.persons.Propose(ctx, ada, id, people.Proposal{
			Reason: fmt.Sprint("reason ", random.Uint64()), Roles: []membership.Role{membership.Approver}, Request: request,
		})
	case 1:
		p, err := l.store.People().Load(ctx, id)
		if err != nil || p.Proposal == nil {
			return people.Person{}, fault.New(fault.NotFound, "nothing to confirm (%v)", err)
		}
		p, _, err = l.persons.Confirm(ctx, grace, id, p.Proposal.Hash(id))
		return p, err
	case 2:
		return l.persons.WithdrawRole(ctx, ada, id, membership.Approver, "enough")
	default:
		return l.persons.WithdrawCredential(ctx, grace, id, "", "gone")
	}
}

// founder is one of those who founded the bridge.
func (l *life) founder(ctx context.Context, id people.ID) (membership.Actor, error) {
	p, err := l.store.People().Load(ctx, id)
	if err != nil {
		return membership.Actor{}, err
	}
	return membership.Actor{Person: string(id), Credential: p.Credentials[0].SHA256, Roles: p.Roles}, nil
}

// writeCA keeps a member's CA for the lives to come.
func writeCA(t *testing.T, dir string, id membership.ID) {
	t.Helper()
	c := newCA(t, string(id)+" root", nil)
	key, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{".der": c.cert.Raw, ".key": key} {
		if err := os.WriteFile(filepath.Join(dir, string(id)+name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func readCA(t *testing.T, dir string, id membership.ID) *ca {
	t.Helper()
	der, err1 := os.ReadFile(filepath.Join(dir, string(id)+".der"))
	b, err2 := os.ReadFile(filepath.Join(dir, string(id)+".key"))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	cert, err1 := x509.ParseCertificate(der)
	key, err2 := x509.ParsePKCS8PrivateKey(b)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return &ca{cert, key.(crypto.Signer)}
}
