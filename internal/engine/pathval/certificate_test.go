package pathval_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
)

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func critical(t testing.TB, id ...int) pkix.Extension {
	return pkix.Extension{Id: id, Critical: true, Value: marshal(t, "x")}
}

// tbs is a certificate as the standard library would not make it.
type tbs struct {
	Version    int `asn1:"explicit,tag:0"`
	Serial     *big.Int
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	Validity   asn1.RawValue
	Subject    asn1.RawValue
	Key        asn1.RawValue
	Extensions []pkix.Extension `asn1:"explicit,tag:3"`
}

type certificate struct {
	TBS       asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// rewrite changes a certificate and signs it again, with ECDSA over SHA-256.
func rewrite(t testing.TB, der []byte, key crypto.Signer, change func(*tbs)) []byte {
	t.Helper()
	var c certificate
	if _, err := asn1.Unmarshal(der, &c); err != nil {
		t.Fatal(err)
	}
	var x tbs
	if _, err := asn1.Unmarshal(c.TBS.FullBytes, &x); err != nil {
		t.Fatal(err)
	}
	change(&x)
	c.TBS = asn1.RawValue{FullBytes: marshal(t, x)}
	h := sha256.Sum256(c.TBS.FullBytes)
	sig, err := key.Sign(rand.Reader, h[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	c.Signature = asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}
	return marshal(t, c)
}

// What the standard library refuses and is in use must pass, whole: parsed,
// signed, validated.
func TestTolerated(t *testing.T) {
	ca := newEntity(t, "", "CA")
	anchor := ca.issue(t, ca, profile{ca: true})
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaCA := &entity{pkix.Name{CommonName: "RSA CA"}, rsaKey}
	relative := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 31}, Value: []byte{
		0x30, 0x14, 0x30, 0x12, 0xa0, 0x10, 0xa1, 0x0e, 0x30, 0x0c, 6, 3, 0x55, 4, 3, 0x0c, 5, 'p', 'o', 'i', 'n', 't'}}
	for name, tc := range map[string]struct {
		to     *entity
		change func(*tbs)
	}{
		"negative serial number":      {newEntity(t, "", "User"), func(x *tbs) { x.Serial = big.NewInt(-5) }},
		"relative distribution point": {newEntity(t, "", "User"), func(x *tbs) { x.Extensions = append(x.Extensions, relative) }},
		"RSA key without NULL": {rsaCA, func(x *tbs) {
			null := []byte{0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0}
			spki := bytes.Clone(x.Key.FullBytes)
			at := bytes.Index(spki, null)
			spki = append(spki[:at+13:at+13], spki[at+15:]...)
			spki[at+1] -= 2
			spki[3] -= 2 // of a length in two bytes, far from a carry
			x.Key = asn1.RawValue{FullBytes: spki}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			der := rewrite(t, ca.issueDER(t, tc.to, profile{ca: true}), ca.key, tc.change)
			if _, err := x509.ParseCertificate(der); err == nil {
				t.Fatal("the standard library takes it: this shows nothing")
			}
			c := parse(t, der)
			in := pathval.Inputs{Anchors: []*pathval.Certificate{anchor}, At: now}
			user := tc.to.issue(t, newEntity(t, "", "Leaf"), profile{})
			if _, err := pathval.Validate(t.Context(), []*pathval.Certificate{c, user}, in); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	ca := newEntity(t, "", "CA")
	der := ca.issueDER(t, ca, profile{ca: true, policies: nil})
	for n := range der {
		if _, err := pathval.ParseCertificate(der[:n]); fault.KindOf(err) != fault.Invalid {
			t.Fatalf("%d of %d bytes: got %v", n, len(der), err)
		}
	}
	ext := func(id int, value ...byte) func(*tbs) {
		return func(x *tbs) {
			x.Extensions = append(x.Extensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, id}, Value: value})
		}
	}
	policy := []byte{0x30, 5, 6, 3, 0x88, 0x37, 1}
	for name, change := range map[string]func(*tbs){
		"extension twice":               ext(19, 0x30, 0),
		"policy twice":                  ext(32, append([]byte{0x30, 14}, append(policy, policy...)...)...),
		"no policies":                   ext(32, 0x30, 0),
		"empty policyConstraints":       ext(36, 0x30, 0),
		"negative skipCerts":            ext(54, 2, 1, 0x80),
		"skipCerts not minimal":         ext(54, 2, 2, 0, 1),
		"nameConstraints with minimum":  ext(30, 0x30, 9, 0xa0, 7, 0x30, 5, 0x82, 0, 0x80, 1, 1),
		"empty nameConstraints":         ext(30, 0x30, 0),
		"trailing bytes":                ext(37, 0x30, 3, 6, 1, 0x55, 5, 0),
		"primitive directoryName":       ext(17, 0x30, 4, 0x84, 2, 0x30, 0),
		"unknown GeneralName":           ext(17, 0x30, 2, 0x89, 0),
		"cRLIssuer without a name":      ext(31, 0x30, 7, 0x30, 5, 0xa2, 3, 0x82, 1, 'x'),
		"a serial number of 100 bytes":  func(x *tbs) { x.Serial = new(big.Int).Lsh(big.NewInt(1), 790) },
		"version 4":                     func(x *tbs) { x.Version = 3 },
		"extensions in version 2":       func(x *tbs) { x.Version = 1 },
		"another algorithm in the body": func(x *tbs) { x.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3} },
	} {
		if _, err := pathval.ParseCertificate(rewrite(t, der, ca.key, change)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
	if _, err := pathval.ParseCertificate(make([]byte, 1<<20)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a megabyte: got %v", err)
	}
}

// Every change of one byte is refused, or breaks the signature.
func TestChangedByte(t *testing.T) {
	ca := newEntity(t, "", "CA")
	in := pathval.Inputs{Anchors: []*pathval.Certificate{ca.issue(t, ca, profile{ca: true})}, At: now}
	der := ca.issueDER(t, newEntity(t, "Org", "User"), profile{emails: []string{"a@b.example"}, policies: nil})
	for i := range der {
		changed := bytes.Clone(der)
		changed[i] ^= 0x01
		c, err := pathval.ParseCertificate(changed)
		if err == nil {
			_, err = pathval.Validate(t.Context(), []*pathval.Certificate{c}, in)
		}
		if err == nil {
			t.Errorf("byte %d changed and nothing seen", i)
		}
	}
}

func TestEmails(t *testing.T) {
	ca := newEntity(t, "", "CA")
	user := newEntity(t, "", "User")
	user.name.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "old@b.example"}}
	c := ca.issue(t, user, profile{emails: []string{"a@b.example", "c@d.example"}})
	if len(c.Emails) != 3 || c.Emails[0] != "old@b.example" || c.Emails[1] != "a@b.example" || c.Emails[2] != "c@d.example" {
		t.Errorf("got %q", c.Emails)
	}
}

func TestNamesCompared(t *testing.T) {
	ca := newEntity(t, "", "CA")
	subject := func(values ...asn1.RawValue) pathval.Name {
		var b []byte
		for _, v := range values {
			atv := append([]byte{6, 3, 0x55, 4, 10}, marshal(t, v)...)
			b = append(b, marshal(t, asn1.RawValue{Tag: 17, IsCompound: true, Bytes: marshal(t, asn1.RawValue{Tag: 16, IsCompound: true, Bytes: atv})})...)
		}
		name := marshal(t, asn1.RawValue{Tag: 16, IsCompound: true, Bytes: b})
		return parse(t, rewrite(t, ca.issueDER(t, ca, profile{}), ca.key, func(x *tbs) { x.Subject = asn1.RawValue{FullBytes: name} })).Subject
	}
	text := func(tag int, s string) asn1.RawValue { return asn1.RawValue{Tag: tag, Bytes: []byte(s)} }
	const utf8, printable, teletex, bmp = 12, 19, 20, 30
	for _, tc := range []struct {
		a, b  []asn1.RawValue
		equal bool
	}{
		{[]asn1.RawValue{text(utf8, "Acme")}, []asn1.RawValue{text(printable, "ACME")}, true},
		{[]asn1.RawValue{text(utf8, "Acme  Inc ")}, []asn1.RawValue{text(utf8, " acme inc")}, true},
		{[]asn1.RawValue{text(utf8, "Müller")}, []asn1.RawValue{text(teletex, "M\xdcLLER")}, true},
		{[]asn1.RawValue{text(utf8, "Müller")}, []asn1.RawValue{text(utf8, "Mu\u0308ller")}, true},
		{[]asn1.RawValue{text(utf8, "Straße")}, []asn1.RawValue{text(utf8, "STRASSE")}, true},
		{[]asn1.RawValue{text(bmp, "\x00A\x00b")}, []asn1.RawValue{text(utf8, "ab")}, true},
		{[]asn1.RawValue{text(utf8, "Ac\u200bme")}, []asn1.RawValue{text(utf8, "Acme")}, true},
		{[]asn1.RawValue{text(utf8, "Acme")}, []asn1.RawValue{text(utf8, "Acme Inc")}, false},
		{[]asn1.RawValue{text(utf8, "AcmeInc")}, []asn1.RawValue{text(utf8, "Acme Inc")}, false},
		{[]asn1.RawValue{text(utf8, "Acme"), text(utf8, "Inc")}, []asn1.RawValue{text(utf8, "Inc"), text(utf8, "Acme")}, false},
		{[]asn1.RawValue{text(utf8, "Acme")}, nil, false},
		{[]asn1.RawValue{text(4, "Acme")}, []asn1.RawValue{text(utf8, "Acme")}, false},
	} {
		if got := subject(tc.a...).Equal(subject(tc.b...)); got != tc.equal {
			t.Errorf("%v and %v: got %v, want %v", tc.a, tc.b, got, tc.equal)
		}
	}
}

// The parts of a multi-valued RDN are a set, in whatever order they are written.
func TestNamePartsAreASet(t *testing.T) {
	ca := newEntity(t, "", "CA")
	a, b := []byte{0x30, 8, 6, 3, 0x55, 4, 10, 0x0c, 1, 'a'}, []byte{0x30, 8, 6, 3, 0x55, 4, 11, 0x0c, 1, 'b'}
	subject := func(parts ...[]byte) pathval.Name {
		name := append([]byte{0x30, 22, 0x31, 20}, bytes.Join(parts, nil)...)
		return parse(t, rewrite(t, ca.issueDER(t, ca, profile{}), ca.key, func(x *tbs) { x.Subject = asn1.RawValue{FullBytes: name} })).Subject
	}
	if !subject(a, b).Equal(subject(b, a)) || subject(a, b).Equal(subject(a, a)) {
		t.Error("order matters, or content does not")
	}
}

func FuzzParseCertificate(f *testing.F) {
	ca := newEntity(f, "Org", "CA")
	m := newMesh(f, 1, 1)
	for _, c := range m.certs {
		f.Add(c.Raw)
	}
	f.Add(rewrite(f, ca.issueDER(f, ca, profile{ca: true}), ca.key, func(x *tbs) { x.Serial = big.NewInt(-1) }))
	files, err := filepath.Glob(filepath.Join(pkitsDir, "certs", "*DSA*.crt"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		der, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := pathval.ParseCertificate(der)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Raw, der) || !c.Subject.Equal(c.Subject) || c.String() == "" {
			t.Fatal("not what went in")
		}
		if std, err := x509.ParseCertificate(der); err == nil {
			if !std.NotAfter.Equal(c.NotAfter) || !bytes.Equal(std.RawSubject, c.Subject.Raw) || !bytes.Equal(std.RawIssuer, c.Issuer.Raw) ||
				new(big.Int).SetBytes(c.Serial).Cmp(std.SerialNumber) != 0 && std.SerialNumber.Sign() >= 0 {
				t.Fatalf("the standard library reads %v, we %v", std, c)
			}
		}
		in := pathval.Inputs{Anchors: []*pathval.Certificate{c}, At: now}
		_, verr := pathval.Validate(t.Context(), []*pathval.Certificate{c, c}, in)
		_, berr := pathval.Build(t.Context(), c, pathval.NewPool(c), in)
		if verr == nil && berr != nil {
			t.Fatalf("Validate takes it, Build: %v", berr)
		}
	})
}
