package vdir_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"bridge.example/vdir"
)

const hers = "alice@alpha.example"

func holding(certs ...[]byte) *backend {
	a := vdir.Attribute{Type: "userCertificate;binary", Values: certs}
	return &backend{entries: []vdir.Entry{person("uid=alice", attr("mail", hers), a)}}
}

func ask(t testing.TB, d *vdir.Directory) ([]vdir.Entry, vdir.Outcome, error) {
	t.Helper()
	return search(t, d, vdir.Query{Scope: vdir.WholeSubtree, Filter: filter(t, "(mail="+hers+")")})
}

// shown returns the certificates in the one entry that a search for her finds.
func shown(t testing.TB, d *vdir.Directory) [][]byte {
	t.Helper()
	got, out, err := ask(t, d)
	if err != nil || len(out.Unavailable) > 0 || len(got) > 1 {
		t.Fatalf("got %q, %v, %v", names(got), out, err)
	}
	for _, e := range got {
		for _, a := range e.Attributes {
			if a.Type == "userCertificate;binary" {
				return a.Values
			}
		}
		t.Errorf("entry without certificates: %v", e)
	}
	return nil
}

func TestCertificatesShown(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const sign, encipher, agree = x509.KeyUsageDigitalSignature, x509.KeyUsageKeyEncipherment, x509.KeyUsageKeyAgreement
	mailEKU, tlsEKU := x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageClientAuth
	for _, c := range []struct {
		name string
		cert template
		want bool
	}{
		{"address in subjectAltName", template{san: hers}, true},
		{"address in the subject", template{subject: hers}, true},
		{"address in another case", template{san: "Alice@ALPHA.example"}, true},
		{"other address", template{san: "alice@beta.example"}, false},
		{"address as a part", template{san: "malice@alpha.example"}, false},
		{"no address", template{}, false},
		{"expired", template{san: hers, from: now.Add(-2 * time.Hour), to: now.Add(-time.Second)}, false},
		{"not valid yet", template{san: hers, from: now.Add(time.Second)}, false},
		{"valid until this second", template{san: hers, to: now}, true},
		{"signing only", template{san: hers, usage: sign}, false},
		{"signing and key agreement", template{san: hers, usage: sign | agree}, true},
		{"no key usage", template{san: hers, noUsage: true}, true},
		{"RSA", template{san: hers, key: rsaKey, usage: encipher}, true},
		{"RSA, no key usage", template{san: hers, key: rsaKey, noUsage: true}, true},
		{"RSA, signing only", template{san: hers, key: rsaKey, usage: sign}, false},
		{"RSA, key agreement", template{san: hers, key: rsaKey, usage: agree}, false},
		{"Ed25519 cannot encrypt", template{san: hers, key: edKey, noUsage: true}, false},
		{"CA", template{san: hers, ca: true}, false},
		{"mail protection", template{san: hers, eku: []x509.ExtKeyUsage{tlsEKU, mailEKU}}, true},
		{"any purpose", template{san: hers, eku: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}, true},
		{"TLS only", template{san: hers, eku: []x509.ExtKeyUsage{tlsEKU}}, false},
		{"over 64 KiB", template{san: hers, padding: 65 << 10}, false},
	} {
		d := directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", holding(certificate(t, c.cert))))
		if got := shown(t, d); (len(got) == 1) != c.want {
			t.Errorf("%s: shown %v, want %v", c.name, len(got) == 1, c.want)
		}
	}
}

func TestBestCertificateFirst(t *testing.T) {
	short := certificate(t, template{san: hers, to: now.Add(time.Hour)})
	long := certificate(t, template{san: hers, to: now.Add(100 * time.Hour)})
	mid := certificate(t, template{san: hers, to: now.Add(10 * time.Hour)})
	got := shown(t, directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", holding(short, []byte("junk"), long, short, mid))))
	if len(got) != 3 || !bytes.Equal(got[0], long) || !bytes.Equal(got[1], mid) || !bytes.Equal(got[2], short) {
		t.Errorf("%d certificates, or in the wrong order", len(got))
	}
}

// What the mount's check refuses stays inside; the log says so, without the
// address.
func TestCheckDecides(t *testing.T) {
	var log bytes.Buffer
	o := quiet()
	o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mine, foreign := certificate(t, template{san: hers}), certificate(t, template{san: hers, to: now.Add(99 * time.Hour)})
	m := mountOf(t, "alpha", "inetOrgPerson", holding(foreign, mine, certificate(t, template{san: "x@y.example"})))
	m.Check = func(c *x509.Certificate, at time.Time) error {
		switch {
		case !at.Equal(now):
			t.Errorf("checked at %v", at)
		case bytes.Equal(c.Raw, foreign):
			return errors.New("no path for CN=alice@alpha.example")
		}
		return nil
	}
	if got := shown(t, directory(t, o, m)); len(got) != 1 || !bytes.Equal(got[0], mine) {
		t.Errorf("%d certificates shown, want hers only", len(got))
	}
	m.Check = func(*x509.Certificate, time.Time) error { return errors.New("issued by a stranger") }
	if got := shown(t, directory(t, o, m)); got != nil {
		t.Errorf("%d certificates shown, want none and no entry", len(got))
	}
	for _, want := range []string{"refused by the member's check", "issued by a stranger", "another address", "member=alpha"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	if strings.Contains(log.String(), "@") {
		t.Errorf("an address is in the log:\n%s", log.String())
	}
}

func TestBoundsOnAnswers(t *testing.T) {
	var certs [][]byte
	for range 100 {
		certs = append(certs, certificate(t, template{san: hers}))
	}
	if got := shown(t, directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", holding(certs...)))); len(got) != 64 {
		t.Errorf("%d certificates shown of 100, want 64", len(got))
	}
	flood := &backend{}
	for _, c := range certs[:30] {
		flood.entries = append(flood.entries, holding(c).entries...)
	}
	if got := shown(t, directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", flood))); len(got) != 20 {
		t.Errorf("%d certificates shown of 30 entries, want those of 20", len(got))
	}
}

func TestDialects(t *testing.T) {
	der := certificate(t, template{san: hers})
	second := certificate(t, template{san: hers, to: now.Add(48 * time.Hour)})
	asPEM := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	for _, c := range []struct {
		name, dialect string
		attributes    []vdir.Attribute
		filter        string // sent to the member
		certs         int
		cn            string
	}{
		{"OpenLDAP", "inetOrgPerson", []vdir.Attribute{attr("mail", hers), attr("userCertificate;binary", string(der)), attr("cn", "Alice", "A. Adams")},
			"(mail=" + hers + ")", 1, "Alice,A. Adams"},
		{"389, both spellings", "389", []vdir.Attribute{attr("mail", hers), attr("usercertificate", string(der)), attr("userCertificate;binary", string(der), string(second))},
			"(mail=" + hers + ")", 2, ""},
		{"389, OID echoed", "389", []vdir.Attribute{attr("mail", hers), attr("2.5.4.36", string(der))},
			"(mail=" + hers + ")", 1, ""},
		{"Active Directory, by proxy address", "activeDirectory", []vdir.Attribute{attr("mail", "a@corp.example"), attr("proxyAddresses", "SMTP:x@y.example", "smtp:Alice@alpha.example"), attr("userCertificate", string(der))},
			"(|(mail=" + hers + ")(proxyAddresses=smtp:" + hers + "))", 1, ""},
		{"proxy addresses mean nothing elsewhere", "inetOrgPerson", []vdir.Attribute{attr("proxyAddresses", "smtp:"+hers), attr("userCertificate", string(der))},
			"(mail=" + hers + ")", 0, ""},
		{"another scheme", "activeDirectory", []vdir.Attribute{attr("proxyAddresses", "x400:"+hers), attr("userCertificate", string(der))},
			"(|(mail=" + hers + ")(proxyAddresses=smtp:" + hers + "))", 0, ""},
		{"eDirectory", "eDirectory", []vdir.Attribute{attr("internetEMailAddress", hers), attr("userCertificate", string(der))},
			"(|(mail=" + hers + ")(internetEMailAddress=" + hers + "))", 1, ""},
		{"LDAPv2: PEM and T.61", "ldapv2", []vdir.Attribute{attr("rfc822Mailbox", hers), attr("userCertificate", asPEM, string(der)), attr("cn", "J\xc8urgen Stra\xfbe \xc2Elise")},
			"(|(rfc822Mailbox=" + hers + ")(mail=" + hers + "))", 1, "Jürgen Straße Élise"},
		{"PEM elsewhere", "inetOrgPerson", []vdir.Attribute{attr("mail", hers), attr("userCertificate", asPEM)},
			"(mail=" + hers + ")", 0, ""},
		{"Latin-1 and controls", "inetOrgPerson", []vdir.Attribute{attr("mail", hers), attr("userCertificate", string(der)), attr("cn", "Ren\xe9e\r\n\x1b[2J", "\x00\x01", strings.Repeat("x", 300))},
			"(mail=" + hers + ")", 1, "Renée[2J"},
		{"text direction", "inetOrgPerson", []vdir.Attribute{attr("mail", hers), attr("userCertificate", string(der)), attr("cn", "A\u202eecila")},
			"(mail=" + hers + ")", 1, "Aecila"},
		{"entry of somebody else", "inetOrgPerson", []vdir.Attribute{attr("mail", "malice@alpha.example"), attr("userCertificate", string(der))},
			"(mail=" + hers + ")", 0, ""},
		{"entry without address", "inetOrgPerson", []vdir.Attribute{attr("userCertificate", string(der))},
			"(mail=" + hers + ")", 0, ""},
	} {
		b := &backend{entries: []vdir.Entry{person("cn=x", c.attributes...)}}
		got, _, err := ask(t, directory(t, quiet(), mountOf(t, "alpha", c.dialect, b)))
		certs, cn := 0, ""
		for _, e := range got {
			for _, a := range e.Attributes {
				switch a.Type {
				case "userCertificate;binary":
					certs = len(a.Values)
				case "cn":
					cn = string(bytes.Join(a.Values, []byte(",")))
				}
			}
		}
		if q := b.last.Load(); err != nil || certs != c.certs || cn != c.cn || q.Filter.String() != c.filter || q.Base != "dc=alpha" {
			t.Errorf("%s: got %d certificates, cn %q, %v; asked %s; want %d, %q, %s", c.name, certs, cn, err, q.Filter, c.certs, c.cn, c.filter)
		}
	}
	if _, ok := vdir.LookupDialect("Notes"); ok {
		t.Error("unknown dialect found")
	}
	if d, ok := vdir.LookupDialect("LDAPV2"); !ok || d.Version != 2 {
		t.Errorf("LDAPV2: got %v, %v", d, ok)
	}
}

// Several entries with her address are one entry outside.
func TestEntriesAreMerged(t *testing.T) {
	one, two := holding(certificate(t, template{san: hers})), holding(certificate(t, template{san: hers}))
	both := &backend{entries: append(one.entries, two.entries...)}
	if got := shown(t, directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", both))); len(got) != 2 {
		t.Errorf("%d certificates shown, want 2 in one entry", len(got))
	}
}
