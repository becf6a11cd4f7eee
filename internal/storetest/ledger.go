package storetest

import (
	"iter"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
)

// bigInts lets cmp compare serials.
var bigInts = cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })

// Ledger checks a crosscert.Ledger. open returns an empty ledger each time.
func Ledger(t *testing.T, open func(*testing.T) crosscert.Ledger) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	intent := func(serial int64) crosscert.Record {
		return crosscert.Record{Serial: big.NewInt(serial), Member: "alpha", Stage: crosscert.Intended, At: at, ToBeSigned: []byte{1, 2}}
	}
	t.Run("keeps a record through its stages", func(t *testing.T) {
		l := open(t)
		r := must(l.Put(t.Context(), intent(7)))(t)
		r.Stage, r.Certificate = crosscert.Issued, []byte{3}
		r = must(l.Put(t.Context(), r))(t)
		stale := r
		r.Stage, r.RevokedAt, r.Reason = crosscert.Revoked, at.Add(time.Hour), crosscert.Reason(4)
		r = must(l.Put(t.Context(), r))(t)
		_, err := l.Put(t.Context(), stale)
		wantKind(t, err, fault.Conflict)
		if diff := cmp.Diff(must(l.Get(t.Context(), big.NewInt(7)))(t), r, bigInts); diff != "" {
			t.Errorf("the record is not what was put last (-got +want):\n%s", diff)
		}
		_, err = l.Get(t.Context(), big.NewInt(8))
		wantKind(t, err, fault.NotFound)
	})
	t.Run("never takes a serial twice", func(t *testing.T) {
		l := open(t)
		must(l.Put(t.Context(), intent(7)))(t)
		_, err := l.Put(t.Context(), intent(7))
		wantKind(t, err, fault.Conflict)
		for _, bad := range []int64{0, -7} {
			_, err = l.Put(t.Context(), intent(bad))
			wantKind(t, err, fault.Invalid)
		}
	})
	t.Run("yields records in order of creation", func(t *testing.T) {
		l := open(t)
		serials := []int64{900, 3, 70000}
		for _, s := range serials {
			must(l.Put(t.Context(), intent(s)))(t)
		}
		r := must(l.Get(t.Context(), big.NewInt(900)))(t)
		must(l.Put(t.Context(), r))(t) // a change does not move it
		var got []int64
		for r, err := range l.Records(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Serial.Int64())
		}
		if diff := cmp.Diff(got, serials); diff != "" {
			t.Errorf("order (-got +want):\n%s", diff)
		}
	})
	t.Run("finds records by member and by stage", func(t *testing.T) {
		l := open(t)
		for i, member := range []string{"alpha", "alp", "", "alpha", "alpha"} {
			r := intent(int64(900 - i)) // not in the order of creation
			r.Member = member
			r = must(l.Put(t.Context(), r))(t)
			if i != 2 {
				r.Stage = crosscert.Issued
				r = must(l.Put(t.Context(), r))(t)
			}
			if i == 0 {
				r.Stage = crosscert.Revoked
				must(l.Put(t.Context(), r))(t)
			}
		}
		serials := func(seq iter.Seq2[crosscert.Record, error]) (out []int64) {
			for r, err := range seq {
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, r.Serial.Int64())
			}
			return out
		}
		for _, tt := range []struct {
			name      string
			got, want []int64
		}{
			{"of alpha", serials(l.RecordsOf(t.Context(), "alpha")), []int64{900, 897, 896}},
			{"of nobody", serials(l.RecordsOf(t.Context(), "")), []int64{898}},
			{"of a stranger", serials(l.RecordsOf(t.Context(), "a")), nil},
			{"issued", serials(l.RecordsIn(t.Context(), crosscert.Issued)), []int64{899, 897, 896}},
			{"intended", serials(l.RecordsIn(t.Context(), crosscert.Intended)), []int64{898}},
			{"revoked", serials(l.RecordsIn(t.Context(), crosscert.Revoked)), []int64{900}},
		} {
			if diff := cmp.Diff(tt.got, tt.want); diff != "" {
				t.Errorf("%s (-got +want):\n%s", tt.name, diff)
			}
		}
	})
	t.Run("hands out each CRL number once, rising", func(t *testing.T) {
		l := open(t)
		numbers := make(chan int64, 20)
		var wg sync.WaitGroup
		for range cap(numbers) {
			wg.Go(func() {
				n, err := l.NextCRLNumber(t.Context())
				if err != nil {
					t.Error(err)
				}
				numbers <- n
			})
		}
		wg.Wait()
		close(numbers)
		seen := map[int64]bool{}
		for n := range numbers {
			if n < 1 || n > 20 || seen[n] {
				t.Errorf("got number %d a second time or out of 1 to 20", n)
			}
			seen[n] = true
		}
	})
	t.Run("never takes a CRL below the stored one", func(t *testing.T) {
		l := open(t)
		_, _, err := l.LatestCRL(t.Context(), 1)
		wantKind(t, err, fault.NotFound)
		if err := l.PutCRL(t.Context(), 1, 5, []byte{5}); err != nil {
			t.Fatal(err)
		}
		wantKind(t, l.PutCRL(t.Context(), 1, 5, []byte{6}), fault.Conflict)
		wantKind(t, l.PutCRL(t.Context(), 1, 4, []byte{4}), fault.Conflict)
		if n, der, err := l.LatestCRL(t.Context(), 1); n != 5 || len(der) != 1 || der[0] != 5 || err != nil {
			t.Errorf("got %d %x %v, want 5 05", n, der, err)
		}
	})
	t.Run("keeps the CRLs of each generation apart", func(t *testing.T) {
		l := open(t)
		for generation, n := range []int64{5, 3, 4} {
			if err := l.PutCRL(t.Context(), generation+1, n, []byte{byte(n)}); err != nil {
				t.Fatal(err)
			}
		}
		for generation, want := range []int64{5, 3, 4} {
			if n, der, err := l.LatestCRL(t.Context(), generation+1); n != want || len(der) != 1 || der[0] != byte(want) || err != nil {
				t.Errorf("generation %d: got %d %x %v, want %d", generation+1, n, der, err, want)
			}
		}
	})
	t.Run("keeps the state by compare-and-swap", func(t *testing.T) {
		l := open(t)
		empty := must(l.State(t.Context()))(t)
		if diff := cmp.Diff(empty, crosscert.State{}); diff != "" {
			t.Errorf("a new ledger has a state:\n%s", diff)
		}
		s := crosscert.State{EndedAt: at, Generations: []crosscert.Generation{
			{Number: 1, Phase: crosscert.Retiring, Since: at, Certificate: []byte{1}},
			{Number: 2, Phase: crosscert.Signing, Since: at, Certificate: []byte{2}, OldWithNew: []byte{3}, NewWithOld: []byte{4}},
		}}
		stored := must(l.PutState(t.Context(), s))(t)
		_, err := l.PutState(t.Context(), s)
		wantKind(t, err, fault.Conflict)
		if diff := cmp.Diff(must(l.State(t.Context()))(t), stored); diff != "" || stored.Revision == 0 {
			t.Errorf("revision %d; the state is not what was put (-got +want):\n%s", stored.Revision, diff)
		}
	})
}
