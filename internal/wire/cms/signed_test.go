package cms_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/cms"
)

func oid(t testing.TB, s string) x509.OID {
	t.Helper()
	o, err := x509.ParseOID(s)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

const (
	anchorList = "1.2.840.113549.1.9.16.1.34"
	largeArc   = "2.25.203099105519607916965137856595848328713.1"
)

// kinds are the ways to sign.
func kinds(t testing.TB) map[string]struct {
	key crypto.Signer
	pss bool
} {
	return map[string]struct {
		key crypto.Signer
		pss bool
	}{
		"RSA": {rsaKey(), false}, "RSA-PSS": {rsaKey(), true},
		"P-256": {ecKey(t, elliptic.P256()), false}, "P-384": {ecKey(t, elliptic.P384()), false},
		"P-521": {ecKey(t, elliptic.P521()), false},
	}
}

func sign(t testing.TB, s *cms.Signer, contentType string, o cms.SignOptions) []byte {
	t.Helper()
	if o.At.IsZero() {
		o.At = noon
	}
	der, err := cms.Sign([]byte("content"), oid(t, contentType), *s, o)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestSignThenVerify(t *testing.T) {
	for name, k := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			root, signer := hierarchy(t, k.key)
			extra := cms.Attribute{Type: oid(t, largeArc), Values: [][]byte{{2, 1, 7}}}
			for _, contentType := range []string{anchorList, cms.Data().String()} {
				der := sign(t, signer, contentType, cms.SignOptions{Attributes: []cms.Attribute{extra}, PSS: k.pss})
				v, err := cms.Verify(der, pool(root.Cert), noon.Add(time.Minute))
				if err != nil {
					t.Fatal(err)
				}
				if v.ContentType.String() != contentType || string(v.Content) != "content" || !v.Signer.Equal(signer.Cert) || !v.SigningTime.Equal(noon) {
					t.Errorf("got %v %q by %v at %v", v.ContentType, v.Content, v.Signer.Subject, v.SigningTime)
				}
				if len(v.Chain) != 3 || !v.Chain[2].Equal(root.Cert) {
					t.Errorf("got a chain of %d, want signer, CA and root", len(v.Chain))
				}
				if len(v.Attributes) != 1 || !v.Attributes[0].Type.Equal(extra.Type) || !bytes.Equal(v.Attributes[0].Values[0], extra.Values[0]) {
					t.Errorf("got attributes %v, want %v", v.Attributes, extra)
				}
				if bytes.Contains(der, root.Cert.Raw) {
					t.Error("the self-signed root was sent along")
				}
			}
		})
	}
}

func TestEveryByteCounts(t *testing.T) {
	for _, tt := range []struct {
		name    string
		key     crypto.Signer
		changes []byte
	}{
		// 0x0a leads from one identifier of RSA to another.
		{"RSA", rsaKey(), []byte{0x01, 0x0a}},
		{"P-256", ecKey(t, elliptic.P256()), []byte{0x01}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root, signer := hierarchy(t, tt.key)
			der := sign(t, signer, anchorList, cms.SignOptions{})
			roots := pool(root.Cert)
			for i := range der {
				changed := bytes.Clone(der)
				for _, bit := range tt.changes {
					changed[i] = der[i] ^ bit
					if _, err := cms.Verify(changed, roots, noon); err == nil {
						t.Errorf("accepted with byte %d changed from %#02x to %#02x", i, der[i], changed[i])
					}
				}
			}
			for n := range der {
				if _, err := cms.Verify(der[:n], roots, noon); !errors.Is(err, cms.ErrFormat) {
					t.Fatalf("got %v for the first %d bytes, want ErrFormat", err, n)
				}
			}
			if _, err := cms.Verify(append(der, 0), roots, noon); !errors.Is(err, cms.ErrFormat) {
				t.Errorf("got %v with a byte appended, want ErrFormat", err)
			}
		})
	}
}

func TestVerifyRefusesSigner(t *testing.T) {
	root, signer := hierarchy(t, ecKey(t, elliptic.P256()))
	system := filepath.Join(t.TempDir(), "system.pem")
	if err := os.WriteFile(system, certPEM(root.Cert), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", system)
	der := sign(t, signer, anchorList, cms.SignOptions{})
	stranger := issue(t, "Root", ecKey(t, elliptic.P256()), nil, ca)
	noChain := *signer
	noChain.Chain = nil
	crowded := *signer
	crowded.Chain = append([]*x509.Certificate{issue(t, "Bystander", ecKey(t, elliptic.P256()), root, signs).Cert}, signer.Chain...)
	encipher := issue(t, "Encipher", ecKey(t, elliptic.P256()), root, receives)
	for _, tt := range []struct {
		name  string
		der   []byte
		roots *x509.CertPool
		at    time.Time
	}{
		{"another root of the same name", der, pool(stranger.Cert), noon},
		{"no roots, which must not mean the system's", der, nil, noon},
		{"an empty pool", der, pool(), noon},
		{"after it expired", der, pool(root.Cert), noon.Add(366 * 24 * time.Hour)},
		{"before it was valid", der, pool(root.Cert), noon.Add(-2 * time.Hour)},
		{"the CA between is missing", sign(t, &noChain, anchorList, cms.SignOptions{}), pool(root.Cert), noon},
		{"a certificate that has no part in it", sign(t, &crowded, anchorList, cms.SignOptions{}), pool(root.Cert), noon},
		{"a key that may not sign", sign(t, encipher, anchorList, cms.SignOptions{}), pool(root.Cert), noon},
	} {
		if _, err := cms.Verify(tt.der, tt.roots, tt.at); !errors.Is(err, cms.ErrSigner) {
			t.Errorf("%s: got %v, want ErrSigner", tt.name, err)
		}
	}
	if v, err := cms.Verify(sign(t, &noChain, anchorList, cms.SignOptions{}), pool(signer.Cert), noon); err != nil || len(v.Chain) != 1 {
		t.Errorf("a signer who is a root: got %+v, %v", v, err)
	}
}

// TestCertificateSubstitution puts another certificate for the same key, with
// the same issuer and serial number, in the place of the signer's (RFC 5035 §3).
func TestCertificateSubstitution(t *testing.T) {
	root := issue(t, "Root", rsaKey(), nil, ca) // RSA, so that both have the same length
	key := ecKey(t, elliptic.P256())
	certificate := func(end time.Time) *cms.Signer {
		return issue(t, "Signer", key, root, func(c *x509.Certificate) {
			signs(c)
			c.SerialNumber, c.NotAfter = big.NewInt(7), end
		})
	}
	one, other := certificate(noon.Add(time.Hour)), certificate(noon.Add(2*time.Hour))
	der := sign(t, one, anchorList, cms.SignOptions{})
	if _, err := cms.Verify(der, pool(root.Cert), noon); err != nil {
		t.Fatal(err)
	}
	if _, err := cms.Verify(bytes.Replace(der, one.Cert.Raw, other.Cert.Raw, 1), pool(root.Cert), noon); !errors.Is(err, cms.ErrSignature) {
		t.Errorf("got %v, want ErrSignature", err)
	}
}

func TestSignRefuses(t *testing.T) {
	_, signer := hierarchy(t, ecKey(t, elliptic.P256()))
	other := *signer
	other.Key = ecKey(t, elliptic.P256())
	p224 := issue(t, "Weak", ecKey(t, elliptic.P224()), nil, signs)
	number := cms.Attribute{Type: oid(t, largeArc), Values: [][]byte{{2, 1, 7}}}
	for _, tt := range []struct {
		name       string
		signer     *cms.Signer
		attributes []cms.Attribute
	}{
		{"somebody else's key", &other, nil},
		{"a curve that is too small", p224, nil},
		{"an attribute twice", signer, []cms.Attribute{number, number}},
		{"an attribute without value", signer, []cms.Attribute{{Type: number.Type}}},
		{"an attribute without type", signer, []cms.Attribute{{Values: number.Values}}},
		{"a content type of its own", signer, []cms.Attribute{{Type: oid(t, "1.2.840.113549.1.9.3"), Values: number.Values}}},
	} {
		if _, err := cms.Sign(nil, cms.Data(), *tt.signer, cms.SignOptions{Attributes: tt.attributes}); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want Invalid", tt.name, err)
		}
	}
}

func TestSigningTimeAfter2049(t *testing.T) {
	root, signer := hierarchy(t, ecKey(t, elliptic.P256()))
	late := time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)
	v, err := cms.Verify(sign(t, signer, anchorList, cms.SignOptions{At: late}), pool(root.Cert), noon)
	if err != nil || !v.SigningTime.Equal(late) {
		t.Errorf("got %v, %v, want %v", v, err, late)
	}
}

func TestBundle(t *testing.T) {
	var certs []*x509.Certificate
	for range 3 {
		der, err := cms.CertsOnly(certs)
		if err != nil {
			t.Fatal(err)
		}
		got, lists, err := cms.ParseCertsOnly(der)
		if err != nil || len(got) != len(certs) || len(lists) > 0 {
			t.Fatalf("got %d certificates, %d CRLs, %v, want %d, 0", len(got), len(lists), err, len(certs))
		}
		again, err := cms.CertsOnly(parsed(t, got))
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("got other bytes when encoding again (%v)", err)
		}
		if _, err := cms.Verify(der, pool(certs...), noon); !errors.Is(err, cms.ErrFormat) {
			t.Errorf("got %v from verifying a bundle, want ErrFormat", err)
		}
		certs = append(certs, issue(t, "Root", ecKey(t, elliptic.P256()), nil, ca).Cert)
	}
	_, signer := hierarchy(t, ecKey(t, elliptic.P256()))
	for name, der := range map[string][]byte{
		"a signed message": sign(t, signer, cms.Data().String(), cms.SignOptions{}),
		"nothing":          nil,
		"a certificate":    certs[0].Raw,
	} {
		if _, _, err := cms.ParseCertsOnly(der); !errors.Is(err, cms.ErrFormat) {
			t.Errorf("%s: got %v, want ErrFormat", name, err)
		}
	}
}

// FuzzVerify replaces a part of a signed message: with another process comes
// another key, so that whole messages would mean little to it.
func FuzzVerify(f *testing.F) {
	root, signer := hierarchy(f, ecKey(f, elliptic.P256()))
	original := sign(f, signer, anchorList, cms.SignOptions{})
	roots := pool(root.Cert)
	f.Add(uint(0), uint(len(original)), original)
	f.Add(uint(20), uint(1), []byte{1})
	f.Fuzz(func(t *testing.T, from, cut uint, by []byte) {
		from = min(from, uint(len(original)))
		cut = min(cut, uint(len(original))-from)
		der := slices.Concat(original[:from], by, original[from+cut:])
		if _, err := cms.Verify(der, roots, noon); (err == nil) != bytes.Equal(der, original) {
			t.Errorf("got %v", err)
		}
	})
}
