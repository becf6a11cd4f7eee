package vocsp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"bridge.example/internal/wire/ocsp"
	"bridge.example/vocsp"
)

func TestCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alpha := newMember(t, "alpha")
		source := vocsp.Cached(alpha.source(), 2, time.Now)
		one := ocsp.NewRequest(alpha.id(t, 1))
		for _, c := range []struct {
			name string
			r    *ocsp.Request
			wait time.Duration // before asking
			want int           // questions that reach the member
		}{
			{"first", one, 0, 1},
			{"again", one, 59 * time.Second, 0},
			{"nonce", withNonce(ocsp.NewRequest(alpha.id(t, 1)), "n"), 0, 1},
			{"two at once", ocsp.NewRequest(alpha.id(t, 1), alpha.id(t, 3)), 0, 1},
			{"a minute old", one, time.Second, 1},
			{"another", ocsp.NewRequest(alpha.id(t, 3)), 0, 1},
			{"both kept", one, 0, 0},
			{"a third", ocsp.NewRequest(alpha.id(t, 5)), 0, 1},
			{"it is kept", ocsp.NewRequest(alpha.id(t, 5)), 0, 0},
		} {
			time.Sleep(c.wait)
			if _, err := source.Status(t.Context(), c.r); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if len(alpha.asked) != c.want {
				t.Errorf("%s: the member was asked %d times, want %d", c.name, len(alpha.asked), c.want)
			}
			for len(alpha.asked) > 0 {
				<-alpha.asked
			}
		}
		for serial := range int64(3) {
			if _, err := source.Status(t.Context(), ocsp.NewRequest(alpha.id(t, 2*serial+1))); err != nil {
				t.Fatal(err)
			}
		}
		if len(alpha.asked) == 0 {
			t.Error("three answers are kept, want two")
		}
	})
}

func TestCachedKeepsOnlyTheFresh(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ocsp.Response)
		wait   time.Duration
	}{
		"nextUpdate passed": {func(r *ocsp.Response) { r.Singles[0].NextUpdate = time.Now().Add(30 * time.Second) }, 30 * time.Second},
		"no nextUpdate":     {func(r *ocsp.Response) { r.Singles[0].NextUpdate = time.Time{} }, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			alpha := newMember(t, "alpha")
			alpha.change = c.change
			source := vocsp.Cached(alpha.source(), 2, time.Now)
			for range 2 {
				if _, err := source.Status(t.Context(), ocsp.NewRequest(alpha.id(t, 1))); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				time.Sleep(c.wait)
			}
			if len(alpha.asked) != 2 {
				t.Errorf("%s: the member was asked %d times, want 2", name, len(alpha.asked))
			}
		})
	}
}

// TestAnswerOnItsWayIsNotKept changes the routes while a member is answering.
func TestAnswerOnItsWayIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alpha := newMember(t, "alpha")
		alpha.change = func(*ocsp.Response) { time.Sleep(time.Second) }
		route := alpha.route()
		route.Source = vocsp.Cached(route.Source, 2, time.Now)
		p := newProxy(t, vocsp.Options{}, route)
		first := make(chan error)
		go func() {
			_, err := p.Status(t.Context(), ocsp.NewRequest(alpha.id(t, 1)))
			first <- err
		}()
		synctest.Wait()
		if err := p.SetRoutes([]vocsp.Route{route}); err != nil {
			t.Fatal(err)
		}
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		if _, err := p.Status(t.Context(), ocsp.NewRequest(alpha.id(t, 1))); err != nil || len(alpha.asked) != 2 {
			t.Errorf("got %v after %d questions, want 2", err, len(alpha.asked))
		}
	})
}
