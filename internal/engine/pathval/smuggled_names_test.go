package pathval_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

// named is an attack by a user of member 1 with one subjectAltName.
func named(form certext.Form, value func(t *testing.T) string, want pathval.Reason) attack {
	return attack{func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
		x := m.members[1]
		p := x.user()
		p.emails, p.extra = nil, []pkix.Extension{altName(t, certext.Name{Form: form, Value: value(t)})}
		return x.issuing.issue(t, newEntity(t, "Member 1", "User"), p), nil
	}, want}
}

func TestNoAddressSmuggled(t *testing.T) {
	for name, address := range map[string]string{
		"a dot at the end":               "user@m2.example.",
		"own host with a dot at end":     "user@m1.example.",
		"two hosts, own first":           "user@m1.example@m2.example",
		"two hosts, own last":            "user@m2.example@m1.example",
		"own host in a quoted local":     `"user@m1.example"@m2.example`,
		"own host as a prefix":           "user@m1.example.m2.example",
		"own host as a suffix":           "user@evilm1.example",
		"NUL before own host":            "user@m2.example\x00.m1.example",
		"U-label":                        "user@m1.example\u3002m2.example",
		"A-label of a stranger":          "user@xn--m1-example.example",
		"full-width @":                   "user\uff20m1.example",
		"full-width digit":               "user@m\uff11.example",
		"a soft hyphen in own host":      "user@m\u00ad1.example",
		"route":                          "@m1.example:user@m2.example",
		"display name":                   "User <user@m1.example>",
		"address literal":                "user@[192.0.2.1]",
		"percent hack out of own host":   "user%m2.example@.m1.example",
		"no host":                        "user@",
		"a wildcard":                     "*@*.m1.example",
		"a line break before own host":   "user@m2.example\r\n@m1.example",
		"the asker's host in upper case": "BOSS@M0.EXAMPLE",
	} {
		t.Run("rfc822Name: "+name, named(certext.RFC822Name, func(*testing.T) string { return address }, pathval.NameConstraint).run)
		t.Run("SmtpUTF8Mailbox: "+name, named(certext.OtherName, func(t *testing.T) string { return smtpUTF8(t, address) }, pathval.NameConstraint).run)
	}
}

func TestNoNameSmuggled(t *testing.T) {
	emailAddress := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	organisation, common := asn1.ObjectIdentifier{2, 5, 4, 10}, asn1.ObjectIdentifier{2, 5, 4, 3}
	// called is a user of member 1 with a subject of another shape.
	called := func(n pkix.Name, want pathval.Reason) attack {
		return attack{func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			e := newEntity(t, "", "")
			e.name = n
			return m.members[1].issuing.issue(t, e, m.members[1].user()), nil
		}, want}
	}
	// widened is a user of member 2 below a sub-CA of member 1 whose own
	// constraints say more than it may.
	widened := func(trees ...certext.Subtree) attack {
		return attack{func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			x, sub := m.members[1], newEntity(t, "Member 1", "Sub")
			p := x.user()
			p.emails = []string{"user@m2.example"}
			return sub.issue(t, newEntity(t, "Member 1", "User"), p), []*pathval.Certificate{x.root.issue(t, sub, profile{
				ca: true, policies: []x509.OID{x.policy}, names: &certext.NameConstraints{Permitted: trees}})}
		}, pathval.NameConstraint}
	}
	// asked is a user of member 1 who is looked for under an address.
	asked := func(address string, e *entity, emails ...string) attack {
		return attack{func(t *testing.T, m *mesh, in *pathval.Inputs) (*pathval.Certificate, []*pathval.Certificate) {
			in.Email = address
			p := m.members[1].user()
			p.emails = emails
			return m.members[1].issuing.issue(t, e, p), nil
		}, pathval.Address}
	}
	attribute := func(id asn1.ObjectIdentifier, v string) pkix.AttributeTypeAndValue {
		return pkix.AttributeTypeAndValue{Type: id, Value: v}
	}
	for name, a := range map[string]attack{
		"another's emailAddress in the subject": called(pkix.Name{Organization: []string{"Member 1"},
			ExtraNames: []pkix.AttributeTypeAndValue{attribute(emailAddress, "user@m2.example")}}, pathval.NameConstraint),
		"own organisation not in front": called(pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
			attribute(common, "User"), attribute(organisation, "Member 1")}}, pathval.NameConstraint),
		"two organisations in one RDN":                 called(pkix.Name{Organization: []string{"Member 1", "Member 2"}}, pathval.NameConstraint),
		"an organisation that begins alike":            called(pkix.Name{Organization: []string{"Member 10"}}, pathval.NameConstraint),
		"an organisation in letters that look alike":   called(pkix.Name{Organization: []string{"Mеmber 1"}}, pathval.NameConstraint), // U+0435
		"another's directory name as subjectAltName":   named(certext.DirectoryName, func(t *testing.T) string { return rdnSequence(t, pkix.Name{Organization: []string{"Member 2"}}) }, pathval.NameConstraint),
		"an empty permitted subtree of mail":           widened(certext.Subtree{Form: certext.RFC822Name}),
		"an empty permitted subtree of names":          widened(certext.Subtree{Form: certext.DirectoryName, Value: rdnSequence(t, pkix.Name{})}),
		"another's host permitted further below":       widened(certext.Subtree{Form: certext.RFC822Name, Value: "m2.example"}),
		"another's mailbox permitted further below":    widened(certext.Subtree{Form: certext.RFC822Name, Value: "user@m2.example"}),
		"a permitted host with a dot at the end":       widened(certext.Subtree{Form: certext.RFC822Name, Value: "m2.example."}),
		"a constraint on SmtpUTF8Mailbox in its place": widened(certext.Subtree{Form: certext.OtherName, Value: smtpUTF8(t, "user@m2.example")}),
		"no address at all":                            asked("user@m1.example", newEntity(t, "Member 1", "User")),
		"the address as common name":                   asked("user@m1.example", newEntity(t, "Member 1", "user@m1.example")),
		"a local part in another case":                 asked("user@m1.example", newEntity(t, "Member 1", "User"), "USER@m1.example"),
		"a quoted local part":                          asked("user@m1.example", newEntity(t, "Member 1", "User"), `"user"@m1.example`),
	} {
		t.Run(name, a.run)
	}
}

// A constraint that says nothing is not RFC 5280 §4.2.1.10, and no licence.
func TestEmptyConstraintsAreMalformed(t *testing.T) {
	ca := newEntity(t, "", "CA")
	for name, value := range map[string][]byte{
		"nothing":                  {0x30, 0},
		"no permitted subtree":     {0x30, 2, 0xa0, 0},
		"no excluded subtree":      {0x30, 2, 0xa1, 0},
		"neither":                  {0x30, 4, 0xa0, 0, 0xa1, 0},
		"a subtree without a base": {0x30, 4, 0xa0, 2, 0x30, 0},
		"a minimum":                {0x30, 10, 0xa0, 8, 0x30, 6, 0x81, 1, 'x', 0x80, 1, 1},
		"a maximum":                {0x30, 10, 0xa0, 8, 0x30, 6, 0x81, 1, 'x', 0x81, 1, 0},
	} {
		der := ca.issueDER(t, newEntity(t, "", "Sub"), profile{ca: true, extra: []pkix.Extension{{Id: certext.OIDNameConstraints(), Critical: true, Value: value}}})
		if _, err := pathval.ParseCertificate(der); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
}
