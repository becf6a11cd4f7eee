package crl_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/crl"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// issue makes a CRL with the standard library.
func issue(t testing.TB, key crypto.Signer, alg x509.SignatureAlgorithm, entries []x509.RevocationListEntry, exts ...pkix.Extension) []byte {
	t.Helper()
	ca := &x509.Certificate{
		Subject: pkix.Name{CommonName: "CA"}, SubjectKeyId: []byte{1, 2, 3}, KeyUsage: x509.KeyUsageCRLSign,
		RawSubject: mustMarshal(t, pkix.Name{CommonName: "CA"}.ToRDNSequence()),
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		SignatureAlgorithm: alg, Number: big.NewInt(7), ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 7),
		RevokedCertificateEntries: entries, ExtraExtensions: exts,
	}, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func mustMarshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func revoked(n int) []x509.RevocationListEntry {
	out := make([]x509.RevocationListEntry, n)
	for i := range out {
		out[i] = x509.RevocationListEntry{SerialNumber: big.NewInt(int64(i) + 1000), RevocationTime: now.Add(time.Duration(-i) * time.Second), ReasonCode: i % 6}
	}
	return out
}

// checkEntries holds what was read against what was issued.
func checkEntries(t *testing.T, got []crl.Entry, want []x509.RevocationListEntry) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d entries, want %d", len(got), len(want))
	}
	for i, e := range got {
		w := want[i]
		if new(big.Int).SetBytes(e.Serial).Cmp(w.SerialNumber) != 0 || !e.RevokedAt.Equal(w.RevocationTime) ||
			int(e.Reason) != w.ReasonCode || e.Issuer != nil || e.UnknownCritical {
			t.Fatalf("entry %d: got %+v, want %+v", i, e, w)
		}
	}
}

func TestAlgorithms(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := ecKey(t)
	for _, tc := range []struct {
		alg    x509.SignatureAlgorithm
		key    crypto.Signer
		stream error // of the check after streaming
	}{
		{x509.SHA256WithRSA, rsaKey, nil},
		{x509.SHA384WithRSA, rsaKey, nil},
		{x509.SHA512WithRSA, rsaKey, nil},
		{x509.SHA256WithRSAPSS, rsaKey, nil},
		{x509.SHA384WithRSAPSS, rsaKey, nil},
		{x509.SHA512WithRSAPSS, rsaKey, nil},
		{x509.ECDSAWithSHA256, ec, nil},
		{x509.ECDSAWithSHA512, ec, nil},
		{x509.PureEd25519, edKey, crl.ErrAlgorithm},
	} {
		t.Run(tc.alg.String(), func(t *testing.T) {
			want := revoked(3)
			der := issue(t, tc.key, tc.alg, want)
			l, err := crl.Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			if l.Algorithm != tc.alg || l.Number.Int64() != 7 || !l.ThisUpdate.Equal(now) || !l.NextUpdate.Equal(now.AddDate(0, 0, 7)) ||
				!bytes.Equal(l.AuthorityKeyID, []byte{1, 2, 3}) || l.Version != 2 || l.Entries != 3 || l.UnknownCritical {
				t.Errorf("got %+v", l)
			}
			var got []crl.Entry
			for e := range l.All() {
				got = append(got, e)
			}
			checkEntries(t, got, want)
			if err := l.CheckSignature(tc.key.Public(), crl.Modern); err != nil {
				t.Errorf("checking: %v", err)
			}
			if err := l.CheckSignature(ecKey(t).Public(), crl.Modern); err == nil {
				t.Error("a stranger's key verifies")
			}
			// The same through a reader that gives one byte at a time.
			s, err := crl.Read(iotest.OneByteReader(bytes.NewReader(der)), crl.Limits{}, func(crl.Entry) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			if err := s.CheckSignature(tc.key.Public(), crl.Modern); !errors.Is(err, tc.stream) {
				t.Errorf("checking the streamed list: got %v, want %v", err, tc.stream)
			}
		})
	}
}

// A list much larger than the buffer reads the same whole and streamed.
func TestStreamSlides(t *testing.T) {
	key, want := ecKey(t), revoked(5000)
	der := issue(t, key, x509.ECDSAWithSHA384, want)
	var got []crl.Entry
	l, err := crl.Read(iotest.HalfReader(bytes.NewReader(der)), crl.Limits{}, func(e crl.Entry) error {
		e.Serial = bytes.Clone(e.Serial)
		got = append(got, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	checkEntries(t, got, want)
	if err := l.CheckSignature(key.Public(), crl.Modern); err != nil {
		t.Error(err)
	}
}

func TestLegacyOnlyWhenAsked(t *testing.T) {
	key := ecKey(t)
	message := []byte("message")
	h := crypto.SHA1.New()
	h.Write(message)
	sig, err := ecdsa.SignASN1(rand.Reader, key, h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := crl.CheckSignature(x509.ECDSAWithSHA1, key.Public(), message, sig, crl.Modern); !errors.Is(err, crl.ErrAlgorithm) {
		t.Errorf("got %v, want ErrAlgorithm", err)
	}
	if err := crl.CheckSignature(x509.ECDSAWithSHA1, key.Public(), message, sig, crl.Legacy); err != nil {
		t.Error(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	l, err := crl.Parse(issue(t, small, x509.SHA256WithRSA, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.CheckSignature(small.Public(), crl.Modern); !errors.Is(err, crl.ErrAlgorithm) {
		t.Errorf("RSA of 1024 bits: got %v, want ErrAlgorithm", err)
	}
	if err := l.CheckSignature(small.Public(), crl.Legacy); err != nil {
		t.Error(err)
	}
}

// Every change of one byte is either refused or breaks the signature.
func TestChangedByte(t *testing.T) {
	key := ecKey(t)
	der := issue(t, key, x509.ECDSAWithSHA256, revoked(2))
	for i := range der {
		changed := bytes.Clone(der)
		changed[i] ^= 0x41
		l, err := crl.Parse(changed)
		if err == nil {
			err = l.CheckSignature(key.Public(), crl.Modern)
		}
		if err == nil {
			t.Errorf("byte %d changed and nothing seen", i)
		}
	}
}

func TestTruncated(t *testing.T) {
	der := issue(t, ecKey(t), x509.ECDSAWithSHA256, revoked(2))
	ignore := func(crl.Entry) error { return nil }
	for n := range der {
		if _, err := crl.Parse(der[:n]); fault.KindOf(err) != fault.Invalid {
			t.Fatalf("%d bytes parsed: %v", n, err)
		}
		if _, err := crl.Read(bytes.NewReader(der[:n]), crl.Limits{}, ignore); fault.KindOf(err) != fault.Invalid {
			t.Fatalf("%d bytes read: %v", n, err)
		}
	}
	if _, err := crl.Parse(append(der, 0)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a byte after the list: %v", err)
	}
}

func TestLimitsAndErrors(t *testing.T) {
	der := issue(t, ecKey(t), x509.ECDSAWithSHA256, revoked(10))
	ignore := func(crl.Entry) error { return nil }
	stop := errors.New("stop")
	for name, tc := range map[string]struct {
		r     io.Reader
		lim   crl.Limits
		yield func(crl.Entry) error
		kind  fault.Kind
	}{
		"too long":         {bytes.NewReader(der), crl.Limits{MaxBytes: int64(len(der)) - 1}, ignore, fault.Invalid},
		"too many entries": {bytes.NewReader(der), crl.Limits{MaxEntries: 9}, ignore, fault.Invalid},
		"reader fails":     {iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(der))), crl.Limits{}, ignore, fault.Unavailable},
		"callback stops":   {bytes.NewReader(der), crl.Limits{}, func(crl.Entry) error { return stop }, fault.Internal},
	} {
		if _, err := crl.Read(tc.r, tc.lim, tc.yield); err == nil || fault.KindOf(err) != tc.kind {
			t.Errorf("%s: got %v of kind %v, want kind %v", name, err, fault.KindOf(err), tc.kind)
		}
	}
}

func ext(id int, critical bool, hexDER ...byte) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, id}, Critical: critical, Value: hexDER}
}

func TestExtensions(t *testing.T) {
	// IDP: relative name CN=1, only user certificates, keyCompromise only, indirect.
	idp := []byte{0x30, 0x19, 0xa0, 0x0e, 0xa1, 0x0c, 0x30, 0x0a, 6, 3, 0x55, 4, 3, 0x0c, 3, 'o', 'n', 'e',
		0x81, 1, 0xff, 0x83, 2, 6, 0x40, 0x84, 1, 0xff}
	idp[1] = byte(len(idp) - 2)
	entries := revoked(3)
	entries[1].ExtraExtensions = []pkix.Extension{ext(29, true, 0x30, 3, 0x82, 1, 'x')}
	l, err := crl.Parse(issue(t, ecKey(t), 0, entries, ext(28, true, idp...), ext(27, true, 2, 1, 5)))
	if err != nil {
		t.Fatal(err)
	}
	s := l.Scope
	if s == nil || len(s.Point.RelativeName) != 12 || s.Point.FullName != nil || !s.OnlyUserCerts || s.OnlyCACerts ||
		s.OnlyAttributeCerts || !s.Indirect || s.OnlySomeReasons != 1<<crl.KeyCompromise {
		t.Errorf("scope: got %+v", s)
	}
	if l.BaseNumber == nil || l.BaseNumber.Int64() != 5 || l.UnknownCritical {
		t.Errorf("got %+v", l)
	}
	var issuers []bool
	for e := range l.All() {
		issuers = append(issuers, e.Issuer != nil)
	}
	// The issuer of an entry holds for those after it (RFC 5280 §5.3.3).
	if len(issuers) != 3 || issuers[0] || !issuers[1] || !issuers[2] {
		t.Errorf("entries with an issuer: got %v", issuers)
	}

	unknown := revoked(1)
	unknown[0].ExtraExtensions = []pkix.Extension{ext(99, true, 5, 0)}
	for name, der := range map[string][]byte{
		"of the list":  issue(t, ecKey(t), 0, nil, ext(99, true, 5, 0)),
		"of the entry": issue(t, ecKey(t), 0, unknown),
	} {
		l, err := crl.Parse(der)
		if err != nil || !l.UnknownCritical {
			t.Errorf("unknown critical extension %s: got %+v, %v", name, l, err)
		}
	}
	for name, bad := range map[string]pkix.Extension{
		"twice":                ext(20, false, 2, 1, 8),
		"negative base":        ext(27, true, 2, 1, 0x80),
		"false written out":    ext(28, true, 0x30, 3, 0x81, 1, 0),
		"trailing in the IDP":  ext(28, true, 0x30, 0, 5, 0),
		"reason bit in unused": ext(28, true, 0x30, 4, 0x83, 2, 7, 0x40),
	} {
		if _, err := crl.Parse(issue(t, ecKey(t), 0, nil, bad)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
}

// A list taken apart and put together with something wrong in it.
func TestStrictDER(t *testing.T) {
	der := issue(t, ecKey(t), x509.ECDSAWithSHA256, []x509.RevocationListEntry{{SerialNumber: big.NewInt(0x1234), RevocationTime: now}})
	for name, change := range map[string]struct{ old, new string }{
		"serial not minimal":   {"\x02\x02\x12\x34", "\x02\x02\x00\x34"},
		"serial empty":         {"\x02\x02\x12\x34", "\x02\x00\x12\x34"},
		"31 February":          {"260301120000Z", "260231120000Z"},
		"25 hours":             {"260301120000Z", "260301250000Z"},
		"no Z":                 {"260301120000Z", "260301120000A"},
		"number not minimal":   {"\x04\x03\x02\x01\x07", "\x04\x03\x02\x02\x07"},
		"length not minimal":   {"\x30\x13\x02\x02\x12\x34", "\x30\x81\x13\x02\x02\x34"},
		"31 April":             {"260301120000Z", "260431120000Z"},
		"length indefinite":    {"\x30\x13\x02\x02\x12\x34", "\x30\x80\x02\x02\x12\x34"},
		"algorithms not alike": {"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"},
		"version 3":            {"\x02\x01\x01\x30", "\x02\x01\x02\x30"},
		"extensions but no v2": {"\x02\x01\x01\x30", "\x05\x01\x00\x30"},
	} {
		changed := bytes.Replace(der, []byte(change.old), []byte(change.new), 1)
		if bytes.Equal(changed, der) {
			t.Fatalf("%s: nothing to change", name)
		}
		if _, err := crl.Parse(changed); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
		if _, err := crl.Read(bytes.NewReader(changed), crl.Limits{}, func(crl.Entry) error { return nil }); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s, streamed: got %v, want Invalid", name, err)
		}
	}
}

// The same length written with a byte more, which is BER and not DER.
func TestLengthNotMinimal(t *testing.T) {
	der := issue(t, ecKey(t), x509.ECDSAWithSHA256, revoked(3))
	long := append([]byte{der[0], der[1] + 1, 0}, der[2:]...)
	if _, err := crl.Parse(long); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
}

// A version 1 list, as an old CA makes it: no version, no extensions.
func TestVersion1(t *testing.T) {
	key := ecKey(t)
	type entry struct {
		Serial *big.Int
		At     time.Time
	}
	alg := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}
	tbs := mustMarshal(t, struct {
		Algorithm  pkix.AlgorithmIdentifier
		Issuer     pkix.RDNSequence
		ThisUpdate time.Time
		Entries    []entry
	}{alg, pkix.Name{CommonName: "Old"}.ToRDNSequence(), now, []entry{{big.NewInt(-5), now}}})
	h := crypto.SHA256.New()
	h.Write(tbs)
	sig, err := ecdsa.SignASN1(rand.Reader, key, h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	l, err := crl.Parse(mustMarshal(t, struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, alg, asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}}))
	if err != nil {
		t.Fatal(err)
	}
	if l.Version != 1 || !l.NextUpdate.IsZero() || l.Entries != 1 || l.Number != nil {
		t.Errorf("got %+v", l)
	}
	for e := range l.All() {
		if !bytes.Equal(e.Serial, []byte{0xfb}) {
			t.Errorf("serial %x", e.Serial)
		}
	}
	if err := l.CheckSignature(key.Public(), crl.Modern); err != nil {
		t.Error(err)
	}
}

// vectors reads files from a folder beside the repository.
func vectors(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../../../shared/vectors", pattern))
	if err != nil || len(files) == 0 {
		t.Skipf("no vectors %s beside the repository", pattern)
	}
	return files
}

func TestPKITSListsRead(t *testing.T) {
	for _, f := range vectors(t, "pkits/crls/*.crl") {
		der, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		l, err := crl.Parse(der)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		std, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		if l.Entries != len(std.RevokedCertificateEntries) || !l.NextUpdate.Equal(std.NextUpdate) || l.Number.Cmp(std.Number) != 0 ||
			!bytes.Equal(l.Issuer, std.RawIssuer) {
			t.Errorf("%s: got %+v, the standard library has %+v", filepath.Base(f), l, std)
		}
	}
}

func FuzzParse(f *testing.F) {
	entries := revoked(2)
	entries[0].ExtraExtensions = []pkix.Extension{ext(29, true, 0x30, 3, 0x82, 1, 'x')}
	f.Add(issue(f, ecKey(f), 0, entries))
	f.Add(issue(f, ecKey(f), 0, nil, ext(28, true, 0x30, 3, 0x84, 1, 0xff)))
	f.Fuzz(func(t *testing.T, der []byte) {
		whole, err := crl.Parse(der)
		n := 0
		streamed, serr := crl.Read(iotest.OneByteReader(bytes.NewReader(der)), crl.Limits{}, func(crl.Entry) error { n++; return nil })
		if err != nil {
			return
		}
		again := 0
		for range whole.All() {
			again++
		}
		if serr != nil || n != whole.Entries || again != n || streamed.Entries != n ||
			!bytes.Equal(streamed.Issuer, whole.Issuer) || !streamed.ThisUpdate.Equal(whole.ThisUpdate) || streamed.UnknownCritical != whole.UnknownCritical {
			t.Fatalf("whole %+v and streamed %+v (%v) differ", whole, streamed, serr)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	der := issue(b, ecKey(b), x509.ECDSAWithSHA256, revoked(100_000))
	b.SetBytes(int64(len(der)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := crl.Read(bytes.NewReader(der), crl.Limits{}, func(crl.Entry) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
