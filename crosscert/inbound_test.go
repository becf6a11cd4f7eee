package crosscert_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

// inbound is a member's certificate for the bridge in the making.
type inbound struct {
	x509.Certificate
	mappings    []certext.Mapping
	constraints *certext.PolicyConstraints
	inhibitAny  int
	names       certext.NameConstraints
	repository  string
	issuer      *x509.Certificate
	key         crypto.Signer
	turned      string // extensions made non-critical
}

func (i *inbound) make(t *testing.T) *x509.Certificate {
	t.Helper()
	var encoders []func() (pkix.Extension, error)
	if i.mappings != nil {
		encoders = append(encoders, func() (pkix.Extension, error) { return certext.PolicyMappings(i.mappings) })
	}
	if i.constraints != nil {
		encoders = append(encoders, i.constraints.Extension)
	}
	if i.inhibitAny >= 0 {
		encoders = append(encoders, func() (pkix.Extension, error) { return certext.InhibitAnyPolicy(i.inhibitAny) })
	}
	if len(i.names.Permitted)+len(i.names.Excluded) > 0 {
		encoders = append(encoders, i.names.Extension)
	}
	encoders = append(encoders, func() (pkix.Extension, error) {
		return certext.SubjectInfoAccess([]certext.Access{{Method: certext.CARepository(), Location: certext.Name{Form: certext.URI, Value: i.repository}}})
	})
	for _, encode := range encoders {
		e, err := encode()
		if err != nil {
			t.Fatal(err)
		}
		e.Critical = e.Critical && !slices.Contains(strings.Fields(i.turned), e.Id.String())
		i.ExtraExtensions = append(i.ExtraExtensions, e)
	}
	return certify(t, &i.Certificate, i.issuer, i.PublicKey, i.key)
}

// perfectInbound is what in asks one of its anchors for.
func perfectInbound(in crosscert.Inbound, now time.Time, root *x509.Certificate, key crypto.Signer) *inbound {
	c := &inbound{
		Certificate: x509.Certificate{
			RawSubject: in.Bridge.RawSubject, SubjectKeyId: in.Bridge.SubjectKeyId, PublicKey: in.Bridge.PublicKey, SerialNumber: big.NewInt(4711),
			NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(3, 0, 0),
			BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
			CRLDistributionPoints: []string{"http://alpha.example/root.crl"},
		},
		constraints: &certext.PolicyConstraints{RequireExplicit: 0, InhibitMapping: 1},
		names:       certext.NameConstraints{Excluded: in.Excluded()},
		repository:  in.IssuedBy,
		issuer:      root, key: key,
	}
	for _, m := range in.Mappings {
		c.mappings = append(c.mappings, certext.Mapping{Issuer: m.Member, Subject: m.Bridge})
		if !slices.ContainsFunc(c.Policies, m.Member.Equal) {
			c.Policies = append(c.Policies, m.Member)
		}
	}
	if in.Compatible {
		c.turned = limits
	}
	return c
}

// limits are policyConstraints, inhibitAnyPolicy and nameConstraints.
const limits = "2.5.29.36 2.5.29.54 2.5.29.30"

func TestCheckInbound(t *testing.T) {
	b := newBridge(t)
	root, key := newCA(t, "alpha")
	beta, _ := newCA(t, "beta")
	_, otherKey := newCA(t, "alpha")
	impostor := *root
	impostor.PublicKey = otherKey.Public()
	own, other, level, level2 := oid(t, "1.3.6.1.4.1.32473.2.1"), oid(t, "1.3.6.1.4.1.32473.2.9"), oid(t, "1.3.6.1.4.1.32473.1.1"), oid(t, "1.3.6.1.4.1.32473.1.2")
	in := b.Inbound(crosscert.Inbound{
		Anchors: []*x509.Certificate{beta, root}, MailDomains: []string{"alpha.example"},
		Mappings: []crosscert.Mapping{{Bridge: level, Member: own}, {Bridge: level2, Member: own}},
	})
	perfect := func() *inbound { return perfectInbound(in, b.now, root, key) }
	if f := crosscert.CheckInbound(perfect().make(t), in, b.now); f != nil {
		t.Fatalf("what is asked for has findings: %v", f)
	}
	mail := func(values ...string) (out []certext.Subtree) {
		for _, v := range values {
			out = append(out, certext.Subtree{Form: certext.RFC822Name, Value: v})
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		change func(*inbound)
		want   string // rule, with a question mark where it is a should
	}{
		{"path length 1", func(c *inbound) { c.MaxPathLen = 1 }, ""},
		{"emailProtection", func(c *inbound) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} }, ""},
		{"more excluded", func(c *inbound) { c.names.Excluded = append(c.names.Excluded, mail("a.example")...) }, ""},
		{"another name", func(c *inbound) { c.RawSubject = beta.RawSubject }, "subject"},
		{"another key", func(c *inbound) { c.PublicKey = root.PublicKey }, "subjectPublicKey"},
		{"another key identifier", func(c *inbound) { c.SubjectKeyId = []byte{1} }, "subjectKeyIdentifier"},
		{"a stranger's signature", func(c *inbound) { c.issuer, c.key = &impostor, otherKey }, "signature"},
		{"CRLs only", func(c *inbound) { c.KeyUsage = x509.KeyUsageCRLSign }, "keyUsage"},
		{"certificates only", func(c *inbound) { c.KeyUsage = x509.KeyUsageCertSign }, "keyUsage"},
		{"signatures too", func(c *inbound) { c.KeyUsage |= x509.KeyUsageDigitalSignature }, "keyUsage?"},
		{"expired", func(c *inbound) { c.NotAfter = b.now.Add(-time.Minute) }, "validity"},
		{"of tomorrow", func(c *inbound) { c.NotBefore = b.now.Add(24 * time.Hour) }, "validity"},
		{"for ten years", func(c *inbound) { c.NotAfter = b.now.AddDate(10, 0, 0) }, "validity?"},
		{"path length 0", func(c *inbound) { c.MaxPathLen, c.MaxPathLenZero = 0, true }, "basicConstraints"},
		{"another policy", func(c *inbound) { c.Policies = append(c.Policies, other) }, ""},
		{"anyPolicy", func(c *inbound) { c.Policies = append(c.Policies, oid(t, "2.5.29.32.0")) }, "certificatePolicies"},
		{"no mapping", func(c *inbound) { c.mappings = nil }, "policyMappings"},
		{"one of two mappings", func(c *inbound) { c.mappings = c.mappings[:1] }, "policyMappings?"},
		{"a mapping nobody approved", func(c *inbound) {
			c.Policies = append(c.Policies, other)
			c.mappings = append(c.mappings, certext.Mapping{Issuer: other, Subject: level})
		}, "policyMappings"},
		{"no policy constraints", func(c *inbound) { c.constraints = nil }, "policyConstraints?"},
		{"mapping inhibited", func(c *inbound) { c.constraints.InhibitMapping = 0 }, "policyConstraints"},
		{"mapping without limit", func(c *inbound) { c.constraints.InhibitMapping = certext.Absent }, "policyConstraints?"},
		{"no policy required", func(c *inbound) { c.constraints.RequireExplicit = certext.Absent }, "policyConstraints?"},
		{"policy constraints non-critical", func(c *inbound) { c.turned = "2.5.29.36" }, "policyConstraints"},
		{"anyPolicy not inhibited", func(c *inbound) { c.inhibitAny = -1 }, "inhibitAnyPolicy?"},
		{"inhibitAnyPolicy non-critical", func(c *inbound) { c.turned = "2.5.29.54" }, "inhibitAnyPolicy"},
		{"own names not excluded", func(c *inbound) { c.names = certext.NameConstraints{} }, "nameConstraints?"},
		{"own hosts not excluded", func(c *inbound) { c.names.Excluded = c.names.Excluded[:1] }, "nameConstraints?"},
		{"something permitted", func(c *inbound) { c.names.Permitted = mail("b.example") }, "nameConstraints?"},
		{"name constraints non-critical", func(c *inbound) { c.turned = "2.5.29.30" }, "nameConstraints"},
		{"for TLS only", func(c *inbound) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, "extKeyUsage"},
		{"no CRL", func(c *inbound) { c.CRLDistributionPoints = nil }, "cRLDistributionPoints?"},
		{"CRL by ldap", func(c *inbound) { c.CRLDistributionPoints = []string{"ldap://a/b"} }, "cRLDistributionPoints?"},
		{"issuers over https", func(c *inbound) { c.IssuingCertificateURL = []string{"https://a/b.p7c"} }, "authorityInfoAccess?"},
		{"another repository", func(c *inbound) { c.repository = "http://elsewhere.example/a.p7c" }, "subjectInfoAccess?"},
		{"a critical extension of its own", func(c *inbound) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 9}, Critical: true, Value: asn1.NullBytes}}
		}, "extensions"},
	} {
		c := perfect()
		tt.change(c)
		findings := crosscert.CheckInbound(c.make(t), in, b.now)
		var got []string
		for _, f := range findings {
			got = append(got, f.Rule+map[bool]string{true: "?"}[f.Should])
		}
		if want := strings.Fields(tt.want); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", tt.name, findings, want)
		}
		if err := crosscert.InboundError(findings); (err != nil) != (tt.want != "" && !strings.HasSuffix(tt.want, "?")) || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	rules := func(c *x509.Certificate) (out []string) {
		for _, f := range crosscert.CheckInbound(c, in, b.now) {
			out = append(out, f.Rule+map[bool]string{true: "?"}[f.Should])
		}
		return out
	}
	strict := perfect()
	in.Compatible = true
	if got := rules(perfect().make(t)); got != nil {
		t.Errorf("the compatible flavour, as asked for: got %v", got)
	}
	if got := rules(strict.make(t)); !slices.Equal(got, []string{"policyConstraints?", "inhibitAnyPolicy?", "nameConstraints?"}) {
		t.Errorf("critical limits where the record wants none: got %v", got)
	}
	subscriber := certify(t, &x509.Certificate{Subject: pkix.Name{CommonName: "bob"}}, root, newKey(t).Public(), key)
	if f := crosscert.CheckInbound(subscriber, in, b.now); len(f) < 6 {
		t.Errorf("a subscriber's certificate: got %v, want all that is wrong", f)
	}
}

func TestCertificateRequest(t *testing.T) {
	b := newBridge(t)
	der, err := b.CertificateRequest()
	if err != nil {
		t.Fatal(err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil || r.CheckSignature() != nil || !bytes.Equal(r.RawSubject, b.cert.RawSubject) || !bytes.Equal(r.RawSubjectPublicKeyInfo, b.cert.RawSubjectPublicKeyInfo) {
		t.Errorf("got a request for %v, %v", r.Subject, err)
	}
}
