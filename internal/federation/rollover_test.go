package federation_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
	"bridge.example/membership"
	"bridge.example/signedlist"
)

// subscriber is a certificate that issuer made for address.
func subscriber(t *testing.T, issuer *ca, address string) *pathval.Certificate {
	t.Helper()
	c, err := pathval.ParseCertificate(certify(t, issuer, &x509.Certificate{
		Subject: pkix.Name{CommonName: address}, EmailAddresses: []string{address},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}, issuer.cert.PublicKey, memberPolicy))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (b *bridge) reconcile(t *testing.T) {
	t.Helper()
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestRollOver reaches members from every anchor before, during and after the
// bridge's key rolls over, whichever key certified them.
func TestRollOver(t *testing.T) {
	b := open(t, found(t), nil)
	alpha, beta, gamma := newCA(t, "alpha root", nil), newCA(t, "beta root", nil), newCA(t, "gamma root", nil)
	a := application("alpha", alpha.cert.Raw)
	a.CrossCertificates = [][]byte{certifyBridge(t, alpha, b.BridgeCA, func(*x509.Certificate) {})}
	b.admit(t, a)
	b.admit(t, application("beta", beta.cert.Raw))
	bob, gus := subscriber(t, beta, "bob@beta.example"), subscriber(t, gamma, "gus@gamma.example")

	anchors := map[string]*x509.Certificate{"alpha": alpha.cert, "old": b.BridgeCA}
	reach := func(phase string, leaf *pathval.Certificate, mail string) {
		t.Helper()
		for name, anchor := range anchors {
			from, err := pathval.ParseCertificate(anchor.Raw)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Artifacts().BuildPath(t.Context(), leaf, pathval.Inputs{
				Anchors: []*pathval.Certificate{from}, At: b.now, Email: mail, Purpose: pathval.EmailProtection(),
			}); err != nil {
				t.Errorf("%s: from %s to %s: %v", phase, name, mail, err)
			}
		}
	}
	reach("before", bob, "bob@beta.example")

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	g, err := b.authority.Announce(t.Context(), func() (crypto.Signer, error) { return key, nil })
	if err != nil {
		t.Fatal(err)
	}
	if anchors["new"], err = x509.ParseCertificate(g.Certificate); err != nil {
		t.Fatal(err)
	}
	b.reconcile(t)
	reach("announced", bob, "bob@beta.example")

	if err := b.authority.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.admit(t, application("gamma", gamma.cert.Raw))
	reach("switched", bob, "bob@beta.example")
	reach("switched", gus, "gus@gamma.example")
	serials := map[string]bool{}
	for _, m := range b.Artifacts().Trusted {
		want := map[membership.ID]int{"alpha": 2, "beta": 2, "gamma": 1}[m.ID]
		if len(m.CrossTo) != want {
			t.Errorf("%s has %d certificates of the bridge, want %d", m.ID, len(m.CrossTo), want)
		}
		for _, c := range m.CrossTo {
			serials[c.SerialNumber.String()] = true
		}
	}
	b.reconcile(t)
	for _, m := range b.Artifacts().Trusted {
		for _, c := range m.CrossTo {
			if !serials[c.SerialNumber.String()] {
				t.Errorf("%s gets a certificate anew each time", m.ID)
			}
		}
	}

	// Who is suspended loses the certificates of both keys.
	if _, err := b.Decide(t.Context(), "beta", suspension("drill")); err != nil {
		t.Fatal(err)
	}
	for i, g := range b.Artifacts().Generations {
		if len(g.CRL.RevokedCertificateEntries) != 1 {
			t.Errorf("the CRL of generation %d lists %d, want 1", i+1, len(g.CRL.RevokedCertificateEntries))
		}
	}
	status, err := b.Status(t.Context())
	if err != nil || len(status.Generations) != 2 || status.Generations[0].Phase != crosscert.Retiring || status.Generations[1].InForce != 2 {
		t.Errorf("status: %+v, %v", status.Generations, err)
	}
}

// TestMemberRekeys follows a member whose record gets a second anchor of the
// same name, and then loses the first.
func TestMemberRekeys(t *testing.T) {
	b := open(t, found(t), nil)
	first, second := newCA(t, "alpha root", nil), newCA(t, "alpha root", nil)
	other := newCA(t, "alpha root G2", nil)
	b.admit(t, application("alpha", first.cert.Raw))
	amend := func(change func(*membership.Application)) {
		t.Helper()
		store := b.store.Members()
		m, err := store.Load(t.Context(), "alpha")
		if err != nil {
			t.Fatal(err)
		}
		change(&m.Application)
		if _, err := store.Save(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		b.reconcile(t)
	}
	anchor := func(c *ca) membership.CA {
		return membership.CA{Certificate: c.cert.Raw, OCSP: []string{"http://ocsp.alpha.example/"}}
	}
	for _, step := range []struct {
		name   string
		change func(*membership.Application)
		live   []*ca
		last   crosscert.Reason // of the latest revocation
	}{
		{"a second key of the same name", func(a *membership.Application) { a.Anchors = append(a.Anchors, anchor(second)) }, []*ca{first, second}, 0},
		{"the first leaves", func(a *membership.Application) { a.Anchors = a.Anchors[1:] }, []*ca{second}, crosscert.Superseded},
		{"another name space", func(a *membership.Application) { a.ExcludedDomains = []string{"lab.alpha.example"} }, []*ca{second}, crosscert.Superseded},
		{"a CA of another name", func(a *membership.Application) { a.Anchors = []membership.CA{anchor(other)} }, []*ca{other}, crosscert.CessationOfOperation},
	} {
		amend(step.change)
		live, err := b.authority.Live(t.Context(), "alpha")
		if err != nil {
			t.Fatal(err)
		}
		if len(live) != len(step.live) || len(b.Artifacts().Trusted[0].CrossTo) != len(step.live) {
			t.Fatalf("%s: %d certificates in force, %d published, want %d", step.name, len(live), len(b.Artifacts().Trusted[0].CrossTo), len(step.live))
		}
		for _, c := range step.live {
			if !slices.ContainsFunc(live, func(l *x509.Certificate) bool {
				return bytes.Equal(l.RawSubjectPublicKeyInfo, c.cert.RawSubjectPublicKeyInfo)
			}) {
				t.Errorf("%s: a key in the record is not certified", step.name)
			}
		}
		records, err := b.authority.Records(t.Context(), "alpha")
		if err != nil {
			t.Fatal(err)
		}
		var last crosscert.Record
		serials := map[string]bool{}
		for _, r := range records {
			if serials[r.Serial.String()] {
				t.Errorf("%s: serial %x twice", step.name, r.Serial)
			}
			serials[r.Serial.String()] = true
			if r.Stage == crosscert.Revoked {
				last = r
			}
		}
		if last.Reason != step.last {
			t.Errorf("%s: revoked for %v, want %v", step.name, last.Reason, step.last)
		}
	}
}

// TestAfterTheEnd keeps publishing what is left, and signs nothing.
func TestAfterTheEnd(t *testing.T) {
	b := open(t, found(t), nil)
	b.admit(t, application("alpha", newCA(t, "alpha root", nil).cert.Raw))
	if _, err := b.Publisher.Publish(t.Context(), nil, func(signedlist.Entry) string { return "the bridge ends" }); err != nil {
		t.Fatal(err)
	}
	if err := b.authority.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.reconcile(t)
	then := b.Artifacts()
	b.now = b.now.Add(30 * 24 * time.Hour)
	b.reconcile(t)
	now := b.Artifacts()
	if len(now.Trusted) != 0 || len(now.Listed) != 0 || !bytes.Equal(now.List, then.List) || !bytes.Equal(now.CRL, then.CRL) || now.CRLNextUpdate.Year() != 9999 {
		t.Errorf("after the end: %d trusted, list %d of %v, CRL %d until %v", len(now.Trusted), now.ListNumber, now.Listed, now.CRLNumber, now.CRLNextUpdate)
	}
	if c, err := b.Case(t.Context(), "alpha"); err != nil || c.Pending != "" {
		t.Errorf("pending: %q, %v", c.Pending, err)
	}
	if _, err := b.Decide(t.Context(), "alpha", suspension("drill")); fault.KindOf(err) != fault.Denied {
		t.Errorf("a decision after the end: %v, want Denied", err)
	}
	if s, err := b.Status(t.Context()); err != nil || s.EndedAt.IsZero() {
		t.Errorf("status: ended %v, %v", s.EndedAt, err)
	}
}
