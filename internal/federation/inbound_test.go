package federation_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
	"bridge.example/internal/wire/certext"
	"bridge.example/membership"
)

// certifyBridge has a member's CA issue the least that may be published.
func certifyBridge(t *testing.T, issuer *ca, bridge *x509.Certificate, change func(*x509.Certificate)) []byte {
	t.Helper()
	own, err := x509.ParseOID(memberPolicy)
	if err != nil {
		t.Fatal(err)
	}
	lvl, err := x509.ParseOID(level)
	if err != nil {
		t.Fatal(err)
	}
	mappings, err := certext.PolicyMappings([]certext.Mapping{{Issuer: own, Subject: lvl}})
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(5), RawSubject: bridge.RawSubject, SubjectKeyId: bridge.SubjectKeyId,
		NotBefore: issuer.cert.NotBefore, NotAfter: issuer.cert.NotAfter, IsCA: true, BasicConstraintsValid: true, MaxPathLen: -1,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, Policies: []x509.OID{own}, ExtraExtensions: []pkix.Extension{mappings},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, bridge.PublicKey, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestAcceptInbound: a member's certificate for the bridge is published once
// it is accepted, and only then; the member's approvals stand.
func TestAcceptInbound(t *testing.T) {
	b := open(t, found(t), nil)
	beta := newCA(t, "beta root", nil)
	b.admit(t, application("beta", beta.cert.Raw))
	bridge := b.Artifacts().BridgeCA
	good := certifyBridge(t, beta, bridge, func(*x509.Certificate) {})
	bad := certifyBridge(t, beta, bridge, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	stranger := certifyBridge(t, newCA(t, "beta root", nil), bridge, func(*x509.Certificate) {})
	published := func() int { return len(b.Artifacts().Trusted[0].CrossFrom) }
	for _, tt := range []struct {
		name     string
		der      []byte
		trial    bool
		accepted bool
		forbids  bool
	}{
		{"path length 0", bad, false, false, true},
		{"a stranger's of the same name", stranger, false, false, true},
		{"a trial", good, true, false, false},
		{"what may be published", good, false, true, false},
		{"the same again", good, false, true, false},
	} {
		v, err := b.AcceptInbound(t.Context(), "beta", lab.Ada, tt.der, tt.trial)
		if err != nil {
			t.Fatal(err)
		}
		forbids := crosscert.InboundError(v.Findings) != nil
		if v.Accepted != tt.accepted || forbids != tt.forbids || len(v.Findings) == 0 || (published() == 1) != tt.accepted {
			t.Errorf("%s: got %+v with %d published", tt.name, v, published())
		}
	}
	c, err := b.Case(t.Context(), "beta")
	if err != nil || !c.Projection.Listed || len(c.Projection.CrossCertificates) != 1 || len(c.Member.Inbound) != 1 {
		t.Errorf("got %+v, %v; want a member in force with one certificate accepted", c, err)
	}
	for id, want := range map[string]fault.Kind{"gamma": fault.NotFound, "beta": fault.Invalid} {
		if _, err := b.AcceptInbound(t.Context(), application(id, nil).ID, lab.Ada, []byte{1}, false); fault.KindOf(err) != want {
			t.Errorf("garbage for %s: got %v, want %v", id, err, want)
		}
	}
	q, err := b.InboundRequest(t.Context(), "beta", false)
	if err != nil || !q.Inbound.Bridge.Equal(bridge) || len(q.CertificateRequest) == 0 || len(q.Inbound.Mappings) != 1 || len(q.Inbound.Anchors) != 1 {
		t.Errorf("got %+v, %v", q, err)
	}
}

// TestCertificateAsAskedFor: a member that asks for it gets the limits
// non-critical, and narrower.
func TestCertificateAsAskedFor(t *testing.T) {
	b := open(t, found(t), nil)
	b.application.CrossProfile, b.application.DirectoryNames, b.application.ExcludedDomains =
		membership.Compatible, []string{"O=Organisation alpha"}, []string{"guests.alpha.example"}
	b.admit(t, b.application)
	for _, id := range []asn1.ObjectIdentifier{certext.OIDNameConstraints(), certext.OIDPolicyConstraints(), certext.OIDInhibitAnyPolicy()} {
		if e, ok := certext.Find(b.Artifacts().Trusted[0].CrossTo[0], id); !ok || e.Critical {
			t.Errorf("%v: there %v, critical %v; want it there and non-critical", id, ok, e.Critical)
		}
	}
	if n, err := certext.ParseNameConstraints(b.Artifacts().Trusted[0].CrossTo[0]); err != nil || len(n.Permitted) != 3 || len(n.Excluded) != 2 {
		t.Errorf("got names %v, %v, want those asked for", n, err)
	}
	a := application("beta", newCA(t, "beta root", nil).cert.Raw)
	a.CrossProfile, a.ExcludedDomains, a.DirectoryNames = "lax", []string{"x.alpha.example"}, []string{"beta"}
	if _, err := b.apply(t.Context(), a); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an unknown profile: got %v, want Invalid", err)
	} else if !strings.Contains(err.Error(), "cross_profile") || !strings.Contains(err.Error(), "excluded_domains[0]") || !strings.Contains(err.Error(), "directory_names[0]") {
		t.Errorf("got %v, want all problems", err)
	}
}

// TestWithdrawInbound: a certificate for the bridge leaves what is published
// when it is withdrawn, and when it expires.
func TestWithdrawInbound(t *testing.T) {
	b := open(t, found(t), nil)
	beta := newCA(t, "beta root", nil)
	b.admit(t, application("beta", beta.cert.Raw))
	bridge := b.Artifacts().BridgeCA
	day := b.now.Add(24 * time.Hour)
	for _, der := range [][]byte{
		certifyBridge(t, beta, bridge, func(*x509.Certificate) {}),
		certifyBridge(t, beta, bridge, func(c *x509.Certificate) { c.SerialNumber, c.NotAfter = big.NewInt(0x77), day }),
	} {
		if v, err := b.AcceptInbound(t.Context(), "beta", lab.Ada, der, false); err != nil || !v.Accepted {
			t.Fatalf("got %+v, %v", v, err)
		}
	}
	published := func() int { return len(b.Artifacts().Trusted[0].CrossFrom) }
	if n := published(); n != 2 {
		t.Fatalf("%d are published, want 2", n)
	}
	if _, err := b.WithdrawInbound(t.Context(), "beta", lab.Bob, "6", "mistyped"); fault.KindOf(err) != fault.NotFound || published() != 2 {
		t.Errorf("an unknown serial: got %v with %d published", err, published())
	}
	c, err := b.WithdrawInbound(t.Context(), "beta", lab.Bob, "5", "superseded")
	if err != nil || c.Pending != "" || !c.Projection.Listed || len(c.Member.Inbound) != 2 || published() != 1 {
		t.Errorf("got %+v, %v with %d published, want a member in force, with one of two", c, err, published())
	}
	b.now = day.Add(time.Second)
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := published(); n != 0 {
		t.Errorf("%d are published after the other one expired", n)
	}
}
