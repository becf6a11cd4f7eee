package certext_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

func TestEncodeName(t *testing.T) {
	for _, tt := range []struct{ text, want string }{ // want as crypto/x509 writes it
		{"C=DE", "C=DE"},
		{"O=Alpha Corporation,C=DE", "O=Alpha Corporation,C=DE"},
		{"ou=Mail,o=Alpha", "OU=Mail,O=Alpha"},
		{`O=Müller \+ Söhne\, AG,C=DE`, `O=Müller \+ Söhne\, AG,C=DE`},
		{`O=M\C3\BCller`, "O=Müller"},
		{`O=\#1\ `, `O=\#1\ `},
		{"CN=a+OU=b,O=c", "CN=a+OU=b,O=c"},
		{"2.5.4.10=Alpha", "O=Alpha"},
	} {
		der, err := certext.EncodeName(tt.text)
		var name pkix.RDNSequence
		if err == nil {
			_, err = asn1.Unmarshal(der, &name)
		}
		if err != nil || name.String() != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.text, name, err, tt.want)
		}
	}
	if der, err := certext.EncodeName("DC=alpha,DC=example"); err != nil || strings.Count(string(der), "\x16\x05alpha")+strings.Count(string(der), "\x16\x07example") != 2 {
		t.Errorf("got %x, %v, want IA5Strings", der, err)
	}
	for _, bad := range []string{
		"", " ", "Alpha", "O=", "O=a,", "O=a+", ",O=a", "O=a, C=DE", "O= a", "O=a ", "O=#0c0161", "X=a", "O=a;C=DE", `O=a\`, `O=a\g1`, `O=\ff`, "O=\xff", "O=a\x00b",
		"1.2=", "1.99999999999999999999999.1=a", "DC=ü", "O=" + strings.Repeat("a", 3000),
	} {
		if der, err := certext.EncodeName(bad); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%q: got %x, %v, want Invalid", bad, der, err)
		}
	}
}

// FuzzEncodeName: what encodes is a name that a constraint can hold.
func FuzzEncodeName(f *testing.F) {
	for _, s := range []string{"O=Alpha Corporation,C=DE", `O=M\C3\BCller\, AG`, "CN=a+OU=b", "DC=alpha,DC=example", "2.5.4.10=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		der, err := certext.EncodeName(s)
		if err != nil {
			return
		}
		e, err := certext.NameConstraints{Permitted: []certext.Subtree{{Form: certext.DirectoryName, Value: string(der)}}}.Extension()
		if err != nil || len(e.Value) < len(der) {
			t.Errorf("%q encodes to %x, which no constraint holds: %v", s, der, err)
		}
	})
}
