package subscription_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/subscription"
	"bridge.example/signedlist"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// bridge publishes lists from a repository on loopback.
type bridge struct {
	*signedlist.Signer // what signs lists
	ca                 *signedlist.Signer
	next               *signedlist.Signer // announced, when not nil
	archive            *memory
	now                time.Time
	serve              atomic.Pointer[http.HandlerFunc] // instead of the latest list
	published          atomic.Pointer[signedlist.Publication]
	bodies             atomic.Int32 // served
	url                string
}

func newBridge(t testing.TB) *bridge {
	b := &bridge{archive: &memory{}, now: noon, ca: issue(t, "Bridge", nil, ca)}
	b.Signer = issue(t, "List signer", b.ca, signsLists)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := b.file(strings.TrimPrefix(r.URL.Path, "/"))
		etag := fmt.Sprintf(`"%x"`, sha256.Sum256(body))
		w.Header().Set("ETag", etag)
		h := b.serve.Load()
		switch {
		case h != nil:
			(*h)(w, r)
		case !ok:
			http.NotFound(w, r)
		case r.Header.Get("If-None-Match") == etag:
			w.WriteHeader(http.StatusNotModified)
		default:
			b.bodies.Add(1)
			w.Write(body)
		}
	}))
	t.Cleanup(server.Close)
	b.url = server.URL + "/list.p7s"
	return b
}

// publish signs a list at the bridge's time.
func (b *bridge) publish(t testing.TB, entries ...signedlist.Entry) []byte {
	t.Helper()
	p, err := b.publisher(t).Publish(t.Context(), entries, left)
	if err != nil {
		t.Fatal(err)
	}
	b.published.Store(p)
	return p.DER
}

// left is why any entry may go.
func left(signedlist.Entry) string { return "left" }

// file is what the repository has under a name.
func (b *bridge) file(name string) ([]byte, bool) {
	var n int
	if _, err := fmt.Sscanf(name, "lists/%d/list.p7s", &n); err == nil && 0 < n && n <= len(b.archive.lists) {
		return b.archive.lists[n-1], true
	}
	if p := b.published.Load(); p != nil {
		for _, f := range p.Files {
			if f.Name == name {
				return f.Body, true
			}
		}
	}
	return nil, false
}

func (b *bridge) publisher(t testing.TB) *signedlist.Publisher {
	p := signedlist.NewPublisher(*b.Signer, b.archive, signedlist.Options{Now: b.clock})
	if b.next != nil {
		if err := p.Announce(b.next.Key.Public()); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// answer has the repository serve these bytes.
func (b *bridge) answer(der []byte) {
	b.handle(func(w http.ResponseWriter, _ *http.Request) { w.Write(der) })
}

func (b *bridge) handle(h http.HandlerFunc) { b.serve.Store(&h) }

// fork is the same bridge with a history of its own from number n on.
func (b *bridge) fork(n int) *bridge {
	m := &memory{lists: slices.Clone(b.archive.lists[:n]), forms: slices.Clone(b.archive.forms[:n])}
	return &bridge{Signer: b.Signer, ca: b.ca, now: b.now, archive: m}
}

func (b *bridge) config(targets ...string) subscription.Config {
	c := subscription.Config{URL: b.url, Fingerprint: subscription.Fingerprint(b.ca.Cert)}
	if targets == nil {
		targets = subscription.TargetKinds()
	}
	for _, kind := range targets {
		c.Targets = append(c.Targets, subscription.Target{Kind: kind})
	}
	return c
}

func create(t testing.TB, dir string, b *bridge, c subscription.Config, o subscription.Options) *subscription.Subscription {
	t.Helper()
	if o.Now == nil {
		o.Now = b.clock
	}
	s, err := subscription.Create(dir, c, b.ca.Cert, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func update(t testing.TB, s *subscription.Subscription) *subscription.Report {
	t.Helper()
	r, err := s.Update(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// snapshot is every byte that other programs can read through the links.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	current, err := filepath.EvalSymlinks(filepath.Join(dir, "current"))
	if os.IsNotExist(err) {
		return out
	}
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(current, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "set.json" {
			var b []byte
			if b, err = os.ReadFile(path); err == nil {
				sum := sha256.Sum256(b)
				out[path[len(current)+1:]] = hex.EncodeToString(sum[:])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// memory is an archive that forgets.
type memory struct {
	lists [][]byte
	forms []map[string][]byte
}

func (m *memory) Latest(ctx context.Context) (int64, []byte, error) {
	der, err := m.Get(ctx, int64(len(m.lists)))
	return int64(len(m.lists)), der, err
}

func (m *memory) Get(_ context.Context, n int64) ([]byte, error) {
	if n < 1 || n > int64(len(m.lists)) {
		return nil, fault.New(fault.NotFound, "no list %d", n)
	}
	return m.lists[n-1], nil
}

func (m *memory) Form(_ context.Context, n int64, name string) ([]byte, error) {
	if n < 1 || n > int64(len(m.forms)) || m.forms[n-1][name] == nil {
		return nil, fault.New(fault.NotFound, "no form %s of list %d", name, n)
	}
	return m.forms[n-1][name], nil
}

func (m *memory) Append(_ context.Context, _ int64, der []byte, forms map[string][]byte) error {
	m.lists, m.forms = append(m.lists, der), append(m.forms, forms)
	return nil
}

func ca(c *x509.Certificate) {
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
}

// signsLists is the profile of the list signer.
func signsLists(c *x509.Certificate) {
	c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{0, 4, 0, 2231, 3, 0}}
}

// issue makes a certificate, self-signed when by is nil.
func issue(t testing.TB, name string, by *signedlist.Signer, edit func(*x509.Certificate)) *signedlist.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(20, 0, 0),
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

// entry is that of a member with a new CA.
func entry(t testing.TB, member string) signedlist.Entry {
	t.Helper()
	policy, err := x509.ParseOID("1.3.6.1.4.1.32473.1.1")
	if err != nil {
		t.Fatal(err)
	}
	return signedlist.Entry{
		Member: member, Title: "Organisation " + member, Certificate: issue(t, member+" root", nil, ca).Cert,
		Policies: []x509.OID{policy}, MailDomains: []string{member + ".example"},
	}
}

func (b *bridge) clock() time.Time { return b.now }
