package vocsp_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ocsp"
	"bridge.example/vocsp"
)

func upstream(m *member, via http.RoundTripper, urls ...string) vocsp.Source {
	return vocsp.Upstream(urls, m.cert, &http.Client{Transport: via}, vocsp.UpstreamOptions{Timeout: 4 * time.Second, Concurrency: 1})
}

// TestNoLiePasses has one lie of a member's responder per case.
func TestNoLiePasses(t *testing.T) {
	beta := newMember(t, "beta")
	for name, c := range map[string]struct {
		change func(*ocsp.Response)
		want   error
	}{
		"other nonce":  {func(r *ocsp.Response) { r.Extensions[0] = ocsp.NonceExtension([]byte("m")) }, ocsp.ErrNonce},
		"other serial": {func(r *ocsp.Response) { r.Singles[0].ID = beta.id(t, 1) }, ocsp.ErrOtherCert},
		"stale": {func(r *ocsp.Response) {
			r.Singles[0].ThisUpdate, r.Singles[0].NextUpdate = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}, ocsp.ErrStale},
		"early": {func(r *ocsp.Response) { r.Singles[0].ThisUpdate = time.Now().Add(time.Hour) }, ocsp.ErrEarly},
		"no nextUpdate": {func(r *ocsp.Response) {
			r.Singles[0].ThisUpdate, r.Singles[0].NextUpdate = time.Now().Add(-time.Hour), time.Time{}
		}, ocsp.ErrStale},
		"unsigned": {func(r *ocsp.Response) { r.Certificates = [][]byte{} }, ocsp.ErrSigner},
		"contradiction": {func(r *ocsp.Response) {
			s := r.Singles[0]
			s.Status, s.RevokedAt = ocsp.Revoked, time.Now()
			r.Singles = append(r.Singles, s)
		}, ocsp.ErrContradiction},
	} {
		alpha := newMember(t, "alpha")
		alpha.change = c.change
		_, err := alpha.source().Status(t.Context(), withNonce(ocsp.NewRequest(alpha.id(t, 1)), "n"))
		if fault.KindOf(err) != fault.Unavailable || !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want Unavailable for %v", name, err, c.want)
		}
	}
	alpha := newMember(t, "alpha")
	if _, err := upstream(alpha, transport(func(r *http.Request) (*http.Response, error) {
		der, err := beta.answer(mustEncode(t, ocsp.NewRequest(alpha.id(t, 1))))
		return reply(200, der), err
	}), "http://a/").Status(t.Context(), ocsp.NewRequest(alpha.id(t, 1))); !errors.Is(err, ocsp.ErrSigner) {
		t.Errorf("member vouches for another: got %v, want %v", err, ocsp.ErrSigner)
	}
}

func mustEncode(t testing.TB, r *ocsp.Request) []byte {
	t.Helper()
	der, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestAnswerWithoutNoncePasses(t *testing.T) {
	alpha := newMember(t, "alpha")
	alpha.change = func(r *ocsp.Response) { r.Extensions = nil }
	r, err := alpha.source().Status(t.Context(), withNonce(ocsp.NewRequest(alpha.id(t, 1)), "n"))
	if err != nil || r.Nonce() != nil {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestBrokenResponders(t *testing.T) {
	alpha := newMember(t, "alpha")
	valid, err := alpha.answer(mustEncode(t, ocsp.NewRequest(alpha.id(t, 1))))
	if err != nil {
		t.Fatal(err)
	}
	redirect := reply(http.StatusTemporaryRedirect, nil)
	redirect.Header.Set("Location", "http://elsewhere/")
	for name, answer := range map[string]*http.Response{
		"tryLater":     reply(200, ocsp.ErrorResponse(ocsp.TryLater)),
		"HTTP 500":     reply(500, valid),
		"redirect":     redirect,
		"HTML":         reply(200, []byte("<html>")),
		"empty":        reply(200, nil),
		"never-ending": reply(200, append(valid, make([]byte, 10*ocsp.MaxResponseBytes)...)),
	} {
		asked := 0
		_, err := upstream(alpha, transport(func(*http.Request) (*http.Response, error) { asked++; return answer, nil }), "http://a/").
			Status(t.Context(), ocsp.NewRequest(alpha.id(t, 1)))
		if fault.KindOf(err) != fault.Unavailable || asked != 1 {
			t.Errorf("%s: got %v after %d requests, want Unavailable after one", name, err, asked)
		}
	}
}

func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alpha := newMember(t, "alpha")
		var asked []string
		source := upstream(alpha, transport(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Host)
			if r.URL.Host != "live" {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return alpha.RoundTrip(r)
		}), "http://hangs/", "http://hangs2/", "http://live/", "http://spare/")
		start := time.Now()
		for range 2 {
			if _, err := source.Status(t.Context(), ocsp.NewRequest(alpha.id(t, 1))); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(asked, " "); got != "hangs hangs2 live live" {
			t.Errorf("asked %s, want the one that answered first of all the second time", got)
		}
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("took %v, want two shares of 1s", d)
		}
	})
}

// TestBusyResponder puts three questions to a responder that takes 3 s for each
// and gets one at a time; they have 4 s.
func TestBusyResponder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alpha := newMember(t, "alpha")
		source := upstream(alpha, transport(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(3 * time.Second):
				return alpha.RoundTrip(r)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}), "http://slow/")
		results := make(chan error)
		for range 3 {
			go func() {
				_, err := source.Status(t.Context(), ocsp.NewRequest(alpha.id(t, 1)))
				results <- err
			}()
		}
		start := time.Now()
		for _, want := range []time.Duration{3 * time.Second, 4 * time.Second, 4 * time.Second} {
			err := <-results
			if d := time.Since(start); d != want || (err == nil) != (d < 4*time.Second) {
				t.Errorf("after %v: got %v, want an answer after 3s and errors after 4s", d, err)
			}
		}
	})
}
