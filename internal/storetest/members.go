// Package storetest holds what every store of the bridge must do, as tests
// that any implementation can be put through.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// Members checks a membership.Store. open returns an empty store each time.
func Members(t *testing.T, open func(*testing.T) membership.Store) {
	t.Run("reads back what it saved", func(t *testing.T) {
		s := open(t)
		m := member("alpha")
		saved := must(s.Save(t.Context(), m))(t)
		if saved.Revision == 0 {
			t.Error("the saved record has no revision")
		}
		got := must(s.Load(t.Context(), "alpha"))(t)
		if diff := cmp.Diff(got, saved); diff != "" {
			t.Errorf("loaded is not what was saved (-got +want):\n%s", diff)
		}
		_, err := s.Load(t.Context(), "beta")
		wantKind(t, err, fault.NotFound)
	})
	t.Run("compares and swaps", func(t *testing.T) {
		s := open(t)
		first := must(s.Save(t.Context(), member("alpha")))(t)
		_, err := s.Save(t.Context(), member("alpha"))
		wantKind(t, err, fault.Conflict)
		second := first
		second.Reason = "second"
		second = must(s.Save(t.Context(), second))(t)
		if second.Revision <= first.Revision {
			t.Errorf("got revision %d after %d, want a higher one", second.Revision, first.Revision)
		}
		first.Reason = "stale"
		_, err = s.Save(t.Context(), first)
		wantKind(t, err, fault.Conflict)
		ghost := member("ghost")
		ghost.Revision = 7
		_, err = s.Save(t.Context(), ghost)
		wantKind(t, err, fault.Conflict)
		if got := must(s.Load(t.Context(), "alpha"))(t); got.Reason != "second" {
			t.Errorf("got reason %q, want that of the winning save", got.Reason)
		}
	})
	t.Run("of concurrent saves one wins", func(t *testing.T) {
		s := open(t)
		base := must(s.Save(t.Context(), member("alpha")))(t)
		errs := make(chan error, 8)
		var wg sync.WaitGroup
		for i := range cap(errs) {
			wg.Go(func() {
				m := base
				m.Reason = fmt.Sprint(i)
				_, err := s.Save(t.Context(), m)
				errs <- err
			})
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
			t.Errorf("got %d winners, want 1", won)
		}
	})
	t.Run("yields all in order, and may be written meanwhile", func(t *testing.T) {
		s := open(t)
		const n = 600 // more than a page of any sensible size
		for i := range n {
			must(s.Save(t.Context(), member(fmt.Sprintf("m%04d", (i*7)%n))))(t)
		}
		var last membership.ID
		count := 0
		for m, err := range s.All(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if m.ID <= last {
				t.Fatalf("got %s after %s", m.ID, last)
			}
			last = m.ID
			if count++; count%100 == 0 {
				m.Reason = "changed"
				must(s.Save(t.Context(), m))(t)
			}
		}
		if count != n {
			t.Errorf("got %d records, want %d", count, n)
		}
		for m, err := range s.All(t.Context(), "m0123") {
			if err != nil || m.ID != "m0124" {
				t.Errorf("got %s, %v after m0123, want m0124", m.ID, err)
			}
			break
		}
	})
	t.Run("finds records by state", func(t *testing.T) { byState(t, open(t)) })
	t.Run("lets one record have a claim", func(t *testing.T) { claims(t, open(t)) })
	t.Run("watches from a revision without a gap", func(t *testing.T) { watch(t, open(t)) })
}

// byState moves records between states; each must be found where it is, and
// only there.
func byState(t *testing.T, s membership.Store) {
	states := []membership.State{membership.Draft, membership.Active, membership.RenewalDue}
	want := map[membership.State]int{}
	for i := range 300 {
		m := must(s.Save(t.Context(), member(fmt.Sprintf("m%03d", i))))(t)
		m.State = states[i%3]
		want[m.State]++
		must(s.Save(t.Context(), m))(t)
	}
	if diff := cmp.Diff(must(s.Count(t.Context()))(t), want); diff != "" {
		t.Errorf("counted (-got +want):\n%s", diff)
	}
	got := map[membership.State]int{}
	for m, err := range s.In(t.Context(), membership.Active, membership.Submitted, membership.RenewalDue) {
		if err != nil {
			t.Fatal(err)
		}
		got[m.State]++
	}
	delete(want, membership.Draft)
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("found (-got +want):\n%s", diff)
	}
}

// claims: what one record has no other can save, until it is given up.
func claims(t *testing.T, s membership.Store) {
	domain := membership.Claim("domain alpha.example")
	first := must(s.Save(t.Context(), member("alpha")))(t)
	second := member("beta")
	second.MailDomains = append(second.MailDomains, "alpha.example")
	_, err := s.Save(t.Context(), second)
	wantKind(t, err, fault.Conflict)
	_, err = s.Load(t.Context(), "beta")
	wantKind(t, err, fault.NotFound)
	_, err = s.Owner(t.Context(), "domain beta.example")
	wantKind(t, err, fault.NotFound)
	if got := must(s.Owner(t.Context(), domain))(t); got != "alpha" {
		t.Errorf("got owner %q, want alpha", got)
	}
	first.State = membership.Withdrawn
	must(s.Save(t.Context(), first))(t)
	must(s.Save(t.Context(), second))(t)
	if got := must(s.Owner(t.Context(), domain))(t); got != "beta" {
		t.Errorf("got owner %q, want beta", got)
	}
}

// Documents checks a membership.Documents.
func Documents(t *testing.T, d membership.Documents) {
	for _, content := range [][]byte{{}, []byte("hello"), bytes.Repeat([]byte{7}, 1<<20)} {
		hash := must(d.Put(t.Context(), "alpha", content))(t)
		if again := must(d.Put(t.Context(), "alpha", content))(t); again != hash {
			t.Errorf("got hash %s and then %s", hash, again)
		}
		if want := fmt.Sprintf("%x", sha256.Sum256(content)); hash != want {
			t.Errorf("got hash %s, want %s", hash, want)
		}
		if got := must(d.Get(t.Context(), "alpha", hash))(t); !bytes.Equal(got, content) {
			t.Errorf("got %d other bytes back, want the %d put", len(got), len(content))
		}
		// Who knows the hash of another's document does not have it by that.
		_, err := d.Get(t.Context(), "beta", hash)
		wantKind(t, err, fault.NotFound)
		must(d.Put(t.Context(), "beta", content))(t)
		must(d.Get(t.Context(), "beta", hash))(t)
	}
	_, err := d.Get(t.Context(), "alpha", strings.Repeat("0", 64))
	wantKind(t, err, fault.NotFound)
	_, err = d.Get(t.Context(), "alpha", "../hello")
	wantKind(t, err, fault.Invalid)
	_, err = d.Put(t.Context(), "alpha", make([]byte, membership.MaxDocumentBytes+1))
	wantKind(t, err, fault.Invalid)
}

// watch starts watchers before, during and after the writes; each must see the
// newest state of every record above its revision, in rising order.
func watch(t *testing.T, s membership.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const writes = 50
	final := map[membership.ID]string{"alpha": "", "beta": ""}
	follow := func(from membership.Revision) error {
		seen := map[membership.ID]string{}
		for c, err := range s.Watch(ctx, from) {
			if err != nil {
				return err
			}
			if c.Revision <= from || c.Revision != c.Member.Revision {
				return fmt.Errorf("got revision %d (record %d) after %d", c.Revision, c.Member.Revision, from)
			}
			from = c.Revision
			seen[c.Member.ID] = c.Member.Reason
			if seen["alpha"] == "last" && seen["beta"] == "last" {
				return nil
			}
		}
		return errors.New("the sequence ended")
	}
	errs := make(chan error, 3)
	go func() { errs <- follow(0) }()
	var middle membership.Revision
	for i := range writes {
		for id := range final {
			m := member(string(id))
			if i > 0 {
				m = must(s.Load(ctx, id))(t)
			}
			if m.Reason = fmt.Sprint(i); i == writes-1 {
				m.Reason = "last"
			}
			m = must(s.Save(ctx, m))(t)
			if i == writes/2 {
				middle = m.Revision
			}
		}
	}
	go func() { errs <- follow(0) }()
	go func() { errs <- follow(middle) }()
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	cancel()
	for _, err := range s.Watch(ctx, 1<<40) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v from a watch whose context ended, want context.Canceled", err)
		}
	}
}

func member(id string) membership.Member {
	return membership.Member{
		Application: membership.Application{
			ID: membership.ID(id), Name: "Name of " + id, MailDomains: []string{id + ".example"},
		},
		State:     membership.Submitted,
		Approvals: []membership.Decision{{Verb: membership.Approve, By: membership.Actor{Person: "ada"}}},
	}
}

// must returns the value of a call that has to succeed.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantKind(t *testing.T, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != want {
		t.Errorf("got error %v, want one of kind %v", err, want)
	}
}
