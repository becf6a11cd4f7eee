package signedlist_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"bridge.example/internal/wire/jws"
	"bridge.example/signedlist"
)

// resign has s sign what another signed.
func resign(t *testing.T, good []byte, s *signedlist.Signer, edits ...string) []byte {
	t.Helper()
	v, err := jws.Verify(good)
	if err != nil {
		t.Fatal(err)
	}
	v.Certs = []*x509.Certificate{s.Cert}
	payload := string(v.Payload)
	for i := 0; i+1 < len(edits); i += 2 {
		changed := strings.Replace(payload, edits[i], edits[i+1], 1)
		if changed == payload {
			t.Fatalf("no %q in %s", edits[i], payload)
		}
		payload = changed
	}
	v.Payload = []byte(payload)
	out, err := jws.Sign(*v, s.Key)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestJSONContent has the signer itself sign what is no list.
func TestJSONContent(t *testing.T) {
	b := newBench(t)
	good := b.issueOf(t, entry(t, "alpha"), entry(t, "beta")).Files[1].Body
	for name, tt := range map[string]struct {
		edits []string
		want  error
	}{
		"nothing":               {nil, nil},
		"a new field":           {[]string{`"number":1`, `"number":1,"colour":"blue"`}, nil},
		"another version":       {[]string{`"version":1`, `"version":2`}, signedlist.ErrFormat},
		"no number":             {[]string{`"number":1`, `"number":0`}, signedlist.ErrFormat},
		"none before":           {[]string{`"number":1`, `"number":2`}, signedlist.ErrFormat},
		"another time":          {[]string{`"issued_at":"2026-11-23T12`, `"issued_at":"2026-11-23T11`}, signedlist.ErrFormat},
		"expired when issued":   {[]string{`"next_update":"2026-11-30`, `"next_update":"2026-11-20`}, signedlist.ErrFormat},
		"another bridge":        {[]string{`"bridge":"CN=Bridge"`, `"bridge":"CN=Other"`}, signedlist.ErrFormat},
		"a short hash":          {[]string{`"list_sha256":"`, `"list_sha256":"","x":"`}, signedlist.ErrFormat},
		"a view in a directory": {[]string{`"anchors.pem"`, `"../anchors.pem"`}, signedlist.ErrFormat},
		"out of order":          {[]string{`"member":"alpha"`, `"member":"gamma"`}, signedlist.ErrFormat},
		"another hash":          {[]string{`"sha256":"`, `"sha256":"00","x":"`}, signedlist.ErrFormat},
		"not an OID":            {[]string{`"policies":["1.3`, `"policies":["1.x`}, signedlist.ErrFormat},
		"no domain":             {[]string{`"mail_domains":["alpha.example","mail.alpha.example"]`, `"mail_domains":[]`}, signedlist.ErrFormat},
		"not JSON":              {[]string{`{"version"`, `["version"`}, signedlist.ErrFormat},
	} {
		if _, err := signedlist.OpenJSON(resign(t, good, b.signer, tt.edits...), b.roots(), noon); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}
