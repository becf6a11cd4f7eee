package repository

import (
	"bytes"
	_ "embed"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"bridge.example/internal/fault"
)

// maxAge bounds how long a path whose content changes is kept by caches, so
// that a member that leaves is gone everywhere within seconds.
const maxAge = 30 * time.Second

const immutableAge = 365 * 24 * time.Hour

// Handler serves s. GET and HEAD only; conditional and range requests as RFC
// 9110 says; nothing but what is in the set, and an index at "/".
func Handler(s Source, o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &handler{source: s, o: o}
}

type handler struct {
	source Source
	o      Options
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rec := &recorder{ResponseWriter: w, code: http.StatusOK}
	h.serve(rec, r)
	h.o.Log.Debug("repository request", "method", r.Method, "path", r.URL.Path, "code", rec.code,
		"remote", r.RemoteAddr, "duration", time.Since(start))
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	files := h.source.Files()
	if r.URL.Path == "/" {
		h.index(w, r, files)
		return
	}
	f, ok := files.byPath[r.URL.Path]
	if !ok {
		var err error
		switch f, err = h.old(r); {
		case fault.KindOf(err) == fault.NotFound:
			http.Error(w, "nothing is published here; / lists what is", http.StatusNotFound)
			return
		case r.Context().Err() != nil:
			return // nobody listens any more
		case err != nil:
			h.o.Log.Error("reading an old file", "path", r.URL.Path, "err", err)
			header.Set("Retry-After", "60")
			http.Error(w, "not to be had now", http.StatusServiceUnavailable)
			return
		}
	}
	header.Set("Content-Type", f.ContentType)
	header.Set("ETag", f.etag)
	header.Set("Cache-Control", cacheControl(f.File, h.o.Now()))
	http.ServeContent(w, r, "", f.Modified, bytes.NewReader(f.Body))
}

// old is what Options.Old has for r.
func (h *handler) old(r *http.Request) (file, error) {
	if h.o.Old == nil {
		return file{}, fault.New(fault.NotFound, "there are no old files")
	}
	f, err := h.o.Old(r.Context(), r.URL.Path)
	if err != nil {
		return file{}, err
	}
	return file{f, etag(f.Body)}, nil
}

// cacheControl never lets a cache keep what has expired.
func cacheControl(f File, now time.Time) string {
	age := maxAge
	if f.Immutable {
		age = immutableAge
	}
	if !f.Expires.IsZero() {
		age = max(0, min(age, f.Expires.Sub(now)))
	}
	out := "public, max-age=" + strconv.Itoa(int(age.Seconds()))
	if f.Immutable {
		return out + ", immutable"
	}
	return out + ", must-revalidate"
}

//go:embed index.html
var indexText string

var indexPage = template.Must(template.New("index").Parse(indexText))

func (h *handler) index(w http.ResponseWriter, r *http.Request, files *Files) {
	type row struct {
		File
		Fingerprint string
	}
	page := struct {
		Name, Host string
		Files      []row
	}{Name: h.o.Name, Host: r.Host}
	for _, f := range files.sorted {
		etag := files.byPath[f.Path].etag
		page.Files = append(page.Files, row{f, etag[1 : len(etag)-1]})
	}
	var b bytes.Buffer
	if err := indexPage.Execute(&b, page); err != nil {
		h.o.Log.Error("rendering the index", "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(b.Bytes()) // the client may have gone
}

// recorder remembers the status for the log.
type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}
