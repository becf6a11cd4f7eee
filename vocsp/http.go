package vocsp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ocsp"
)

const (
	requestType  = "application/ocsp-request"
	responseType = "application/ocsp-response"
)

const note = "This is an OCSP responder (RFC 6960). Ask it with POST, or with GET and a request in base64 as the path.\n"

// ServeHTTP answers OCSP over HTTP (RFC 6960 appendix A, RFC 5019). It must not
// stand behind a ServeMux, which cleans "//" out of paths and so breaks base64.
// An OCSP error is an HTTP success, so that clients look at it, and no cache
// keeps it. Answers to GET without nonce may be cached until the earliest
// nextUpdate.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	switch {
	case r.Method == http.MethodGet && strings.Trim(r.URL.Path, "/") == "":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, note)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, note, http.StatusMethodNotAllowed)
		return
	case r.Method == http.MethodPost && !isRequest(r.Header.Get("Content-Type")):
		http.Error(w, "want Content-Type: "+requestType, http.StatusUnsupportedMediaType)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), p.o.Timeout)
	defer cancel()
	req, err := readRequest(w, r)
	var routes []*Route
	var resp *ocsp.Response
	if err == nil {
		routes = p.routes(req)
		resp, err = p.answer(ctx, req, routes)
	}
	status := statusOf(err)
	p.write(w, r, req, resp, status)
	p.log(r, req, routes, status, err, time.Since(start))
}

// isRequest takes a missing type for the right one: some clients send none.
func isRequest(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return contentType == "" || err == nil && t == requestType
}

func readRequest(w http.ResponseWriter, r *http.Request) (*ocsp.Request, error) {
	if r.Method == http.MethodGet {
		return ocsp.ParseGET(r.URL.EscapedPath())
	}
	der, err := io.ReadAll(http.MaxBytesReader(w, r.Body, ocsp.MaxRequestBytes))
	if err != nil {
		return nil, fault.New(fault.Invalid, "reading an OCSP request: %w", err)
	}
	return ocsp.ParseRequest(der)
}

// statusOf is the one place where errors become OCSP statuses. Conflict and
// Unavailable pass; unauthorized tells clients that asking again is useless
// (RFC 6960 §2.3, RFC 5019 §2.2.3).
func statusOf(err error) ocsp.Status {
	if err == nil {
		return ocsp.Successful
	}
	switch fault.KindOf(err) {
	case fault.Invalid:
		return ocsp.MalformedRequest
	case fault.NotFound, fault.Denied:
		return ocsp.Unauthorized
	case fault.Conflict, fault.Unavailable:
		return ocsp.TryLater
	default:
		return ocsp.InternalError
	}
}

func (p *Proxy) write(w http.ResponseWriter, r *http.Request, req *ocsp.Request, resp *ocsp.Response, status ocsp.Status) {
	h := w.Header()
	h.Set("Content-Type", responseType)
	if status != ocsp.Successful {
		h.Set("Cache-Control", "no-store")
		w.Write(ocsp.ErrorResponse(status))
		return
	}
	this, next := validity(resp)
	left := next.Sub(p.o.Now()) / time.Second
	if r.Method != http.MethodGet || req.Nonce() != nil || left <= 0 {
		h.Set("Cache-Control", "no-store")
		w.Write(resp.Raw)
		return
	}
	etag := fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256(resp.Raw)))
	h.Set("Cache-Control", fmt.Sprintf("max-age=%d, public, no-transform, must-revalidate", left))
	h.Set("ETag", etag)
	h.Set("Last-Modified", this.Format(http.TimeFormat))
	h.Set("Expires", next.Format(http.TimeFormat))
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Write(resp.Raw)
}

// validity is the time for which all of resp holds: the latest thisUpdate and
// the earliest nextUpdate, zero when one is absent.
func validity(resp *ocsp.Response) (this, next time.Time) {
	for i, s := range resp.Singles {
		if s.ThisUpdate.After(this) {
			this = s.ThisUpdate
		}
		if i == 0 || s.NextUpdate.Before(next) {
			next = s.NextUpdate
		}
	}
	return this, next
}

func (p *Proxy) log(r *http.Request, req *ocsp.Request, routes []*Route, status ocsp.Status, err error, d time.Duration) {
	level := slog.LevelDebug
	switch fault.KindOf(err) {
	case fault.Internal:
		if err != nil {
			level = slog.LevelError
		}
	case fault.Conflict, fault.Unavailable:
		if !errors.Is(err, context.Canceled) { // the client left
			level = slog.LevelWarn
		}
	}
	if !p.o.Log.Enabled(r.Context(), level) {
		return
	}
	var members, serials []string
	for i, route := range routes {
		serials = append(serials, req.Singles[i].ID.Serial.Text(16))
		if route != nil {
			members = append(members, route.Member)
		}
	}
	p.o.Log.Log(r.Context(), level, "status request", "member", strings.Join(members, " "), "serial", strings.Join(serials, " "),
		"result", status.String(), "duration", d, "remote", r.RemoteAddr, "err", err)
}
