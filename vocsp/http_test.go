package vocsp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ocsp"
	"bridge.example/vocsp"
)

// serve puts one HTTP request to h.
func serve(h http.Handler, method, path, contentType string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const requestType = "application/ocsp-request"

// statusIn returns the OCSP status in an HTTP answer.
func statusIn(t *testing.T, w *httptest.ResponseRecorder) ocsp.Status {
	t.Helper()
	r, err := ocsp.ParseResponse(w.Body.Bytes())
	if err != nil {
		t.Fatalf("HTTP %d: %v", w.Code, err)
	}
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/ocsp-response" {
		t.Errorf("got HTTP %d %v, want 200 and an OCSP response", w.Code, w.Header())
	}
	return r.Status
}

// TestMembersBytesArePassedOn is the point of it all, over a real connection.
func TestMembersBytesArePassedOn(t *testing.T) {
	alpha := newMember(t, "alpha")
	var sent []byte
	source := upstream(alpha, transport(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		sent, err = alpha.answer(body)
		return reply(200, sent), err
	}), "http://a/")
	p := newProxy(t, vocsp.Options{}, vocsp.Route{Member: "alpha", Issuer: alpha.cert, Source: source})
	server := httptest.NewServer(p)
	defer server.Close()
	der := mustEncode(t, withNonce(ocsp.NewRequest(alpha.id(t, 1)), "\xff\xff\xff\xff\xff\xff"))
	path := base64.StdEncoding.EncodeToString(der)
	if !strings.Contains(path, "//") {
		t.Fatalf("%s shows nothing", path)
	}
	for name, ask := range map[string]func() (*http.Response, error){
		"POST":              func() (*http.Response, error) { return http.Post(server.URL, requestType, bytes.NewReader(der)) },
		"GET":               func() (*http.Response, error) { return http.Get(server.URL + "/" + path) },
		"GET, slash before": func() (*http.Response, error) { return http.Get(server.URL + "//" + path) },
		"GET, escaped": func() (*http.Response, error) {
			return http.Get(server.URL + "/" + strings.ReplaceAll(strings.ReplaceAll(path, "/", "%2F"), "+", "%2B"))
		},
	} {
		resp, err := ask()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, sent) || len(got) == 0 || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d bytes %v, %v, want the member's %d and no-store", name, len(got), resp.Header, err, len(sent))
		}
	}
}

func TestErrorsBecomeStatuses(t *testing.T) {
	alpha := newCA(t, "alpha")
	der := mustEncode(t, ocsp.NewRequest(alpha.id(t, 1)))
	for err, want := range map[error]ocsp.Status{
		fault.New(fault.Invalid, "x"):     ocsp.MalformedRequest,
		fault.New(fault.NotFound, "x"):    ocsp.Unauthorized,
		fault.New(fault.Denied, "x"):      ocsp.Unauthorized,
		fault.New(fault.Conflict, "x"):    ocsp.TryLater,
		fault.New(fault.Unavailable, "x"): ocsp.TryLater,
		fault.New(fault.Internal, "x"):    ocsp.InternalError,
		errors.New("x"):                   ocsp.InternalError,
	} {
		source := sourceFunc(func(context.Context, *ocsp.Request) (*ocsp.Response, error) { return nil, err })
		p := newProxy(t, vocsp.Options{}, vocsp.Route{Issuer: alpha.cert, Source: source})
		w := serve(p, "POST", "/", requestType, der)
		if got := statusIn(t, w); got != want || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v: got %v %v, want %v and no-store", fault.KindOf(err), got, w.Header(), want)
		}
	}
}

func TestBadHTTP(t *testing.T) {
	alpha := newMember(t, "alpha")
	p := newProxy(t, vocsp.Options{}, alpha.route())
	der := mustEncode(t, ocsp.NewRequest(alpha.id(t, 1)))
	for name, c := range map[string]struct {
		method, path, contentType string
		body                      []byte
		want                      int
	}{
		"HEAD":         {"HEAD", "/", "", nil, 405},
		"PUT":          {"PUT", "/", requestType, der, 405},
		"form":         {"POST", "/", "application/x-www-form-urlencoded", der, 415},
		"no such type": {"POST", "/", ";;", der, 415},
		"browser":      {"GET", "/", "", nil, 200},
		"no type":      {"POST", "/any/path", "", der, 200},
		"parameter":    {"POST", "/", requestType + "; charset=binary", der, 200},
	} {
		if w := serve(p, c.method, c.path, c.contentType, c.body); w.Code != c.want {
			t.Errorf("%s: got %d, want %d", name, w.Code, c.want)
		}
	}
	for name, body := range map[string][]byte{
		"empty": nil, "garbage": {'x'}, "oversize": append(der, make([]byte, ocsp.MaxRequestBytes)...), "endless": make([]byte, 1<<20),
	} {
		if got := statusIn(t, serve(p, "POST", "/", requestType, body)); got != ocsp.MalformedRequest {
			t.Errorf("%s: got %v, want malformedRequest", name, got)
		}
	}
	for _, path := range []string{"/favicon.ico", "/AAAA", "/%2e%2e/%2e%2e/etc/passwd"} {
		if got := statusIn(t, serve(p, "GET", path, "", nil)); got != ocsp.MalformedRequest {
			t.Errorf("%s: got %v, want malformedRequest", path, got)
		}
	}
}

func TestCacheHeaders(t *testing.T) {
	alpha := newMember(t, "alpha")
	route := alpha.route()
	route.Source = vocsp.Cached(route.Source, 10, time.Now)
	p := newProxy(t, vocsp.Options{}, route)
	path := "/" + base64.StdEncoding.EncodeToString(mustEncode(t, ocsp.NewRequest(alpha.id(t, 1))))
	w := serve(p, "GET", path, "", nil)
	r, err := ocsp.ParseResponse(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var age int
	if _, err := fmt.Sscanf(w.Header().Get("Cache-Control"), "max-age=%d, public, no-transform, must-revalidate", &age); err != nil || age < 3500 || age > 3600 {
		t.Errorf("Cache-Control: got %q, want an hour", w.Header().Get("Cache-Control"))
	}
	s := r.Singles[0]
	for name, want := range map[string]string{
		"Last-Modified": s.ThisUpdate.Format(http.TimeFormat), "Expires": s.NextUpdate.Format(http.TimeFormat),
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	alpha.change = func(r *ocsp.Response) { r.Singles[1].NextUpdate = time.Now().Add(time.Minute) }
	two := serve(p, "GET", "/"+base64.StdEncoding.EncodeToString(mustEncode(t, ocsp.NewRequest(alpha.id(t, 1), alpha.id(t, 3)))), "", nil)
	if fmt.Sscanf(two.Header().Get("Cache-Control"), "max-age=%d", &age); age > 60 {
		t.Errorf("two validities: got %q, want the least, a minute", two.Header().Get("Cache-Control"))
	}
	again := httptest.NewRequest("GET", path, nil)
	again.Header.Set("If-None-Match", w.Header().Get("ETag"))
	w = httptest.NewRecorder()
	if p.ServeHTTP(w, again); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("If-None-Match: got %d with %d bytes, want 304 with none", w.Code, w.Body.Len())
	}
}

func TestOneLinePerRequest(t *testing.T) {
	alpha := newMember(t, "alpha")
	down := vocsp.Upstream(nil, alpha.cert, &http.Client{}, vocsp.UpstreamOptions{})
	for want, c := range map[string]struct {
		source vocsp.Source
		der    []byte
	}{
		`level=DEBUG msg="status request" member=alpha serial=1f result=successful`: {alpha.source(), mustEncode(t, ocsp.NewRequest(alpha.id(t, 31)))},
		`level=WARN msg="status request" member=alpha serial=1f result=tryLater`:    {down, mustEncode(t, ocsp.NewRequest(alpha.id(t, 31)))},
		`level=DEBUG msg="status request" member="" serial="" result=malformed`:     {down, []byte("x")},
	} {
		var log strings.Builder
		p := newProxy(t, vocsp.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))},
			vocsp.Route{Member: "alpha", Issuer: alpha.cert, Source: c.source})
		serve(p, "POST", "/", requestType, c.der)
		if got := log.String(); !strings.Contains(got, want) || strings.Count(got, "\n") != 1 || !strings.Contains(got, "duration=") || !strings.Contains(got, "remote=") {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}
