package cms_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bridge.example/internal/wire/cms"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// rsaKey is made once: it is slow.
var rsaKey = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func ecKey(t testing.TB, c elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for key, self-signed when by is nil. edit changes
// the template.
func issue(t testing.TB, name string, key crypto.Signer, by *cms.Signer, edit func(*x509.Certificate)) *cms.Signer {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"Bridge"}},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(365 * 24 * time.Hour),
		BasicConstraintsValid: true,
	}
	edit(template)
	s := &cms.Signer{Key: key}
	parent, parentKey := template, key
	if by != nil {
		parent, parentKey = by.Cert, by.Key
		s.Chain = append([]*x509.Certificate{by.Cert}, by.Chain...)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	if s.Cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return s
}

func ca(c *x509.Certificate) {
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
}

func signs(c *x509.Certificate) {
	c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	c.SubjectKeyId = []byte(c.Subject.CommonName)
}

func receives(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }

// hierarchy is a root, a CA below it, and a signer below that.
func hierarchy(t testing.TB, key crypto.Signer) (root, signer *cms.Signer) {
	t.Helper()
	root = issue(t, "Root", rsaKey(), nil, ca)
	sub := issue(t, "Sub", rsaKey(), root, ca)
	return root, issue(t, "Signer", key, sub, signs)
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// openssl runs the program in a folder with files, keyed by name, and returns
// what it wrote to out.
func openssl(t *testing.T, files map[string][]byte, args ...string) (out []byte, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(t.Context(), "openssl", args...)
	c.Dir = dir
	text, err := c.CombinedOutput()
	if err != nil {
		t.Logf("openssl %v: %v\n%s", args, err, text)
		return nil, err
	}
	if out, err = os.ReadFile(filepath.Join(dir, "out")); err != nil {
		return text, nil
	}
	return out, nil
}

func peers(t *testing.T) {
	t.Helper()
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS=1 runs this against openssl")
	}
}

func certPEM(certs ...*x509.Certificate) (out []byte) {
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func keyPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
