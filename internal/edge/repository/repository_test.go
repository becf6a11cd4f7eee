package repository_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/edge/repository"
	"bridge.example/internal/fault"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

type fixed struct{ f *repository.Files }

func (s fixed) Files() *repository.Files { return s.f }

func serve(files ...repository.File) http.Handler {
	return repository.Handler(fixed{repository.NewFiles(files)}, repository.Options{
		Name: "Bridge <of> Tests", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	})
}

func list() repository.File {
	return repository.File{Path: "/list.p7s", ContentType: "application/cms", Body: []byte("0123456789"), Modified: now.Add(-time.Hour), Expires: now.Add(time.Hour)}
}

func get(h http.Handler, method, path string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "http://repository.example"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestServe(t *testing.T) {
	h := serve(list())
	etag := get(h, "GET", "/list.p7s").Header.Get("ETag")
	for _, tt := range []struct {
		name, method, path string
		header             []string
		code               int
		body               string
	}{
		{"the file", "GET", "/list.p7s", nil, 200, "0123456789"},
		{"its header", "HEAD", "/list.p7s", nil, 200, ""},
		{"what the client has", "GET", "/list.p7s", []string{"If-None-Match", etag}, 304, ""},
		{"what the client had", "GET", "/list.p7s", []string{"If-None-Match", `"other"`}, 200, "0123456789"},
		{"not modified since", "GET", "/list.p7s", []string{"If-Modified-Since", now.Format(http.TimeFormat)}, 304, ""},
		{"a range", "GET", "/list.p7s", []string{"Range", "bytes=2-4"}, 206, "234"},
		{"a range that is none", "GET", "/list.p7s", []string{"Range", "bytes=20-"}, 416, "invalid range: failed to overlap\n"},
		{"another path", "GET", "/other", nil, 404, "nothing is published here; / lists what is\n"},
		{"a path that climbs", "GET", "/../etc/passwd", nil, 404, "nothing is published here; / lists what is\n"},
		{"a write", "PUT", "/list.p7s", nil, 405, "only GET and HEAD\n"},
		{"a post", "POST", "/", nil, 405, "only GET and HEAD\n"},
	} {
		r := get(h, tt.method, tt.path, tt.header...)
		if got := body(t, r); r.StatusCode != tt.code || got != tt.body {
			t.Errorf("%s: got %d %q, want %d %q", tt.name, r.StatusCode, got, tt.code, tt.body)
		}
	}
}

// TestOld asks for what is not in the set.
func TestOld(t *testing.T) {
	h := repository.Handler(fixed{repository.NewFiles([]repository.File{list()})}, repository.Options{
		Log: slog.New(slog.DiscardHandler),
		Old: func(_ context.Context, path string) (repository.File, error) {
			switch path {
			case "/lists/1/list.p7s":
				return repository.File{Path: path, ContentType: "application/cms", Body: []byte("0123456789"), Immutable: true}, nil
			case "/lists/2/list.p7s":
				return repository.File{}, errors.New("the disk is gone")
			}
			return repository.File{}, fault.New(fault.NotFound, "nothing")
		},
	})
	etag := get(h, "GET", "/list.p7s").Header.Get("ETag")
	for _, tt := range []struct {
		name, method, path string
		header             []string
		code               int
		body               string
	}{
		{"one", "GET", "/lists/1/list.p7s", nil, 200, "0123456789"},
		{"its header", "HEAD", "/lists/1/list.p7s", nil, 200, ""},
		{"what the client has from the other path", "GET", "/lists/1/list.p7s", []string{"If-None-Match", etag}, 304, ""},
		{"a range", "GET", "/lists/1/list.p7s", []string{"Range", "bytes=-2"}, 206, "89"},
		{"one that cannot be read", "GET", "/lists/2/list.p7s", nil, 503, "not to be had now\n"},
		{"one that never was", "GET", "/lists/3/list.p7s", nil, 404, "nothing is published here; / lists what is\n"},
	} {
		r := get(h, tt.method, tt.path, tt.header...)
		if got := body(t, r); r.StatusCode != tt.code || got != tt.body {
			t.Errorf("%s: got %d %q, want %d %q", tt.name, r.StatusCode, got, tt.code, tt.body)
		}
		if cc := r.Header.Get("Cache-Control"); (cc == "public, max-age=31536000, immutable") != (tt.code < 400) && tt.code != 304 {
			t.Errorf("%s: got Cache-Control %q", tt.name, cc)
		}
	}
}

func TestHeaders(t *testing.T) {
	r := get(serve(list()), "GET", "/list.p7s")
	for name, want := range map[string]string{
		"Content-Type":           "application/cms",
		"Last-Modified":          "Fri, 01 May 2026 11:00:00 GMT",
		"ETag":                   `"84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"`,
		"X-Content-Type-Options": "nosniff",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
}

func TestLifetime(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*repository.File)
		want string
	}{
		{"a path that changes", func(*repository.File) {}, "public, max-age=30, must-revalidate"},
		{"one that expires sooner", func(f *repository.File) { f.Expires = now.Add(10 * time.Second) }, "public, max-age=10, must-revalidate"},
		{"one that has expired", func(f *repository.File) { f.Expires = now.Add(-time.Hour) }, "public, max-age=0, must-revalidate"},
		{"one that never changes", func(f *repository.File) { f.Immutable = true }, "public, max-age=3600, immutable"},
		{"one that never changes nor expires", func(f *repository.File) { f.Immutable, f.Expires = true, time.Time{} }, "public, max-age=31536000, immutable"},
	} {
		f := list()
		tt.edit(&f)
		if got := get(serve(f), "GET", "/list.p7s").Header.Get("Cache-Control"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestIndex checks that the page lists what is there and escapes what it shows.
func TestIndex(t *testing.T) {
	f := list()
	f.Path = `/<script>alert("x")</script>`
	r := get(serve(f, list()), "GET", "/")
	page := body(t, r)
	for _, want := range []string{"Bridge &lt;of&gt; Tests", `href="/list.p7s"`, "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882", "&lt;script&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "<script>") {
		t.Error("the page carries a script")
	}
	if r.Header.Get("Content-Security-Policy") == "" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got headers %v, want a content security policy and nosniff", r.Header)
	}
}

func TestModifiedUnless(t *testing.T) {
	files := repository.NewFiles([]repository.File{list()})
	if got := files.ModifiedUnless("/list.p7s", []byte("0123456789"), now); !got.Equal(list().Modified) {
		t.Errorf("got %v for the same bytes, want the old time", got)
	}
	if got := files.ModifiedUnless("/list.p7s", []byte("other"), now); !got.Equal(now) {
		t.Errorf("got %v for other bytes, want now", got)
	}
	var nothing *repository.Files
	if got := nothing.ModifiedUnless("/list.p7s", nil, now); !got.Equal(now) {
		t.Errorf("got %v from no set, want now", got)
	}
}
