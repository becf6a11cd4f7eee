package pathval_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"testing"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/wire/certext"
)

// altName is a subjectAltName of one name.
func altName(t testing.TB, n certext.Name) pkix.Extension {
	t.Helper()
	tag, compound := int(n.Form), false
	switch n.Form {
	case certext.OtherName, certext.DirectoryName, certext.X400Address, certext.EDIPartyName:
		compound = true
	}
	name := marshal(t, asn1.RawValue{Class: 2, Tag: tag, IsCompound: compound, Bytes: []byte(n.Value)})
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: marshal(t, asn1.RawValue{Tag: 16, IsCompound: true, Bytes: name})}
}

func other(t testing.TB, typeID asn1.ObjectIdentifier, value any) string {
	t.Helper()
	return string(marshal(t, typeID)) + string(marshal(t, asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: marshal(t, value)}))
}

func smtpUTF8(t testing.TB, address string) string {
	return other(t, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9}, asn1.RawValue{Tag: 12, Bytes: []byte(address)})
}

// One CA with one subtree, one leaf with one name. In takes the subtree as
// permitted and as excluded; the two answers are not always opposite, since
// where in doubt both say no.
func TestNameConstraints(t *testing.T) {
	const mail, dns, uri, ip, dir, utf8 = certext.RFC822Name, certext.DNSName, certext.URI, certext.IPAddress, certext.DirectoryName, certext.OtherName
	org := func(o string) string { return rdnSequence(t, pkix.Name{Organization: []string{o}}) }
	cn := func(o, c string) string {
		return rdnSequence(t, pkix.Name{Organization: []string{o}, CommonName: c})
	}
	cidr := func(s string) string {
		_, n, err := net.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(n.IP) + string(n.Mask)
	}
	u := func(address string) string { return smtpUTF8(t, address) }
	ca := newEntity(t, "", "CA")
	user := &entity{pkix.Name{}, newEntity(t, "", "").key}
	anchor := ca.issue(t, ca, profile{ca: true})
	in := pathval.Inputs{Anchors: []*pathval.Certificate{anchor}, At: now}
	for _, tc := range []struct {
		form       certext.Form
		base       string
		nameForm   certext.Form
		name       string
		ok, passes bool // when permitted, when excluded
	}{
		// A host is that host; a leading dot is everything below; a mailbox is one.
		{mail, "x.example", mail, "a@x.example", true, false},
		{mail, "x.example", mail, "a@X.EXAMPLE", true, false},
		{mail, "x.example", mail, "a@sub.x.example", false, true},
		{mail, "x.example", mail, "a@ax.example", false, true},
		{mail, ".x.example", mail, "a@sub.x.example", true, false},
		{mail, ".x.example", mail, "a@a.sub.x.example", true, false},
		{mail, ".x.example", mail, "a@x.example", false, true},
		{mail, ".x.example", mail, "a@ax.example", false, true},
		{mail, "a@x.example", mail, "a@x.example", true, false},
		{mail, "a@x.example", mail, "a@X.example", true, false},
		{mail, "a@x.example", mail, "A@x.example", false, true},
		{mail, "a@x.example", mail, "b@x.example", false, true},
		// Tricks with addresses: what is no address passes nothing.
		{mail, "x.example", mail, "a@x.example@evil.example", false, false},
		{mail, "x.example", mail, "a@evil.example@x.example", false, false},
		{mail, "x.example", mail, `"a@evil.example"@x.example`, true, false},
		{mail, "x.example", mail, `a@x.example"@evil.example`, false, false},
		{mail, "x.example", mail, "a@x.example.", false, false},
		{mail, "x.example", mail, "a@.x.example", false, false},
		{mail, "x.example", mail, "a@", false, false},
		{mail, "x.example", mail, "@x.example", false, false},
		{mail, "x.example", mail, "x.example", false, false},
		{mail, "x.example", mail, "a b@x.example", false, false},
		{mail, "x.example", mail, "a@x.example\x00.evil.example", false, false},
		{mail, "x.example", mail, "a@x\uff0eexample", false, false},
		{mail, "xn--mller-kva.example", mail, "a@xn--MLLER-kva.example", true, false},
		{mail, "xn--mller-kva.example", mail, "a@müller.example", false, false},
		{mail, "x.example", mail, "a@[192.0.2.1]", false, true},
		{mail, "x.example", mail, "<a@x.example>", false, false},
		// An empty host permits nothing and excludes everything.
		{mail, "", mail, "a@x.example", false, false},
		// Constraints that say nothing sensible stop every name of the form.
		{mail, "x.example.", mail, "a@x.example", false, false},
		{mail, "..x.example", mail, "a@x.example", false, false},
		{mail, "@x.example", mail, "a@x.example", false, false},
		{mail, "*.x.example", mail, "a@sub.x.example", false, false},
		// Internationalised mailboxes obey the same constraints.
		{mail, "x.example", utf8, u("ü@x.example"), true, false},
		{mail, "x.example", utf8, u("ü@sub.x.example"), false, true},
		{mail, ".x.example", utf8, u("ü@sub.x.example"), true, false},
		{mail, "x.example", utf8, u("ü@y.example"), false, true},
		{mail, "x.example", utf8, u("a@x.example"), true, false},
		{mail, "xn--mller-kva.example", utf8, u("ü@xn--mller-kva.example"), true, false},
		{mail, "xn--mller-kva.example", utf8, u("ü@müller.example"), false, false},
		{mail, "x.example", utf8, u("ü@evil.example@x.example"), false, false},
		{utf8, u("ü@x.example"), utf8, u("ü@x.example"), false, false},
		{utf8, u("ü@x.example"), mail, "a@x.example", false, false},
		// Other forms are left alone.
		{mail, "x.example", dns, "y.example", true, true},
		{dns, "x.example", mail, "a@y.example", true, true},
		{utf8, other(t, asn1.ObjectIdentifier{2, 999, 1}, "x"), utf8, other(t, asn1.ObjectIdentifier{2, 999, 2}, "x"), true, true},
		{utf8, other(t, asn1.ObjectIdentifier{2, 999, 1}, "x"), utf8, other(t, asn1.ObjectIdentifier{2, 999, 1}, "x"), false, false},
		{certext.RegisteredID, "\x88\x37\x01", certext.RegisteredID, "\x88\x37\x01", false, false},
		// Directory names: a prefix, compared by RFC 5280 §7.1.
		{dir, org("Acme"), dir, org("Acme"), true, false},
		{dir, org("Acme"), dir, cn("ACME ", "User"), true, false},
		{dir, org("Acme"), dir, cn("Acme Evil", "User"), false, true},
		{dir, cn("Acme", "User"), dir, org("Acme"), false, true},
		{dir, rdnSequence(t, pkix.Name{}), dir, org("Acme"), true, false},
		{dir, org("Acme"), dir, org("Ac\u200bme"), true, false},
		// Hosts.
		{dns, "x.example", dns, "x.example", true, false},
		{dns, "x.example", dns, "WWW.X.example", true, false},
		{dns, "x.example", dns, "ax.example", false, true},
		{dns, ".x.example", dns, "www.x.example", true, false},
		{dns, ".x.example", dns, "x.example", false, false},
		{dns, "", dns, "x.example", true, false},
		{dns, "x.example", dns, "x.example.", false, false},
		{dns, "www.x.example", dns, "*.x.example", false, false},
		{dns, "y.example", dns, "*.x.example", false, true},
		{uri, "x.example", uri, "http://x.example/a", true, false},
		{uri, "x.example", uri, "http://u:p@X.example:80/a", true, false},
		{uri, "x.example", uri, "http://x.example@evil.example/", false, true},
		{uri, "x.example", uri, "http://www.x.example/", false, true},
		{uri, ".x.example", uri, "ldap://www.x.example/", true, false},
		{uri, ".x.example", uri, "http://x.example/", false, true},
		{uri, "x.example", uri, "http://192.0.2.1/", false, false},
		{uri, "x.example", uri, "http://[2001:db8::1]/", false, false},
		{uri, "x.example", uri, "urn:x.example", false, false},
		// Addresses.
		{ip, cidr("192.0.2.0/24"), ip, "\xc0\x00\x02\x07", true, false},
		{ip, cidr("192.0.2.0/24"), ip, "\xc0\x00\x03\x07", false, true},
		{ip, cidr("192.0.2.0/24"), ip, string(net.ParseIP("2001:db8::1")), false, true},
		{ip, cidr("2001:db8::/32"), ip, string(net.ParseIP("2001:db8::1")), true, false},
	} {
		for _, permitted := range []bool{true, false} {
			nc, want, kind := &certext.NameConstraints{}, tc.passes, "excluded"
			if permitted {
				nc.Permitted, want, kind = []certext.Subtree{{Form: tc.form, Value: tc.base}}, tc.ok, "permitted"
			} else {
				nc.Excluded = []certext.Subtree{{Form: tc.form, Value: tc.base}}
			}
			sub := newSub(t, ca, nc)
			p := profile{}
			leafName := certext.Name{Form: tc.nameForm, Value: tc.name}
			p.extra = []pkix.Extension{altName(t, leafName)}
			leaf := sub.e.issue(t, user, p)
			_, err := pathval.Validate(t.Context(), []*pathval.Certificate{sub.cert, leaf}, in)
			if (err == nil) != want {
				t.Errorf("%s %q (form %d), name %q: got %v, want valid: %v", kind, tc.base, tc.form, tc.name, err, want)
			}
		}
	}
}

type sub struct {
	e    *entity
	cert *pathval.Certificate
}

func newSub(t testing.TB, ca *entity, nc *certext.NameConstraints) sub {
	t.Helper()
	e := newEntity(t, "", "Sub")
	return sub{e, ca.issue(t, e, profile{ca: true, names: nc})}
}

// The emailAddress of a subject is bound too, and so is everything a CA in
// between is called, unless it is self-issued.
func TestConstrainedSubjects(t *testing.T) {
	ca := newEntity(t, "", "CA")
	in := pathval.Inputs{Anchors: []*pathval.Certificate{ca.issue(t, ca, profile{ca: true})}, At: now}
	mail := func(address string) pkix.Name {
		return pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: address}}}
	}
	xExample := &certext.NameConstraints{Permitted: []certext.Subtree{{Form: certext.RFC822Name, Value: "x.example"}}}
	s := newSub(t, ca, xExample)
	for address, want := range map[string]bool{"a@x.example": true, "a@y.example": false, "nobody": false} {
		leaf := s.e.issue(t, &entity{mail(address), s.e.key}, profile{emails: []string{"a@x.example"}})
		if _, err := pathval.Validate(t.Context(), []*pathval.Certificate{s.cert, leaf}, in); (err == nil) != want {
			t.Errorf("subject with %s: got %v, want valid: %v", address, err, want)
		}
	}

	acme := &certext.NameConstraints{Permitted: []certext.Subtree{{Form: certext.DirectoryName, Value: rdnSequence(t, pkix.Name{Organization: []string{"Acme"}})}}}
	s = newSub(t, ca, acme)
	next := s.e.rekeyed(t)
	link := s.e.issue(t, next, profile{ca: true}) // CN=Sub, outside Acme, but self-issued
	good := next.issue(t, newEntity(t, "Acme", "User"), profile{})
	if _, err := pathval.Validate(t.Context(), []*pathval.Certificate{s.cert, link, good}, in); err != nil {
		t.Errorf("through a self-issued CA: %v", err)
	}
	outside := newEntity(t, "", "Outside")
	below := outside.issue(t, newEntity(t, "Acme", "User"), profile{})
	if _, err := pathval.Validate(t.Context(), []*pathval.Certificate{s.cert, s.e.issue(t, outside, profile{ca: true}), below}, in); err == nil {
		t.Error("a CA outside is not exempt")
	}
	if _, err := pathval.Validate(t.Context(), []*pathval.Certificate{s.cert, link}, in); err == nil {
		t.Error("a self-issued leaf is not exempt")
	}
}

// Constraints that would cost too much to check end in the budget.
func TestConstraintBudget(t *testing.T) {
	ca := newEntity(t, "", "CA")
	in := pathval.Inputs{Anchors: []*pathval.Certificate{ca.issue(t, ca, profile{ca: true})}, At: now}
	nc := &certext.NameConstraints{}
	p := profile{}
	for i := range 600 {
		host := string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".example"
		nc.Excluded = append(nc.Excluded, certext.Subtree{Form: certext.RFC822Name, Value: host})
		p.emails = append(p.emails, "u@x."+host)
	}
	s := newSub(t, ca, nc)
	leaf := s.e.issue(t, newEntity(t, "", "User"), p)
	if _, err := pathval.Validate(t.Context(), []*pathval.Certificate{s.cert, leaf}, in); len(reasonsOf(err)) != 1 || reasonsOf(err)[0] != pathval.Exhausted {
		t.Errorf("got %v, want Exhausted", err)
	}
}
