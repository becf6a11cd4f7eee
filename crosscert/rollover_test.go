package crosscert_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
)

// another is the key of a next generation, watched as the first is.
func (b *bridge) another(t testing.TB) *spy {
	key := &spy{Signer: newKey(t), t: t, ledger: b.ledger, serials: b.key.serials}
	b.later = append(b.later, key)
	return key
}

// given is a key for Announce; there is none when it is nil.
func given(key crypto.Signer) func() (crypto.Signer, error) {
	return func() (crypto.Signer, error) {
		if key == nil {
			return nil, errors.New("there is no key")
		}
		return key, nil
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// phases is where the generations of b stand, in one line.
func (b *bridge) phases(t testing.TB) (out string) {
	t.Helper()
	for _, g := range must(b.Generations(t.Context()))(t) {
		out += fmt.Sprintf(" %d:%s", g.Number, g.Phase)
	}
	return out
}

func TestRollOver(t *testing.T) {
	b := newBridge(t)
	alpha, _ := newCA(t, "alpha")
	r := request(t, "alpha", alpha)
	before := must(b.Issue(t.Context(), r))(t)
	if err := b.Switch(t.Context()); fault.KindOf(err) != fault.Conflict {
		t.Errorf("switching to nothing: got %v, want Conflict", err)
	}
	if err := b.Retire(t.Context()); fault.KindOf(err) != fault.Conflict {
		t.Errorf("retiring the only key: got %v, want Conflict", err)
	}

	b.now = b.now.AddDate(1, 0, 0)
	key := b.another(t)
	g := must(b.Announce(t.Context(), given(key)))(t)
	again := must(b.Announce(t.Context(), given(key)))(t)
	if !bytes.Equal(again.Certificate, g.Certificate) || !bytes.Equal(again.OldWithNew, g.OldWithNew) || !bytes.Equal(again.NewWithOld, g.NewWithOld) {
		t.Error("announcing again makes other certificates")
	}
	if _, err := b.Announce(t.Context(), given(nil)); err != nil {
		t.Errorf("announcing again asks for a key: %v", err)
	}
	old, root := b.cert, parse(t, g.Certificate)
	oldWithNew, newWithOld := parse(t, g.OldWithNew), parse(t, g.NewWithOld)
	if !bytes.Equal(old.RawSubject, root.RawSubject) {
		t.Error("the new certificate has another name")
	}
	for _, link := range []struct {
		name             string
		cert, by, of     *x509.Certificate
		crl, caIssuers   string
		notBefore, until time.Time
	}{
		{"OldWithNew", oldWithNew, root, old, "/bridge-2.crl", "/issued-to-bridge-2.p7c", old.NotBefore, old.NotAfter},
		{"NewWithOld", newWithOld, old, root, "/bridge.crl", "/issued-to-bridge.p7c", root.NotBefore, old.NotAfter},
	} {
		c := link.cert
		if err := c.CheckSignatureFrom(link.by); err != nil {
			t.Errorf("%s: %v", link.name, err)
		}
		if !bytes.Equal(c.RawSubjectPublicKeyInfo, link.of.RawSubjectPublicKeyInfo) || !bytes.Equal(c.SubjectKeyId, link.of.SubjectKeyId) ||
			!bytes.Equal(c.RawSubject, c.RawIssuer) || !bytes.Equal(c.AuthorityKeyId, link.by.SubjectKeyId) {
			t.Errorf("%s does not take over name, key and key identifier", link.name)
		}
		if c.CRLDistributionPoints[0] != baseURL+link.crl || c.IssuingCertificateURL[0] != baseURL+link.caIssuers {
			t.Errorf("%s points to %v, %v", link.name, c.CRLDistributionPoints, c.IssuingCertificateURL)
		}
		if !c.NotBefore.Equal(link.notBefore) || !c.NotAfter.Equal(link.until) || c.MaxPathLen >= 0 {
			t.Errorf("%s: valid from %v to %v, path length %d", link.name, c.NotBefore, c.NotAfter, c.MaxPathLen)
		}
	}
	during := must(b.Issue(t.Context(), r))(t)
	if during.CheckSignatureFrom(old) != nil || !b.Covers(before, r) {
		t.Error("the announced key signs already")
	}
	b.check(t)

	for range 2 {
		if err := b.Switch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.phases(t); got != " 1:retiring 2:signing" {
		t.Errorf("after the switch:%s", got)
	}
	if b.Covers(before, r) || !b.Remains(before, r) {
		t.Error("what the old key issued does not give way, or does not remain beside")
	}
	if _, err := b.Announce(t.Context(), given(newKey(t))); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a third key while the first retires: got %v, want Conflict", err)
	}
	other := r
	other.MailDomains = []string{"other.example"}
	if b.Remains(before, other) {
		t.Error("a certificate for other names remains")
	}
	after := must(b.Issue(t.Context(), r))(t)
	if err := after.CheckSignatureFrom(root); err != nil || after.CRLDistributionPoints[0] != baseURL+"/bridge-2.crl" {
		t.Errorf("after the switch: %v, CRL at %v", err, after.CRLDistributionPoints)
	}
	if !b.Covers(after, r) || b.Remains(after, r) {
		t.Error("what the new key issued does not cover what is wanted")
	}
	if err := b.Revoke(t.Context(), before.SerialNumber, crosscert.Superseded); err != nil {
		t.Fatal(err)
	}
	b.check(t)

	if err := b.Retire(t.Context()); fault.KindOf(err) != fault.Conflict {
		t.Errorf("retiring while a certificate is in force: got %v, want Conflict", err)
	}
	b.now = during.NotAfter.Add(time.Hour)
	for range 2 {
		if err := b.Retire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.phases(t); got != " 1:closed 2:signing" {
		t.Errorf("after retiring:%s", got)
	}
	b.now = b.now.AddDate(0, 6, 0)
	b.restart(t)
	b.check(t)
	if last := must(b.CRLs(t.Context()))(t)[0]; last.NextUpdate.Year() != 9999 || len(last.RevokedCertificateEntries) != 1 {
		t.Errorf("the last CRL ends on %v and lists %v", last.NextUpdate, last.RevokedCertificateEntries)
	}
	if err := b.Revoke(t.Context(), newWithOld.SerialNumber, crosscert.Superseded); fault.KindOf(err) != fault.Conflict {
		t.Errorf("revoking after the last CRL: got %v, want Conflict", err)
	}

	// A second time, from the second key.
	must(b.Announce(t.Context(), given(b.another(t))))(t)
	if err := b.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.restart(t)
	if got := b.phases(t); got != " 1:closed 2:retiring 3:signing" {
		t.Errorf("after the second switch:%s", got)
	}
	b.check(t)
}

// TestALostKeyIsReplaced begins a roll-over, loses the key before it is
// announced, and begins with another.
func TestALostKeyIsReplaced(t *testing.T) {
	b := newBridge(t)
	b.ledger.failAt = 7 // the state, after three certificates
	lost := b.another(t)
	if _, err := b.Announce(t.Context(), given(lost)); !errors.Is(err, errCrash) {
		t.Fatalf("got %v, want the crash", err)
	}
	b.later = nil
	b.restart(t)
	must(b.Announce(t.Context(), given(b.another(t))))(t)
	b.check(t)
	for _, r := range b.ledger.records {
		c := parse(t, r.Certificate)
		forLost := bytes.Equal(c.RawSubjectPublicKeyInfo, must(x509.MarshalPKIXPublicKey(lost.Public()))(t))
		if forLost && r.Stage != crosscert.Revoked {
			t.Errorf("the certificate %x of the lost key is %s", r.Serial, r.Stage)
		}
	}
}

func TestEnd(t *testing.T) {
	b := newBridge(t)
	alpha, _ := newCA(t, "alpha")
	must(b.Issue(t.Context(), request(t, "alpha", alpha)))(t)
	signer := must(b.IssueSigner(t.Context(), crosscert.SignerRequest{
		Profile: crosscert.ListSigner, Name: alpha.Subject, Key: newKey(t).Public(), Policies: []x509.OID{oid(t, "1.3.6.1.4.1.32473.1.1")},
	}))(t)
	must(b.Announce(t.Context(), given(b.another(t))))(t)
	for range 2 {
		if err := b.End(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := b.Issue(t.Context(), request(t, "alpha", alpha)); fault.KindOf(err) != fault.Denied {
			t.Errorf("issuing after the end: got %v, want Denied", err)
		}
		if _, err := b.Announce(t.Context(), given(newKey(t))); fault.KindOf(err) != fault.Denied {
			t.Errorf("rolling over after the end: got %v, want Denied", err)
		}
		b.now = b.now.AddDate(20, 0, 0)
		b.check(t)
		b.restart(t)
		if err := b.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.phases(t); got != " 1:closed 2:closed" {
		t.Errorf("after the end:%s", got)
	}
	for _, r := range b.ledger.records {
		if link := parse(t, r.Certificate); r.Stage != crosscert.Revoked || r.Reason != crosscert.CessationOfOperation {
			t.Errorf("%q is %s for %v", link.Subject, r.Stage, r.Reason)
		}
	}
	if r := must(b.Status(t.Context(), signer.SerialNumber))(t); r.Stage != crosscert.Revoked {
		t.Errorf("the signer is %s", r.Stage)
	}
	for _, crl := range must(b.CRLs(t.Context()))(t) {
		if crl.NextUpdate.Year() != 9999 {
			t.Errorf("CRL %v ends on %v", crl.Number, crl.NextUpdate)
		}
	}
}

// TestEveryCrashOfALifeIsResumed kills a whole life, from the first key to the
// end, at each of its writes, both lost and kept, and goes on.
func TestEveryCrashOfALifeIsResumed(t *testing.T) {
	alpha, _ := newCA(t, "alpha")
	r := request(t, "alpha", alpha)
	steps := []func(b *bridge, key *spy) error{
		func(b *bridge, _ *spy) error { _, err := b.Issue(t.Context(), r); return err },
		func(b *bridge, key *spy) error { _, err := b.Announce(t.Context(), given(key)); return err },
		func(b *bridge, _ *spy) error { _, err := b.CRLs(t.Context()); return err },
		func(b *bridge, _ *spy) error { return b.Switch(t.Context()) },
		func(b *bridge, _ *spy) error { _, err := b.Issue(t.Context(), r); return err },
		func(b *bridge, _ *spy) error {
			b.now = b.cert.NotBefore.AddDate(4, 0, 0)
			return b.Retire(t.Context())
		},
		func(b *bridge, _ *spy) error { _, err := b.CRLs(t.Context()); return err },
		func(b *bridge, _ *spy) error { return b.End(t.Context()) },
	}
	life := func(t *testing.T, b *bridge) {
		key := b.another(t)
		for i, step := range steps {
			for {
				err := step(b, key)
				if err == nil {
					break
				}
				if !errors.Is(err, errCrash) {
					t.Fatalf("step %d: %v", i, err)
				}
				b.restart(t)
				if err := b.Recover(t.Context()); err != nil {
					t.Fatalf("step %d: recovering: %v", i, err)
				}
			}
		}
		b.check(t)
		if got := b.phases(t); got != " 1:closed 2:closed" {
			t.Errorf("the life ended as%s", got)
		}
		made := map[string]int{}
		for _, r := range b.ledger.records {
			if r.Member != "" || r.Certificate == nil {
				continue
			}
			c := parse(t, r.Certificate)
			made[fmt.Sprintf("%x by %x", c.SubjectKeyId, c.AuthorityKeyId)]++
		}
		for what, n := range made {
			if n > 1 {
				t.Errorf("%d certificates for %s", n, what)
			}
		}
		if len(made) != 3 {
			t.Errorf("%d self-issued certificates, want 3", len(made))
		}
	}
	whole := newBridge(t)
	life(t, whole)
	for at := 1; at <= whole.ledger.writes; at++ {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d kept %v", at, kept), func(t *testing.T) {
				b := newBridge(t)
				b.ledger.failAt, b.ledger.kept = at, kept
				life(t, b)
			})
		}
	}
}
