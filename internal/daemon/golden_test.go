package daemon_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"bridge.example/internal/lab"
	"bridge.example/internal/setup/config"
)

// dirmngr is a request of GnuPG's dirmngr as it was captured: a search below
// o=a for (mail=user5@a.example), all attributes, without a bind.
const dirmngr = "3034020101632f04036f3d610a01020a0100020100020100010100a31704046d61696c040f757365723540612e6578616d706c653000"

// manageDsaIT is the end of a request of Java's JNDI, as captured: the controls.
const manageDsaIT = "a01b30190417322e31362e3834302e312e3131333733302e332e342e32"

// golden is a question of a real mail client about some addresses.
type golden struct {
	client string
	long   bool // lengths as Windows sends them
	bind   int  // version of an anonymous bind before; 0 for none
	query  func(w ber, address string) query
	tail   string // controls, hex
	only   string // the single attribute type expected; all when empty
}

const certificateType = "userCertificate;binary"

var goldens = []golden{
	{client: "dirmngr", query: func(w ber, a string) query {
		return query{filter: w.equal("mail", a)}
	}},
	{client: "dirmngr with the lengths of Windows", long: true, query: func(w ber, a string) query {
		return query{filter: w.equal("mail", a)}
	}},
	{client: "JNDI", bind: 3, tail: manageDsaIT, only: certificateType, query: func(w ber, a string) query {
		return query{deref: 3, filter: w.equal("mail", a), attributes: []string{certificateType}}
	}},
	{client: "Thunderbird", bind: 3, only: certificateType, query: func(w ber, a string) query {
		return query{sizeLimit: 2, filter: w.equal("mail", a), attributes: []string{"usercertificate;binary"}}
	}},
	{client: "Outlook", long: true, bind: 3, query: func(w ber, a string) query {
		return query{sizeLimit: 100, timeLimit: 60, filter: w.tlv(tagAnd, w.present("mail"),
			w.tlv(tagOr, w.sub(initial, "mail", a), w.tlv(tagOr, w.sub(initial, "cn", a),
				w.tlv(tagOr, w.sub(initial, "sn", a), w.sub(initial, "givenName", a))))),
			attributes: []string{"cn", "commonName", "mail", "roleOccupant", "display-name", "displayname", "sn", "surname",
				"co", "organizationName", "o", "givenName", "legacyExchangeDN", "objectClass", "uid", "mailNickname", "title",
				"company", "physicalDeliveryOfficeName", "telephoneNumber", "userSMIMECertificate", "userCertificate"}}
	}},
	{client: "gpgsm, bare address", query: func(w ber, a string) query {
		return query{filter: w.tlv(tagOr, w.sub(anywhere, "sn", a),
			w.tlv(tagOr, w.sub(anywhere, "cn", a), w.sub(anywhere, "mail", a)))}
	}},
	{client: "Evolution, address check, over LDAPv2", bind: 2, query: func(w ber, a string) query {
		return query{sizeLimit: 1, filter: w.equal("mail", a)}
	}},
	{client: "KDE, complete address", bind: 3, query: func(w ber, a string) query {
		return query{filter: w.tlv(tagAnd,
			w.tlv(tagOr, w.equal("objectclass", "person"), w.equal("objectclass", "groupOfNames"), w.present("mail")),
			w.tlv(tagOr, w.sub(initial, "cn", a), w.sub(initial, "mail", a), w.sub(initial, "givenName", a), w.sub(initial, "sn", a))),
			attributes: []string{"cn", "mail", "givenname", "sn", "userCertificate;binary"}}
	}},
}

// request makes the bytes of g for an address.
func (g golden) request(t *testing.T, address string) []byte {
	t.Helper()
	w := ber{long: g.long}
	q := g.query(w, address)
	q.dn = "o=a"
	op := w.search(q)
	if g.tail == "" {
		return w.message(1, op)
	}
	tail, err := hex.DecodeString(g.tail)
	if err != nil {
		t.Fatal(err)
	}
	return w.tlv(tagSequence, w.number(tagInteger, 1), op, tail)
}

// TestGoldenRequests sends what real mail clients send, over TCP, and holds the
// answer against the certificate and against all that must not be in it. One
// member's directory is inetOrgPerson, the other's Active Directory's.
func TestGoldenRequests(t *testing.T) {
	members := []*lab.Organisation{organisation(t, alphaSpec()), organisation(t, betaSpec())}
	b := start(t, "o=a", func(c *config.Config) { c.Directory.LDAPv2 = true }, members...)
	for _, m := range members {
		b.admit(t, b.application(t, m))
	}

	t.Run("the builder makes the captured bytes", func(t *testing.T) {
		if got := hex.EncodeToString(goldens[0].request(t, "user5@a.example")); got != dirmngr {
			t.Errorf("got %s\nwant %s", got, dirmngr)
		}
	})
	for _, g := range goldens {
		for _, m := range members {
			t.Run(g.client+" finds "+m.Spec.Dialect, func(t *testing.T) {
				c := dialLDAP(t, b.Directory)
				if g.bind != 0 {
					bound(t, c, g.bind)
				}
				got, err := c.ask(g.request(t, user(t, m).Mail))
				if err != nil {
					t.Fatal(err)
				}
				checkAnswer(t, got, g.only, m)
			})
		}
	}
	t.Run("Thunderbird, recipients of two members", func(t *testing.T) {
		c, w := dialLDAP(t, b.Directory), ber{}
		bound(t, c, 3)
		got, err := c.ask(w.message(2, w.search(query{dn: "o=a", sizeLimit: 4, attributes: []string{"usercertificate;binary"},
			filter: w.tlv(tagOr, w.equal("mail", user(t, members[0]).Mail), w.equal("mail", user(t, members[1]).Mail))})))
		if err != nil {
			t.Fatal(err)
		}
		// Whoever answers first stands first.
		slices.SortFunc(got.entries, func(a, b entry) int { return bytes.Compare(b.DN, a.DN) })
		checkAnswer(t, got, certificateType, members...)
	})
	t.Run("Evolution looks around", func(t *testing.T) { testEvolution(t, dialLDAP(t, b.Directory)) })
	t.Run("autocomplete is refused and disturbs nothing", func(t *testing.T) {
		c, w := dialLDAP(t, b.Directory), ber{}
		bound(t, c, 3)
		for id, typed := range []string{"us", "user5", "user5@", "user5@a.", "a.example"} {
			filter := w.tlv(tagOr, w.sub(anywhere, "cn", typed), w.sub(anywhere, "mail", typed),
				w.sub(anywhere, "givenName", typed), w.sub(anywhere, "sn", typed))
			got, err := c.ask(w.message(id+2, w.search(query{dn: "o=a", sizeLimit: 100, filter: filter})))
			if err != nil {
				t.Fatal(err)
			}
			if got.result.Code != unwilling || len(got.entries) > 0 {
				t.Errorf("%q: got result %d and %d entries, want %d and none", typed, got.result.Code, len(got.entries), unwilling)
			}
			// On the next key the client gives the search up; nothing answers that.
			if _, err := c.conn.Write(w.message(id+20, w.number(tagAbandon, id+2))); err != nil {
				t.Fatal(err)
			}
		}
		got, err := c.ask(goldens[0].request(t, user(t, members[0]).Mail))
		if err != nil {
			t.Fatal(err)
		}
		checkAnswer(t, got, "", members[0])
	})
}

// bound binds anonymously with a version of the protocol.
func bound(t *testing.T, c *ldapClient, version int) {
	t.Helper()
	w := ber{}
	if got, err := c.ask(w.message(1, w.bind(version))); err != nil || got.result.Code != success {
		t.Fatalf("bind: got %d, %v", got.result.Code, err)
	}
}

// testEvolution asks what Evolution asks before it searches, with the control
// it searches with: paged results, 1000 a page.
func testEvolution(t *testing.T, c *ldapClient) {
	w := ber{}
	bound(t, c, 3)
	root, err := c.ask(w.message(2, w.search(query{base: true, filter: w.present("objectclass"), attributes: []string{
		"supportedControl", "supportedExtension", "supportedFeatures", "supportedSASLMechanisms", "supportedLDAPVersion",
		"subschemaSubentry", "schemaNamingContext", "namingContexts"}})))
	if err != nil || len(root.entries) != 1 {
		t.Fatalf("root DSE: got %d entries, %v", len(root.entries), err)
	}
	if got, _ := root.entries[0].values("namingContexts"); len(got) != 1 || string(got[0]) != "o=a" {
		t.Errorf("naming contexts: got %q, want o=a", got)
	}
	subschema, _ := root.entries[0].values("subschemaSubentry")
	if len(subschema) != 1 {
		t.Fatalf("subschema: got %q", subschema)
	}
	paged := w.tlv(tagSequence, w.text("1.2.840.113556.1.4.319"),
		w.text(string(w.tlv(tagSequence, w.number(tagInteger, 1000), w.text("")))))
	schema, err := c.ask(w.message(3, w.search(query{dn: string(subschema[0]), base: true,
		filter: w.equal("objectClass", "subschema"), attributes: []string{"objectClasses"}}), paged))
	if err != nil || len(schema.entries) != 1 {
		t.Fatalf("subschema: got %d entries, %v", len(schema.entries), err)
	}
	classes, _ := schema.entries[0].values("objectClasses")
	if !bytes.Contains(bytes.Join(classes, nil), []byte("'inetOrgPerson'")) {
		t.Errorf("object classes: got %q, want inetOrgPerson among them", classes)
	}
}

// checkAnswer checks that got names the first user of each member, in this
// order, and holds nothing but what the bridge may let out. only is the single
// attribute type that was asked for; all when empty.
func checkAnswer(t *testing.T, got answer, only string, members ...*lab.Organisation) {
	t.Helper()
	if got.result.Code != success || len(got.result.MatchedDN) > 0 || len(got.result.Referral.FullBytes) > 0 {
		t.Errorf("got result %d %q, matched %q, referral %x", got.result.Code, got.result.Diagnostic, got.result.MatchedDN, got.result.Referral.FullBytes)
	}
	if len(got.entries) != len(members) {
		t.Fatalf("got %d entries, want %d", len(got.entries), len(members))
	}
	allowed := []string{"objectClass", "cn", "mail", certificateType}
	if only != "" {
		allowed = []string{only}
	}
	rest := got.raw
	for i, m := range members {
		u, e := user(t, m), got.entries[i]
		if want := "mail=" + u.Mail + ",ou=People,o=" + m.Spec.ID + ",o=a"; string(e.DN) != want {
			t.Errorf("got DN %q, want %q", e.DN, want)
		}
		certs, _ := e.values(certificateType)
		if len(certs) != 1 || !bytes.Equal(certs[0], u.Certificate.Raw) {
			t.Errorf("%s: got %d certificates, want the user's", u.Mail, len(certs))
		}
		for _, a := range e.Attributes {
			if !slices.Contains(allowed, string(a.Type)) {
				t.Errorf("%s: got attribute %s, which nobody needs to know", u.Mail, a.Type)
			}
		}
		rest = bytes.ReplaceAll(rest, u.Certificate.Raw, nil)
	}
	for _, m := range members {
		for _, secret := range []string{m.Spec.Suffix, "uid=", "CN=", "+49", "710", "telephoneNumber", "sAMAccountName", "smtp:", "ldap://"} {
			if strings.Contains(strings.ToLower(string(rest)), strings.ToLower(secret)) {
				t.Errorf("the answer holds %q:\n%q", secret, rest)
			}
		}
	}
}
