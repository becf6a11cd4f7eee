package crosscert_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
)

// csr is the request of a bridge CA below a root.
func csr(t testing.TB, name string, key crypto.Signer) *x509.CertificateRequest {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{Organization: []string{"Bridge"}, CommonName: name},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// subordinate certifies a bridge CA by b as its root.
func subordinate(t testing.TB, b *bridge, key crypto.Signer) *x509.Certificate {
	t.Helper()
	c, err := b.IssueSubordinate(t.Context(), csr(t, "Bridge Issuing CA", key), []x509.OID{oid(t, bridgePolicy)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestIssueSubordinate(t *testing.T) {
	b := newBridge(t)
	c := subordinate(t, b, newKey(t))
	if c.MaxPathLen != -1 || len(c.ExtKeyUsage) > 0 || c.PermittedEmailAddresses != nil {
		t.Errorf("got limits that cross-certificates are to set: %+v", c)
	}
	if got, want := c.CRLDistributionPoints[0], baseURL+crosscert.RootCRLPath; got != want {
		t.Errorf("got CRL at %s, want %s", got, want)
	}
	b.check(t)
	if err := b.Revoke(t.Context(), c.SerialNumber, crosscert.CACompromise); err != nil {
		t.Fatal(err)
	}
	b.check(t)
}

func TestIssueSubordinateRefuses(t *testing.T) {
	b := newBridge(t)
	stolen := csr(t, "Thief CA", newKey(t))
	stolen.Signature[len(stolen.Signature)-1] ^= 1
	for name, tt := range map[string]struct {
		request *x509.CertificateRequest
		want    string
	}{
		"no proof of possession": {stolen, "not signed with the key"},
		"the root's name":        {csr(t, "Bridge CA", newKey(t)), "own name"},
		"the root's key":         {csr(t, "Bridge Issuing CA", b.key.Signer), "own key"},
	} {
		_, err := b.IssueSubordinate(t.Context(), tt.request, []x509.OID{oid(t, bridgePolicy)})
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want Invalid naming %q", name, err, tt.want)
		}
	}
	good := csr(t, "Bridge Issuing CA", newKey(t))
	if _, err := b.IssueSubordinate(t.Context(), good, nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("without a policy: got %v, want Invalid", err)
	}
	if len(b.ledger.records) > 0 {
		t.Errorf("got records %v of what was refused", b.ledger.records)
	}
}

// TestOpenSSLTwoLevels walks from an offline root over the bridge CA and a
// cross-certificate to a member's leaf, with the CRLs of all.
func TestOpenSSLTwoLevels(t *testing.T) {
	w := newWorld(t)
	root := w.bridge
	key := newKey(t)
	below := &bridge{ledger: &memory{}, now: root.now, o: root.o}
	below.key = &spy{Signer: key, t: t, ledger: below.ledger, serials: map[string]bool{}}
	below.cert = subordinate(t, root, key)
	below.restart(t)
	r := request(t, "beta", w.betaRoot)
	r.Mappings = []crosscert.Mapping{{Bridge: oid(t, bridgePolicy), Member: oid(t, betaPolicy)}}
	cross, err := below.Issue(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	w.leaf(t, "good.pem", "bob@beta.example", betaPolicy, nil)
	w.leaf(t, "domain.pem", "bob@gamma.example", betaPolicy, nil)
	w.write(t, "chain.pem", below.cert, cross, w.betaIssuing)
	lists := func() {
		var out []byte
		for _, a := range []*bridge{root, below} {
			crl, err := a.CRL(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl.Raw})...)
		}
		for issuer, key := range map[*x509.Certificate]crypto.Signer{w.betaRoot: w.betaRootKey, w.betaIssuing: w.betaIssuerKey} {
			der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: root.now, NextUpdate: root.now.AddDate(0, 0, 1)}, issuer, key)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})...)
		}
		if err := os.WriteFile(w.path("crls.pem"), out, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(leaf, want string) {
		t.Helper()
		out, err := w.run(t, "openssl", "verify", "-x509_strict", "-policy_check", "-explicit_policy", "-policy", bridgePolicy, "-purpose", "smimesign",
			"-crl_check_all", "-CRLfile", "crls.pem", "-no-CApath", "-no-CAstore", "-CAfile", "bridge.pem", "-untrusted", "chain.pem", leaf)
		if !strings.Contains(out, want) || (err == nil) != strings.HasSuffix(want, "OK") {
			t.Errorf("got %v\n%swant %q", err, out, want)
		}
	}
	lists()
	verify("good.pem", "good.pem: OK")
	verify("domain.pem", "permitted subtree violation")
	if err := root.Revoke(t.Context(), below.cert.SerialNumber, crosscert.CACompromise); err != nil {
		t.Fatal(err)
	}
	lists()
	verify("good.pem", "certificate revoked")
}

// TestNoRollOverBelowARoot shows that only a root gives the bridge CA a new key.
func TestNoRollOverBelowARoot(t *testing.T) {
	root, key := newBridge(t), newKey(t)
	a, err := crosscert.New(subordinate(t, root, key), key, &memory{}, root.o)
	if err != nil {
		t.Fatal(err)
	}
	asked := false
	_, err = a.Announce(t.Context(), func() (crypto.Signer, error) { asked = true; return newKey(t), nil })
	if fault.KindOf(err) != fault.Denied || asked {
		t.Errorf("got %v, asked for a key: %v; want Denied, and no key", err, asked)
	}
}
