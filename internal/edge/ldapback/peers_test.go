package ldapback_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bridge.example/internal/edge/ldapback"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

const slapdConf = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
allow bind_v2
loglevel none
database mdb
suffix "o=Alpha,c=DE"
rootdn "cn=admin,o=Alpha,c=DE"
rootpw secret
directory %s
dbnosync
access to dn.subtree="ou=closed,o=Alpha,c=DE" by dn.exact="cn=bridge,o=Alpha,c=DE" read by anonymous auth by * none
access to attrs=userPassword by anonymous auth by * none
access to * by * read
`

const slapdData = `
dn: o=Alpha,c=DE
objectClass: organization
o: Alpha

dn: cn=bridge,o=Alpha,c=DE
objectClass: inetOrgPerson
cn: bridge
sn: bridge
userPassword: service

dn: ou=closed,o=Alpha,c=DE
objectClass: organizationalUnit
ou: closed

dn: uid=bob,ou=closed,o=Alpha,c=DE
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Bob
mail: bob@alpha.example

dn: ou=elsewhere,o=Alpha,c=DE
objectClass: referral
objectClass: extensibleObject
ou: elsewhere
ref: ldap://elsewhere.example/o=Alpha

dn: uid=alice,o=Alpha,c=DE
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: Adams
mail: alice@alpha.example
telephoneNumber: +49 1
userCertificate;binary:: %s
`

func requirePeers(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("real programs are asked only with BRIDGE_PEERS=1")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatal(err)
		}
	}
}

// slapd is a running OpenLDAP server with the data above.
type slapd struct {
	addr, conf string
	cmd        *exec.Cmd
}

func startSlapd(t *testing.T, certificate []byte) *slapd {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	db := filepath.Join(dir, "db")
	if err := os.Mkdir(db, 0o700); err != nil {
		t.Fatal(err)
	}
	s := &slapd{conf: write("slapd.conf", fmt.Sprintf(slapdConf, db))}
	data := write("data.ldif", fmt.Sprintf(slapdData, base64.StdEncoding.EncodeToString(certificate)))
	if out, err := exec.Command("slapadd", "-q", "-f", s.conf, "-l", data).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	l.Close()
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

// start returns when the server accepts connections.
func (s *slapd) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command("slapd", "-d", "0", "-h", "ldap://"+s.addr, "-f", s.conf)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		if c, err := net.Dial("tcp", s.addr); err == nil {
			c.Close()
			return
		}
		<-tick.C
	}
	t.Fatal("slapd does not listen")
}

func (s *slapd) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait() // killed: the status says nothing
}

func (s *slapd) pool(t *testing.T, o ldapback.Options) *ldapback.Pool {
	t.Helper()
	o.Dial = new(net.Dialer).DialContext
	p, err := ldapback.New("ldap://"+s.addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func mailCertificate(t *testing.T, address string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(7), EmailAddresses: []string{address}, KeyUsage: x509.KeyUsageKeyAgreement,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func find(t *testing.T, b vdir.Backend, base, filter string) ([]vdir.Entry, error) {
	t.Helper()
	f, err := ldap.ParseFilter(filter)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var got []vdir.Entry
	out, err := b.Search(ctx, vdir.Query{Base: base, Scope: vdir.WholeSubtree, Filter: f}, func(e vdir.Entry) error {
		got = append(got, e)
		return nil
	})
	if len(out.Unavailable) > 0 {
		t.Errorf("unavailable: %v", out.Unavailable)
	}
	return got, err
}

func TestAgainstSlapd(t *testing.T) {
	requirePeers(t, "slapd", "slapadd")
	der := mailCertificate(t, "alice@alpha.example")
	server := startSlapd(t, der)
	service := func(password string) ldapback.Options {
		return ldapback.Options{BindDN: "cn=bridge,o=Alpha,c=DE", Password: func() ([]byte, error) { return []byte(password), nil }}
	}
	version2 := service("service")
	version2.LDAPVersion = 2
	const base = "o=Alpha,c=DE"
	for _, c := range []struct {
		name         string
		o            ldapback.Options
		base, filter string
		want         int
		kind         fault.Kind // when want is negative
	}{
		{"anonymous", ldapback.Options{}, base, "(mail=alice@alpha.example)", 1, 0},
		{"anonymous, version 2", ldapback.Options{LDAPVersion: 2}, base, "(mail=alice@alpha.example)", 1, 0},
		{"nobody", ldapback.Options{}, base, "(mail=carol@alpha.example)", 0, 0},
		{"closed to anonymous", ldapback.Options{}, base, "(mail=bob@alpha.example)", 0, 0},
		{"open to the service", service("service"), base, "(mail=bob@alpha.example)", 1, 0},
		{"open to the service, version 2", version2, base, "(mail=bob@alpha.example)", 1, 0},
		{"wrong password", service("wrong"), base, "(mail=bob@alpha.example)", -1, fault.Unavailable},
		{"no such base", ldapback.Options{}, "ou=none," + base, "(objectClass=*)", -1, fault.NotFound},
		{"referral", ldapback.Options{}, "ou=elsewhere," + base, "(objectClass=*)", -1, fault.Unavailable},
	} {
		got, err := find(t, server.pool(t, c.o), c.base, c.filter)
		if c.want >= 0 && (err != nil || len(got) != c.want) || c.want < 0 && (err == nil || fault.KindOf(err) != c.kind) {
			t.Errorf("%s: got %v, %v, want %d entries", c.name, got, err, c.want)
		}
	}

	pool := server.pool(t, ldapback.Options{})
	t.Run("through the virtual directory", func(t *testing.T) {
		d, err := vdir.New("o=bridge", vdir.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		dialect, _ := vdir.LookupDialect("inetOrgPerson")
		if err := d.SetMounts([]vdir.Mount{{
			Member: "alpha", Name: "Alpha", Domains: []string{"alpha.example"},
			Check:     func(*x509.Certificate, time.Time) error { return nil },
			Endpoints: []vdir.Endpoint{{Backend: pool, Base: base, Dialect: dialect, Name: "slapd"}},
		}}); err != nil {
			t.Fatal(err)
		}
		got, err := find(t, d, "o=bridge", "(mail=alice@alpha.example)")
		if err != nil || len(got) != 1 || got[0].DN != "mail=alice@alpha.example,ou=People,o=alpha,o=bridge" ||
			len(got[0].Attributes) != 4 || !bytes.Equal(got[0].Attributes[3].Values[0], der) {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("more searches than it allows on one connection", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if got, err := find(t, pool, base, "(mail=alice@alpha.example)"); err != nil || len(got) != 1 {
					t.Errorf("got %d entries, %v", len(got), err)
				}
			})
		}
		wg.Wait()
	})
	t.Run("restarted", func(t *testing.T) {
		server.stop()
		if _, err := find(t, pool, base, "(mail=alice@alpha.example)"); fault.KindOf(err) != fault.Unavailable || err == nil {
			t.Errorf("stopped: got %v, want Unavailable", err)
		}
		server.start(t)
		tick := time.NewTicker(20 * time.Millisecond) // its back-off ends within the first second
		defer tick.Stop()
		var err error
		for range 100 {
			var got []vdir.Entry
			if got, err = find(t, pool, base, "(mail=alice@alpha.example)"); err == nil && len(got) == 1 {
				return
			}
			<-tick.C
		}
		t.Errorf("started again: %v", err)
	})
	t.Run("name of the base is not repeated", func(t *testing.T) {
		_, err := find(t, pool, "ou=none,"+base, "(objectClass=*)")
		if err == nil || strings.Contains(err.Error(), "Alpha") {
			t.Errorf("got %v", err)
		}
	})
}
