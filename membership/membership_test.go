package membership_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
	"bridge.example/internal/storetest"
	"bridge.example/membership"
)

func register(t *testing.T) *membership.Register {
	t.Helper()
	return registerAt(t, time.Now)
}

func registerAt(t *testing.T, now func() time.Time) *membership.Register {
	t.Helper()
	return membership.NewRegister(storetest.NewMemory(), membership.Options{Now: now, Log: slog.New(slog.DiscardHandler)})
}

// ca makes a self-signed certificate; edit changes the template.
func ca(t *testing.T, name string, edit func(*x509.Certificate)) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if edit != nil {
		edit(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func application(t *testing.T, id string) membership.Application {
	return membership.Application{
		ID: membership.ID(id), Name: "Organisation " + id, Country: "DE",
		Contacts:    []membership.Contact{{Name: "PKI desk", Email: "pki@" + id + ".example"}},
		MailDomains: []string{id + ".example"},
		Policies:    []membership.Policy{{Member: "1.3.6.1.4.1.32473.2.1", Bridge: "1.3.6.1.4.1.32473.1.1"}},
		Directories: []membership.Directory{{URL: "ldap://ldap." + id + ".example", Dialect: "inetOrgPerson"}},
		Anchors:     []membership.CA{{Certificate: ca(t, id+" root", nil), OCSP: []string{"http://ocsp." + id + ".example/"}}},
		Documents:   lab.Declared(),
	}
}

// TestRecordHash changes every field of an application in turn: each but the
// free ones must change the hash, or an approval would not bind it.
func TestRecordHash(t *testing.T) {
	base := application(t, "alpha")
	hash := func(a membership.Application) string { return membership.Member{Application: a}.RecordHash() }
	seen := map[string]string{hash(base): "unchanged"}
	for name, change := range map[string]func(*membership.Application){
		"id":           func(a *membership.Application) { a.ID = "beta" },
		"name":         func(a *membership.Application) { a.Name = "B" },
		"country":      func(a *membership.Application) { a.Country = "FR" },
		"domain":       func(a *membership.Application) { a.MailDomains = []string{"b.example"} },
		"policy":       func(a *membership.Application) { a.Policies = []membership.Policy{{Member: "1.2.3"}} },
		"directory":    func(a *membership.Application) { a.Directories = nil },
		"anchor":       func(a *membership.Application) { a.Anchors = nil },
		"intermediate": func(a *membership.Application) { a.Intermediates = a.Anchors },
		"names":        func(a *membership.Application) { a.DirectoryNames = []string{"O=a"} },
		"excluded":     func(a *membership.Application) { a.ExcludedDomains = []string{"b.alpha.example"} },
		"profile":      func(a *membership.Application) { a.CrossProfile = membership.Compatible },
		"cross":        func(a *membership.Application) { a.CrossCertificates = [][]byte{{1}} },
		"register":     func(a *membership.Application) { a.RegisterNumber = "HRB 1" },
		"address":      func(a *membership.Application) { a.Address = "Here" },
		"sector":       func(a *membership.Application) { a.Sector = "health" },
		"services":     func(a *membership.Application) { a.Services = []membership.Service{membership.OnList} },
		"one way":      func(a *membership.Application) { a.OneWay = true },
		"delivery":     func(a *membership.Application) { a.Delivery = membership.ToSite },
		"escrow":       func(a *membership.Application) { a.Escrow = true },
		"documents":    func(a *membership.Application) { a.Documents = nil },
		"mailbox":      func(a *membership.Application) { a.Directories = []membership.Directory{{TestMailbox: "t@b.example"}} },
		"serials": func(a *membership.Application) {
			a.Anchors = []membership.CA{{TestSerials: membership.TestSerials{Valid: "1"}}}
		},
	} {
		a := base
		change(&a)
		h := hash(a)
		if other, ok := seen[h]; ok {
			t.Errorf("%s: same hash as %s", name, other)
		}
		seen[h] = name
	}
	if got, want := len(seen), reflect.TypeFor[membership.Application]().NumField()-3; got < want+1 {
		t.Errorf("got %d fields changed, want at least all %d that are bound", got-1, want)
	}
	a := base
	a.Contacts, a.Website, a.Languages = nil, "https://alpha.example", []string{"de"}
	if hash(a) != hash(base) {
		t.Error("a free field changed the hash")
	}
}

func TestOwnership(t *testing.T) {
	r := register(t)
	alpha := application(t, "alpha")
	squatter := application(t, "squatter")
	squatter.MailDomains = []string{"alpha.example"} // a draft owns nothing
	for _, a := range []membership.Application{squatter, alpha} {
		if _, err := r.Apply(t.Context(), lab.Ada, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := lab.Register(r).Take(t.Context(), "alpha", lab.Admission()[0]); err != nil {
		t.Fatal(err)
	}
	if err := lab.Register(r).Take(t.Context(), "squatter", lab.Admission()[0]); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v when a draft claimed what is owned, want Conflict", err)
	}
	for _, tt := range []struct {
		name string
		edit func(*membership.Application)
		want string
	}{
		{"the id", func(a *membership.Application) { a.ID = "alpha" }, `"alpha" is taken`},
		{"a mail domain, spelled otherwise", func(a *membership.Application) { a.MailDomains = []string{"beta.example", "ALPHA.example."} }, `"alpha.example" belongs to member "alpha"`},
		{"a CA key", func(a *membership.Application) { a.Intermediates = alpha.Anchors }, `belongs to member "alpha"`},
		{"a CA name", func(a *membership.Application) { a.Anchors = []membership.CA{{Certificate: ca(t, "alpha root", nil)}} }, `belongs to member "alpha"`},
	} {
		a := application(t, "beta")
		tt.edit(&a)
		_, err := r.Apply(t.Context(), lab.Ada, a)
		if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want a Conflict saying %s", tt.name, err, tt.want)
		}
	}
	if _, err := r.Apply(t.Context(), lab.Ada, application(t, "beta")); err != nil {
		t.Errorf("got %v for an application that clashes with nothing", err)
	}
}

func TestValidateNamesEverything(t *testing.T) {
	a := membership.Application{
		ID: "Alpha!", Country: "Germany",
		Contacts:    []membership.Contact{{Name: "x\x1b[31m", Email: "nobody"}},
		MailDomains: []string{"alpha", "a b.example", "10.0.0.1", "-a.example", "münchen.example", "x.example", "x.example"},
		Policies:    []membership.Policy{{Member: "2.5.29.32.0", Bridge: "medium"}},
		Directories: []membership.Directory{{URL: "http://x/", BindDN: "cn=a"}, {URL: "ldap://u:p@x", Dialect: "d", Credential: "../x", BindDN: "cn=a"}},
		Anchors: []membership.CA{
			{Certificate: []byte("hello")},
			{Certificate: ca(t, "leaf", func(c *x509.Certificate) { c.IsCA = false; c.KeyUsage = 0 })},
			{Certificate: ca(t, "signs nothing", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), OCSP: []string{"ftp://x", "http://a", "http://a", "http://a", "http://a"}},
			{Certificate: ca(t, "", nil)},
		},
	}
	err := a.Validate()
	if fault.KindOf(err) != fault.Invalid {
		t.Fatalf("got %v, want Invalid", err)
	}
	for _, want := range []string{
		"id:", "name: missing", "country:", "contacts[0].name: contains control", "contacts[0].email",
		"mail_domains[0]", "mail_domains[1]", "mail_domains[2]", "mail_domains[3]", "mail_domains[4]", "mail_domains[6]: \"x.example\" is there twice",
		"policies[0].member: anyPolicy", "policies[0].bridge", "directories[0].url", "directories[0].dialect", "directories[0]: bind_dn",
		"directories[1].url", "directories[1].credential",
		"anchors[0].certificate: not a certificate", "anchors[1].certificate: not a CA", "anchors[2].certificate: its key may not",
		"anchors[2].ocsp[0]", "anchors[2].ocsp: want at most 4", "anchors[3].certificate: it has no subject",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwhich does not name %q", err, want)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("alpha")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := membership.ParseID(s)
		if err == nil && (string(id) != s || strings.ContainsAny(s, "/.\\ \x00") || len(s) > 32) {
			t.Errorf("accepted %q", s)
		}
	})
}

// TestAcceptInbound: a certificate for the bridge comes beside the application,
// and takes no approval away.
func TestAcceptInbound(t *testing.T) {
	r := register(t)
	if _, err := r.Apply(t.Context(), lab.Ada, application(t, "alpha")); err != nil {
		t.Fatal(err)
	}
	desk := lab.Register(r)
	for _, s := range lab.Admission()[:7] { // up to the first of two approvals
		if err := desk.Take(t.Context(), "alpha", s); err != nil {
			t.Fatal(err)
		}
	}
	m, err := r.Member(t.Context(), "alpha")
	if err != nil {
		t.Fatal(err)
	}
	grace := membership.Actor{Person: "grace", Credential: "ff"}
	hash, first := m.RecordHash(), ca(t, "for the bridge", nil)
	for range 2 { // the second time changes nothing
		if m, err = r.AcceptInbound(t.Context(), "alpha", grace, first); err != nil {
			t.Fatal(err)
		}
		if m.RecordHash() != hash || len(m.Approvals) != 1 || len(m.Inbound) != 1 || m.Inbound[0].By.Person != "grace" || m.Inbound[0].At.IsZero() {
			t.Errorf("got hash %s, %d approvals and %+v, want hash %s, 1 approval and the certificate", m.RecordHash(), len(m.Approvals), m.Inbound, hash)
		}
	}
	expired := ca(t, "expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for i := range 15 {
		der := expired
		if i > 0 {
			der = ca(t, "another", nil)
		}
		if _, err := r.AcceptInbound(t.Context(), "alpha", grace, der); err != nil {
			t.Fatal(err)
		}
	}
	if m, err = r.AcceptInbound(t.Context(), "alpha", grace, ca(t, "one more", nil)); err != nil || len(m.Inbound) != 16 {
		t.Errorf("got %d certificates, %v, want the expired one replaced", len(m.Inbound), err)
	}
	for _, tt := range []struct {
		name string
		id   membership.ID
		by   membership.Actor
		der  []byte
		want fault.Kind
	}{
		{"a full record", "alpha", grace, ca(t, "too many", nil), fault.Conflict},
		{"nobody known", "beta", grace, first, fault.NotFound},
		{"nobody who did it", "alpha", membership.Actor{}, ca(t, "x", nil), fault.Denied},
		{"no certificate", "alpha", grace, []byte{1}, fault.Invalid},
	} {
		if _, err := r.AcceptInbound(t.Context(), tt.id, tt.by, tt.der); err == nil || fault.KindOf(err) != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}
