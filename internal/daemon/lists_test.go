package daemon_test

import (
	"bytes"
	"crypto/x509"
	"io"
	"net/http"
	"testing"
	"time"

	"bridge.example/internal/daemon"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/statedir"
	"bridge.example/signedlist"
)

// TestListsArePublished fetches every form of the latest list and of the one
// before, as relying parties do.
func TestListsArePublished(t *testing.T) {
	alpha := organisation(t, alphaSpec())
	b := start(t, "o=bridge", func(*config.Config) {}, alpha)
	b.admit(t, b.application(t, alpha))
	get := func(path string, header ...string) (*http.Response, []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.Repository+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := oneShot.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, body
	}
	anchor, err := b.dir.ReadCertificate(statedir.BridgeCA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(anchor)
	latest := func() *signedlist.List {
		t.Helper()
		l, err := signedlist.Open(b.fetch(t, daemon.ListPath), roots, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	// check fetches all of l. What is current must be asked for again soon.
	check := func(l *signedlist.List, current bool) {
		t.Helper()
		for _, v := range l.Views {
			resp, body := get(daemon.ListPathOf(l.Number, v.Name))
			if err := l.CheckView(v.Name, body); err != nil || resp.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
				t.Errorf("%v of list %d: %v %q", v.Name, l.Number, err, resp.Header.Get("Cache-Control"))
			}
			if !current {
				continue
			}
			now, same := get("/" + v.Name)
			if !bytes.Equal(same, body) || now.Header.Get("Cache-Control") != "public, max-age=30, must-revalidate" ||
				now.Header.Get("Last-Modified") != l.IssuedAt.Format(http.TimeFormat) || now.Header.Get("Content-Type") == "" {
				t.Errorf("%s: got %v", v.Name, now.Header)
			}
			if again, body := get("/"+v.Name, "If-None-Match", now.Header.Get("ETag")); again.StatusCode != http.StatusNotModified || len(body) != 0 {
				t.Errorf("%s unchanged: got %s", v.Name, again.Status)
			}
		}
		if old, err := signedlist.Open(b.fetch(t, daemon.ListPathOf(l.Number, signedlist.ListName)), roots, time.Now()); err != nil || old.Hash != l.Hash {
			t.Errorf("list %d: %v", l.Number, err)
		}
		if old, err := signedlist.OpenJSON(b.fetch(t, daemon.ListPathOf(l.Number, signedlist.JSONName)), roots, time.Now()); err != nil || old.Hash != l.Hash {
			t.Errorf("list %d as JSON: %v", l.Number, err)
		}
	}
	before := latest()
	if len(before.Entries) == 0 || len(before.Entries[0].Levels) == 0 || len(before.Views) == 0 {
		t.Fatalf("got %+v, want a member with levels, and views", before)
	}
	check(before, true)
	b.suspend(t, "alpha")
	after := latest()
	if after.Number <= before.Number || len(after.Entries) != 0 {
		t.Fatalf("got list %d with %d entries after %d", after.Number, len(after.Entries), before.Number)
	}
	if err := after.Supersedes(before); err != nil {
		t.Error(err)
	}
	check(after, true)
	check(before, false)
	for _, path := range []string{
		"/lists/0/list.p7s", "/lists/01/list.p7s", "/lists/+1/list.p7s", "/lists/-1/list.p7s", "/lists/999/list.p7s", "/lists/99999999999999999999/list.p7s",
		"/lists/1/", "/lists/1", "/lists/", "/lists/1/other", "/lists/1/list.p7s/", "/lists/x/list.p7s",
	} {
		if resp, _ := get(path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got %s", path, resp.Status)
		}
	}
}
