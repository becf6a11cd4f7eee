package pathval

import (
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Whatever stands on either side: what a subtree permits it also excludes,
// what is no name of its form is not permitted, and case does not matter where
// it must not.
func FuzzNameConstraints(f *testing.F) {
	for _, seed := range []struct {
		form       uint8
		base, name string
	}{
		{1, "x.example", "a@x.example"}, {1, ".x.example", "a@y.x.example"}, {1, "a@x.example", `"a@b"@x.example`},
		{2, "x.example", "*.x.example"}, {6, ".x.example", "http://u@y.x.example:1/"}, {7, "\x0a\x00\x00\x00\xff\x00\x00\x00", "\x0a\x01\x01\x01"},
		{4, "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x0a\x0c\x02ab", "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x0a\x13\x02AB"},
		{0, "\x06\x02\x88\x37\xa0\x02\x0c\x00", "\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x09\xa0\x09\x0c\x07a@b.cde"},
	} {
		f.Add(seed.form, seed.base, seed.name)
	}
	f.Fuzz(func(t *testing.T, form uint8, base, name string) {
		if form > 8 {
			return
		}
		read := func(s string, parse func(*cryptobyte.String) (generalName, bool)) (generalName, bool) {
			tag := cbasn1.Tag(form).ContextSpecific()
			if form == 0 || form == 3 || form == 4 || form == 5 {
				tag = tag.Constructed()
			}
			var b cryptobyte.Builder
			b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) })
			der, err := b.Bytes()
			if err != nil {
				return generalName{}, false
			}
			in := cryptobyte.String(der)
			return parse(&in)
		}
		tree, ok := read(base, readBase)
		if !ok {
			return
		}
		n, ok := read(name, readGeneralName)
		if !ok {
			return
		}
		passes := func(c *nameConstraints) bool {
			budget := 10
			v, exhausted := c.check([]generalName{n}, &budget)
			return v == nil && !exhausted
		}
		if !tree.concerns(n) {
			if !passes(&nameConstraints{permitted: []generalName{tree}}) || !passes(&nameConstraints{excluded: []generalName{tree}}) {
				t.Fatal("a constraint on another form matters")
			}
			return
		}
		permitted := passes(&nameConstraints{permitted: []generalName{tree}})
		free := passes(&nameConstraints{excluded: []generalName{tree}})
		if permitted && free {
			t.Fatalf("%v permits and does not exclude %v", tree, n)
		}
		if (n.broken || tree.broken) && (permitted || free) {
			t.Fatalf("%v against %v passes, though malformed", n, tree)
		}
		if n.form == formMail && permitted && !strings.Contains(tree.text, "@") && !strings.HasSuffix(n.host, strings.ToLower(strings.TrimPrefix(tree.text, "."))) {
			t.Fatalf("%q permits %q", tree.text, n.text)
		}
	})
}
