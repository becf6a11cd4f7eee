package adminapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"bridge.example/api/proto"
	"bridge.example/crosscert"
	"bridge.example/internal/edge/adminapi"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/people"
	"bridge.example/membership"
)

// authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key := newKey(t)
	tmpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(1),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

// issue makes a certificate for name, fit for uses.
func (a authority) issue(t *testing.T, name string, uses ...x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{"bridged"}, SerialNumber: big.NewInt(2),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: uses,
	}, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// fake is a federation of one register, without projections.
type fake struct {
	*membership.Register
	err       error // of Status
	panics    bool  // in Status
	artifacts *federation.Artifacts
	store     *boltstore.Store
}

func newFake(t *testing.T) *fake {
	t.Helper()
	store, err := boltstore.Create(filepath.Join(t.TempDir(), "bridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return &fake{Register: membership.NewRegister(store.Members(), membership.Options{Log: slog.New(slog.DiscardHandler)}), store: store}
}

func caseOf(m membership.Member, err error) (federation.Case, error) {
	if err != nil {
		return federation.Case{}, err
	}
	return federation.Case{Member: m, RecordHash: m.RecordHash(), Next: m.Next(time.Now())}, nil
}

func (f *fake) Apply(ctx context.Context, by membership.Actor, a membership.Application) (federation.Case, error) {
	return caseOf(f.Register.Apply(ctx, by, a))
}

func (f *fake) Edit(ctx context.Context, id membership.ID, by membership.Actor, hash string, a membership.Application) (federation.Case, error) {
	return caseOf(f.Register.Edit(ctx, id, by, hash, a))
}

// Check finds nothing wrong.
func (f *fake) Check(ctx context.Context, id membership.ID, by membership.Actor) (federation.Case, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return federation.Case{}, err
	}
	hash, err := f.PutDocument(ctx, id, []byte("nothing is wrong"))
	if err != nil {
		return federation.Case{}, err
	}
	return caseOf(f.Register.Examined(ctx, id, by, membership.Report{Document: hash, RecordHash: m.RecordHash(), Passed: true}))
}

func (f *fake) PutDocument(ctx context.Context, id membership.ID, content []byte) (string, error) {
	return f.store.Documents().Put(ctx, id, content)
}

// Document gives out what the record names.
func (f *fake) Document(ctx context.Context, id membership.ID, hash string) ([]byte, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return nil, err
	}
	if !m.Names(hash) {
		return nil, fault.New(fault.NotFound, "no such document")
	}
	return f.store.Documents().Get(ctx, id, hash)
}

func (f *fake) Decide(ctx context.Context, id membership.ID, d membership.Decision) (federation.Case, error) {
	return caseOf(f.Register.Decide(ctx, id, d))
}

func (f *fake) Case(ctx context.Context, id membership.ID) (federation.Case, error) {
	return caseOf(f.Register.Member(ctx, id))
}

func (f *fake) Preview(ctx context.Context, id membership.ID) (federation.Preview, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return federation.Preview{}, err
	}
	policy, err := x509.ParseOID("2.999.1")
	if err != nil {
		return federation.Preview{}, err
	}
	return federation.Preview{
		RecordHash: m.RecordHash(), Bridge: "CN=Bridge", Members: []membership.ID{"alpha", "beta"}, Opened: 1, Closed: 2, Kept: 3, Cut: 4, CutOthers: 5,
		Paths: []federation.PreviewPath{{
			Change: federation.Opens, From: "alpha", To: "beta", Anchor: "CN=A", CA: "CN=B", Policies: []x509.OID{policy}, Via: []string{"CN=Bridge", "CN=B"}, Beyond: true,
		}, {Change: federation.Closes}, {Change: federation.Stays}},
		Overlaps: []federation.Overlap{{Kind: federation.MailDomain, Name: "a.example", With: "beta", Other: "example"}},
	}, nil
}

// InboundRequest asks as if the member's first CA were the bridge.
func (f *fake) InboundRequest(ctx context.Context, id membership.ID, compatible bool) (federation.InboundRequest, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return federation.InboundRequest{}, err
	}
	anchors, _ := m.Certificates()
	return federation.InboundRequest{CertificateRequest: []byte{1}, Inbound: crosscert.Inbound{Bridge: anchors[0], Anchors: anchors, MailDomains: m.MailDomains}}, nil
}

func (f *fake) WithdrawInbound(ctx context.Context, id membership.ID, by membership.Actor, name, reason string) (federation.Case, error) {
	return caseOf(f.Register.WithdrawInbound(ctx, id, by, name, reason))
}

// AcceptInbound finds one thing to advise, and forbids nothing. For the member
// called broken it breaks.
func (f *fake) AcceptInbound(ctx context.Context, id membership.ID, by membership.Actor, der []byte, trial bool) (v federation.InboundVerdict, err error) {
	if id == "broken" {
		return v, errors.New("the password is hunter2")
	}
	v.Findings = []crosscert.Finding{{Rule: "a", Source: "b", Problem: "c", Should: true}}
	if !trial {
		v.Accepted = true
		v.Case, err = caseOf(f.Register.AcceptInbound(ctx, id, by, der))
	}
	return v, err
}

func (f *fake) Status(context.Context) (federation.Status, error) {
	if f.panics {
		panic("the password is hunter2")
	}
	return federation.Status{
		Bridge: "CN=Bridge", ListNumber: 7,
		Members: map[membership.State]int{membership.Suspended: 1, membership.Draft: 2, membership.Active: 3},
	}, f.err
}

func (f *fake) Artifacts() *federation.Artifacts { return f.artifacts }

// interfaceAt is a running server.
type interfaceAt struct {
	ca    authority
	addr  string
	store people.Store
	audit *auditlog.Log
	disk  *breakable
}

// breakable is a store of audit events whose disk can fill up.
type breakable struct {
	*boltstore.Audit
	full atomic.Bool
}

func (b *breakable) Append(ctx context.Context, n uint64, event []byte, first int64, hashes []tlog.Hash, checkpoint []byte) error {
	if b.full.Load() {
		return syscall.ENOSPC
	}
	return b.Audit.Append(ctx, n, event, first, hashes, checkpoint)
}

func start(t *testing.T, f adminapi.Federation, log *slog.Logger) interfaceAt {
	t.Helper()
	ca := newAuthority(t, "admin CA")
	db, err := boltstore.Create(filepath.Join(t.TempDir(), "bridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	disk := &breakable{Audit: db.Audit()}
	audit, err := auditlog.Open(t.Context(), disk, newKey(t), auditlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	persons := people.NewRegister(db.People(), people.NewAuthority(ca.cert, ca.key), people.Options{Log: quiet})
	s := adminapi.New(f, persons, ca.issue(t, "bridged", x509.ExtKeyUsageServerAuth), ca.cert, adminapi.Options{Version: "v1", Audit: audit, Log: log})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return interfaceAt{ca, l.Addr().String(), db.People(), audit, disk}
}

// dial connects with the given certificate, or with none.
func (i interfaceAt) dial(t *testing.T, edit func(*tls.Config), certs ...tls.Certificate) *grpc.ClientConn {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(i.ca.cert)
	c := &tls.Config{RootCAs: pool, ServerName: "bridged", Certificates: certs}
	if edit != nil {
		edit(c)
	}
	conn, err := grpc.NewClient(i.addr, grpc.WithTransportCredentials(credentials.NewTLS(c)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// enrol records cert as a credential of a person with these roles.
func (i interfaceAt) enrol(t *testing.T, id people.ID, cert tls.Certificate, member membership.ID, roles ...membership.Role) {
	t.Helper()
	parsed, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	p, err := i.store.Load(t.Context(), id)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		t.Fatal(err)
	}
	p.ID, p.Roles, p.Member = id, roles, member
	p.Credentials = append(p.Credentials, people.NewCredential(parsed, time.Now()))
	if _, err := i.store.Save(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// as returns a client for a person with these roles, officer and approver if
// none, with a new credential.
func (i interfaceAt) as(t *testing.T, person string, roles ...membership.Role) proto.BridgeClient {
	t.Helper()
	if roles == nil {
		roles = []membership.Role{membership.Officer, membership.Approver}
	}
	cert := i.ca.issue(t, person, x509.ExtKeyUsageClientAuth)
	i.enrol(t, people.ID(person), cert, "", roles...)
	return proto.NewBridgeClient(i.dial(t, nil, cert))
}
