package crosscert_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/wire/certext"
)

// remake makes c again with other extensions.
func remake(t testing.TB, c *x509.Certificate, es []pkix.Extension, change func(*x509.Certificate)) (*x509.Certificate, error) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: c.SerialNumber, RawSubject: c.RawSubject, NotBefore: c.NotBefore, NotAfter: c.NotAfter, ExtraExtensions: es,
	}
	key := newKey(t)
	parent := &x509.Certificate{RawSubject: c.RawIssuer, PublicKey: key.Public()}
	if change != nil {
		change(template)
	}
	pub := c.PublicKey
	if template.PublicKey != nil {
		pub = template.PublicKey
	}
	der, err := x509.CreateCertificate(nil, template, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	return x509.ParseCertificate(der)
}

// TestLintExtensions takes each extension away, and turns its criticality, in a
// certificate of each kind. Some of that the parser refuses already.
func TestLintExtensions(t *testing.T) {
	b := newBridge(t)
	certs := everyKind(t, b)
	for kind, c := range certs {
		if f := crosscert.Lint(c); f != nil {
			t.Fatalf("%s: %v", kind, f)
		}
		for i, e := range c.Extensions {
			without := slices.Delete(slices.Clone(c.Extensions), i, i+1)
			turned := slices.Clone(c.Extensions)
			turned[i].Critical = !e.Critical
			for name, es := range map[string][]pkix.Extension{"without": without, "with turned": turned} {
				bad, err := remake(t, c, es, nil)
				// An anchor need not say what lies below it.
				may := kind == "root" && name == "without" && e.Id.Equal(certext.OIDSubjectInfoAccess())
				if err == nil && (len(crosscert.Lint(bad)) == 0) != may {
					t.Errorf("%s %s %v: no finding", kind, name, e.Id)
				}
			}
		}
		strange := append(slices.Clone(c.Extensions), pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 9}, Value: asn1.NullBytes})
		if bad, err := remake(t, c, strange, nil); err != nil || len(crosscert.Lint(bad)) != 1 {
			t.Errorf("%s with an unknown extension: want one finding (%v)", kind, err)
		}
	}
}

func everyKind(t *testing.T, b *bridge) map[string]*x509.Certificate {
	root, _ := newCA(t, "alpha")
	member, err := b.Issue(t.Context(), request(t, "alpha", root))
	if err != nil {
		t.Fatal(err)
	}
	certs := map[string]*x509.Certificate{"root": b.cert, "subordinate": subordinate(t, b, newKey(t)), "cross": member}
	for _, p := range []crosscert.Profile{crosscert.ListSigner, crosscert.OCSPSigner} {
		certs[string(p)], err = b.IssueSigner(t.Context(), crosscert.SignerRequest{
			Profile: p, Name: pkix.Name{CommonName: "x"}, Key: newKey(t).Public(), Policies: []x509.OID{oid(t, "1.3.6.1.4.1.32473.1.1")}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return certs
}

// TestLintValues puts wrong values into right extensions.
func TestLintValues(t *testing.T) {
	b := newBridge(t)
	certs := everyKind(t, b)
	mail := func(permitted, excluded string) func() (pkix.Extension, error) {
		subtrees := func(s string) (out []certext.Subtree) {
			for _, v := range strings.Fields(s) {
				out = append(out, certext.Subtree{Form: certext.RFC822Name, Value: v})
			}
			return out
		}
		return certext.NameConstraints{Permitted: subtrees(permitted), Excluded: subtrees(excluded)}.Extension
	}
	raw := func(id asn1.ObjectIdentifier, critical bool, value string) func() (pkix.Extension, error) {
		return func() (pkix.Extension, error) {
			der, err := hex.DecodeString(strings.ReplaceAll(value, " ", ""))
			return pkix.Extension{Id: id, Critical: critical, Value: der}, err
		}
	}
	mapping := func(issuer, subject string) func() (pkix.Extension, error) {
		return func() (pkix.Extension, error) {
			return certext.PolicyMappings([]certext.Mapping{{Issuer: oid(t, issuer), Subject: oid(t, subject)}})
		}
	}
	access := func(method, url string) func() (pkix.Extension, error) {
		return func() (pkix.Extension, error) {
			return certext.SubjectInfoAccess([]certext.Access{{Method: oid(t, method), Location: certext.Name{Form: certext.URI, Value: url}}})
		}
	}
	const point = "86 08 " + "687474703a2f2f61" // http://a
	for _, tt := range []struct {
		kind, name string
		make       func() (pkix.Extension, error)
		rule       string
	}{
		{"cross", "a mapping to anyPolicy", mapping("1.3.6.1.4.1.32473.1.1", "2.5.29.32.0"), "policyMappings"},
		{"cross", "a mapping of anyPolicy", mapping("2.5.29.32.0", "1.3.6.1.4.1.32473.2.1"), "policyMappings"},
		{"cross", "a mapping of a policy not asserted", mapping("1.3.6.1.4.1.32473.1.3", "1.3.6.1.4.1.32473.2.1"), "policyMappings"},
		{"cross", "an explicit policy after one certificate", certext.PolicyConstraints{RequireExplicit: 1}.Extension, "policyConstraints"},
		{"cross", "no explicit policy", certext.PolicyConstraints{RequireExplicit: certext.Absent}.Extension, "policyConstraints"},
		{"cross", "a mapping further down", certext.PolicyConstraints{InhibitMapping: 1}.Extension, "policyConstraints"},
		{"cross", "anyPolicy after one certificate", func() (pkix.Extension, error) { return certext.InhibitAnyPolicy(1) }, "inhibitAnyPolicy"},
		{"cross", "the host without those below", mail("alpha.example", ""), "nameConstraints"},
		{"cross", "those below without the host", mail(".alpha.example", ""), "nameConstraints"},
		{"cross", "one mailbox", mail("a@alpha.example", ""), "nameConstraints"},
		{"cross", "only an exclusion", mail("", "alpha.example"), "nameConstraints"},
		{"cross", "an exclusion of a host alone", mail("alpha.example .alpha.example", "x.alpha.example"), "nameConstraints"},
		{"cross", "an exclusion of all that is permitted", mail("alpha.example .alpha.example", "alpha.example .alpha.example"), "nameConstraints"},
		{"cross", "an exclusion of another's", mail("alpha.example .alpha.example", "x.beta.example .x.beta.example"), "nameConstraints"},
		{"cross", "directory names alone", func() (pkix.Extension, error) {
			der, err := certext.EncodeName("O=alpha")
			if err != nil {
				return pkix.Extension{}, err
			}
			return certext.NameConstraints{Permitted: []certext.Subtree{{Form: certext.DirectoryName, Value: string(der)}}}.Extension()
		}, "nameConstraints"},
		{"cross", "the directory name of everything", certext.NameConstraints{Permitted: []certext.Subtree{
			{Form: certext.RFC822Name, Value: "alpha.example"}, {Form: certext.RFC822Name, Value: ".alpha.example"}, {Form: certext.DirectoryName, Value: "\x30\x00"},
		}}.Extension, "nameConstraints"},
		{"cross", "host names", certext.NameConstraints{Permitted: []certext.Subtree{{Form: certext.DNSName, Value: "alpha.example"}}}.Extension, "nameConstraints"},
		{"cross", "a path without end", raw(asn1.ObjectIdentifier{2, 5, 29, 19}, true, "3003 0101ff"), "basicConstraints"},
		{"cross", "a certificate signer that signs no CRLs", raw(asn1.ObjectIdentifier{2, 5, 29, 15}, true, "0302 0204"), "keyUsage"},
		{"cross", "TLS servers", raw(asn1.ObjectIdentifier{2, 5, 29, 37}, false, "300a 0608 2b06010505070301"), "extKeyUsage"},
		{"cross", "anyPolicy asserted", raw(asn1.ObjectIdentifier{2, 5, 29, 32}, false, "3008 3006 0604 551d2000"), "certificatePolicies"},
		{"cross", "key identifier and serial", raw(asn1.ObjectIdentifier{2, 5, 29, 35}, false, "3006 800101 820101"), "authorityKeyIdentifier"},
		{"cross", "a CRL for some reasons", raw(asn1.ObjectIdentifier{2, 5, 29, 31}, false, "3014 3012 a00ca00a"+point+"81020780"), "cRLDistributionPoints"},
		{"cross", "a CRL in two places", raw(asn1.ObjectIdentifier{2, 5, 29, 31}, false, "301a 3018 a016a014"+point+point), "cRLDistributionPoints"},
		{"cross", "another method", access("1.3.6.1.5.5.7.48.3", baseURL+"/a.p7c"), "subjectInfoAccess"},
		{"cross", "an https repository", access("1.3.6.1.5.5.7.48.5", "https://a.example/a.p7c"), "subjectInfoAccess"},
		{"cross", "a single certificate", access("1.3.6.1.5.5.7.48.5", "http://a.example/a.cer"), "subjectInfoAccess"},
		{"cross", "the issuer at a single certificate", raw(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}, false, "3016 3014 0608 2b06010505073002"+point), "authorityInfoAccess"},
		{"subordinate", "a path length", raw(asn1.ObjectIdentifier{2, 5, 29, 19}, true, "3006 0101ff 020105"), "basicConstraints"},
		{"subordinate", "the issuer in a bundle", raw(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}, false, "3016 3014 0608 2b06010505073002"+point), "authorityInfoAccess"},
		{"subordinate", "anyPolicy asserted", raw(asn1.ObjectIdentifier{2, 5, 29, 32}, false, "3008 3006 0604 551d2000"), "certificatePolicies"},
		{"list signer", "a signature on keys", raw(asn1.ObjectIdentifier{2, 5, 29, 15}, true, "0302 0204"), "keyUsage"},
		{"list signer", "only mail", raw(asn1.ObjectIdentifier{2, 5, 29, 37}, false, "300a 0608 2b06010505070304"), "extKeyUsage"},
		{"OCSP signer", "mail too", raw(asn1.ObjectIdentifier{2, 5, 29, 37}, false, "3014 0608 2b06010505070309 0608 2b06010505070304"), "extKeyUsage"},
		{"OCSP signer", "contents too", raw(asn1.ObjectIdentifier{2, 5, 29, 15}, true, "0302 06c0"), "keyUsage"},
	} {
		e, err := tt.make()
		if err != nil {
			t.Fatal(err)
		}
		es := slices.Clone(certs[tt.kind].Extensions)
		i := slices.IndexFunc(es, func(x pkix.Extension) bool { return x.Id.Equal(e.Id) })
		es[i] = e
		bad, err := remake(t, certs[tt.kind], es, nil)
		if err != nil {
			t.Errorf("%s with %s: %v", tt.kind, tt.name, err)
			continue
		}
		expect(t, tt.kind+" with "+tt.name, bad, tt.rule)
	}
	for _, tt := range []struct {
		name   string
		change func(*x509.Certificate)
		rule   string
	}{
		{"a small serial", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(1) }, "serialNumber"},
		{"six years", func(c *x509.Certificate) { c.NotAfter = c.NotBefore.AddDate(6, 0, 0) }, "validity"},
		{"its end before its beginning", func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(-time.Hour) }, "validity"},
		{"no name", func(c *x509.Certificate) { c.RawSubject = []byte{0x30, 0} }, "issuer and subject"},
	} {
		bad, err := remake(t, certs["cross"], certs["cross"].Extensions, tt.change)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		expect(t, tt.name, bad, tt.rule)
	}
}

func expect(t *testing.T, name string, c *x509.Certificate, rule string) {
	t.Helper()
	findings := crosscert.Lint(c)
	if len(findings) == 0 || !slices.ContainsFunc(findings, func(f crosscert.Finding) bool { return f.Rule == rule && f.Source != "" }) {
		t.Errorf("%s: got %v, want a finding about %s", name, findings, rule)
	}
}
