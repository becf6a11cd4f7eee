package cms_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"bridge.example/internal/wire/cms"
)

// at makes openssl see the instant of the tests.
const at = "1795435200" // noon

func TestOpenSSLVerifies(t *testing.T) {
	peers(t)
	for name, k := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			root, signer := hierarchy(t, k.key)
			extra := cms.Attribute{Type: oid(t, largeArc), Values: [][]byte{{2, 1, 7}}}
			der := sign(t, signer, anchorList, cms.SignOptions{Attributes: []cms.Attribute{extra}, PSS: k.pss})
			files := map[string][]byte{"m": der, "root.pem": certPEM(root.Cert)}
			got, err := openssl(t, files, "cms", "-verify", "-cades", "-inform", "DER", "-in", "m", "-CAfile", "root.pem", "-attime", at, "-binary", "-out", "out")
			if err != nil || string(got) != "content" {
				t.Errorf("got %q, %v", got, err)
			}
			text, err := openssl(t, files, "cms", "-cmsout", "-print", "-inform", "DER", "-in", "m")
			if err != nil || !strings.Contains(string(text), largeArc) {
				t.Errorf("printing it: %v\n%s", err, text)
			}
		})
	}
}

func TestOpenSSLSigns(t *testing.T) {
	peers(t)
	for name, k := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			root, signer := hierarchy(t, k.key)
			files := map[string][]byte{
				"content": []byte("content"), "signer.pem": certPEM(signer.Cert), "chain.pem": certPEM(signer.Chain[0]), "key.pem": keyPEM(t, signer.Key),
			}
			hash := map[string]string{"P-384": "sha384", "P-521": "sha512"}[name]
			args := []string{"cms", "-sign", "-cades", "-binary", "-nodetach", "-md", "sha256", "-econtent_type", anchorList, "-in", "content",
				"-signer", "signer.pem", "-inkey", "key.pem", "-certfile", "chain.pem", "-outform", "DER", "-out", "out"}
			if hash != "" {
				args[6] = hash
			}
			if k.pss {
				args = append(args, "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest")
			}
			der, err := openssl(t, files, args...)
			if err != nil {
				t.Fatal(err)
			}
			v, err := cms.Verify(der, pool(root.Cert), noon)
			if err != nil || string(v.Content) != "content" || v.ContentType.String() != anchorList {
				t.Errorf("got %+v, %v", v, err)
			}
		})
	}
}

// TestOpenSSLSignsLess takes messages that are good CMS but say less, or more,
// than is asked of them here.
func TestOpenSSLSignsLess(t *testing.T) {
	peers(t)
	root, signer := hierarchy(t, ecKey(t, elliptic.P256()))
	other := issue(t, "Other", ecKey(t, elliptic.P256()), root, signs)
	files := map[string][]byte{
		"content": []byte("content"), "signer.pem": certPEM(signer.Cert), "chain.pem": certPEM(signer.Chain[0]), "key.pem": keyPEM(t, signer.Key),
		"other.pem": certPEM(other.Cert), "other-key.pem": keyPEM(t, other.Key),
	}
	for _, tt := range []struct {
		name string
		args []string
		want error
	}{
		{"all that is asked", []string{"-cades"}, nil},
		{"no signing certificate", nil, cms.ErrSignature},
		{"no attributes", []string{"-noattr"}, cms.ErrFormat},
		{"two signers", []string{"-cades", "-signer", "other.pem", "-inkey", "other-key.pem"}, cms.ErrFormat},
		{"a signer named by key", []string{"-cades", "-keyid"}, cms.ErrFormat},
		{"no certificate", []string{"-cades", "-nocerts"}, cms.ErrSigner},
	} {
		args := append([]string{"cms", "-sign", "-binary", "-nodetach", "-in", "content", "-signer", "signer.pem", "-inkey", "key.pem",
			"-certfile", "chain.pem", "-outform", "DER", "-out", "out"}, tt.args...)
		der, err := openssl(t, files, args...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cms.Verify(der, pool(root.Cert), noon); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestOpenSSLReadsBundle(t *testing.T) {
	peers(t)
	root, signer := hierarchy(t, rsaKey())
	der, err := cms.CertsOnly([]*x509.Certificate{root.Cert, signer.Cert})
	if err != nil {
		t.Fatal(err)
	}
	text, err := openssl(t, map[string][]byte{"m": der}, "pkcs7", "-inform", "DER", "-in", "m", "-print_certs", "-noout")
	if err != nil || strings.Count(string(text), "subject=") != 2 {
		t.Errorf("got %v\n%s", err, text)
	}
	der, err = openssl(t, map[string][]byte{"certs": certPEM(root.Cert, signer.Cert)}, "crl2pkcs7", "-nocrl", "-certfile", "certs", "-outform", "DER", "-out", "out")
	if err != nil {
		t.Fatal(err)
	}
	if certs, _, err := cms.ParseCertsOnly(der); err != nil || len(certs) != 2 {
		t.Errorf("got %d certificates, %v, want 2", len(certs), err)
	}
}

func TestOpenSSLEnvelopes(t *testing.T) {
	peers(t)
	bob := recipient(t, rsaKey())
	content := bytes.Repeat([]byte("content\r\n"), 100)
	files := map[string][]byte{"content": content, "bob.pem": certPEM(bob.Cert), "key.pem": keyPEM(t, bob.Key)}
	der, err := cms.Encrypt(content, []*x509.Certificate{bob.Cert})
	if err != nil {
		t.Fatal(err)
	}
	files["m"] = der
	got, err := openssl(t, files, "cms", "-decrypt", "-inform", "DER", "-in", "m", "-recip", "bob.pem", "-inkey", "key.pem", "-binary", "-out", "out")
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("openssl decrypted %q, %v", got, err)
	}
	der, err = openssl(t, files, "cms", "-encrypt", "-binary", "-aes256", "-in", "content", "-outform", "DER", "-out", "out",
		"-recip", "bob.pem", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")
	if err != nil {
		t.Fatal(err)
	}
	got, err = cms.Decrypt(der, bob.Cert, bob.Key.(crypto.Decrypter))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %q, %v, from openssl's message", got, err)
	}
}
