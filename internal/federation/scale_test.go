package federation_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/setup/statedir"
	"bridge.example/membership"
)

// crowd fills the store of dir with records, so many of them live. The others
// left long ago, each with a certificate that was revoked, or came to nothing.
// Those of the others share one key, which takes less time to make; the way of
// their records is the same.
func crowd(t testing.TB, dir string, records, live int) {
	t.Helper()
	store, err := boltstore.Open(statedir.Dir(dir).Store())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ctx, members, ledger := context.Background(), store.Members(), store.Ledger()
	over := []membership.State{membership.Left, membership.Rejected, membership.Lapsed, membership.Withdrawn, membership.Draft}
	for i := range records {
		id := fmt.Sprintf("member-%06d", i)
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{Organization: []string{id}},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(5, 0, 0),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
		state, at := over[i%len(over)], time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
		signer := key
		if i < live {
			state = membership.Active
			if signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
				t.Fatal(err)
			}
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		m := membership.Member{Application: application(id, der), State: state, Since: at, AppliedAt: at, ActiveSince: at, RenewBy: at.AddDate(1, 0, 0)}
		for range 12 { // as many decisions as an admission takes
			m.Decisions = append(m.Decisions, membership.Decision{
				Verb: membership.Check, By: membership.Actor{Person: "ada", Roles: []membership.Role{membership.Officer}},
				RecordHash: m.RecordHash(), At: at, To: state, Reason: "as it is after an ordinary admission",
			})
		}
		if _, err := members.Save(ctx, m); err != nil {
			t.Fatal(err)
		}
		if state == membership.Left {
			if _, err := ledger.Put(ctx, crosscert.Record{
				Serial: big.NewInt(int64(i + 1)), Member: id, Stage: crosscert.Revoked, At: at, ToBeSigned: der, Certificate: der, RevokedAt: at, Reason: crosscert.PrivilegeWithdrawn,
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// BenchmarkStart opens a full register and derives everything from it, as the
// daemon does before it answers; its own listeners are left out.
func BenchmarkStart(b *testing.B) {
	for _, size := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("records=%d", size), func(b *testing.B) {
			dir := found(b)
			crowd(b, dir, size, 1_000)
			first := open(b, dir, nil)
			if err := first.Reconcile(b.Context()); err != nil { // 1,000 certificates are signed once
				b.Fatal(err)
			}
			first.close()
			for b.Loop() {
				br := open(b, dir, nil)
				if err := br.authority.Recover(b.Context()); err != nil {
					b.Fatal(err)
				}
				if err := br.Reconcile(b.Context()); err != nil {
					b.Fatal(err)
				}
				br.close()
			}
		})
	}
}

// BenchmarkFirstPage is what member list asks for first.
func BenchmarkFirstPage(b *testing.B) {
	dir := found(b)
	crowd(b, dir, 100_000, 1_000)
	br := open(b, dir, nil)
	for b.Loop() {
		page, err := br.Page(b.Context(), "", 101)
		if err != nil || len(page) != 101 {
			b.Fatalf("got %d records, %v", len(page), err)
		}
	}
}

// BenchmarkAdmission takes one member from draft to active among records of
// others.
func BenchmarkAdmission(b *testing.B) {
	for _, size := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprintf("records=%d", size), func(b *testing.B) {
			dir := found(b)
			crowd(b, dir, size, 100)
			br := open(b, dir, nil)
			if err := br.Reconcile(b.Context()); err != nil {
				b.Fatal(err)
			}
			n := 0
			for b.Loop() {
				n++
				a := application(fmt.Sprintf("newcomer-%d", n), newCA(b, fmt.Sprintf("newcomer %d", n), nil).cert.Raw)
				br.admit(b, a)
			}
		})
	}
}
