package vdir_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

const outlook = "(&(mail=*)(|(mail=%s*)(|(cn=%s*)(|(sn=%s*)(givenName=%s*)))))"

func wrap(format, address string) string { return strings.ReplaceAll(format, "%s", address) }

// Filters that real clients send, and what each finds.
func TestFiltersAccepted(t *testing.T) {
	const a, b = "mail=alice@alpha.example,ou=People,o=alpha,o=bridge", "mail=bob@beta.example,ou=People,o=beta,o=bridge"
	d := directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", alice(t)), mountOf(t, "beta", "activeDirectory", bob(t)))
	for _, c := range []struct{ name, filter, want string }{
		{"one address", "(mail=alice@alpha.example)", a},
		{"another case", "(MAIL=Alice@ALPHA.example)", a},
		{"synonym", "(rfc822Mailbox=alice@alpha.example)", a},
		{"OID", "(0.9.2342.19200300.100.1.3=alice@alpha.example)", a},
		{"Thunderbird, two recipients", "(|(mail=alice@alpha.example)(mail=bob@beta.example))", a + " " + b},
		{"the same recipient twice", "(|(mail=alice@alpha.example)(mail=ALICE@alpha.example))", a},
		{"Thunderbird with a URL filter", "(&(objectClass=inetOrgPerson)(mail=alice@alpha.example))", a},
		{"Thunderbird with the presence filter", "(&(objectclass=*)(|(mail=alice@alpha.example)(mail=bob@beta.example)))", a + " " + b},
		{"certificates wanted", "(&(mail=alice@alpha.example)(userCertificate;binary=*))", a},
		{"Outlook", wrap(outlook, "alice@alpha.example"), a},
		{"gpgsm, bare address", wrap("(|(sn=*%s*)(|(cn=*%s*)(mail=*%s*)))", "alice@alpha.example"), a},
		{"KDE, complete address", wrap("(&(|(objectclass=person)(objectclass=groupOfNames)(mail=*))(|(cn=%s*)(mail=%s*)(givenName=%s*)(sn=%s*)))", "bob@beta.example"), b},
		{"no such domain", "(mail=carol@gamma.example)", ""},
		{"a subdomain is another domain", "(mail=alice@mail.alpha.example)", ""},
		{"kind of entry that nobody is", "(&(objectClass=groupOfNames)(mail=alice@alpha.example))", ""},
		{"two addresses at once", "(&(mail=alice@alpha.example)(mail=bob@beta.example))", ""},
		{"name that is not hers", "(&(cn=alice@alpha.example)(mail=alice@alpha.example))", ""},
	} {
		got, out, err := search(t, d, vdir.Query{Base: "o=bridge", Scope: vdir.WholeSubtree, Filter: filter(t, c.filter)})
		if names(got) != c.want || err != nil || len(out.Unavailable) > 0 {
			t.Errorf("%s: %s: got %q, %v, %v, want %q", c.name, c.filter, names(got), out, err, c.want)
		}
	}
}

func TestFiltersRefused(t *testing.T) {
	member := alice(t)
	d := directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", member))
	many := "(|"
	for i := range 60 {
		many += fmt.Sprintf("(mail=u%d@alpha.example)", i)
	}
	filters := map[string]string{
		"everybody":                       "(objectClass=*)",
		"every address":                   "(mail=*)",
		"wildcard":                        "(mail=a*@alpha.example)",
		"domain":                          "(mail=*@alpha.example)",
		"part of an address":              "(mail=alice*)",
		"autocomplete":                    "(|(cn=*ali*)(mail=*ali*)(givenName=*ali*)(sn=*ali*))",
		"Outlook, part of a name":         wrap(outlook, "ali"),
		"Outlook, two addresses":          "(&(mail=*)(|(mail=alice@alpha.example*)(cn=bob@alpha.example*)))",
		"two addresses, one embedded":     "(|(mail=alice@alpha.example)(mail=*bob@alpha.example*))",
		"no mail term":                    "(cn=*alice@alpha.example*)",
		"name besides the address":        "(&(mail=alice@alpha.example)(sn=Adams))",
		"other attribute":                 "(uid=alice@alpha.example)",
		"address or anybody":              "(|(mail=alice@alpha.example)(objectClass=*))",
		"not her":                         "(!(mail=alice@alpha.example))",
		"her and not another":             "(&(mail=alice@alpha.example)(!(mail=bob@alpha.example)))",
		"approximately":                   "(mail~=alice@alpha.example)",
		"ordering":                        "(mail>=alice@alpha.example)",
		"extensible":                      "(mail:caseIgnoreIA5Match:=alice@alpha.example)",
		"everything (RFC 4526)":           "(&)",
		"nothing (RFC 4526)":              "(|)",
		"option":                          "(mail;lang-de=alice@alpha.example)",
		"more recipients than a mail has": many + ")",
		"escaped asterisk":                `(mail=\2a@alpha.example)`,
		"escaped parenthesis":             `(mail=a\29@alpha.example)`,
		"two at signs":                    "(mail=alice@alpha.example@beta.example)",
		"no domain":                       "(mail=alice@)",
		"no local part":                   "(mail=@alpha.example)",
		"quotes":                          `(mail="a b"@alpha.example)`,
		"semicolon":                       "(mail=a;b@alpha.example)",
		"apostrophe":                      "(mail=o'neill@alpha.example)",
		"control character":               `(mail=a\0a@alpha.example)`,
		"NUL":                             `(mail=alice@alpha.example\00)`,
		"space":                           "(mail=alice@alpha.example )",
		"not ASCII":                       "(mail=alice@älpha.example)",
		"empty label":                     "(mail=alice@alpha..example)",
		"hyphen first":                    "(mail=alice@-alpha.example)",
		"too long":                        "(mail=" + strings.Repeat("a", 64) + "@" + strings.Repeat("a.", 100) + "example)",
		"local part too long":             "(mail=" + strings.Repeat("a", 65) + "@alpha.example)",
	}
	for name, f := range filters {
		got, _, err := search(t, d, vdir.Query{Base: "o=bridge", Scope: vdir.WholeSubtree, Filter: filter(t, f)})
		if !errors.Is(err, vdir.ErrUnwilling) || fault.KindOf(err) != fault.Denied || len(got) > 0 {
			t.Errorf("%s: %.60s: got %q, %v, want ErrUnwilling", name, f, names(got), err)
		}
	}
	if n := member.calls.Load(); n > 0 {
		t.Errorf("the member was asked %d times", n)
	}
}

// Whatever the filter, the member is asked for complete addresses of its own
// domain, and every person that comes back was asked for by address.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		"(mail=alice@alpha.example)", wrap(outlook, "alice@alpha.example"), "(|(mail=alice@alpha.example)(mail=bob@beta.example))",
		"(!(&(mail=*)(|)))", "(&(objectClass=person)(mail=alice@alpha.example))",
	} {
		f.Add(s)
	}
	member := alice(f)
	d := directory(f, quiet(), mountOf(f, "alpha", "inetOrgPerson", member))
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := ldap.ParseFilter(s)
		if err != nil {
			return
		}
		member.last.Store(nil)
		got, _, _ := search(t, d, vdir.Query{Scope: vdir.WholeSubtree, Filter: parsed})
		if len(got) > 0 && !strings.Contains(strings.ToLower(s), "@alpha.example") && !strings.Contains(s, `\`) {
			t.Errorf("%q found %q", s, names(got))
		}
		if q := member.last.Load(); q != nil && (q.Filter.Op != ldap.Equality || !strings.HasSuffix(string(q.Filter.Value), "@alpha.example")) {
			t.Errorf("%q asks the member for %s", s, q.Filter)
		}
	})
}
