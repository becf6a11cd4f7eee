package certext_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

func oid(t testing.TB, s string) x509.OID {
	t.Helper()
	o, err := x509.ParseOID(s)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// carrying returns a certificate as the Parse functions see it.
func carrying(e pkix.Extension) *x509.Certificate {
	return &x509.Certificate{Extensions: []pkix.Extension{e}}
}

var directory = func() string {
	der, err := asn1.Marshal(pkix.Name{Country: []string{"XX"}, Organization: []string{"Alpha"}}.ToRDNSequence())
	if err != nil {
		panic(err)
	}
	return string(der)
}()

// codecs encodes one value of each extension, and knows how to read it back.
func codecs(t testing.TB) []codec {
	bridge, member := oid(t, "1.3.6.1.4.1.32473.1.1"), oid(t, "2.25.329800735698586629295641978511506172918")
	mappings := []certext.Mapping{{Issuer: bridge, Subject: member}, {Issuer: member, Subject: bridge}}
	names := certext.NameConstraints{
		Permitted: []certext.Subtree{
			{Form: certext.RFC822Name, Value: "alpha.example"},
			{Form: certext.RFC822Name, Value: ".alpha.example"},
			{Form: certext.DirectoryName, Value: directory},
		},
		Excluded: []certext.Subtree{
			{Form: certext.DNSName, Value: ""},
			{Form: certext.URI, Value: ".alpha.example"},
			{Form: certext.IPAddress, Value: strings.Repeat("\x00", 8)},
			{Form: certext.IPAddress, Value: strings.Repeat("\x00", 32)},
			{Form: certext.RegisteredID, Value: "\x2a\x03"},
		},
	}
	access := []certext.Access{{Method: certext.CARepository(), Location: certext.Name{Form: certext.URI, Value: "http://r.example/a.p7c"}}}
	return []codec{
		{"policyMappings", mappings, ext(certext.PolicyMappings(mappings)), again(certext.ParsePolicyMappings, certext.PolicyMappings)},
		{"both policyConstraints", certext.PolicyConstraints{}, ext(certext.PolicyConstraints{}.Extension()),
			again(certext.ParsePolicyConstraints, certext.PolicyConstraints.Extension)},
		{"one policyConstraint", certext.PolicyConstraints{RequireExplicit: certext.Absent, InhibitMapping: 200},
			ext(certext.PolicyConstraints{RequireExplicit: certext.Absent, InhibitMapping: 200}.Extension()),
			again(certext.ParsePolicyConstraints, certext.PolicyConstraints.Extension)},
		{"inhibitAnyPolicy", 0, ext(certext.InhibitAnyPolicy(0)), again(certext.ParseInhibitAnyPolicy, certext.InhibitAnyPolicy)},
		{"nameConstraints", names, ext(names.Extension()), again(certext.ParseNameConstraints, certext.NameConstraints.Extension)},
		{"subjectInfoAccess", access, ext(certext.SubjectInfoAccess(access)), again(certext.ParseSubjectInfoAccess, certext.SubjectInfoAccess)},
	}
}

type codec struct {
	name  string
	value any
	ext   pkix.Extension
	// again parses an extension and encodes what it found.
	again func(*x509.Certificate) (any, pkix.Extension, error)
}

func ext(e pkix.Extension, err error) pkix.Extension {
	if err != nil {
		panic(err)
	}
	return e
}

func again[T any](parse func(*x509.Certificate) (T, error), encode func(T) (pkix.Extension, error)) func(*x509.Certificate) (any, pkix.Extension, error) {
	return func(c *x509.Certificate) (any, pkix.Extension, error) {
		v, err := parse(c)
		if err != nil {
			return nil, pkix.Extension{}, err
		}
		e, err := encode(v)
		if err != nil {
			err = errReencode{err}
		}
		return v, e, err
	}
}

// errReencode is never expected: what parses must encode.
type errReencode struct{ error }

func TestRoundTrip(t *testing.T) {
	for _, c := range codecs(t) {
		v, e, err := c.again(carrying(c.ext))
		if err != nil || !reflect.DeepEqual(v, c.value) || !bytes.Equal(e.Value, c.ext.Value) {
			t.Errorf("%s: got %v, %x, %v, want %v, %x", c.name, v, e.Value, err, c.value, c.ext.Value)
		}
		for n := range c.ext.Value {
			cut := c.ext
			cut.Value = cut.Value[:n]
			if _, _, err := c.again(carrying(cut)); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s cut to %d bytes: got %v, want an Invalid error", c.name, n, err)
			}
		}
		tail := c.ext
		tail.Value = append(bytes.Clone(tail.Value), 5, 0)
		if _, _, err := c.again(carrying(tail)); err == nil {
			t.Errorf("%s: trailing bytes are accepted", c.name)
		}
	}
}

// TestStandardLibraryAgrees reads the encodings with crypto/x509, where it can.
func TestStandardLibraryAgrees(t *testing.T) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	for _, c := range codecs(t) {
		if c.name == "nameConstraints" || c.name == "one policyConstraint" {
			continue // a directoryName it cannot; and no extension may stand twice
		}
		template.ExtraExtensions = append(template.ExtraExtensions, c.ext)
	}
	mail := certext.NameConstraints{Permitted: []certext.Subtree{{Form: certext.RFC822Name, Value: "alpha.example"}}}
	template.ExtraExtensions = append(template.ExtraExtensions, ext(mail.Extension()))
	pub, key, _ := ed25519.GenerateKey(nil)
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.PolicyMappings) != 2 || c.PolicyMappings[0].IssuerDomainPolicy.String() != "1.3.6.1.4.1.32473.1.1" ||
		!c.RequireExplicitPolicyZero || !c.InhibitPolicyMappingZero || !c.InhibitAnyPolicyZero ||
		len(c.PermittedEmailAddresses) != 1 || len(c.UnhandledCriticalExtensions) != 0 {
		t.Errorf("got %v %v %v %v %v, unhandled %v", c.PolicyMappings, c.RequireExplicitPolicyZero, c.InhibitPolicyMappingZero,
			c.InhibitAnyPolicyZero, c.PermittedEmailAddresses, c.UnhandledCriticalExtensions)
	}
}

// TestKnownBytes compares with encodings made by OpenSSL 3.0.
func TestKnownBytes(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		got        pkix.Extension
		critical   bool
	}{
		{"policyConstraints", "3006800100810100", ext(certext.PolicyConstraints{}.Extension()), true},
		{"inhibitAnyPolicy", "020100", ext(certext.InhibitAnyPolicy(0)), true},
		{"policyMappings", "301a3018060a2b0601040181fd590101060a2b0601040181fd590201", ext(certext.PolicyMappings([]certext.Mapping{
			{Issuer: oid(t, "1.3.6.1.4.1.32473.1.1"), Subject: oid(t, "1.3.6.1.4.1.32473.2.1")}})), false},
		{"nameConstraints", "301da00d300b8109622e6578616d706c65a10c300a87080a000000ff000000", ext(certext.NameConstraints{
			Permitted: []certext.Subtree{{Form: certext.RFC822Name, Value: "b.example"}},
			Excluded:  []certext.Subtree{{Form: certext.IPAddress, Value: "\x0a\x00\x00\x00\xff\x00\x00\x00"}}}.Extension()), true},
		{"subjectInfoAccess", "3024302206082b060105050730058616687474703a2f2f722e6578616d706c652f612e703763", ext(certext.SubjectInfoAccess([]certext.Access{
			{Method: certext.CARepository(), Location: certext.Name{Form: certext.URI, Value: "http://r.example/a.p7c"}}})), false},
	} {
		if got := hex.EncodeToString(tt.got.Value); got != tt.want || tt.got.Critical != tt.critical {
			t.Errorf("%s: got %s, critical %v, want %s, %v", tt.name, got, tt.got.Critical, tt.want, tt.critical)
		}
	}
}

func TestAbsent(t *testing.T) {
	c := &x509.Certificate{}
	ms, err1 := certext.ParsePolicyMappings(c)
	pc, err2 := certext.ParsePolicyConstraints(c)
	skip, err3 := certext.ParseInhibitAnyPolicy(c)
	nc, err4 := certext.ParseNameConstraints(c)
	as, err5 := certext.ParseSubjectInfoAccess(c)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			t.Error(err)
		}
	}
	if ms != nil || pc != (certext.PolicyConstraints{RequireExplicit: -1, InhibitMapping: -1}) || skip != -1 ||
		nc.Permitted != nil || nc.Excluded != nil || as != nil {
		t.Errorf("got %v %v %v %v %v, want nothing", ms, pc, skip, nc, as)
	}
}

func TestEncodersRefuse(t *testing.T) {
	constrain := func(ts ...certext.Subtree) func() (pkix.Extension, error) {
		return certext.NameConstraints{Excluded: ts}.Extension
	}
	for name, encode := range map[string]func() (pkix.Extension, error){
		"no mapping":          func() (pkix.Extension, error) { return certext.PolicyMappings(nil) },
		"an empty OID":        func() (pkix.Extension, error) { return certext.PolicyMappings(make([]certext.Mapping, 1)) },
		"1001 mappings":       func() (pkix.Extension, error) { return certext.PolicyMappings(make([]certext.Mapping, 1001)) },
		"constraints absent":  certext.PolicyConstraints{RequireExplicit: -1, InhibitMapping: -1}.Extension,
		"constraint below -1": certext.PolicyConstraints{RequireExplicit: -2}.Extension,
		"a negative count":    func() (pkix.Extension, error) { return certext.InhibitAnyPolicy(-1) },
		"no subtree":          constrain(),
		"no access":           func() (pkix.Extension, error) { return certext.SubjectInfoAccess(nil) },
		"text beyond ASCII":   constrain(certext.Subtree{Form: certext.RFC822Name, Value: "müller.example"}),
		"address, no mask":    constrain(certext.Subtree{Form: certext.IPAddress, Value: "\x7f\x00\x00\x01"}),
		"a broken DN":         constrain(certext.Subtree{Form: certext.DirectoryName, Value: "\x30\x01"}),
		"an unknown form":     constrain(certext.Subtree{Form: 9}),
		"over 64 KiB":         constrain(certext.Subtree{Form: certext.URI, Value: strings.Repeat("a", 64<<10)}),
	} {
		if _, err := encode(); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want an Invalid error", name, err)
		}
	}
}

func TestParsersRefuse(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		id          asn1.ObjectIdentifier
	}{
		{"no mapping", "3000", certext.OIDPolicyMappings()},
		{"empty constraints", "3000", certext.OIDPolicyConstraints()},
		{"a negative count", "30038001ff", certext.OIDPolicyConstraints()},
		{"fields out of order", "3006810100800100", certext.OIDPolicyConstraints()},
		{"a padded count", "02020000", certext.OIDInhibitAnyPolicy()},
		{"empty name constraints", "3000", certext.OIDNameConstraints()},
		{"empty subtrees", "3002a000", certext.OIDNameConstraints()},
		{"a maximum", "300ba0093007810161" + "810101", certext.OIDNameConstraints()},
		{"the default minimum written out", "300ba0093007810161" + "800100", certext.OIDNameConstraints()},
		{"a constructed mail name", "3007a0053003a10161", certext.OIDNameConstraints()},
	} {
		value, err := hex.DecodeString(tt.value)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range codecs(t) {
			if c.ext.Id.Equal(tt.id) {
				if v, _, err := c.again(carrying(pkix.Extension{Id: tt.id, Value: value})); err == nil {
					t.Errorf("%s: got %v, want an error", tt.name, v)
				}
			}
		}
	}
}

// FuzzExtensions holds every codec to its promise: what parses encodes to the
// same bytes.
func FuzzExtensions(f *testing.F) {
	all := codecs(f)
	for i, c := range all {
		f.Add(i, c.ext.Value)
	}
	f.Fuzz(func(t *testing.T, i int, value []byte) {
		c := all[uint(i)%uint(len(all))]
		_, e, err := c.again(carrying(pkix.Extension{Id: c.ext.Id, Value: value}))
		if _, bad := err.(errReencode); bad || err == nil && !bytes.Equal(e.Value, value) {
			t.Errorf("%s: got %x (%v), want %x", c.name, e.Value, err, value)
		}
	})
}

// TestPKITS round-trips every such extension of NIST's certificates, and all
// its certificate pairs.
func TestPKITS(t *testing.T) {
	const dir = "../../../../shared/vectors/pkits"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the PKITS vectors are not beside the repository")
	}
	found := map[string]int{}
	certs, _ := filepath.Glob(dir + "/certs/*")
	for _, name := range certs {
		der, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			continue // some of them are meant to be odd
		}
		for _, c := range codecs(t) {
			e, ok := certext.Find(cert, c.ext.Id)
			if !ok {
				continue
			}
			found[c.name]++
			if _, got, err := c.again(cert); err != nil || !bytes.Equal(got.Value, e.Value) {
				t.Errorf("%s: %s: got %x, %v, want %x", filepath.Base(name), c.name, got.Value, err, e.Value)
			}
		}
	}
	pairs, _ := filepath.Glob(dir + "/certpairs/*")
	for _, name := range pairs {
		der, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := certext.ParseCertificatePair(der)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(name), err)
			continue
		}
		found["pairs"]++
		if got, err := p.Encode(); err != nil || !bytes.Equal(got, der) {
			t.Errorf("%s: got %x, %v, want %x", filepath.Base(name), got, err, der)
		}
	}
	for _, want := range []string{"policyMappings", "both policyConstraints", "inhibitAnyPolicy", "nameConstraints", "pairs"} {
		if found[want] == 0 {
			t.Errorf("no %s found: %v", want, found)
		}
	}
}

func TestCertificatePair(t *testing.T) {
	for _, tt := range []struct {
		name string
		pair certext.CertificatePair
		want string // empty: refused
	}{
		{"both", certext.CertificatePair{IssuedToThisCA: []byte{0x30, 0}, IssuedByThisCA: []byte{0x30, 1, 5}}, "3009a0023000a103300105"},
		{"one", certext.CertificatePair{IssuedByThisCA: []byte{0x30, 0}}, "3004a1023000"},
		{"none", certext.CertificatePair{}, ""},
		{"no certificate", certext.CertificatePair{IssuedToThisCA: []byte("certificate")}, ""},
		{"two in one half", certext.CertificatePair{IssuedToThisCA: []byte{0x30, 0, 0x30, 0}}, ""},
	} {
		der, err := tt.pair.Encode()
		if hex.EncodeToString(der) != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%s: got %x, %v, want %s", tt.name, der, err, tt.want)
		}
	}
}

func FuzzCertificatePair(f *testing.F) {
	f.Add([]byte{0x30, 9, 0xa0, 2, 0x30, 0, 0xa1, 3, 0x30, 1, 5})
	f.Fuzz(func(t *testing.T, der []byte) {
		p, err := certext.ParseCertificatePair(der)
		if err != nil {
			return
		}
		if got, err := p.Encode(); err != nil || !bytes.Equal(got, der) {
			t.Errorf("got %x, %v, want %x", got, err, der)
		}
	})
}
