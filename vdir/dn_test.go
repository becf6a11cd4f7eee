package vdir_test

import (
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/vdir"
)

func TestParseDN(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"root", "", ""},
		{"case and spaces", " CN = Steve  Kille , O= Isode Limited,C=GB", "cn=steve kille,o=isode limited,c=gb"},
		{"OIDs and synonyms", "OID.2.5.4.3=x,0.9.2342.19200300.100.1.3=a@b,organizationName=y", "cn=x,mail=a@b,o=y"},
		{"several values, any order", "OU=Sales+CN=J. Smith,O=x", "cn=j. smith+ou=sales,o=x"},
		{"escaped specials", `CN=James \"Jim\" Smith\, III\2c\\,O=x`, `cn=james \"jim\" smith\, iii\,\\,o=x`},
		{"escaped UTF-8", `cn=Lu\C4\8Di\C4\87`, "cn=lučić"},
		{"hexadecimal string", "cn=#0C0548656C6C6F,o=x", "cn=hello,o=x"},
		{"plus in an address", `mail=a\+b@x.example`, `mail=a\+b@x.example`},
		{"leading hash", `cn=\#x`, `cn=\#x`},
		{"escaped spaces do not count", `cn=\ a\ ,o=x`, "cn=a,o=x"},
	} {
		got, err := vdir.ParseDN(c.in)
		if err != nil || got.String() != c.want {
			t.Errorf("%s: ParseDN(%q) = %q, %v, want %q", c.name, c.in, got, err, c.want)
		}
	}
}

func TestParseDNRefuses(t *testing.T) {
	for _, in := range []string{
		"x", "=x", "cn", "cn=a,", ",cn=a", "cn=a,,o=b", "cn=a;o=b", `cn="a"`, "cn=<a>", `cn=a\`, `cn=\zz`, `cn=\f`,
		"c n=a", "cn=#", "cn=#0C05", "cn=#0203010001", "cn=#zz", `cn=\ff`, "cn=\xff", "cn=a\x00",
		strings.Repeat("cn=a,", 40) + "o=b", strings.Repeat("cn=a+", 20) + "o=b", "cn=" + strings.Repeat("a", 4000),
	} {
		if got, err := vdir.ParseDN(in); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("ParseDN(%.40q) = %q, %v, want Invalid", in, got, err)
		}
	}
}

func FuzzParseDN(f *testing.F) {
	for _, s := range []string{"", "o=bridge", `mail=a\+b@x.example,ou=People,o=alpha,o=bridge`, "cn=#0C0548656C6C6F+sn=\\C4\\87 ,c=DE", `cn=\#\ x\ `} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		dn, err := vdir.ParseDN(s)
		if err != nil {
			return
		}
		again, err := vdir.ParseDN(dn.String())
		if err != nil && len(dn.String()) <= 2048 || err == nil && !again.Equal(dn) {
			t.Errorf("%q reads as %q, and that as %q, %v", s, dn, again, err)
		}
	})
}
