package federation_test

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
	"bridge.example/internal/wire/ldap"
	"bridge.example/membership"
	"bridge.example/signedlist"
	"bridge.example/vdir"
)

// mounted reports whether the directory knows a member.
func (b *bridge) mounted(t *testing.T, member string) bool {
	t.Helper()
	_, err := b.directory.Search(t.Context(), vdir.Query{
		Base: "o=" + member + ",ou=Members,o=bridge", Filter: ldap.Filter{Op: ldap.Present, Attribute: "objectClass"},
	}, func(vdir.Entry) error { return nil })
	if err != nil && fault.KindOf(err) != fault.NotFound {
		t.Fatal(err)
	}
	return err == nil
}

// lookup counts the entries that the directory finds for an address.
func (b *bridge) lookup(t *testing.T, address string) (found int) {
	t.Helper()
	_, err := b.directory.Search(t.Context(), vdir.Query{
		Base: "o=bridge", Scope: vdir.WholeSubtree, Filter: ldap.Filter{Op: ldap.Equality, Attribute: "mail", Value: []byte(address)},
	}, func(vdir.Entry) error { found++; return nil })
	if err != nil {
		t.Error(err)
	}
	return found
}

func TestAdmissionReachesEveryProjection(t *testing.T) {
	b := open(t, found(t), nil)
	b.admit(t, b.application)
	c, err := b.Case(t.Context(), "alpha")
	if err != nil {
		t.Fatal(err)
	}
	p := c.Projection
	if c.Pending != "" || !p.Listed || len(p.CrossCertificates) != 1 || len(p.DirectoryDomains) != 1 || len(p.ResponderIssuers) != 1 || !b.mounted(t, "alpha") {
		t.Errorf("got %+v, pending %q, mounted %v", p, c.Pending, b.mounted(t, "alpha"))
	}
	cross := b.Artifacts().Trusted[0].CrossTo[0]
	if string(cross.RawSubject) != string(b.Artifacts().Trusted[0].Anchors[0].RawSubject) || cross.CheckSignatureFrom(b.Artifacts().BridgeCA) != nil {
		t.Errorf("the cross-certificate is not the bridge's for alpha: %v", cross.Subject)
	}
	b.checkInvariants(t, "admitted")
}

// TestReconcileIsIdempotent: while nothing changes, nothing is signed.
func TestReconcileIsIdempotent(t *testing.T) {
	b := open(t, found(t), nil)
	b.admit(t, b.application)
	before := b.Artifacts()
	for range 3 {
		if err := b.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	after := b.Artifacts()
	if after.ListNumber != before.ListNumber || after.CRLNumber != before.CRLNumber || !after.Trusted[0].CrossTo[0].Equal(before.Trusted[0].CrossTo[0]) {
		t.Errorf("got list %d, CRL %d after list %d, CRL %d", after.ListNumber, after.CRLNumber, before.ListNumber, before.CRLNumber)
	}
}

// TestExpiredAnchorLeaves: nobody decided anything, yet an expired CA is gone.
func TestExpiredAnchorLeaves(t *testing.T) {
	b := open(t, found(t), nil)
	b.admit(t, application("alpha", newCAUntil(t, "alpha root", nil, b.now.AddDate(0, 1, 0)).cert.Raw))
	b.now = b.now.AddDate(0, 1, 1)
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := b.Artifacts(); len(a.Trusted) != 0 || b.mounted(t, "alpha") {
		t.Errorf("got %d trusted, mounted %v", len(a.Trusted), b.mounted(t, "alpha"))
	}
	if c, _ := b.Case(t.Context(), "alpha"); c.Member.State != membership.Active || c.Pending == "" {
		t.Errorf("got state %s, pending %q: the record stays and says what is missing", c.Member.State, c.Pending)
	}
}

// TestSuspendedButNotPublished: when no new list can be signed, the case says
// that the old one still trusts the member.
func TestSuspendedButNotPublished(t *testing.T) {
	b := open(t, found(t), nil)
	b.admit(t, b.application)
	b.now = b.now.AddDate(1, 0, 1) // past the list signer's end
	c, err := b.Decide(t.Context(), "alpha", suspension("drill"))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Projection.Listed || !strings.Contains(c.Pending, "publishing the list") || b.mounted(t, "alpha") {
		t.Errorf("got %+v, pending %q, mounted %v; want everything but the list to follow, and that said", c.Projection, c.Pending, b.mounted(t, "alpha"))
	}
	if r := c.Projection.CrossCertificates; len(r) != 1 || r[0].RevokedAt.IsZero() {
		t.Errorf("got cross-certificates %+v, want it revoked", r)
	}
}

// TestRenewedCA: a member whose CA has a new certificate for the same key is
// served, and costs the others nothing.
func TestRenewedCA(t *testing.T) {
	b := open(t, found(t), nil)
	root := newCA(t, "beta root", nil)
	renewed := reissue(t, root)
	a := application("beta", root.cert.Raw)
	a.Anchors = append(a.Anchors, membership.CA{Certificate: renewed.Raw, OCSP: a.Anchors[0].OCSP})
	b.admit(t, a)
	b.admit(t, b.application)
	for _, id := range []membership.ID{"alpha", "beta"} {
		if c, err := b.Case(t.Context(), id); err != nil || c.Pending != "" || !c.Projection.Listed {
			t.Errorf("%s: got %+v, pending %q, %v", id, c.Projection, c.Pending, err)
		}
	}
}

// TestOneBrokenMember: what one member prevents costs the other nothing.
func TestOneBrokenMember(t *testing.T) {
	b := open(t, found(t), nil)
	broken := application("beta", newCA(t, "beta root", nil).cert.Raw)
	broken.Directories[0].URL = "ldap://broken.example"
	b.admit(t, broken)
	b.admit(t, b.application)
	c, err := b.Case(t.Context(), "beta")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(c.Pending, "ldap://broken.example") {
		t.Errorf("got pending %q, want it to name the endpoint", c.Pending)
	}
	if !b.mounted(t, "alpha") || len(b.Artifacts().Trusted) != 2 {
		t.Errorf("alpha mounted %v, %d trusted; want the healthy member served", b.mounted(t, "alpha"), len(b.Artifacts().Trusted))
	}
}

func TestApplyExamines(t *testing.T) {
	b := open(t, found(t), nil)
	root := newCA(t, "beta root", nil)
	issuing := newCA(t, "beta issuing", root)
	deep := newCA(t, "beta deep", issuing)
	stranger := newCA(t, "stranger", nil)
	for _, tt := range []struct {
		name string
		edit func(*membership.Application)
		want string // empty: accepted
	}{
		{"a level of another bridge", func(a *membership.Application) { a.Policies[0].Bridge = "1.3.6.1.4.1.32473.9" }, "policies[0].bridge"},
		{"an unknown dialect", func(a *membership.Application) { a.Directories[0].Dialect = "gopher" }, "directories[0].dialect"},
		{"a base that is no name", func(a *membership.Application) { a.Directories[0].Base = "somewhere" }, "directories[0].base"},
		{"an intermediate of another root", func(a *membership.Application) { a.Intermediates = []membership.CA{{Certificate: stranger.cert.Raw}} }, "intermediates[0]"},
		{"an intermediate whose issuer is missing", func(a *membership.Application) { a.Intermediates = []membership.CA{{Certificate: deep.cert.Raw}} }, "intermediates[0]"},
		{"a certificate that is not for the bridge", func(a *membership.Application) { a.CrossCertificates = [][]byte{issuing.cert.Raw} }, "cross_certificates[0]"},
		{"three levels", func(a *membership.Application) {
			a.Intermediates = []membership.CA{{Certificate: deep.cert.Raw}, {Certificate: issuing.cert.Raw}}
		}, ""},
	} {
		a := application("beta", root.cert.Raw)
		tt.edit(&a)
		_, err := b.apply(t.Context(), a)
		if tt.want == "" && err != nil {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if tt.want != "" && (fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want Invalid naming %s", tt.name, err, tt.want)
		}
	}
	// The deepest chain below the anchor decides the path length.
	if err := b.desk().Admit(t.Context(), "beta"); err != nil {
		t.Fatal(err)
	}
	if got := b.Artifacts().Trusted[0].CrossTo[0].MaxPathLen; got != 2 {
		t.Errorf("got path length %d, want 2", got)
	}
}

// TestChainBindsTheMember: a certificate counts only for the member
// whose CA issued it.
func TestChainBindsTheMember(t *testing.T) {
	b := open(t, found(t), nil)
	beta := newCA(t, "beta root", nil)
	a := application("beta", beta.cert.Raw)
	b.admit(t, a)
	b.admit(t, b.application)
	stranger := newCA(t, "beta root", nil) // the same name, another key
	for _, tt := range []struct {
		name   string
		issuer *ca
		found  int
	}{{"its own", beta, 1}, {"a stranger of the same name", stranger, 0}} {
		b.mailboxes.set(leaf(t, tt.issuer, "bob@beta.example"))
		if found := b.lookup(t, "bob@beta.example"); found != tt.found {
			t.Errorf("%s: got %d entries, want %d", tt.name, found, tt.found)
		}
	}
}

// flaky is an archive that can be down.
type flaky struct {
	signedlist.Archive
	down atomic.Bool
}

func (f *flaky) Latest(ctx context.Context) (int64, []byte, error) {
	if f.down.Load() {
		return 0, nil, fault.New(fault.Unavailable, "the archive is down")
	}
	return f.Archive.Latest(ctx)
}

// TestRunTriesAgainSoon: a failure on schedule, long after all was well, is not
// left until the next time on schedule.
func TestRunTriesAgainSoon(t *testing.T) {
	dir := found(t)
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir, nil)
		d := statedir.Dir(dir)
		cert, certErr := d.ReadCertificate(statedir.ListSigner)
		key, keyErr := keys.Open(d.Key(statedir.ListSigner), nil)
		if err := errors.Join(certErr, keyErr); err != nil {
			t.Fatal(err)
		}
		// The bubble's clock is not that of the certificates.
		at := cert.NotBefore.Add(time.Hour)
		b.now = at
		archive := &flaky{Archive: b.lists}
		b.Publisher = signedlist.NewPublisher(signedlist.Signer{Cert: cert, Key: key}, archive, signedlist.Options{Now: func() time.Time { return at }})
		if err := b.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		problem := func() string {
			t.Helper()
			synctest.Wait()
			s, err := b.Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return s.Problem
		}
		archive.down.Store(true)
		time.Sleep(b.Every) // of the bubble's clock, as below
		if problem() == "" {
			t.Error("the failure on schedule was not noticed")
		}
		archive.down.Store(false)
		time.Sleep(2 * time.Second)
		if p := problem(); p != "" {
			t.Errorf("2 s after it was mended: %s", p)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestSetSigners: renewed signers are published with the next reconciliation.
func TestSetSigners(t *testing.T) {
	b := open(t, found(t), nil)
	old, renewed := b.Artifacts().Signers, newCA(t, "renewed", nil).cert
	b.SetSigners([]*x509.Certificate{renewed})
	if got := b.Artifacts().Signers; len(got) != len(old) || !got[0].Equal(old[0]) {
		t.Errorf("before the reconciliation %d are published", len(got))
	}
	if err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.Artifacts().Signers; len(got) != 1 || !got[0].Equal(renewed) {
		t.Errorf("%d are published, want the renewed one", len(got))
	}
}
