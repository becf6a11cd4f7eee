package crosscert_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/wire/certext"
)

const (
	bridgePolicy = "1.3.6.1.4.1.32473.1.1"
	alphaPolicy  = "1.3.6.1.4.1.32473.2.1"
	betaPolicy   = "1.3.6.1.4.1.32473.3.1"
)

// world is a bridge between alpha, who verifies, and beta, with two levels of
// CAs, whose certificates are verified. Its files are PEM.
type world struct {
	*bridge
	dir           string
	alphaRoot     *x509.Certificate
	alphaKey      crypto.Signer
	fromAlpha     *x509.Certificate
	betaRoot      *x509.Certificate
	betaRootKey   crypto.Signer
	betaIssuing   *x509.Certificate
	betaIssuerKey crypto.Signer
	toBeta        *x509.Certificate
}

func newWorld(t *testing.T) *world {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("needs BRIDGE_PEERS=1 and openssl")
	}
	w := &world{bridge: newBridge(t), dir: t.TempDir()}
	w.alphaRoot, w.alphaKey = newCA(t, "alpha")
	w.betaRoot, w.betaRootKey = newCA(t, "beta")
	w.betaIssuerKey = newKey(t)
	issuing := caTemplate("beta")
	issuing.Subject.CommonName, issuing.MaxPathLen, issuing.MaxPathLenZero = "beta Issuing CA", 0, true
	issuing.Policies = []x509.OID{oid(t, betaPolicy)}
	w.betaIssuing = certify(t, issuing, w.betaRoot, w.betaIssuerKey.Public(), w.betaRootKey)

	inbound := caTemplate("x")
	inbound.RawSubject, inbound.SubjectKeyId = w.cert.RawSubject, w.cert.SubjectKeyId
	inbound.Policies = []x509.OID{oid(t, alphaPolicy)}
	for _, encode := range []func() (pkix.Extension, error){
		func() (pkix.Extension, error) {
			return certext.PolicyMappings([]certext.Mapping{{Issuer: oid(t, alphaPolicy), Subject: oid(t, bridgePolicy)}})
		},
		certext.PolicyConstraints{RequireExplicit: 0, InhibitMapping: 1}.Extension,
		func() (pkix.Extension, error) { return certext.InhibitAnyPolicy(0) },
	} {
		e, err := encode()
		if err != nil {
			t.Fatal(err)
		}
		inbound.ExtraExtensions = append(inbound.ExtraExtensions, e)
	}
	w.fromAlpha = certify(t, inbound, w.alphaRoot, w.cert.PublicKey, w.alphaKey)
	findings := crosscert.CheckInbound(w.fromAlpha, w.Inbound(crosscert.Inbound{
		Anchors: []*x509.Certificate{w.alphaRoot}, Mappings: []crosscert.Mapping{{Bridge: oid(t, bridgePolicy), Member: oid(t, alphaPolicy)}},
	}), time.Now())
	if err := crosscert.InboundError(findings); err != nil {
		t.Fatal(err)
	}
	r := request(t, "beta", w.betaRoot)
	r.Mappings = []crosscert.Mapping{{Bridge: oid(t, bridgePolicy), Member: oid(t, betaPolicy)}}
	var err error
	if w.toBeta, err = w.Issue(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.write(t, "alpha.pem", w.alphaRoot)
	w.write(t, "bridge.pem", w.cert)
	w.write(t, "chain.pem", w.fromAlpha, w.toBeta, w.betaIssuing)
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(t *testing.T, name string, certs ...*x509.Certificate) {
	t.Helper()
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	if err := os.WriteFile(w.path(name), out, 0o600); err != nil {
		t.Fatal(err)
	}
}

// leaf writes a certificate that beta's issuing CA made.
func (w *world) leaf(t *testing.T, name, mail, policy string, change func(*x509.Certificate)) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, EmailAddresses: []string{mail}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, Policies: []x509.OID{oid(t, policy)},
	}
	if change != nil {
		change(template)
	}
	key := newKey(t)
	w.write(t, name, certify(t, template, w.betaIssuing, key.Public(), w.betaIssuerKey))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) run(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = w.dir
	out, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatalf("%s: %v", program, err)
	}
	return string(out), err
}

// TestOpenSSLPaths walks from alpha's root, or the bridge's, to beta's people.
func TestOpenSSLPaths(t *testing.T) {
	w := newWorld(t)
	w.leaf(t, "good.pem", "bob@beta.example", betaPolicy, nil)
	w.leaf(t, "below.pem", "bob@mail.beta.example", betaPolicy, nil)
	w.leaf(t, "domain.pem", "bob@gamma.example", betaPolicy, nil)
	w.leaf(t, "lookalike.pem", "bob@notbeta.example", betaPolicy, nil)
	w.leaf(t, "policy.pem", "bob@beta.example", "1.3.6.1.4.1.32473.3.9", nil)
	w.leaf(t, "any.pem", "bob@beta.example", "2.5.29.32.0", nil)
	w.leaf(t, "tls.pem", "bob@beta.example", betaPolicy, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		c.DNSNames = []string{"www.beta.example"}
	})
	mail, tls := "smimesign", "sslserver"
	for _, tt := range []struct {
		name, anchor, policy, leaf, purpose string
		want                                string // in the output
	}{
		{"alpha to beta", "alpha.pem", alphaPolicy, "good.pem", mail, "good.pem: OK"},
		{"alpha to a host below beta's domain", "alpha.pem", alphaPolicy, "below.pem", mail, "below.pem: OK"},
		{"the bridge to beta", "bridge.pem", bridgePolicy, "good.pem", mail, "good.pem: OK"},
		{"under a policy of nobody", "alpha.pem", "1.3.6.1.4.1.32473.2.2", "good.pem", mail, "no explicit policy"},
		{"under beta's policy, which alpha did not map", "alpha.pem", betaPolicy, "good.pem", mail, "no explicit policy"},
		{"a policy of beta that the bridge did not map", "alpha.pem", alphaPolicy, "policy.pem", mail, "no explicit policy"},
		{"anyPolicy in the leaf", "alpha.pem", alphaPolicy, "any.pem", mail, "no explicit policy"},
		{"another's mail domain", "alpha.pem", alphaPolicy, "domain.pem", mail, "permitted subtree violation"},
		{"a mail domain that ends alike", "alpha.pem", alphaPolicy, "lookalike.pem", mail, "permitted subtree violation"},
		{"a TLS server", "alpha.pem", alphaPolicy, "tls.pem", tls, "purpose"},
	} {
		out, err := w.run(t, "openssl", "verify", "-x509_strict", "-policy_check", "-explicit_policy", "-policy", tt.policy,
			"-purpose", tt.purpose, "-no-CApath", "-no-CAstore", "-CAfile", tt.anchor, "-untrusted", "chain.pem", tt.leaf)
		if !strings.Contains(out, tt.want) || (err == nil) != strings.HasSuffix(tt.want, "OK") {
			t.Errorf("%s: got %v\n%swant %q", tt.name, err, out, tt.want)
		}
	}
}

// TestOpenSSLCertifiesTheBridge has a member's OpenSSL sign what it is asked
// for, in both flavours.
func TestOpenSSLCertifiesTheBridge(t *testing.T) {
	w := newWorld(t)
	for _, compatible := range []bool{false, true} {
		in := w.Inbound(crosscert.Inbound{
			Anchors: []*x509.Certificate{w.betaRoot}, MailDomains: []string{"beta.example", "beta.test"}, CRLs: []string{"ldap://a/b", "http://beta.example/root.crl"},
			Mappings:   []crosscert.Mapping{{Bridge: oid(t, bridgePolicy), Member: oid(t, betaPolicy)}, {Bridge: oid(t, bridgePolicy), Member: oid(t, alphaPolicy)}},
			Compatible: compatible,
		})
		for _, f := range crosscert.CheckInbound(w.certifyBridge(t, in, w.betaRootKey), in, time.Now()) {
			t.Errorf("compatible %v: %v", compatible, f)
		}
	}
}

// certifyBridge has OpenSSL sign what the first anchor of in is asked for, from
// the request and the fields alone.
func (w *world) certifyBridge(t *testing.T, in crosscert.Inbound, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	request, err := w.CertificateRequest()
	if err != nil {
		t.Fatal(err)
	}
	config := "[bridge]\n"
	for _, f := range in.Fields() {
		critical := ""
		if f.Critical {
			critical = "critical,"
		}
		config += f.Name + " = " + critical + f.Value + "\n"
	}
	key, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{
		"bridge.csr": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}),
		"root.key":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"bridge.cnf": []byte(config),
	} {
		if err := os.WriteFile(w.path(name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.write(t, "root.pem", in.Anchors[0])
	if out, err := w.run(t, "openssl", "x509", "-req", "-in", "bridge.csr", "-CA", "root.pem", "-CAkey", "root.key", "-days", "1095", "-sha256",
		"-extfile", "bridge.cnf", "-extensions", "bridge", "-outform", "DER", "-out", "inbound.der"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	der, err := os.ReadFile(w.path("inbound.der"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOpenSSLOwnSigners walks from alpha's root to the bridge's list signer.
func TestOpenSSLOwnSigners(t *testing.T) {
	w := newWorld(t)
	for profile, purpose := range map[crosscert.Profile]string{crosscert.ListSigner: "smimesign", crosscert.OCSPSigner: "ocsphelper"} {
		c, err := w.IssueSigner(t.Context(), crosscert.SignerRequest{
			Profile: profile, Name: pkix.Name{CommonName: string(profile)}, Key: newKey(t).Public(), Policies: []x509.OID{oid(t, bridgePolicy)}})
		if err != nil {
			t.Fatal(err)
		}
		w.write(t, "signer.pem", c)
		for anchor, policy := range map[string]string{"alpha.pem": alphaPolicy, "bridge.pem": bridgePolicy} {
			if out, err := w.run(t, "openssl", "verify", "-x509_strict", "-policy_check", "-explicit_policy", "-policy", policy,
				"-purpose", purpose, "-no-CApath", "-no-CAstore", "-CAfile", anchor, "-untrusted", "chain.pem", "signer.pem"); err != nil {
				t.Errorf("%s from %s: %v\n%s", profile, anchor, err, out)
			}
		}
	}
}

// TestOpenSSLDelegate checks a response of beta's delegated OCSP responder over
// the cross-certificates: emailProtection above must not stand in its way.
func TestOpenSSLDelegate(t *testing.T) {
	w := newWorld(t)
	w.leaf(t, "good.pem", "bob@beta.example", betaPolicy, nil)
	w.leaf(t, "delegate.pem", "ocsp@beta.example", betaPolicy, func(c *x509.Certificate) {
		c.ExtKeyUsage, c.EmailAddresses = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, nil
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes}}
	})
	w.write(t, "issuing.pem", w.betaIssuing)
	if err := os.WriteFile(w.path("index.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"ocsp", "-issuer", "issuing.pem", "-cert", "good.pem", "-reqout", "request.der", "-no_nonce"},
		{"ocsp", "-index", "index.txt", "-CA", "issuing.pem", "-rsigner", "delegate.pem", "-rkey", "delegate.pem.key", "-reqin", "request.der", "-respout", "response.der", "-ndays", "1"},
	} {
		if out, err := w.run(t, "openssl", args...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	// openssl exits 0 even when the response does not verify.
	out, err := w.run(t, "openssl", "ocsp", "-respin", "response.der", "-issuer", "issuing.pem", "-cert", "good.pem", "-no_nonce",
		"-no-CApath", "-no-CAstore", "-CAfile", "alpha.pem", "-verify_other", "chain.pem", "-policy_check", "-explicit_policy", "-policy", alphaPolicy)
	if err != nil || !strings.Contains(out, "Response verify OK") {
		t.Errorf("got %v\n%s", err, out)
	}
}

// TestOpenSSLCRL has the CRL verified, and a revoked cross-certificate refused.
func TestOpenSSLCRL(t *testing.T) {
	w := newWorld(t)
	writeCRL := func() {
		crl, err := w.CRL(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl.Raw})
		if err := os.WriteFile(w.path("crl.pem"), out, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := w.run(t, "openssl", "crl", "-verify", "-noout", "-CAfile", "bridge.pem", "-in", "crl.pem"); err != nil || !strings.Contains(out, "verify OK") {
			t.Errorf("got %v\n%s", err, out)
		}
	}
	w.write(t, "cross.pem", w.toBeta)
	verify := []string{"verify", "-x509_strict", "-crl_check", "-no-CApath", "-no-CAstore", "-CAfile", "bridge.pem", "-CRLfile", "crl.pem", "cross.pem"}
	writeCRL()
	if out, err := w.run(t, "openssl", verify...); err != nil {
		t.Errorf("before the revocation: %v\n%s", err, out)
	}
	if err := w.Revoke(t.Context(), w.toBeta.SerialNumber, crosscert.PrivilegeWithdrawn); err != nil {
		t.Fatal(err)
	}
	writeCRL()
	if out, err := w.run(t, "openssl", verify...); err == nil || !strings.Contains(out, "certificate revoked") {
		t.Errorf("after the revocation: got %v\n%s", err, out)
	}
}

// TestGo verifies with the standard library what it can: the whole path, and
// its refusal of another's mail domain.
func TestGo(t *testing.T) {
	b := newBridge(t)
	root, rootKey := newCA(t, "beta")
	r := request(t, "beta", root)
	r.MaxPathLen = 0
	cross, err := b.Issue(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	pool, middle := x509.NewCertPool(), x509.NewCertPool()
	pool.AddCert(b.cert)
	middle.AddCert(cross)
	for mail, good := range map[string]bool{"bob@beta.example": true, "bob@gamma.example": false} {
		leaf := certify(t, &x509.Certificate{
			Subject: pkix.Name{CommonName: "bob"}, EmailAddresses: []string{mail}, Policies: []x509.OID{r.Mappings[0].Member},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		}, root, newKey(t).Public(), rootKey)
		chains, err := leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: middle, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
			CertificatePolicies: []x509.OID{r.Mappings[0].Bridge}})
		if (err == nil) != good {
			t.Errorf("%s: got %v, %v", mail, chains, err)
		}
		if good && (len(chains) != 1 || !bytes.Equal(chains[0][1].Raw, cross.Raw)) {
			t.Errorf("%s: got %v, want the path over the cross-certificate", mail, chains)
		}
	}
}
