package ocsp_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net/url"
	"strings"
	"testing"

	oracle "golang.org/x/crypto/ocsp"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ocsp"
)

func TestRequestsAgreeWithOracle(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	leaf := &x509.Certificate{SerialNumber: big.NewInt(0x80ffee)}
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		theirs, err := oracle.CreateRequest(leaf, ca.cert, &oracle.RequestOptions{Hash: h})
		if err != nil {
			t.Fatal(err)
		}
		id := newID(t, h, ca, 0x80ffee)
		ours, err := ocsp.NewRequest(id).Encode()
		if err != nil || !bytes.Equal(ours, theirs) {
			t.Errorf("%v: Encode: got %x, %v, want %x", h, ours, err, theirs)
		}
		got, err := ocsp.ParseRequest(theirs)
		if err != nil || len(got.Singles) != 1 || !got.Singles[0].ID.Equal(id) {
			t.Errorf("%v: ParseRequest: got %+v, %v", h, got, err)
		}
	}
}

// full is a request with everything in it.
func full(t testing.TB) *ocsp.Request {
	ca := newCA(t, "alpha", p256(t))
	var ids []ocsp.CertID
	for i, h := range ocsp.Hashes() {
		ids = append(ids, newID(t, h, ca, int64(i)<<40))
	}
	r := ocsp.NewRequest(ids...)
	r.RequestorName = []byte{0x82, 3, 'a', '.', 'b'}
	r.Signature = []byte{0x30, 0}
	r.Extensions = []pkix.Extension{
		ocsp.NonceExtension(bytes.Repeat([]byte{7}, ocsp.MaxNonceBytes)),
		{Id: []int{1, 3, 6, 1, 5, 5, 7, 48, 1, 8}, Critical: true, Value: []byte{0x30, 0}},
		{Id: []int{2, 999, 1}, Value: []byte{}},
	}
	r.Singles[1].Extensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 5, 5, 7, 48, 1, 7}, Critical: true, Value: []byte{0x30, 0}}}
	return r
}

func TestRequestKeepsEverything(t *testing.T) {
	want := full(t)
	der, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ocsp.ParseRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Encode()
	if err != nil || !bytes.Equal(again, der) {
		t.Errorf("second encoding: got %x, %v, want %x", again, err, der)
	}
	if !bytes.Equal(got.Nonce(), want.Nonce()) || len(got.Nonce()) != ocsp.MaxNonceBytes {
		t.Errorf("nonce: got %x, want %x", got.Nonce(), want.Nonce())
	}
	if len(got.Singles) != len(want.Singles) || len(got.Extensions) != 3 || len(got.Singles[1].Extensions) != 1 {
		t.Errorf("got %+v", got)
	}
	for i := range got.Singles {
		if !got.Singles[i].ID.Equal(want.Singles[i].ID) {
			t.Errorf("CertID %d: got %+v, want %+v", i, got.Singles[i].ID, want.Singles[i].ID)
		}
	}
}

func TestRequestRefusals(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	id := newID(t, crypto.SHA1, ca, 5)
	valid, err := ocsp.NewRequest(id).Encode()
	if err != nil {
		t.Fatal(err)
	}
	with := func(exts ...pkix.Extension) []byte {
		r := ocsp.NewRequest(id)
		r.Extensions = exts
		der, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	replaced := func(from, to string) []byte { return bytes.Replace(valid, []byte(from), []byte(to), 1) }
	nonce := ocsp.NonceExtension([]byte{1})
	preferred := pkix.Extension{Id: []int{1, 3, 6, 1, 5, 5, 7, 48, 1, 8}, Critical: true, Value: []byte{}}
	var crowd []pkix.Extension
	for i := range 17 {
		crowd = append(crowd, pkix.Extension{Id: []int{2, 999, i}, Value: []byte{}})
	}
	long := id
	long.Raw = bytes.Replace(id.Raw, []byte("\x02\x01\x05"), append([]byte{2, 65, 1}, make([]byte, 64)...), 1)
	long.Raw[1] += 64
	for name, der := range map[string][]byte{
		"empty":                      {},
		"cut":                        valid[:len(valid)-1],
		"trailing garbage":           append(bytes.Clone(valid), 0),
		"no CertID":                  {0x30, 4, 0x30, 2, 0x30, 0},
		"oversize":                   append(bytes.Clone(valid), make([]byte, ocsp.MaxRequestBytes)...),
		"too many CertIDs":           many(id, ocsp.MaxCertIDs+1),
		"negative serial":            replaced("\x02\x01\x05", "\x02\x01\x85"),
		"hash of other length":       replaced("\x2b\x0e\x03\x02\x1a\x05\x00", "\x2b\x0e\x03\x02\x1a\x04\x00"),
		"unknown critical extension": with(pkix.Extension{Id: []int{2, 999, 1}, Critical: true, Value: []byte{}}),
		"locator for all":            with(pkix.Extension{Id: []int{1, 3, 6, 1, 5, 5, 7, 48, 1, 7}, Critical: true, Value: []byte{}}),
		"FALSE, which is left out":   bytes.Replace(with(preferred), []byte("\x01\x01\xff"), []byte("\x01\x01\x00"), 1),
		"too many extensions":        with(crowd...),
		"long serial":                mustEncode(t, ocsp.NewRequest(long)),
		"extension twice":            with(nonce, nonce),
		"empty nonce":                with(ocsp.NonceExtension(nil)),
		"long nonce":                 with(ocsp.NonceExtension(make([]byte, ocsp.MaxNonceBytes+1))),
		"nonce without OCTET STRING": with(pkix.Extension{Id: nonce.Id, Value: []byte{1, 2, 3}}),
	} {
		if _, err := ocsp.ParseRequest(der); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
	if _, err := ocsp.ParseRequest(many(id, ocsp.MaxCertIDs)); err != nil {
		t.Errorf("%d CertIDs: %v", ocsp.MaxCertIDs, err)
	}
}

// TestUnknownHash reads what only looks like a CertID we could answer for.
func TestUnknownHash(t *testing.T) {
	id := newID(t, crypto.SHA1, newCA(t, "alpha", p256(t)), 5)
	id.Raw = bytes.Replace(id.Raw, []byte("\x2b\x0e\x03\x02\x1a"), []byte("\x2b\x0e\x03\x02\x1b"), 1)
	r, err := ocsp.ParseRequest(mustEncode(t, ocsp.NewRequest(id)))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Singles[0].ID; got.Hash != 0 || got.Equal(got) || got.Equal(id) {
		t.Errorf("got %+v, want no known hash and nothing equal to it", got)
	}
}

// many is a request with n CertIDs, more than Encode writes.
func many(id ocsp.CertID, n int) []byte {
	tlv := func(content []byte) []byte {
		return append([]byte{0x30, 0x82, byte(len(content) >> 8), byte(len(content))}, content...)
	}
	one := append([]byte{0x30, byte(len(id.Raw))}, id.Raw...)
	return tlv(tlv(tlv(bytes.Repeat(one, n))))
}

func TestEncodeRefusesWhatNobodyReads(t *testing.T) {
	id := newID(t, crypto.SHA1, newCA(t, "alpha", p256(t)), 5)
	for _, n := range []int{0, ocsp.MaxCertIDs + 1} {
		if _, err := ocsp.NewRequest(make([]ocsp.CertID, n)...).Encode(); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d CertIDs: got %v, want Invalid", n, err)
		}
	}
	r := ocsp.NewRequest(id)
	r.Extensions = []pkix.Extension{{Id: []int{9, 9}}}
	if _, err := r.Encode(); fault.KindOf(err) != fault.Invalid {
		t.Errorf("impossible identifier: got %v, want Invalid", err)
	}
}

func TestNewCertIDRefusals(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	for name, f := range map[string]func() (ocsp.CertID, error){
		"MD5":             func() (ocsp.CertID, error) { return ocsp.NewCertID(crypto.MD5, ca.cert, big.NewInt(1)) },
		"no serial":       func() (ocsp.CertID, error) { return ocsp.NewCertID(crypto.SHA1, ca.cert, nil) },
		"negative serial": func() (ocsp.CertID, error) { return ocsp.NewCertID(crypto.SHA1, ca.cert, big.NewInt(-1)) },
		"long serial": func() (ocsp.CertID, error) {
			return ocsp.NewCertID(crypto.SHA1, ca.cert, new(big.Int).Lsh(big.NewInt(1), 511))
		},
		"no key": func() (ocsp.CertID, error) { return ocsp.NewCertID(crypto.SHA1, &x509.Certificate{}, big.NewInt(1)) },
	} {
		if _, err := f(); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
}

func TestParseGET(t *testing.T) {
	der := mustEncode(t, slashed(t))
	plain := base64.StdEncoding.EncodeToString(der)
	if !strings.Contains(plain, "//") || !strings.Contains(plain, "+") || !strings.HasSuffix(plain, "=") {
		t.Fatalf("%s shows nothing", plain)
	}
	for name, path := range map[string]string{
		"as it is":        "/" + plain,
		"escaped":         "/" + url.QueryEscape(plain),
		"slashes escaped": "/" + strings.ReplaceAll(plain, "/", "%2f"),
		"path escaped":    "/" + url.PathEscape(plain),
		"no slash":        plain,
		"slashes":         "//" + plain,
		"no padding":      "/" + strings.TrimRight(plain, "="),
		"plus as blank":   "/" + strings.ReplaceAll(plain, "+", "%20"),
	} {
		r, err := ocsp.ParseGET(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := mustEncode(t, r); !bytes.Equal(got, der) {
			t.Errorf("%s: got %x, want %x", name, got, der)
		}
	}
	for name, path := range map[string]string{
		"empty": "/", "bad escape": "/%4", "no base64": "/M!", "no request": "/AAAA",
		"long": "/" + strings.Repeat("A", 4*ocsp.MaxRequestBytes),
	} {
		if _, err := ocsp.ParseGET(path); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
}

// slashed is a request whose base64 has all that is awkward in a path.
func slashed(t *testing.T) *ocsp.Request {
	r := ocsp.NewRequest(newID(t, crypto.SHA1, newCA(t, "alpha", p256(t)), 5))
	r.Extensions = []pkix.Extension{ocsp.NonceExtension([]byte("\xff\xff\xff\xff\xff\xfb\xef\xbe\xfb\xef\xbe"))}
	for len(mustEncode(t, r))%3 == 0 {
		r.Extensions[0] = ocsp.NonceExtension(append(r.Nonce(), 0))
	}
	return r
}

func mustEncode(t *testing.T, r *ocsp.Request) []byte {
	t.Helper()
	der, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func FuzzParseRequest(f *testing.F) {
	der, err := full(f).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(many(newID(f, crypto.SHA1, newCA(f, "alpha", p256(f)), 5), 3))
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := ocsp.ParseRequest(der)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("got %v, want Invalid", err)
			}
			return
		}
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again, der) {
			t.Fatalf("got %x, %v, want %x", again, err, der)
		}
		if _, err := ocsp.ParseGET(base64.StdEncoding.EncodeToString(der)); err != nil {
			t.Fatalf("the same by GET: %v", err)
		}
	})
}
