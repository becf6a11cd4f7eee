package cms_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"bridge.example/internal/wire/cms"
)

func parsed(t testing.TB, ders [][]byte) (certs []*x509.Certificate) {
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, c)
	}
	return certs
}

// open is an element of indefinite length.
func open(tag byte, content ...[]byte) []byte {
	return slices.Concat([]byte{tag, 0x80}, slices.Concat(content...), []byte{0, 0})
}

// short is an element of less than 128 bytes.
func short(tag byte, content ...[]byte) []byte {
	c := slices.Concat(content...)
	return slices.Concat([]byte{tag, byte(len(c))}, c)
}

var (
	signedData = short(6, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"))
	data       = short(6, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"))
)

// bundle has what is given after the content type, in BER.
func bundle(rest ...[]byte) []byte {
	body := slices.Concat(short(2, []byte{1}), short(0x31), open(0x30, data), slices.Concat(rest...))
	return open(0x30, signedData, open(0xa0, open(0x30, body)))
}

// TestForeignBundles are such as other software writes.
func TestForeignBundles(t *testing.T) {
	cert := issue(t, "Root", ecKey(t, elliptic.P256()), nil, ca).Cert.Raw
	odd := short(0x30, short(2, []byte{1})) // what the standard library cannot read
	none := short(0x31)
	for _, tt := range []struct {
		name        string
		in          []byte
		certs, crls [][]byte
	}{
		{"indefinite lengths", bundle(open(0xa0, cert), none), [][]byte{cert}, nil},
		{"CRLs only", bundle(open(0xa1, odd), none), nil, [][]byte{odd}},
		{"both", bundle(open(0xa0, cert, odd), short(0xa1, odd, odd), none), [][]byte{cert, odd}, [][]byte{odd, odd}},
		{"attribute certificates too", bundle(open(0xa0, short(0xa2, odd), cert), none), [][]byte{cert}, nil},
		{"long lengths", bundle(slices.Concat([]byte{0xa0, 0x84, 0, 0, 0, 5}, odd), none), [][]byte{odd}, nil},
		{"nothing", bundle(none), nil, nil},
	} {
		certs, crls, err := cms.ParseCertsOnly(tt.in)
		if err != nil || !slices.EqualFunc(certs, tt.certs, bytes.Equal) || !slices.EqualFunc(crls, tt.crls, bytes.Equal) {
			t.Errorf("%s: got %x, %x, %v, want %x, %x", tt.name, certs, crls, err, tt.certs, tt.crls)
		}
	}
}

func TestBundleRefuses(t *testing.T) {
	null, none := short(5), short(0x31)
	deep := null
	for range 40 {
		deep = open(0x30, deep)
	}
	for name, in := range map[string][]byte{
		"a signer":                   bundle(short(0x31, null)),
		"no set of signers":          bundle(),
		"something after it":         append(bundle(none), 0),
		"something after signers":    bundle(none, null),
		"no end":                     bundle(none)[:20],
		"too deep":                   bundle(open(0xa0, deep), none),
		"too many":                   bundle(open(0xa0, bytes.Repeat(short(0x30), 50_001)), none),
		"too many together":          bundle(open(0xa0, bytes.Repeat(short(0x30), 49_999)), open(0xa1, short(0x30), short(0x30)), none),
		"a length beyond the end":    bundle([]byte{0xa0, 0x84, 0xff, 0xff, 0xff, 0xff}),
		"a length of length too big": bundle([]byte{0xa0, 0x88, 0, 0, 0, 0, 0, 0, 0, 0}),
		"an open primitive":          bundle([]byte{0x04, 0x80, 0, 0}, none),
		"a long tag":                 bundle(open(0xa0, []byte{0x3f, 0x81, 0, 0}), none),
	} {
		if certs, crls, err := cms.ParseCertsOnly(in); !errors.Is(err, cms.ErrFormat) {
			t.Errorf("%s: got %d, %d, %v, want ErrFormat", name, len(certs), len(crls), err)
		}
	}
}

// FuzzParseCertsOnly wants no more than was there, whole and in order.
func FuzzParseCertsOnly(f *testing.F) {
	root, signer := hierarchy(f, ecKey(f, elliptic.P256()))
	der, err := cms.CertsOnly([]*x509.Certificate{root.Cert, signer.Cert})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(bundle(open(0xa0, root.Cert.Raw), open(0xa1, short(0x30)), short(0x31)))
	f.Fuzz(func(t *testing.T, in []byte) {
		certs, crls, err := cms.ParseCertsOnly(in)
		if err != nil && !errors.Is(err, cms.ErrFormat) {
			t.Errorf("got %v, want ErrFormat", err)
		}
		rest := in
		for _, e := range slices.Concat(certs, crls) {
			i := bytes.Index(rest, e)
			if i < 0 || len(e) < 2 || e[0] != 0x30 {
				t.Fatalf("got %x, which is not in what remains of %x", e, in)
			}
			rest = rest[i+len(e):]
		}
	})
}
