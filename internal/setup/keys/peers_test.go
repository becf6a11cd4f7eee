package keys_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bridge.example/internal/setup/keys"
)

// openssl runs the program and returns what it wrote.
func openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	if os.Getenv("BRIDGE_PEERS") == "" {
		t.Skip("runs openssl; set BRIDGE_PEERS=1")
	}
	out, err := exec.Command("openssl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, out)
	}
	return out
}

func TestOpenSSLReadsOurKeys(t *testing.T) {
	for _, kind := range []keys.Kind{keys.P384, keys.Ed25519} {
		path := filepath.Join(t.TempDir(), "key.pem")
		made, err := keys.Create(path, kind, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(openssl(t, "pkey", "-in", path, "-passin", "pass:"+string(passphrase), "-pubout"))
		if block == nil {
			t.Fatal("openssl wrote no PEM")
		}
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil || !public.(interface{ Equal(crypto.PublicKey) bool }).Equal(made.Public()) {
			t.Errorf("%s: got %v, %v, want the key made", kind, public, err)
		}
	}
}

func TestWeReadKeysOfOpenSSL(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	pass := "pass:" + string(passphrase)
	openssl(t, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", file("plain"))
	openssl(t, "pkey", "-in", file("plain"), "-aes-256-cbc", "-passout", pass, "-out", file("pkey"))
	openssl(t, "pkcs8", "-topk8", "-in", file("plain"), "-v2", "aes-256-cbc", "-iter", "600000", "-passout", pass, "-out", file("pbkdf2"))
	openssl(t, "pkcs8", "-topk8", "-in", file("plain"), "-v2", "aes-256-cbc", "-scrypt", "-passout", pass, "-out", file("scrypt"))
	want, err := keys.Open(file("plain"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pkey", "pbkdf2", "scrypt"} {
		if err := os.Chmod(file(name), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := keys.Open(file(name), passphrase)
		if err != nil || !want.(*rsa.PrivateKey).Equal(got) {
			t.Errorf("%s: got %v, want the key that openssl sealed", name, err)
		}
	}
}
