package jws_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/jws"
)

func certify(t testing.TB, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(2e9, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ecdsaKey(t testing.TB, c elliptic.Curve) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSign(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other := certify(t, ecdsaKey(t, elliptic.P256()))
	for name, key := range map[string]crypto.Signer{
		"RS256": rsaKey, "ES256": ecdsaKey(t, elliptic.P256()), "ES384": ecdsaKey(t, elliptic.P384()), "ES512": ecdsaKey(t, elliptic.P521()),
	} {
		want := jws.Signed{Payload: []byte(`{"a":1}`), Type: "test", At: time.Unix(1.7e9, 0).UTC(), Certs: []*x509.Certificate{certify(t, key), other}}
		b, err := jws.Sign(want, key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		header, _, _ := bytes.Cut(b, []byte("."))
		if h, err := base64.RawURLEncoding.DecodeString(string(header)); err != nil || !bytes.Contains(h, []byte(`"alg":"`+name+`"`)) {
			t.Errorf("got header %s, %v, want %s", h, err, name)
		}
		got, err := jws.Verify(b)
		if err != nil || string(got.Payload) != string(want.Payload) || got.Type != want.Type || !got.At.Equal(want.At) ||
			len(got.Certs) != 2 || !got.Certs[0].Equal(want.Certs[0]) || !got.Certs[1].Equal(other) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		step := 1
		if name != "ES256" {
			step = 11 // the slow ones
		}
		for i := 0; i < len(b); i += step {
			changed := bytes.Clone(b)
			changed[i] ^= 1
			if _, err := jws.Verify(changed); err == nil {
				t.Errorf("%s: accepted with byte %d changed", name, i)
			}
		}
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Sign(jws.Signed{Certs: []*x509.Certificate{other}}, ed); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Ed25519: got %v, want Invalid", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	key := ecdsaKey(t, elliptic.P256())
	good, err := jws.Sign(jws.Signed{Payload: []byte("{}"), Certs: []*x509.Certificate{certify(t, key)}}, key)
	if err != nil {
		t.Fatal(err)
	}
	parts := bytes.Split(good, []byte("."))
	with := func(header string) []byte {
		return bytes.Join([][]byte{[]byte(base64.RawURLEncoding.EncodeToString([]byte(header))), parts[1], parts[2]}, []byte("."))
	}
	head, err := base64.RawURLEncoding.DecodeString(string(parts[0]))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":               {nil, jws.ErrFormat},
		"two parts":             {bytes.Join(parts[:2], []byte(".")), jws.ErrFormat},
		"four parts":            {append(bytes.Clone(good), ".AA"...), jws.ErrFormat},
		"no signature":          {bytes.Join([][]byte{parts[0], parts[1], nil}, []byte(".")), jws.ErrSignature},
		"a line feed":           {append(bytes.Clone(good), '\n'), jws.ErrFormat},
		"another last digit":    {append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]+1), jws.ErrFormat},
		"padding":               {append(bytes.Clone(good), '='), jws.ErrFormat},
		"no header":             {with(""), jws.ErrFormat},
		"no algorithm":          {with(string(bytes.Replace(head, []byte("ES256"), []byte("none"), 1))), jws.ErrFormat},
		"a symmetric algorithm": {with(string(bytes.Replace(head, []byte("ES256"), []byte("HS256"), 1))), jws.ErrFormat},
		"a critical parameter":  {with(string(bytes.Replace(head, []byte("{"), []byte(`{"crit":["exp"],`), 1))), jws.ErrFormat},
		"no certificates":       {with(`{"alg":"ES256"}`), jws.ErrFormat},
		"another header":        {with(string(bytes.Replace(head, []byte("{"), []byte(`{"x":1,`), 1))), jws.ErrSignature},
	} {
		if _, err := jws.Verify(tt.b); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}

// FuzzVerify: what is accepted is signed, so it can be signed again.
func FuzzVerify(f *testing.F) {
	key := ecdsaKey(f, elliptic.P256())
	good, err := jws.Sign(jws.Signed{Payload: []byte("{}"), Certs: []*x509.Certificate{certify(f, key)}}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("e30.e30.AA"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := jws.Verify(b)
		if err != nil {
			if !errors.Is(err, jws.ErrFormat) && !errors.Is(err, jws.ErrSignature) {
				t.Errorf("got %v, want ErrFormat or ErrSignature", err)
			}
			return
		}
		if _, err := jws.Sign(*s, key); err != nil {
			t.Error(err)
		}
	})
}
