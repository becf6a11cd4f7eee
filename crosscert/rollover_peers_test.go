package crosscert_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"

	"bridge.example/crosscert"
)

// crls writes the current CRLs of everybody in w into one file.
func (w *world) crls(t *testing.T) {
	t.Helper()
	var out []byte
	add := func(der []byte) { out = append(out, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})...) }
	for _, crl := range must(w.CRLs(t.Context()))(t) {
		add(crl.Raw)
	}
	for _, ca := range []struct {
		cert *x509.Certificate
		key  crypto.Signer
	}{{w.betaRoot, w.betaRootKey}, {w.betaIssuing, w.betaIssuerKey}, {w.alphaRoot, w.alphaKey}} {
		add(must(x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: w.now, NextUpdate: w.now.AddDate(0, 0, 7),
		}, ca.cert, ca.key))(t))
	}
	if err := os.WriteFile(w.path("crls.pem"), out, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOpenSSLRollOver walks to beta's people from the old anchor, the new one
// and alpha's, which knows the old key only, with the CRL of every issuer.
func TestOpenSSLRollOver(t *testing.T) {
	w := newWorld(t)
	w.leaf(t, "leaf.pem", "bob@beta.example", betaPolicy, nil)
	walk := func(name, anchor, policy string, want string, chain ...*x509.Certificate) {
		t.Helper()
		w.crls(t)
		w.write(t, "walk.pem", append(chain, w.betaIssuing)...)
		out, err := w.run(t, "openssl", "verify", "-x509_strict", "-policy_check", "-explicit_policy", "-policy", policy, "-purpose", "smimesign",
			"-crl_check_all", "-CRLfile", "crls.pem", "-no-CApath", "-no-CAstore", "-CAfile", anchor, "-untrusted", "walk.pem", "leaf.pem")
		if !strings.Contains(out, want) || (err == nil) != strings.HasSuffix(want, "OK") {
			t.Errorf("%s: got %v\n%swant %q", name, err, out, want)
		}
	}
	const good = "leaf.pem: OK"
	walk("before, old anchor", "bridge.pem", bridgePolicy, good, w.toBeta)

	g := must(w.Announce(t.Context(), given(w.another(t))))(t)
	w.write(t, "new.pem", parse(t, g.Certificate))
	oldWithNew, newWithOld := parse(t, g.OldWithNew), parse(t, g.NewWithOld)
	walk("announced, old anchor", "bridge.pem", bridgePolicy, good, w.toBeta)
	walk("announced, new anchor", "new.pem", bridgePolicy, good, oldWithNew, w.toBeta)
	walk("announced, new anchor without the link", "new.pem", bridgePolicy, "unable to get local issuer", w.toBeta)

	if err := w.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := request(t, "beta", w.betaRoot)
	r.Mappings = []crosscert.Mapping{{Bridge: oid(t, bridgePolicy), Member: oid(t, betaPolicy)}}
	toBeta := must(w.Issue(t.Context(), r))(t)
	walk("switched, old anchor", "bridge.pem", bridgePolicy, good, newWithOld, toBeta)
	walk("switched, new anchor", "new.pem", bridgePolicy, good, toBeta)
	walk("switched, alpha's anchor", "alpha.pem", alphaPolicy, good, w.fromAlpha, newWithOld, toBeta)
	walk("switched, new anchor, old certificate", "new.pem", bridgePolicy, good, oldWithNew, w.toBeta)
	walk("switched, under a policy of nobody", "alpha.pem", "1.3.6.1.4.1.32473.2.2", "no explicit policy", w.fromAlpha, newWithOld, toBeta)

	if err := w.Revoke(t.Context(), w.toBeta.SerialNumber, crosscert.Superseded); err != nil {
		t.Fatal(err)
	}
	if err := w.Retire(t.Context()); err != nil {
		t.Fatal(err)
	}
	walk("retired, old anchor", "bridge.pem", bridgePolicy, good, newWithOld, toBeta)
	walk("retired, old certificate", "new.pem", bridgePolicy, "certificate revoked", oldWithNew, w.toBeta)
	for i, ca := range []string{"bridge.pem", "new.pem"} {
		crl := must(w.CRLs(t.Context()))(t)[i]
		if err := os.WriteFile(w.path("crl.der"), crl.Raw, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := w.run(t, "openssl", "crl", "-inform", "DER", "-in", "crl.der", "-verify", "-CAfile", ca, "-noout", "-nextupdate")
		if err != nil || !strings.Contains(out, "verify OK") || strings.Contains(out, "Dec 31 23:59:59 9999 GMT") != (i == 0) {
			t.Errorf("CRL of generation %d: %v\n%s", i+1, err, out)
		}
	}

	if err := w.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	walk("ended, new anchor", "new.pem", bridgePolicy, "certificate revoked", toBeta)
	walk("ended, old anchor", "bridge.pem", bridgePolicy, "certificate revoked", newWithOld, toBeta)
}
