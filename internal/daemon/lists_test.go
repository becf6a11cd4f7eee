package daemon_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/daemon"
	"bridge.example/internal/fault"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/statedir"
	"bridge.example/signedlist"
)

// TestListSignerIsReplaced announces another key, and then signs with it.
func TestListSignerIsReplaced(t *testing.T) {
	b := start(t, "o=bridge", func(*config.Config) {})
	anchor, err := b.dir.ReadCertificate(statedir.BridgeCA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(anchor)
	c, err := config.LoadFile(b.dir.Config())
	if err != nil {
		t.Fatal(err)
	}
	next := keyFile(t)
	var last *signedlist.List
	step := func(name, listSigner, nextSigner string, announced int, want int64) {
		t.Helper()
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		c.Keys.ListSigner, c.Keys.NextListSigner = listSigner, nextSigner
		b.run(t, c)
		l, err := signedlist.Open(b.fetch(t, daemon.ListPath), roots, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if l.Number != want || len(l.Signers) != announced {
			t.Errorf("%s: got list %d with %d signers, want %d with %d", name, l.Number, len(l.Signers), want, announced)
		}
		if last != nil {
			if err := l.Supersedes(last); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		last = l
	}
	step("before", "", "", 1, 1)
	step("announced", "", next, 2, 2)
	step("announced still", "", next, 2, 2)
	old := last.Signer
	for _, wrong := range []string{b.dir.Key(statedir.OCSPSigner), b.dir.Key(statedir.BridgeCA)} {
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		c.Keys.ListSigner = wrong
		if _, err := daemon.New(t.Context(), c, "test", slog.New(slog.DiscardHandler)); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "does not announce it") {
			t.Errorf("another's key: got %v, want Invalid", err)
		}
	}
	step("replaced", next, "", 1, 3)
	step("replaced still", next, "", 1, 3)
	if last.Signer == old {
		t.Error("the old key signs still")
	}
	// The new one is lost. Subscribers are asked whether they agree.
	before, third := last, keyFile(t)
	last = nil
	step("replaced without notice", third, third, 1, 4)
	if err := last.Supersedes(before); !errors.Is(err, signedlist.ErrUnannounced) {
		t.Errorf("got %v, want ErrUnannounced", err)
	}
}

// keyFile makes a key.
func keyFile(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestListsArePublished fetches every form of the latest list and of the one
// before, as relying parties do.
func TestListsArePublished(t *testing.T) {
	alpha := organisation(t, alphaSpec())
	b := start(t, "o=bridge", func(c *config.Config) {
		c.Operator = config.Operator{Name: "Tests", Street: "Hauptstr. 1", Locality: "Berlin", Country: "DE", Email: "office@bridge.example"}
	}, alpha)
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
		document := b.fetch(t, daemon.ListPathOf(l.Number, signedlist.XMLName))
		old, services, err := signedlist.OpenXML(document, roots, time.Now())
		if err != nil || old.Hash != l.Hash || len(services) != 1 || services[0].Granted() != (len(l.Entries) == 1) {
			t.Errorf("list %d as XML: %v, %+v", l.Number, err, services)
		}
		if got, want := string(b.fetch(t, daemon.ListPathOf(l.Number, signedlist.SHA2Name))), fmt.Sprintf("%x", sha256.Sum256(document)); got != want {
			t.Errorf("list %d: digest of the XML %s, want %s", l.Number, got, want)
		}
		if current && !bytes.Equal(b.fetch(t, "/"+signedlist.XMLName), document) {
			t.Errorf("list %d is not the latest in XML", l.Number)
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
