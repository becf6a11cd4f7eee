package crosscert_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

func TestIssue(t *testing.T) {
	b := newBridge(t)
	root, _ := newCA(t, "alpha")
	r := request(t, "alpha", root)
	r.MailDomains = append(r.MailDomains, "mail.alpha.example", "alpha.example")
	c, err := b.Issue(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(c.RawSubject, root.RawSubject) || !bytes.Equal(c.SubjectKeyId, root.SubjectKeyId) ||
		!bytes.Equal(c.RawSubjectPublicKeyInfo, root.RawSubjectPublicKeyInfo) {
		t.Error("name, key identifier or key are not those of the member's CA")
	}
	if want := b.now.Add(3 * 365 * 24 * time.Hour); !c.NotAfter.Equal(want) || c.NotBefore.After(b.now) {
		t.Errorf("valid from %v to %v, want to %v", c.NotBefore, c.NotAfter, want)
	}
	names, err := certext.ParseNameConstraints(c)
	var got []string
	for _, n := range names.Permitted {
		got = append(got, n.Value)
	}
	if want := "alpha.example .alpha.example mail.alpha.example .mail.alpha.example"; strings.Join(got, " ") != want || err != nil {
		t.Errorf("permitted %v, %v, want %s", got, err, want)
	}
	if len(c.UnhandledCriticalExtensions) > 0 {
		t.Errorf("unhandled: %v", c.UnhandledCriticalExtensions)
	}
	live, err := b.Live(t.Context(), "alpha")
	if err != nil || len(live) != 1 || !live[0].Equal(c) {
		t.Errorf("live: got %v, %v, want the certificate issued", live, err)
	}
	b.now = c.NotAfter.Add(time.Second)
	if live, err := b.Live(t.Context(), "alpha"); err != nil || len(live) != 0 {
		t.Errorf("live after its end: got %v, %v, want none", live, err)
	}
	b.now = c.NotBefore.Add(time.Hour)
	b.check(t)
}

func TestValidityEndsWithTheCAs(t *testing.T) {
	b := newBridge(t)
	key := newKey(t)
	short := caTemplate("alpha")
	short.NotBefore, short.NotAfter = b.now.Add(-time.Hour), b.now.Add(time.Hour)
	root := certify(t, short, short, key.Public(), key)
	c, err := b.Issue(t.Context(), request(t, "alpha", root))
	if err != nil || !c.NotAfter.Equal(root.NotAfter) {
		t.Fatalf("got %v, %v, want an end on %v", c, err, root.NotAfter)
	}
	if !b.Covers(c, request(t, "alpha", root)) {
		t.Error("a certificate that ends with the member's CA is not enough; no other would be longer")
	}
	b.now = b.cert.NotAfter
	_, err = b.IssueSigner(t.Context(), crosscert.SignerRequest{Profile: crosscert.OCSPSigner, Name: pkix.Name{CommonName: "x"}, Key: key.Public(), Policies: []x509.OID{oid(t, "1.3.6.1.4.1.32473.1.1")}})
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("after the bridge CA's end: got %v, want an Invalid error", err)
	}
}

// changes to a good request, each of which asks for another certificate.
var changes = []struct {
	name string
	do   func(testing.TB, *crosscert.Request)
}{
	{"another CA", func(t testing.TB, r *crosscert.Request) { r.Subject, _ = newCA(t, "other") }},
	{"a new key", func(t testing.TB, r *crosscert.Request) { r.Subject, _ = newCA(t, "alpha") }},
	{"a new key under the old identifier", func(t testing.TB, r *crosscert.Request) {
		key, template := newKey(t), caTemplate("alpha")
		template.SubjectKeyId = r.Subject.SubjectKeyId
		r.Subject = certify(t, template, template, key.Public(), key)
	}},
	{"another policy", func(t testing.TB, r *crosscert.Request) {
		r.Mappings = []crosscert.Mapping{{Bridge: r.Mappings[0].Bridge, Member: oid(t, "1.3.6.1.4.1.32473.2.2")}}
	}},
	{"one more policy", func(t testing.TB, r *crosscert.Request) {
		r.Mappings = append(r.Mappings[:1:1], crosscert.Mapping{Bridge: oid(t, "1.3.6.1.4.1.32473.1.2"), Member: r.Mappings[0].Member})
	}},
	{"one more domain", func(_ testing.TB, r *crosscert.Request) { r.MailDomains = append(r.MailDomains[:1:1], "more.example") }},
	{"another domain", func(_ testing.TB, r *crosscert.Request) { r.MailDomains = []string{"more.example"} }},
	{"no CAs below", func(_ testing.TB, r *crosscert.Request) { r.MaxPathLen = 0 }},
	{"more CAs below", func(_ testing.TB, r *crosscert.Request) { r.MaxPathLen = 2 }},
	{"another member", func(_ testing.TB, r *crosscert.Request) { r.Member = "alpha2" }},
}

func TestCovers(t *testing.T) {
	b := newBridge(t)
	root, _ := newCA(t, "alpha")
	good := request(t, "alpha", root)
	good.MailDomains = []string{"alpha.example", "a.example"}
	c, err := b.Issue(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	same := good
	same.MailDomains = []string{"a.example", "alpha.example", "a.example"}
	same.Mappings = append(same.Mappings, same.Mappings[0])
	if !b.Covers(c, good) || !b.Covers(c, same) {
		t.Error("a certificate does not cover the request that made it")
	}
	for _, change := range changes {
		r := good
		change.do(t, &r)
		if b.Covers(c, r) {
			t.Errorf("%s: covered", change.name)
		}
		if c, err := b.Issue(t.Context(), r); err != nil || !b.Covers(c, r) || b.Covers(c, good) {
			t.Errorf("%s: a certificate made for it: %v, or does not cover it, or covers the other", change.name, err)
		}
	}
	forged := *c
	forged.Signature = bytes.Clone(c.Signature)
	forged.Signature[len(forged.Signature)-1] ^= 1
	if b.Covers(&forged, good) {
		t.Error("a certificate with a broken signature covers")
	}
	b.now = b.now.Add(2 * 365 * 24 * time.Hour)
	if !b.Covers(c, good) {
		t.Error("with a third of its validity left it does not cover")
	}
	b.now = b.now.Add(time.Second)
	if b.Covers(c, good) {
		t.Error("with less than a third of its validity left it covers")
	}
	b.check(t)
}

func TestIssueRefuses(t *testing.T) {
	b := newBridge(t)
	root, key := newCA(t, "alpha")
	subject := func(change func(*x509.Certificate)) func(*crosscert.Request) {
		template := caTemplate("alpha")
		change(template)
		c := certify(t, template, template, key.Public(), key)
		return func(r *crosscert.Request) { r.Subject = c }
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*crosscert.Request)
		want   string
	}{
		{"no member", func(r *crosscert.Request) { r.Member = "" }, "member"},
		{"no subject", func(r *crosscert.Request) { r.Subject = nil }, "subject: missing"},
		{"no mapping", func(r *crosscert.Request) { r.Mappings = nil }, "mappings"},
		{"51 mappings", func(r *crosscert.Request) { r.Mappings = make([]crosscert.Mapping, 51) }, "mappings"},
		{"an empty policy", func(r *crosscert.Request) { r.Mappings = make([]crosscert.Mapping, 1) }, "policy"},
		{"anyPolicy of the bridge", func(r *crosscert.Request) {
			r.Mappings = []crosscert.Mapping{{Bridge: oid(t, "2.5.29.32.0"), Member: oid(t, "1.3.6.1.4.1.32473.2.1")}}
		}, "anyPolicy is mapped"},
		{"anyPolicy of the member", func(r *crosscert.Request) {
			r.Mappings = []crosscert.Mapping{{Bridge: oid(t, "1.3.6.1.4.1.32473.1.1"), Member: oid(t, "2.5.29.32.0")}}
		}, "anyPolicy is mapped"},
		{"no domain", func(r *crosscert.Request) { r.MailDomains = nil }, "mail domains"},
		{"101 domains", func(r *crosscert.Request) { r.MailDomains = make([]string, 101) }, "mail domains"},
		{"an address", func(r *crosscert.Request) { r.MailDomains = []string{"a@alpha.example"} }, "host name"},
		{"a leading dot", func(r *crosscert.Request) { r.MailDomains = []string{".alpha.example"} }, "host name"},
		{"a trailing dot", func(r *crosscert.Request) { r.MailDomains = []string{"alpha.example."} }, "host name"},
		{"a top-level domain", func(r *crosscert.Request) { r.MailDomains = []string{"example"} }, "host name"},
		{"upper case", func(r *crosscert.Request) { r.MailDomains = []string{"Alpha.example"} }, "host name"},
		{"a U-label", func(r *crosscert.Request) { r.MailDomains = []string{"müller.example"} }, "host name"},
		{"the empty domain", func(r *crosscert.Request) { r.MailDomains = []string{""} }, "host name"},
		{"a negative path length", func(r *crosscert.Request) { r.MaxPathLen = -1 }, "path length"},
		{"an endless path", func(r *crosscert.Request) { r.MaxPathLen = 1000 }, "path length"},
		{"a subscriber", subject(func(c *x509.Certificate) { c.IsCA, c.MaxPathLen = false, -1 }), "not a CA"},
		{"a CA for CRLs", subject(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), "may not sign certificates"},
		{"an expired CA", subject(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = b.now.Add(-2*time.Hour), b.now.Add(-time.Hour)
		}), "not valid now"},
		{"a CA of tomorrow", subject(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = b.now.Add(24*time.Hour), b.now.Add(48*time.Hour)
		}), "not valid now"},
		{"a CA with nothing below", subject(func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true }), "fewer CAs"},
		{"the bridge's name", subject(func(c *x509.Certificate) { c.RawSubject = b.cert.RawSubject }), "bridge CA's name"},
		{"the bridge's key", func(r *crosscert.Request) {
			template := caTemplate("alpha")
			r.Subject = certify(t, template, template, b.key.Public(), b.key.Signer)
		}, "bridge CA's key"},
		{"a stolen name", func(r *crosscert.Request) {
			forged := bytes.Clone(root.Raw)
			forged[len(forged)-1] ^= 1
			r.Subject, _ = x509.ParseCertificate(forged)
		}, "signature does not verify"},
		{"a weak key", func(r *crosscert.Request) {
			template := caTemplate("weak")
			r.Subject = certify(t, template, root, weak.Public(), key)
		}, "too weak"},
	} {
		r := request(t, "alpha", root)
		tt.change(&r)
		c, err := b.Issue(t.Context(), r)
		if fault.KindOf(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, %v, want an Invalid error about %q", tt.name, c, err, tt.want)
		}
	}
	if len(b.ledger.records) != 0 || len(b.key.serials) != 0 {
		t.Errorf("refused requests left %d records and %d signatures", len(b.ledger.records), len(b.key.serials))
	}
	everything := crosscert.Request{MaxPathLen: -1}
	if _, err := b.Issue(t.Context(), everything); strings.Count(err.Error(), ";") != 4 {
		t.Errorf("got %v, want all five problems", err)
	}
}

func TestIssueSigner(t *testing.T) {
	b := newBridge(t)
	pub, policies := newKey(t).Public(), []x509.OID{oid(t, "1.3.6.1.4.1.32473.1.1"), oid(t, "1.3.6.1.4.1.32473.1.2")}
	for _, profile := range []crosscert.Profile{crosscert.ListSigner, crosscert.OCSPSigner} {
		r := crosscert.SignerRequest{Profile: profile, Name: pkix.Name{CommonName: string(profile)}, Key: pub, Policies: policies}
		c, err := b.IssueSigner(t.Context(), r)
		if err != nil || len(c.Policies) != 2 || c.CheckSignatureFrom(b.cert) != nil {
			t.Errorf("%s: got %v, %v", profile, c, err)
		}
		for name, change := range map[string]func(*crosscert.SignerRequest){
			"no name":   func(r *crosscert.SignerRequest) { r.Name = pkix.Name{} },
			"no policy": func(r *crosscert.SignerRequest) { r.Policies = nil },
			"anyPolicy": func(r *crosscert.SignerRequest) { r.Policies = []x509.OID{oid(t, "2.5.29.32.0")} },
			"no key":    func(r *crosscert.SignerRequest) { r.Key = nil },
			"P-224": func(r *crosscert.SignerRequest) {
				key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				r.Key = key.Public()
			},
			"no profile": func(r *crosscert.SignerRequest) { r.Profile = "mail server" },
		} {
			bad := r
			change(&bad)
			if c, err := b.IssueSigner(t.Context(), bad); err == nil || fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s with %s: got %v, %v, want an Invalid error", profile, name, c, err)
			}
		}
	}
	if live, err := b.Live(t.Context(), ""); err != nil || len(live) != 2 {
		t.Errorf("got %v, %v, want both signers", live, err)
	}
	b.check(t)
}

func TestRevoke(t *testing.T) {
	b := newBridge(t)
	root, _ := newCA(t, "alpha")
	c, err := b.Issue(t.Context(), request(t, "alpha", root))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := b.Status(t.Context(), c.SerialNumber); err != nil || r.Stage != crosscert.Issued {
		t.Errorf("got %v, %v, want it issued", r.Stage, err)
	}
	for _, why := range []crosscert.Reason{0, 6, 7, 8, 11, -1} {
		if err := b.Revoke(t.Context(), c.SerialNumber, why); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v: got %v, want an Invalid error", why, err)
		}
	}
	if err := b.Revoke(t.Context(), big.NewInt(1), crosscert.KeyCompromise); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a serial never used: got %v, want NotFound", err)
	}
	at := b.now
	for _, why := range []crosscert.Reason{crosscert.PrivilegeWithdrawn, crosscert.KeyCompromise} {
		if err := b.Revoke(t.Context(), c.SerialNumber, why); err != nil {
			t.Fatal(err)
		}
		b.now = b.now.Add(time.Hour)
	}
	r, err := b.Status(t.Context(), c.SerialNumber)
	if err != nil || r.Stage != crosscert.Revoked || r.Reason != crosscert.PrivilegeWithdrawn || !r.RevokedAt.Equal(at) {
		t.Errorf("got %v at %v for %v, %v; want the first revocation to stand", r.Stage, r.RevokedAt, r.Reason, err)
	}
	if live, err := b.Live(t.Context(), "alpha"); err != nil || len(live) != 0 {
		t.Errorf("live: got %v, %v, want none", live, err)
	}
	crl, err := b.CRL(t.Context())
	if err != nil || len(crl.RevokedCertificateEntries) != 1 {
		t.Fatalf("got %v, %v, want one entry", crl, err)
	}
	if e := crl.RevokedCertificateEntries[0]; e.SerialNumber.Cmp(c.SerialNumber) != 0 || e.ReasonCode != 9 || !e.RevocationTime.Equal(at) {
		t.Errorf("got %v", e)
	}
	b.now = c.NotAfter.AddDate(1, 0, 0)
	b.check(t) // still listed, long expired
}

func TestStatusOfTheUnknown(t *testing.T) {
	b := newBridge(t)
	b.ledger.records = []crosscert.Record{{Serial: big.NewInt(7), Stage: crosscert.Intended, Revision: 1}}
	for _, serial := range []int64{7, 8} {
		if r, err := b.Status(t.Context(), big.NewInt(serial)); fault.KindOf(err) != fault.NotFound {
			t.Errorf("serial %d: got %v, %v, want NotFound", serial, r, err)
		}
	}
}

// TestReadsDoNotGrow: what a reconciliation and a case read of the ledger does
// not grow with the members that left.
func TestReadsDoNotGrow(t *testing.T) {
	b := newBridge(t)
	root, _ := newCA(t, "alpha")
	if _, err := b.Issue(t.Context(), request(t, "alpha", root)); err != nil {
		t.Fatal(err)
	}
	reads := func() int {
		t.Helper()
		if _, err := b.CRL(t.Context()); err != nil { // after a revocation it reads them all, once
			t.Fatal(err)
		}
		before := b.ledger.walked
		_, err1 := b.CRL(t.Context())
		_, err2 := b.LiveByMember(t.Context())
		_, err3 := b.Records(t.Context(), "alpha")
		if err := errors.Join(err1, err2, err3, b.Recover(t.Context())); err != nil {
			t.Fatal(err)
		}
		return b.ledger.walked - before
	}
	few := reads()
	for range 20 {
		left, _ := newCA(t, "left")
		c, err := b.Issue(t.Context(), request(t, "left", left))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Revoke(t.Context(), c.SerialNumber, crosscert.PrivilegeWithdrawn); err != nil {
			t.Fatal(err)
		}
	}
	if many := reads(); many != few {
		t.Errorf("got %d records read, and %d with twenty that left", few, many)
	}
}

func TestCRLIsKeptWhileItIsTrue(t *testing.T) {
	b := newBridge(t)
	root, _ := newCA(t, "alpha")
	c, err := b.Issue(t.Context(), request(t, "alpha", root))
	if err != nil {
		t.Fatal(err)
	}
	start, last := b.now, b.now
	for _, step := range []struct {
		name   string
		before func()
		want   int64
	}{
		{"the first", func() {}, 1},
		{"at once", func() {}, 1},
		{"a second before it is a day old", func() { b.now = start.Add(24*time.Hour - time.Second) }, 1},
		{"after a restart", func() { b.restart(t) }, 1},
		{"a day old", func() { b.now = start.Add(24 * time.Hour) }, 2},
		{"the clock half a minute back", func() { b.now = b.now.Add(-30 * time.Second) }, 2},
		{"a revocation, the clock still back", func() {
			if err := b.Revoke(t.Context(), c.SerialNumber, crosscert.Superseded); err != nil {
				t.Fatal(err)
			}
		}, 3},
		{"a stored one that is broken", func() {
			b.now = b.now.Add(time.Minute)
			b.ledger.crls[1][2].der = []byte("broken")
		}, 4},
	} {
		step.before()
		crl, err := b.CRL(t.Context())
		if err != nil || crl.Number.Int64() != step.want {
			t.Fatalf("%s: got %v, %v, want number %d", step.name, crl, err, step.want)
		}
		if crl.ThisUpdate.Before(last) {
			t.Errorf("%s: thisUpdate falls from %v to %v", step.name, last, crl.ThisUpdate)
		}
		last = crl.ThisUpdate
		if got := crl.NextUpdate.Sub(crl.ThisUpdate); got != 7*24*time.Hour {
			t.Errorf("%s: valid for %v, want 7 days", step.name, got)
		}
	}
	b.now = start
	if _, err := b.CRL(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("the clock a day back: got %v, want Unavailable", err)
	}
}

// TestCrash loses every write once, and once lets it happen though it is
// reported as failed; what follows is a new life of the process.
func TestCrash(t *testing.T) {
	root, _ := newCA(t, "alpha")
	beta, _ := newCA(t, "beta")
	policies := []x509.OID{oid(t, "1.3.6.1.4.1.32473.1.1")}
	run := func(b *bridge) error {
		ctx := t.Context()
		c, err := b.Issue(ctx, request(t, "alpha", root))
		if err != nil {
			return err
		}
		if _, err := b.CRL(ctx); err != nil {
			return err
		}
		if _, err := b.IssueSigner(ctx, crosscert.SignerRequest{Profile: crosscert.OCSPSigner, Name: pkix.Name{CommonName: "x"}, Key: root.PublicKey, Policies: policies}); err != nil {
			return err
		}
		if _, err := b.Issue(ctx, request(t, "beta", beta)); err != nil {
			return err
		}
		if err := b.Revoke(ctx, c.SerialNumber, crosscert.Superseded); err != nil {
			return err
		}
		_, err = b.CRL(ctx)
		return err
	}
	writes := newBridge(t)
	if err := run(writes); err != nil {
		t.Fatal(err)
	}
	for _, kept := range []bool{false, true} {
		for n := 1; n <= writes.ledger.writes; n++ {
			b := newBridge(t)
			b.ledger.failAt, b.ledger.kept = n, kept
			if err := run(b); err == nil {
				t.Errorf("write %d, kept %v: no error", n, kept)
			}
			b.restart(t)
			if err := b.Recover(t.Context()); err != nil {
				t.Errorf("write %d, kept %v: recovering: %v", n, kept, err)
			}
			b.check(t)
			if err := run(b); err != nil {
				t.Errorf("write %d, kept %v: after recovery: %v", n, kept, err)
			}
			b.check(t)
		}
	}
}

// TestCancelled gives up as soon as the intent stands: what is signed then is
// recorded all the same.
func TestCancelled(t *testing.T) {
	b := newBridge(t)
	root, _ := newCA(t, "alpha")
	ctx, cancel := context.WithCancel(t.Context())
	b.ledger.afterPut = cancel
	if _, err := b.Issue(ctx, request(t, "alpha", root)); err != nil {
		t.Error(err)
	}
	b.check(t)
}

func TestConcurrentUse(t *testing.T) {
	b := newBridge(t)
	root, _ := newCA(t, "alpha")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c, err := b.Issue(t.Context(), request(t, "alpha", root))
			if err != nil {
				t.Error(err)
				return
			}
			if err := b.Recover(t.Context()); err != nil {
				t.Error(err)
			}
			if err := b.Revoke(t.Context(), c.SerialNumber, crosscert.Superseded); err != nil {
				t.Error(err)
			}
			if _, err := b.CRL(t.Context()); err != nil {
				t.Error(err)
			}
			b.Covers(c, request(t, "alpha", root))
		})
	}
	wg.Wait()
	b.check(t)
}

func TestNew(t *testing.T) {
	b := newBridge(t)
	other := newKey(t)
	member, key := newCA(t, "alpha")
	leaf := certify(t, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}, member, other.Public(), key)
	options := func(change func(*crosscert.Options)) crosscert.Options {
		o := b.o
		change(&o)
		return o
	}
	for name, make := range map[string]func() (*crosscert.Authority, error){
		"another key": func() (*crosscert.Authority, error) { return crosscert.New(b.cert, other, b.ledger, b.o) },
		"no CA":       func() (*crosscert.Authority, error) { return crosscert.New(leaf, other, b.ledger, b.o) },
		"no URL": func() (*crosscert.Authority, error) {
			return crosscert.New(b.cert, b.key, b.ledger, options(func(o *crosscert.Options) { o.BaseURL = "" }))
		},
		"https": func() (*crosscert.Authority, error) {
			return crosscert.New(b.cert, b.key, b.ledger, options(func(o *crosscert.Options) { o.BaseURL = "https://x.example" }))
		},
		"a trailing slash": func() (*crosscert.Authority, error) {
			return crosscert.New(b.cert, b.key, b.ledger, options(func(o *crosscert.Options) { o.BaseURL += "/" }))
		},
		"six years": func() (*crosscert.Authority, error) {
			return crosscert.New(b.cert, b.key, b.ledger, options(func(o *crosscert.Options) { o.Validity = 6 * 365 * 24 * time.Hour }))
		},
	} {
		if _, err := make(); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%s: got %v, want an Invalid error", name, err)
		}
	}
	if _, err := crosscert.NewRoot(other, pkix.Name{CommonName: "x"}, "", b.now, b.now.AddDate(11, 0, 0)); fault.KindOf(err) != fault.Invalid || err == nil {
		t.Errorf("a root for 11 years: got %v, want an Invalid error", err)
	}
	if _, err := crosscert.NewRoot(other, pkix.Name{}, "", b.now, b.now.AddDate(1, 0, 0)); fault.KindOf(err) != fault.Invalid || err == nil {
		t.Errorf("a root without a name: got %v, want an Invalid error", err)
	}
}

func TestRSA(t *testing.T) {
	b := newBridge(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b.key.Signer = key
	if b.cert, err = crosscert.NewRoot(key, pkix.Name{CommonName: "RSA Bridge"}, "", b.now, b.now.AddDate(5, 0, 0)); err != nil {
		t.Fatal(err)
	}
	b.restart(t)
	template := caTemplate("alpha")
	root := certify(t, template, template, key.Public(), key)
	if _, err := b.Issue(t.Context(), request(t, "alpha", root)); err == nil {
		t.Error("the bridge's own key is certified as a member's")
	}
	beta, _ := newCA(t, "beta")
	if _, err := b.Issue(t.Context(), request(t, "beta", beta)); err != nil {
		t.Error(err)
	}
	b.check(t)
}

func TestReason(t *testing.T) {
	for _, r := range []crosscert.Reason{1, 2, 3, 4, 5, 9, 10} {
		if got, err := crosscert.ParseReason(r.String()); got != r || err != nil {
			t.Errorf("%v: got %v, %v", r, got, err)
		}
	}
	for _, s := range []string{"", "unspecified", "certificateHold", "removeFromCRL", "reason 7"} {
		if r, err := crosscert.ParseReason(s); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: got %v, %v, want an Invalid error", s, r, err)
		}
	}
}
