package ldap_test

import (
	"reflect"
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
)

func TestParseFilter(t *testing.T) {
	eq := func(attribute, value string) ldap.Filter {
		return ldap.Filter{Op: ldap.Equality, Attribute: attribute, Value: []byte(value)}
	}
	tests := map[string]ldap.Filter{
		// RFC 4515 §4, but for the Babs Jensen ones that repeat a form.
		"(cn=Babs Jensen)":  eq("cn", "Babs Jensen"),
		"(!(cn=Tim Howes))": {Op: ldap.Not, Children: []ldap.Filter{eq("cn", "Tim Howes")}},
		"(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))": {Op: ldap.And, Children: []ldap.Filter{
			eq("objectClass", "Person"),
			{Op: ldap.Or, Children: []ldap.Filter{
				eq("sn", "Jensen"),
				{Op: ldap.Substrings, Attribute: "cn", Initial: []byte("Babs J")},
			}},
		}},
		"(o=univ*of*mich*)":                                      {Op: ldap.Substrings, Attribute: "o", Initial: []byte("univ"), Any: [][]byte{[]byte("of"), []byte("mich")}},
		"(seeAlso=)":                                             eq("seeAlso", ""),
		"(cn:caseExactMatch:=Fred Flintstone)":                   {Op: ldap.Extensible, Attribute: "cn", Rule: "caseExactMatch", Value: []byte("Fred Flintstone")},
		"(cn:=Betty Rubble)":                                     {Op: ldap.Extensible, Attribute: "cn", Value: []byte("Betty Rubble")},
		"(sn:dn:2.4.6.8.10:=Barney Rubble)":                      {Op: ldap.Extensible, Attribute: "sn", DNAttributes: true, Rule: "2.4.6.8.10", Value: []byte("Barney Rubble")},
		"(o:dn:=Ace Industry)":                                   {Op: ldap.Extensible, Attribute: "o", DNAttributes: true, Value: []byte("Ace Industry")},
		"(:1.2.3:=Wilma Flintstone)":                             {Op: ldap.Extensible, Rule: "1.2.3", Value: []byte("Wilma Flintstone")},
		"(:dn:2.4.6.8.10:=Dino)":                                 {Op: ldap.Extensible, DNAttributes: true, Rule: "2.4.6.8.10", Value: []byte("Dino")},
		`(o=Parens R Us \28for all your parenthetical needs\29)`: eq("o", "Parens R Us (for all your parenthetical needs)"),
		`(cn=*\2a*)`:                                             {Op: ldap.Substrings, Attribute: "cn", Any: [][]byte{[]byte("*")}},
		`(filename=C:\5cMyFile)`:                                 eq("filename", `C:\MyFile`),
		`(bin=\00\00\00\04)`:                                     eq("bin", "\x00\x00\x00\x04"),
		`(sn=Lu\c4\8di\c4\87)`:                                   eq("sn", "Lučić"),
		`(1.3.6.1.4.1.1466.0=\04\02\48\69)`:                      eq("1.3.6.1.4.1.1466.0", "\x04\x02Hi"),
		// RFC 4526.
		"(&)": {Op: ldap.And},
		"(|)": {Op: ldap.Or},
		// The other forms.
		"(userCertificate;binary=*)": {Op: ldap.Present, Attribute: "userCertificate;binary"},
		"(age>=21)":                  {Op: ldap.GreaterOrEqual, Attribute: "age", Value: []byte("21")},
		"(age<=21)":                  {Op: ldap.LessOrEqual, Attribute: "age", Value: []byte("21")},
		"(cn~=bob)":                  {Op: ldap.Approx, Attribute: "cn", Value: []byte("bob")},
		"(cn=*b)":                    {Op: ldap.Substrings, Attribute: "cn", Final: []byte("b")},
		"(cn=a=b)":                   eq("cn", "a=b"),
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			got, err := ldap.ParseFilter(text)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			again, err := ldap.ParseFilter(got.String())
			if err != nil || !reflect.DeepEqual(again, want) {
				t.Errorf("%s became %s: got %+v, %v", text, got, again, err)
			}
		})
	}
}

func TestParseFilterRefuses(t *testing.T) {
	for _, text := range []string{
		"", "(", ")", "()", "mail=a", "(mail)", "(=a)", "(mail=a", "(mail=a))", "(mail=a)(cn=b)", "(& (mail=a))",
		"(!)", "(!(a=b)(c=d))", "(&mail=a)", "(a=b(c)", `(a=\4)`, `(a=\)`, `(a=\zz)`, "(a=b\x00)",
		"(a=**)", "(a=b**c)", "(a>=*)", "(a:=b*)", "(:=a)", "(:dn:=a)", "(cn:dn:rule:more:=a)", "(c n=a)", "(~=a)",
		strings.Repeat("(!", 62) + "(a=b)" + strings.Repeat(")", 62),
		strings.Repeat("(!", 1e6),
	} {
		if f, err := ldap.ParseFilter(text); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%.40q: got %+v, %v; want it refused", text, f, err)
		}
	}
}

// String shows nothing that a terminal could take as a command.
func TestFilterStringIsPrintable(t *testing.T) {
	f := ldap.Filter{Op: ldap.Equality, Attribute: "c\nn", Value: []byte("\x1b[2J\xff*")}
	if got, want := f.String(), `(c\0an=\1b[2J\ff\2a)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What parses, written and parsed again, is the same; and it survives the wire.
func FuzzParseFilter(f *testing.F) {
	for _, text := range []string{"(&(a=b)(|(c=*)(!(d=e*f*g))))", "(a:dn:b:=c)", `(a~=\2a)`, "(&)"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := ldap.ParseFilter(text)
		if err != nil {
			return
		}
		again, err := ldap.ParseFilter(parsed.String())
		if err != nil || !reflect.DeepEqual(again, parsed) {
			t.Fatalf("%q became %q: %v", text, parsed, err)
		}
		checkRoundTrip(t, ldap.Message{ID: 1, Op: ldap.SearchRequest{Filter: parsed}})
	})
}
