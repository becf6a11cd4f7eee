package ocsp_test

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bridge.example/internal/wire/ocsp"
)

const vectors = "../../../../shared/vectors/openssl-ocsp"

// TestOpenSSLVectors runs OpenSSL's own cases (test/recipes/80-test_ocsp.t):
// responses of real CAs from 2012, and what attackers would make of them.
func TestOpenSSLVectors(t *testing.T) {
	table, err := os.ReadFile(filepath.Join(vectors, "expected.tsv"))
	if os.IsNotExist(err) {
		t.Skip("OpenSSL's OCSP vectors are not beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	cases := strings.Split(strings.TrimSpace(string(table)), "\n")[1:]
	if len(cases) != 58 {
		t.Errorf("got %d cases, want 58", len(cases))
	}
	for _, line := range cases {
		f := strings.Split(line, "\t")
		group, kind, file, issuer, between, want := f[0], f[1], f[2], f[3], f[4], f[5]
		if between != "-" { // the issuing CA, below the one trusted
			issuer = between
		}
		verdict := "accept"
		if err := checkVector(t, file, issuer); err != nil {
			verdict = "refuse"
		}
		if verdict != want {
			t.Errorf("%s, %s: got %s, want %s", group, kind, verdict, want)
		}
	}
}

func checkVector(t *testing.T, response, issuer string) error {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vectors, response))
	if err != nil {
		t.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile(filepath.Join(vectors, issuer))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ocsp.ParseResponse(der)
	if err != nil {
		return err
	}
	id, err := ocsp.NewCertID(crypto.SHA1, ca, r.Singles[0].ID.Serial)
	if err != nil {
		t.Fatal(err)
	}
	// Nobody can say any more whether the delegates of 2012 were revoked.
	v := ocsp.Verifier{SHA1: true, DelegateStatus: func(*x509.Certificate) error { return nil }}
	_, err = v.Check(r, ca, r.ProducedAt, id)
	return err
}
