package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bridge.example/internal/fault"
	"bridge.example/internal/people"
	"bridge.example/membership"
)

// People checks a people.Store. open returns an empty store each time.
func People(t *testing.T, open func(*testing.T) people.Store) {
	t.Run("reads back what it saved", func(t *testing.T) {
		s := open(t)
		saved := must(s.Save(t.Context(), person("ada")))(t)
		if saved.Revision == 0 {
			t.Error("the saved record has no revision")
		}
		got := must(s.Load(t.Context(), "ada"))(t)
		if diff := cmp.Diff(got, saved); diff != "" {
			t.Errorf("loaded is not what was saved (-got +want):\n%s", diff)
		}
		_, err := s.Load(t.Context(), "bert")
		wantKind(t, err, fault.NotFound)
	})
	t.Run("compares and swaps", func(t *testing.T) {
		s := open(t)
		first := must(s.Save(t.Context(), person("ada")))(t)
		_, err := s.Save(t.Context(), person("ada"))
		wantKind(t, err, fault.Conflict)
		errs := make(chan error, 8)
		var wg sync.WaitGroup
		for range cap(errs) {
			wg.Go(func() { _, err := s.Save(t.Context(), first); errs <- err })
		}
		wg.Wait()
		close(errs)
		won := 0
		for err := range errs {
			if err == nil {
				won++
			} else {
				wantKind(t, err, fault.Conflict)
			}
		}
		if won != 1 {
			t.Errorf("%d of 8 concurrent saves won, want 1", won)
		}
		ghost := person("ghost")
		ghost.Revision = 7
		_, err = s.Save(t.Context(), ghost)
		wantKind(t, err, fault.Conflict)
	})
	t.Run("yields all, ordered by id", func(t *testing.T) {
		s := open(t)
		for _, id := range []people.ID{"cleo", "ada", "bert"} {
			must(s.Save(t.Context(), person(id)))(t)
		}
		var got []people.ID
		for p, err := range s.All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p.ID)
		}
		if diff := cmp.Diff([]people.ID{"ada", "bert", "cleo"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// person uses every field.
func person(id people.ID) people.Person {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	by := membership.Actor{Person: "x", Credential: "ff", Roles: []membership.Role{membership.Officer}}
	return people.Person{
		ID: id, Name: "A B", Roles: []membership.Role{membership.Applicant}, Member: "alpha",
		Credentials: []people.Credential{{
			SHA256: "aa", Key: "bb", Serial: "1", NotBefore: at, NotAfter: at.AddDate(1, 0, 0), Certificate: []byte{1},
			IssuedAt: at, IssuedBy: []membership.Actor{by}, Withdrawal: &people.Withdrawal{At: at, By: by, Reason: "lost"},
		}},
		Proposal: &people.Proposal{By: by, At: at, Reason: "new", Name: "A B", Roles: []membership.Role{membership.MemberRole}, Member: "alpha", Request: []byte{2}},
	}
}
