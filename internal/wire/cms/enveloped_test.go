package cms_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/cms"
)

func recipient(t testing.TB, key crypto.Signer) *cms.Signer {
	t.Helper()
	return issue(t, "Recipient", key, nil, receives)
}

func TestEncryptThenDecrypt(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	alice, bob := recipient(t, rsaKey()), recipient(t, key)
	for _, n := range []int{0, 1, 15, 16, 17, 100_000} {
		content := bytes.Repeat([]byte{byte(n)}, n)
		der, err := cms.Encrypt(content, []*x509.Certificate{alice.Cert, bob.Cert})
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range []*cms.Signer{alice, bob} {
			got, err := cms.Decrypt(der, to.Cert, to.Key.(crypto.Decrypter))
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes: got %d bytes, %v", n, len(got), err)
			}
		}
		if _, err := cms.Decrypt(der, alice.Cert, bob.Key.(crypto.Decrypter)); !errors.Is(err, cms.ErrDecrypt) {
			t.Errorf("another's key: got %v, want ErrDecrypt", err)
		}
		stranger := recipient(t, rsaKey())
		if _, err := cms.Decrypt(der, stranger.Cert, stranger.Key.(crypto.Decrypter)); !errors.Is(err, cms.ErrDecrypt) {
			t.Errorf("a stranger: got %v, want ErrDecrypt", err)
		}
	}
}

func TestEncryptRefuses(t *testing.T) {
	for name, to := range map[string][]*x509.Certificate{
		"nobody":   nil,
		"a EC key": {recipient(t, ecKey(t, elliptic.P256())).Cert},
	} {
		if _, err := cms.Encrypt([]byte("content"), to); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
}

func FuzzDecrypt(f *testing.F) {
	bob := recipient(f, rsaKey())
	der, err := cms.Encrypt([]byte("content"), []*x509.Certificate{bob.Cert})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		_, err := cms.Decrypt(der, bob.Cert, bob.Key.(crypto.Decrypter))
		if err != nil && !errors.Is(err, cms.ErrFormat) && !errors.Is(err, cms.ErrDecrypt) {
			t.Errorf("got %v, want one of the errors promised", err)
		}
	})
}
