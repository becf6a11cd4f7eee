package vdir_test

import (
	"errors"
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

const aliceDN = "mail=alice@alpha.example,ou=People,o=alpha,o=bridge"

func two(t testing.TB) *vdir.Directory {
	return directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", alice(t)), mountOf(t, "beta", "activeDirectory", bob(t)))
}

func TestBasesAndScopes(t *testing.T) {
	d := two(t)
	const mail, any = "(mail=alice@alpha.example)", "(objectClass=*)"
	for _, c := range []struct {
		name, base string
		scope      vdir.Scope
		filter     string
		want       string
	}{
		{"person from the root", "", vdir.WholeSubtree, mail, aliceDN},
		{"person from the suffix", "O=Bridge", vdir.WholeSubtree, mail, aliceDN},
		{"person from the suffix and a line end, as dirmngr sends it", "o=bridge\n", vdir.WholeSubtree, mail, aliceDN},
		{"person from the member", "o=alpha, o=bridge", vdir.WholeSubtree, mail, aliceDN},
		{"person from ou=People", "ou=people,o=alpha,o=bridge", vdir.WholeSubtree, mail, aliceDN},
		{"person just below ou=People", "ou=People,o=alpha,o=bridge", vdir.SingleLevel, mail, aliceDN},
		{"person by name", aliceDN, vdir.BaseObject, any, aliceDN},
		{"person by name, another case", strings.ToUpper(aliceDN), vdir.BaseObject, mail, aliceDN},
		{"person by name and below", aliceDN, vdir.WholeSubtree, "(cn=alice  ADAMS)", aliceDN},
		{"person by name, substrings", aliceDN, vdir.BaseObject, "(cn=a*c*ams)", aliceDN},
		{"person by name, filter does not match", aliceDN, vdir.BaseObject, "(cn=Bob)", ""},
		{"person by name, attribute not shown", aliceDN, vdir.BaseObject, "(!(telephoneNumber=1))", ""},
		{"below a person", aliceDN, vdir.SingleLevel, any, ""},
		{"person of another member", "o=beta,o=bridge", vdir.WholeSubtree, mail, ""},
		{"nobody stands just below the suffix", "o=bridge", vdir.SingleLevel, mail, ""},
		{"suffix", "o=bridge", vdir.BaseObject, any, "o=bridge"},
		{"below the root", "", vdir.SingleLevel, any, "o=bridge"},
		{"below the suffix", "o=bridge", vdir.SingleLevel, any, "o=alpha,o=bridge o=beta,o=bridge ou=Members,o=bridge"},
		{"members", "ou=Members,o=bridge", vdir.SingleLevel, any, "o=alpha,ou=Members,o=bridge o=beta,ou=Members,o=bridge"},
		{"members by name", "ou=Members,o=bridge", vdir.WholeSubtree, "(o=beta ltd)", "o=beta,ou=Members,o=bridge"},
		{"one member", "o=beta,ou=Members,o=bridge", vdir.BaseObject, any, "o=beta,ou=Members,o=bridge"},
		{"ou=People itself", "ou=People,o=alpha,o=bridge", vdir.BaseObject, any, "ou=People,o=alpha,o=bridge"},
		{"below a member", "o=alpha,o=bridge", vdir.SingleLevel, any, "ou=People,o=alpha,o=bridge"},
		{"root DSE", "", vdir.BaseObject, any, ""},
		{"subschema", "cn=Subschema", vdir.BaseObject, "(objectClass=subschema)", "cn=subschema"},
		{"below the subschema", "cn=subschema", vdir.SingleLevel, any, ""},
	} {
		got, out, err := search(t, d, vdir.Query{Base: c.base, Scope: c.scope, Filter: filter(t, c.filter)})
		if names(got) != c.want || err != nil || len(out.Unavailable) > 0 {
			t.Errorf("%s: got %q, %v, %v, want %q", c.name, names(got), out, err, c.want)
		}
	}
}

func TestBasesRefused(t *testing.T) {
	// Beta answers for anybody, alpha's people included.
	d := directory(t, quiet(), mountOf(t, "alpha", "inetOrgPerson", alice(t)), mountOf(t, "beta", "inetOrgPerson", alice(t)))
	for _, c := range []struct {
		name, base string
		kind       fault.Kind
	}{
		{"no such member", "o=gamma,o=bridge", fault.NotFound},
		{"below no such member", "ou=People,o=gamma,o=bridge", fault.NotFound},
		{"outside the tree", "dc=alpha,dc=example", fault.NotFound},
		{"the member's own name", "dc=alpha", fault.NotFound},
		{"longer suffix", "o=bridge,c=DE", fault.NotFound},
		{"other unit", "ou=Staff,o=alpha,o=bridge", fault.NotFound},
		{"person of another member", "mail=alice@alpha.example,ou=People,o=beta,o=bridge", fault.NotFound},
		{"no address", "mail=alice*,ou=People,o=alpha,o=bridge", fault.NotFound},
		{"person by common name", "cn=Alice,ou=People,o=alpha,o=bridge", fault.NotFound},
		{"person without certificate", "mail=carol@alpha.example,ou=People,o=alpha,o=bridge", fault.NotFound},
		{"below a person", "cn=x," + aliceDN, fault.NotFound},
		{"malformed", "o=bridge,", fault.Invalid},
	} {
		got, _, err := search(t, d, vdir.Query{Base: c.base, Filter: filter(t, "(objectClass=*)")})
		if err == nil || fault.KindOf(err) != c.kind || len(got) > 0 {
			t.Errorf("%s: got %q, %v, want %v", c.name, names(got), err, c.kind)
		}
	}
	if _, _, err := search(t, d, vdir.Query{Scope: 3}); fault.KindOf(err) != fault.Invalid || err == nil {
		t.Errorf("scope 3: got %v, want Invalid", err)
	}
}

func TestAttributes(t *testing.T) {
	d := two(t)
	const all = "objectClass mail cn userCertificate;binary"
	for _, c := range []struct {
		name string
		ask  []string
		want string
	}{
		{"none named", nil, all},
		{"star", []string{"*"}, all},
		{"star and operational", []string{"*", "+"}, all},
		{"operational", []string{"+"}, ""},
		{"no attributes", []string{"1.1"}, ""},
		{"certificate", []string{"userCertificate"}, "userCertificate;binary"},
		{"Thunderbird", []string{"usercertificate;binary"}, "userCertificate;binary"},
		{"OIDs", []string{"2.5.4.36;binary", "2.5.4.3"}, "cn userCertificate;binary"},
		{"synonyms", []string{"rfc822Mailbox", "commonName"}, "mail cn"},
		{"another certificate", []string{"userSMIMECertificate"}, ""},
		{"unknown option", []string{"cn;lang-de", "userCertificate;range=0-1"}, ""},
		{"what a member has and does not show", []string{"telephoneNumber", "entryDN", "proxyAddresses", "mail"}, "mail"},
	} {
		q := vdir.Query{Scope: vdir.WholeSubtree, Filter: filter(t, "(mail=alice@alpha.example)"), Attributes: c.ask}
		got, _, err := search(t, d, q)
		if err != nil || len(got) != 1 || types(got[0]) != c.want {
			t.Errorf("%s: got %v, %v, want %q", c.name, got, err, c.want)
		}
		q.TypesOnly = true
		got, _, _ = search(t, d, q)
		if len(got) != 1 || types(got[0]) != c.want {
			t.Errorf("%s, types only: got %v, want %q", c.name, got, c.want)
			continue
		}
		for _, a := range got[0].Attributes {
			if len(a.Values) > 0 {
				t.Errorf("%s, types only: %s has values", c.name, a.Type)
			}
		}
	}
}

// The mail attribute is the address as it was asked for (RFC 5280 calls its
// case insignificant; clients compare it); the name is one for all spellings.
func TestAddressIsTheOneAsked(t *testing.T) {
	got, _, err := search(t, two(t), vdir.Query{Scope: vdir.WholeSubtree, Filter: filter(t, "(mail=ALICE@Alpha.example)"), Attributes: []string{"mail"}})
	if err != nil || len(got) != 1 || got[0].DN != aliceDN || string(got[0].Attributes[0].Values[0]) != "ALICE@Alpha.example" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestRootDSE(t *testing.T) {
	o := quiet()
	o.SupportedControls, o.SupportedExtensions, o.SupportedVersions = []string{"1.2.840.113556.1.4.319"}, []string{"1.3.6.1.4.1.1466.20037"}, []int{2, 3}
	d := directory(t, o)
	for _, c := range []struct {
		ask  []string
		want string
	}{
		{nil, "objectClass"},
		{[]string{"+"}, "namingContexts subschemaSubentry supportedLDAPVersion supportedFeatures supportedControl supportedExtension vendorName"},
		{[]string{"NamingContexts", "supportedldapversion"}, "namingContexts supportedLDAPVersion"},
	} {
		got, _, err := search(t, d, vdir.Query{Filter: filter(t, "(objectClass=*)"), Attributes: c.ask})
		if err != nil || len(got) != 1 || got[0].DN != "" || types(got[0]) != c.want {
			t.Errorf("%v: got %s, %v, want %q", c.ask, got, err, c.want)
		}
	}
	got, _, _ := search(t, d, vdir.Query{Filter: filter(t, "(objectClass=*)"), Attributes: []string{"namingContexts"}})
	if v := string(got[0].Attributes[0].Values[0]); v != "o=bridge" {
		t.Errorf("namingContexts is %q", v)
	}
}

// Every attribute type and class that an entry shows is in the subschema.
func TestSubschemaDescribesWhatIsShown(t *testing.T) {
	d := two(t)
	schema, _, err := search(t, d, vdir.Query{Base: "cn=subschema", Filter: filter(t, "(objectClass=subschema)"), Attributes: []string{"attributeTypes", "objectClasses"}})
	if err != nil || len(schema) != 1 {
		t.Fatalf("subschema: got %v, %v", schema, err)
	}
	var text strings.Builder
	for _, a := range schema[0].Attributes {
		for _, v := range a.Values {
			text.Write(v)
		}
	}
	people, _, _ := search(t, d, vdir.Query{Scope: vdir.WholeSubtree, Filter: filter(t, "(mail=alice@alpha.example)")})
	members, _, _ := search(t, d, vdir.Query{Base: "ou=Members,o=bridge", Scope: vdir.WholeSubtree, Filter: filter(t, "(objectClass=*)")})
	for _, e := range append(people, members...) {
		for _, a := range e.Attributes {
			want := []string{strings.TrimSuffix(a.Type, ";binary")}
			for _, v := range a.Values {
				if a.Type == "objectClass" {
					want = append(want, string(v))
				}
			}
			for _, w := range want {
				if !strings.Contains(text.String(), "'"+w+"'") {
					t.Errorf("%s of %s is not in the subschema", w, e.DN)
				}
			}
		}
	}
}

func TestSizeLimit(t *testing.T) {
	d := two(t)
	for limit, want := range []struct {
		entries  int
		exceeded bool
	}{{2, false}, {1, true}, {2, false}, {2, false}} {
		got, out, err := search(t, d, vdir.Query{Scope: vdir.WholeSubtree, SizeLimit: limit,
			Filter: filter(t, "(|(mail=alice@alpha.example)(mail=bob@beta.example))")})
		if err != nil || len(got) != want.entries || out.SizeLimitExceeded != want.exceeded {
			t.Errorf("limit %d: got %d entries, %v, %v", limit, len(got), out, err)
		}
	}
}

func TestYieldStopsTheSearch(t *testing.T) {
	stop := errors.New("enough")
	calls := 0
	_, err := two(t).Search(t.Context(), vdir.Query{Scope: vdir.WholeSubtree,
		Filter: filter(t, "(|(mail=alice@alpha.example)(mail=bob@beta.example))")},
		func(vdir.Entry) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

func TestNew(t *testing.T) {
	for suffix, ok := range map[string]bool{
		"o=bridge": true, "ou=Directory,o=Bridge Federation,c=DE": true, "dc=bridge,dc=example": true,
		"": false, "cn=bridge": false, "bridge": false, "o=a+ou=b": false,
	} {
		d, err := vdir.New(suffix, quiet())
		if (err == nil) != ok || !ok && fault.KindOf(err) != fault.Invalid {
			t.Errorf("New(%q): got %v", suffix, err)
		}
		if !ok {
			continue
		}
		got, _, err := search(t, d, vdir.Query{Base: suffix, Filter: ldap.Filter{Op: ldap.Present, Attribute: "objectClass"}})
		if err != nil || len(got) != 1 || got[0].DN != suffix {
			t.Errorf("suffix %q: got %v, %v", suffix, got, err)
		}
	}
}

func TestSetMountsRefuses(t *testing.T) {
	good := func() vdir.Mount { return mountOf(t, "alpha", "inetOrgPerson", alice(t)) }
	d := directory(t, quiet(), good())
	other := mountOf(t, "beta", "inetOrgPerson", alice(t))
	for _, c := range []struct {
		name string
		kind fault.Kind
		edit func(m *vdir.Mount)
	}{
		{"no check", fault.Invalid, func(m *vdir.Mount) { m.Check = nil }},
		{"no id", fault.Invalid, func(m *vdir.Mount) { m.Member = " " }},
		{"no backend", fault.Invalid, func(m *vdir.Mount) { m.Endpoints[0].Backend = nil }},
		{"no dialect", fault.Invalid, func(m *vdir.Mount) { m.Endpoints[0].Dialect = nil }},
		{"base is no name", fault.Invalid, func(m *vdir.Mount) { m.Endpoints[0].Base = "alpha" }},
		{"domain in upper case", fault.Invalid, func(m *vdir.Mount) { m.Domains = []string{"Alpha.example"} }},
		{"no domain", fault.Invalid, func(m *vdir.Mount) { m.Domains = []string{""} }},
		{"member twice", fault.Conflict, func(m *vdir.Mount) { m.Member = "BETA" }},
		{"domain of another", fault.Conflict, func(m *vdir.Mount) { m.Domains = []string{"beta.example"} }},
		{"domain twice", fault.Conflict, func(m *vdir.Mount) { m.Domains = []string{"a.example", "a.example"} }},
	} {
		m := good()
		c.edit(&m)
		if err := d.SetMounts([]vdir.Mount{other, m}); err == nil || fault.KindOf(err) != c.kind {
			t.Errorf("%s: got %v, want %v", c.name, err, c.kind)
		}
	}
	q := vdir.Query{Scope: vdir.WholeSubtree, Filter: filter(t, "(mail=alice@alpha.example)")}
	if got, _, _ := search(t, d, q); len(got) != 1 {
		t.Error("a refused table replaced the old one")
	}
	if err := d.SetMounts(nil); err != nil {
		t.Fatal(err)
	}
	if got, _, err := search(t, d, q); len(got) != 0 || err != nil {
		t.Errorf("after unmounting: got %v, %v", got, err)
	}
}
