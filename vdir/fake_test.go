package vdir_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// backend plays a member's directory: it answers every query with the same
// entries, after hanging if so told.
type backend struct {
	entries []vdir.Entry
	out     vdir.Outcome
	err     error
	hang    bool // until the context ends
	calls   atomic.Int32
	last    atomic.Pointer[vdir.Query]

	meanwhile func() // happens before the answer; may be nil
}

func (b *backend) Search(ctx context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
	b.calls.Add(1)
	b.last.Store(&q)
	if b.hang {
		<-ctx.Done()
	}
	if err := ctx.Err(); err != nil {
		return vdir.Outcome{}, err
	}
	if b.meanwhile != nil {
		b.meanwhile()
	}
	for _, e := range b.entries {
		if err := yield(e); err != nil {
			return vdir.Outcome{}, err
		}
	}
	return b.out, b.err
}

// template is a certificate to be made; the zero value, with an address, is
// one that passes every check.
type template struct {
	san, subject string
	from, to     time.Time
	usage        x509.KeyUsage
	noUsage, ca  bool
	eku          []x509.ExtKeyUsage
	key          crypto.Signer
	padding      int // bytes of a private extension
}

var ecKey = sync.OnceValue(func() crypto.Signer {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

func certificate(t testing.TB, c template) []byte {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "somebody"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageKeyAgreement,
		ExtKeyUsage:  c.eku,
	}
	if c.subject != "" {
		tmpl.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{
			Type:  asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1},
			Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(c.subject)},
		}}
	}
	if c.san != "" {
		tmpl.EmailAddresses = []string{c.san}
	}
	if !c.from.IsZero() {
		tmpl.NotBefore = c.from
	}
	if !c.to.IsZero() {
		tmpl.NotAfter = c.to
	}
	if c.usage != 0 || c.noUsage {
		tmpl.KeyUsage = c.usage
	}
	if c.ca {
		tmpl.BasicConstraintsValid, tmpl.IsCA = true, true
	}
	if c.padding > 0 {
		tmpl.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 999, 1}, Value: make([]byte, c.padding)}}
	}
	if c.key == nil {
		c.key = ecKey()
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, c.key.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// person is an entry as a member stores it, with attributes nobody may see.
func person(dn string, attributes ...vdir.Attribute) vdir.Entry {
	return vdir.Entry{DN: dn, Attributes: append([]vdir.Attribute{
		attr("telephoneNumber", "+49 secret"),
		attr("entryDN", dn),
		attr("mail;lang-de", "other@elsewhere.example"),
	}, attributes...)}
}

func attr(typ string, values ...string) vdir.Attribute {
	a := vdir.Attribute{Type: typ}
	for _, v := range values {
		a.Values = append(a.Values, []byte(v))
	}
	return a
}

func accept(*x509.Certificate, time.Time) error { return nil }

func dialect(t testing.TB, name string) *vdir.Dialect {
	t.Helper()
	d, ok := vdir.LookupDialect(name)
	if !ok {
		t.Fatalf("no dialect %q", name)
	}
	return d
}

// alice is what an honest alpha answers.
func alice(t testing.TB) *backend {
	return &backend{entries: []vdir.Entry{person("uid=alice,ou=staff,o=Secret Structure",
		attr("mail", "Alice@alpha.example"), attr("cn", "Alice Adams"),
		attr("userCertificate;binary", string(certificate(t, template{san: "alice@alpha.example"}))))}}
}

func bob(t testing.TB) *backend {
	return &backend{entries: []vdir.Entry{person("CN=Bob,CN=Users,DC=beta,DC=example",
		attr("mail", "bob.b@corp.beta.example"), attr("proxyAddresses", "X400:c=DE", "SMTP:bob@beta.example"), attr("cn", "Bob"),
		attr("userCertificate", string(certificate(t, template{san: "bob@beta.example"}))))}}
}

func mountOf(t testing.TB, member, dialectName string, backends ...*backend) vdir.Mount {
	m := vdir.Mount{Member: member, Name: strings.ToUpper(member) + " Ltd", Domains: []string{member + ".example"}, Check: accept}
	for _, b := range backends {
		m.Endpoints = append(m.Endpoints, vdir.Endpoint{
			Backend: b, Base: "dc=" + member, Dialect: dialect(t, dialectName), Name: member,
		})
	}
	return m
}

func quiet() vdir.Options {
	return vdir.Options{Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler), VendorName: "bridge"}
}

func directory(t testing.TB, o vdir.Options, ms ...vdir.Mount) *vdir.Directory {
	t.Helper()
	d, err := vdir.New("o=bridge", o)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetMounts(ms); err != nil {
		t.Fatal(err)
	}
	return d
}

func filter(t testing.TB, s string) ldap.Filter {
	t.Helper()
	f, err := ldap.ParseFilter(s)
	if err != nil {
		t.Fatalf("filter %s: %v", s, err)
	}
	return f
}

// search collects what d yields and checks what holds for every answer: no
// name, attribute or value of a member leaves, beyond the few that may.
func search(t testing.TB, d *vdir.Directory, q vdir.Query) ([]vdir.Entry, vdir.Outcome, error) {
	t.Helper()
	var got []vdir.Entry
	out, err := d.Search(t.Context(), q, func(e vdir.Entry) error {
		got = append(got, e)
		return nil
	})
	for _, e := range got {
		if strings.HasPrefix(e.DN, "mail=") {
			checkPerson(t, e)
		}
	}
	return got, out, err
}

func checkPerson(t testing.TB, e vdir.Entry) {
	t.Helper()
	address, rest, _ := strings.Cut(strings.TrimPrefix(e.DN, "mail="), ",")
	if !strings.HasPrefix(rest, "ou=People,o=") || !strings.HasSuffix(rest, ",o=bridge") {
		t.Errorf("name %q is not below a member's people", e.DN)
	}
	for _, a := range e.Attributes {
		switch a.Type {
		case "objectClass", "cn":
		case "mail":
			if len(a.Values) > 1 || len(a.Values) == 1 && !strings.EqualFold(string(a.Values[0]), address) {
				t.Errorf("mail %q in the entry of %q", a.Values, address)
			}
		case "userCertificate;binary":
			for _, v := range a.Values {
				if _, err := x509.ParseCertificate(v); err != nil {
					t.Errorf("certificate shown: %v", err)
				}
			}
		default:
			t.Errorf("attribute %q leaves with a person", a.Type)
		}
		if slices.ContainsFunc(a.Values, func(v []byte) bool { return strings.Contains(string(v), "ecret") }) {
			t.Errorf("attribute %q shows the member's structure", a.Type)
		}
	}
}

func names(entries []vdir.Entry) string {
	var s []string
	for _, e := range entries {
		s = append(s, e.DN)
	}
	slices.Sort(s)
	return strings.Join(s, " ")
}

func types(e vdir.Entry) string {
	var s []string
	for _, a := range e.Attributes {
		s = append(s, a.Type)
	}
	return strings.Join(s, " ")
}
