package federation_test

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
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/ceremony"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/people"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
	"bridge.example/internal/wire/cms"
	"bridge.example/internal/wire/ocsp"
	"bridge.example/membership"
	"bridge.example/signedlist"
	"bridge.example/vdir"
	"bridge.example/vocsp"
)

const (
	level        = "1.3.6.1.4.1.32473.1.1"
	memberPolicy = "1.3.6.1.4.1.32473.2.1"
)

// bridge is a federation on a state directory, with members that need no
// network.
type bridge struct {
	*federation.Federation
	authority   *crosscert.Authority
	persons     *people.Register
	audit       *auditlog.Log
	members     membership.Store
	documents   membership.Documents
	ledger      crosscert.Ledger
	lists       signedlist.Archive
	directory   *vdir.Directory
	responder   *vocsp.Proxy
	store       *boltstore.Store
	dir         string
	mailboxes   *mailboxes // in every member's directory
	web         *web       // what members publish
	application membership.Application
	now         time.Time
	clock       func() time.Time // reads now, unless a test lets it run
}

// found makes a state directory, with an applicant's CA in it.
func found(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	_, err := ceremony.Found(t.Context(), dir, ceremony.Options{
		Name: "Test Bridge", Level: level, Officers: []string{"ada", "grace"},
		URL: "http://repository.example", ResponderURL: "http://ocsp.example", Key: keys.P256, PlainKeys: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	alpha := newCA(t, "alpha root", nil)
	if err := os.WriteFile(filepath.Join(dir, "alpha.der"), alpha.cert.Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// open puts a federation together from what found made, which keeps no audit
// log: then clocks may be turned. A killer, if given, stands between it and its
// store.
func open(t testing.TB, dir string, k *killer) *bridge {
	t.Helper()
	if k == nil {
		return assemble(t, dir, sound{}, false)
	}
	return assemble(t, dir, k, false)
}

// openAudited is open, with everything that writes on a disk, and with an audit
// log.
func openAudited(t testing.TB, dir string, on disk) *bridge {
	t.Helper()
	return assemble(t, dir, on, true)
}

func assemble(t testing.TB, dir string, on disk, audited bool) *bridge {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d := statedir.Dir(dir)
	read := func(name string) (*x509.Certificate, crypto.Signer) {
		cert, err := d.ReadCertificate(name)
		must(err)
		key, err := keys.Open(d.Key(name), nil)
		must(err)
		return cert, key
	}
	caCert, caKey := read(statedir.BridgeCA)
	listCert, listKey := read(statedir.ListSigner)
	ocspCert, ocspKey := read(statedir.OCSPSigner)
	store, err := boltstore.Open(d.Store())
	must(err)
	t.Cleanup(func() { store.Close() })
	root, err := os.ReadFile(filepath.Join(dir, "alpha.der"))
	must(err)

	b := &bridge{
		dir: dir, mailboxes: &mailboxes{}, web: &web{}, store: store, now: time.Now(), application: application("alpha", root),
		members: membersOn{store.Members(), on}, documents: store.Documents(),
		ledger: ledgerOn{store.Ledger(), on}, lists: listsOn{store.Lists(), on},
	}
	b.clock = func() time.Time { return b.now }
	log, now := slog.New(slog.DiscardHandler), func() time.Time { return b.clock() }
	if audited {
		b.documents = documentsOn{b.documents, on}
		key, err := keys.Open(d.Key(statedir.AuditLog), nil)
		must(err)
		b.audit, err = auditlog.Open(t.Context(), auditOn{store.Audit(), on}, key, auditlog.Options{Now: now})
		must(err)
	}
	adminCert, adminKey := read(statedir.AdminCA)
	b.persons = people.NewRegister(personsOn{store.People(), on}, people.NewAuthority(adminCert, adminKey), people.Options{Audit: b.recordAppointment, Now: now, Log: log})
	b.authority, err = crosscert.New(caCert, caKey, b.ledger, crosscert.Options{BaseURL: "http://repository.example", Audit: b.record, Now: now, Log: log})
	must(err)
	b.directory, err = vdir.New("o=bridge", vdir.Options{Log: log, Now: now})
	must(err)
	b.responder, err = vocsp.New(vocsp.Options{Log: log})
	must(err)
	oid, err := x509.ParseOID(level)
	must(err)
	signer := &ocsp.Signer{Cert: ocspCert, Key: ocspKey}
	b.Federation = federation.New(federation.Parts{
		Register:  membership.NewRegister(b.members, membership.Options{Documents: b.documents, Audit: b.recordAct, Log: log, Now: now}),
		Documents: b.documents, Examine: passed,
		Authority: b.authority,
		Publisher: signedlist.NewPublisher(cms.Signer{Cert: listCert, Key: listKey}, b.lists, signedlist.Options{Audit: b.record, Log: log, Now: now}),
		Directory: b.directory, Responder: b.responder, Changes: b.members.Watch,
		Open: func(d membership.Directory) (vdir.Backend, error) {
			if d.URL == "ldap://broken.example" {
				return nil, fault.New(fault.NotFound, "no credential for it")
			}
			return b.mailboxes, nil
		},
		Ask: func(*x509.Certificate, []string) vocsp.Source { return b.web },
		Own: vocsp.Route{Issuer: caCert, Source: vocsp.Local(caCert, func() *ocsp.Signer { return signer }, func(context.Context, *big.Int) (vocsp.LocalStatus, error) {
			return vocsp.LocalStatus{}, fault.New(fault.NotFound, "not asked in these tests")
		})},
		BridgeCA: caCert, Signers: []*x509.Certificate{listCert, ocspCert}, Levels: []x509.OID{oid},
		Every: time.Hour, Now: now, Log: log,
		Watching: federation.Watching{CRLs: b.web.fetch, Memory: store.Seen(), Every: time.Hour},
	})
	return b
}

func (b *bridge) close() { b.store.Close() }

func (b *bridge) record(ctx context.Context, e auditlog.Event) error {
	if b.audit == nil {
		return nil
	}
	return b.audit.Act(ctx, e)
}

func (b *bridge) recordAct(ctx context.Context, a membership.Act) error {
	e := auditlog.Event{
		Kind: "member." + string(a.Decision.Verb), Member: string(a.Member), Person: a.Decision.By.Person,
		Details: map[string]string{"to": string(a.Decision.To)},
	}
	for _, f := range a.Decision.Fingerprints {
		e.Evidence = append(e.Evidence, auditlog.Evidence{Name: "certificate", SHA256: f})
	}
	return b.record(ctx, e)
}

func (b *bridge) recordAppointment(ctx context.Context, a people.Act) error {
	e := auditlog.Event{Kind: "person." + a.Verb, Person: a.By.Person, Details: map[string]string{"about": string(a.Person)}}
	for _, hash := range append([]string{a.Proposal, a.Key}, a.Credentials...) {
		if hash != "" {
			e.Evidence = append(e.Evidence, auditlog.Evidence{Name: "what", SHA256: hash})
		}
	}
	return b.record(ctx, e)
}

func (b *bridge) openList(t *testing.T, der []byte) *signedlist.List {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(b.Artifacts().BridgeCA)
	list, err := signedlist.Open(der, roots, b.now)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func parseCRL(t *testing.T, der []byte) *x509.RevocationList {
	t.Helper()
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return crl
}

// ca is a CA of a member.
type ca struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// newCA makes a CA below parent, or a self-signed one, for five years. Its
// certificate points to CRLs.
func newCA(t testing.TB, name string, parent *ca, crls ...string) *ca {
	t.Helper()
	return newCABetween(t, name, parent, time.Now().Add(-time.Hour), time.Now().AddDate(5, 0, 0), crls...)
}

func newCAUntil(t testing.TB, name string, parent *ca, notAfter time.Time) *ca {
	t.Helper()
	return newCABetween(t, name, parent, time.Now().Add(-time.Hour), notAfter)
}

func newCABetween(t testing.TB, name string, parent *ca, notBefore, notAfter time.Time, crls ...string) *ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{Organization: []string{name}, CommonName: name},
		NotBefore: notBefore, NotAfter: notAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		CRLDistributionPoints: crls,
	}
	if parent == nil {
		parent = &ca{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &ca{cert, key}
}

// reissue gives a self-signed CA another certificate for the same key.
func reissue(t *testing.T, c *ca) *x509.Certificate {
	t.Helper()
	template := *c.cert
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, c.key.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func application(id string, root []byte) membership.Application {
	return membership.Application{
		ID: membership.ID(id), Name: "Organisation " + id, Country: "DE",
		Contacts:    []membership.Contact{{Name: "PKI desk", Email: "pki@" + id + ".example"}},
		MailDomains: []string{id + ".example"},
		Policies:    []membership.Policy{{Member: memberPolicy, Bridge: level}},
		Directories: []membership.Directory{{URL: "ldap://ldap." + id + ".example", Base: "o=" + id, Dialect: "inetOrgPerson"}},
		Anchors:     []membership.CA{{Certificate: root, OCSP: []string{"http://ocsp." + id + ".example/"}}},
	}
}

// leaf makes a subscriber's certificate.
func leaf(t *testing.T, issuer *ca, address string) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: address}, EmailAddresses: []string{address},
		NotBefore: issuer.cert.NotBefore, NotAfter: issuer.cert.NotAfter,
		KeyUsage: x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// mailboxes is a directory that gives one certificate for whoever is asked for.
type mailboxes struct {
	mu  sync.Mutex
	der []byte
}

func (p *mailboxes) set(der []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.der = der
}

func (p *mailboxes) Search(_ context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.der == nil {
		return vdir.Outcome{}, nil
	}
	return vdir.Outcome{}, yield(vdir.Entry{DN: "cn=somebody", Attributes: []vdir.Attribute{
		{Type: "mail", Values: [][]byte{q.Filter.Value}}, {Type: "userCertificate;binary", Values: [][]byte{p.der}},
	}})
}
