package signedlist_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"sync"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/signedlist"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// memory is an archive that forgets.
type memory struct {
	mu    sync.Mutex
	lists [][]byte
	forms []map[string][]byte
	full  bool // Append fails
}

func (m *memory) Latest(ctx context.Context) (int64, []byte, error) {
	m.mu.Lock()
	n := int64(len(m.lists))
	m.mu.Unlock()
	der, err := m.Get(ctx, n)
	return n, der, err
}

func (m *memory) Get(_ context.Context, n int64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n < 1 || n > int64(len(m.lists)) {
		return nil, fault.New(fault.NotFound, "no list %d", n)
	}
	return m.lists[n-1], nil
}

func (m *memory) Form(_ context.Context, n int64, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n < 1 || n > int64(len(m.forms)) || m.forms[n-1][name] == nil {
		return nil, fault.New(fault.NotFound, "no %s of list %d", name, n)
	}
	return m.forms[n-1][name], nil
}

func (m *memory) Append(_ context.Context, n int64, der []byte, forms map[string][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.full:
		return fault.New(fault.Unavailable, "disk full")
	case n != int64(len(m.lists))+1:
		return fault.New(fault.Conflict, "list %d after %d", n, len(m.lists))
	}
	m.lists, m.forms = append(m.lists, der), append(m.forms, forms)
	return nil
}

func ca(c *x509.Certificate) {
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
}

// signsLists is the profile of the list signer.
func signsLists(c *x509.Certificate) {
	signsMail(c)
	c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{0, 4, 0, 2231, 3, 0}}
}

func signsMail(c *x509.Certificate) {
	c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate, self-signed when by is nil. edit changes the
// template.
func issue(t testing.TB, name string, by *signedlist.Signer, edit func(*x509.Certificate)) *signedlist.Signer {
	t.Helper()
	return issueFor(t, newKey(t), name, by, edit)
}

func issueFor(t testing.TB, key *ecdsa.PrivateKey, name string, by *signedlist.Signer, edit func(*x509.Certificate)) *signedlist.Signer {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: noon.Add(-365 * 24 * time.Hour), NotAfter: noon.Add(365 * 24 * time.Hour),
		BasicConstraintsValid: true,
	}
	edit(template)
	s := &signedlist.Signer{Key: key}
	parent, parentKey := template, key
	if by != nil {
		parent, parentKey = by.Cert, by.Key.(*ecdsa.PrivateKey)
		s.Chain = append([]*x509.Certificate{by.Cert}, by.Chain...)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	if s.Cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return s
}

func oid(t testing.TB, s string) x509.OID {
	t.Helper()
	o, err := x509.ParseOID(s)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// entry is that of a member with a new CA.
func entry(t testing.TB, member string) signedlist.Entry {
	t.Helper()
	return signedlist.Entry{
		Member: member, Title: "Organisation " + member, Certificate: issue(t, member+" root", nil, ca).Cert,
		Policies:    []x509.OID{oid(t, "1.3.6.1.4.1.32473.1.1"), oid(t, "1.3.6.1.4.1.32473.1.2")},
		MailDomains: []string{member + ".example", "mail." + member + ".example"},
	}
}

// bench is a publisher with what belongs to it.
type bench struct {
	*signedlist.Publisher
	bridge, signer *signedlist.Signer
	archive        *memory
	now            time.Time
	scheme         *signedlist.Scheme // nil: no list in XML
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{bridge: issue(t, "Bridge", nil, ca), archive: &memory{}, now: noon}
	b.signer = issue(t, "List signer", b.bridge, signsLists)
	b.Publisher = b.with(b.signer)
	return b
}

// newXMLBench is a bench with lists in XML, too.
func newXMLBench(t testing.TB) *bench {
	t.Helper()
	b := newBench(t)
	b.scheme = newScheme()
	b.Publisher = b.with(b.signer)
	return b
}

func newScheme() *signedlist.Scheme {
	return &signedlist.Scheme{
		Name: "Bridge of Tests", Operator: "Tests & Söhne", Street: "Hauptstr. 1", PostalCode: "10115", Locality: "Berlin",
		Country: "DE", Email: "office@bridge.example", URL: "http://bridge.example",
	}
}

// with is another publisher on the same archive.
func (b *bench) with(s *signedlist.Signer) *signedlist.Publisher {
	return signedlist.NewPublisher(*s, b.archive, signedlist.Options{Now: func() time.Time { return b.now }, Scheme: b.scheme})
}

// Publish publishes, with a reason for every loss.
func (b *bench) Publish(ctx context.Context, entries []signedlist.Entry) (*signedlist.List, []byte, error) {
	return published(b.Publisher.Publish(ctx, entries, left))
}

func published(p *signedlist.Publication, err error) (*signedlist.List, []byte, error) {
	if err != nil {
		return nil, nil, err
	}
	return p.List, p.DER, nil
}

// left is a reason why an entry is gone.
func left(signedlist.Entry) string { return "left" }

// publish publishes, and checks what holds for every list.
func (b *bench) publish(t *testing.T, entries ...signedlist.Entry) (*signedlist.List, []byte) {
	t.Helper()
	l, der, err := b.Publish(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	got, err := signedlist.Open(der, b.roots(), b.now)
	if err != nil {
		t.Fatalf("opening what was published: %v", err)
	}
	equal(t, got, l)
	if len(l.Entries) != len(entries) {
		t.Errorf("got %d entries, want %d", len(l.Entries), len(entries))
	}
	archived, err := b.archive.Get(t.Context(), l.Number)
	if err != nil || string(archived) != string(der) {
		t.Errorf("list %d is not in the archive as it was published (%v)", l.Number, err)
	}
	if l.Number > 1 {
		before, err := b.archive.Get(t.Context(), l.Number-1)
		if err != nil {
			t.Fatal(err)
		}
		old, err := signedlist.Open(before, b.roots(), b.now)
		if old == nil {
			t.Fatal(err)
		}
		if err := l.Supersedes(old); err != nil {
			t.Error(err)
		}
	}
	return l, der
}

func (b *bench) roots() *x509.CertPool { return pool(b.bridge.Cert) }

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}
