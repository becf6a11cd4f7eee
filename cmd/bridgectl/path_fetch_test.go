package main

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/wire/certext"
	"bridge.example/internal/wire/cms"
)

// web is a bridge between two CAs whose certificates say where more is to be
// found: Anchor -> Bridge -> Alpha -> Anna.
type web struct {
	dir   string
	url   string
	port  string
	files map[string][]byte // by path
	asked map[string]int
}

func newWeb(t *testing.T) *web {
	w := &web{dir: t.TempDir(), files: map[string][]byte{}, asked: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked[r.URL.Path]++
		b, ok := w.files[r.URL.Path]
		if !ok {
			http.NotFound(rw, r)
		}
		_, _ = rw.Write(b)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	_, w.port, _ = net.SplitHostPort(server.Listener.Addr().String())

	anchor := newAuthority(t, "Anchor")
	bridge := w.certify(t, anchor, "Bridge", "", w.url+"/anchor.crl", w.url+"/issued-by-bridge.p7c")
	alpha := w.certify(t, bridge, "Alpha", w.url+"/issued-to-bridge.p7c", w.url+"/bridge.crl", "")
	leaf := func(name string, serial int64, issuers ...string) {
		c := mailTemplate(t, alpha, serial, time.Now().AddDate(1, 0, 0))
		c.IssuingCertificateURL, c.CRLDistributionPoints = issuers, []string{w.url + "/alpha.crl"}
		write(t, filepath.Join(w.dir, name), pemOf(alpha.sign(t, c, newKey(t))))
	}
	leaf("leaf.pem", 5, w.url+"/issued-to-alpha.p7c")
	leaf("revoked.pem", 6, w.url+"/issued-to-alpha.p7c")
	leaf("lost.pem", 7, w.url+"/nowhere")
	leaf("many.pem", 8, w.url+"/1", w.url+"/2", w.url+"/3", w.url+"/4", w.url+"/issued-to-alpha.p7c")
	write(t, filepath.Join(w.dir, "anchor.pem"), pemOf(anchor.cert.Raw))
	write(t, filepath.Join(w.dir, "bridge.pem"), pemOf(bridge.cert.Raw))
	write(t, filepath.Join(w.dir, "alpha.pem"), pemOf(alpha.cert.Raw))

	w.files["/issued-to-alpha.p7c"] = bundleOf(t, alpha.cert)
	w.files["/issued-by-bridge.p7c"] = bundleOf(t, alpha.cert)
	w.files["/issued-to-bridge.p7c"] = bundleOf(t, bridge.cert)
	for name, ca := range map[string]authority{"anchor": anchor, "bridge": bridge} {
		w.files["/"+name+".crl"] = ca.currentCRL(t)
	}
	w.files["/alpha.crl"] = alpha.currentCRL(t, 6)
	return w
}

func bundleOf(t *testing.T, certs ...*x509.Certificate) []byte {
	b, err := cms.CertsOnly(certs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// certify is a CA below a that says where more is: certificates of a, CRLs of
// a, and what it issued itself.
func (w *web) certify(t *testing.T, a authority, name, issuers, crls, repository string) authority {
	key := newKey(t)
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(2), NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, CRLDistributionPoints: []string{crls},
	}
	if issuers != "" {
		c.IssuingCertificateURL = []string{issuers}
	}
	if repository != "" {
		e, err := certext.SubjectInfoAccess([]certext.Access{{
			Method: certext.CARepository(), Location: certext.Name{Form: certext.URI, Value: repository},
		}})
		if err != nil {
			t.Fatal(err)
		}
		c.ExtraExtensions = append(c.ExtraExtensions, e)
	}
	return authority{parsedCertificate(t, a.sign(t, c, key)), key}
}

func parsedCertificate(t *testing.T, der []byte) *x509.Certificate {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a authority) currentCRL(t *testing.T, serials ...int64) []byte {
	now := time.Now()
	return a.crl(t, now.Add(-time.Hour), now.Add(time.Hour), serials...)
}

// bridgectl runs a command in w.dir.
func (w *web) bridgectl(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Chdir(w.dir)
	var out, err bytes.Buffer
	code = (&tool{in: strings.NewReader(""), out: &out, err: &err}).execute(args)
	return code, out.String(), err.String()
}

func TestFetch(t *testing.T) {
	w := newWeb(t)
	build := []string{"path", "build", "--anchor", "anchor.pem", "--leaf"}
	allowed := []string{"--fetch", "--allow-host", "127.0.0.1:" + w.port}
	for _, tt := range []struct {
		name  string
		args  []string
		code  int
		want  string // on standard error
		asked string // the CRLs and bundles among what was asked for
	}{
		{"the whole path", append(append(build, "leaf.pem"), allowed...), 0, "fetched " + w.url + "/issued-to-bridge.p7c: certificates 1, CRLs 0",
			"/alpha.crl /anchor.crl /bridge.crl /issued-to-alpha.p7c /issued-to-bridge.p7c"},
		{"from the anchor down", append(append(build, "lost.pem", "--certs", "bridge.pem"), allowed...), 0, "/nowhere: the server answers 404",
			"/alpha.crl /anchor.crl /bridge.crl /issued-by-bridge.p7c /nowhere"},
		{"too many places", append(append(build, "many.pem"), allowed...), 7, "no issuer leads to an anchor", "/1 /2 /3 /4"},
		{"revoked", append(append(build, "revoked.pem"), allowed...), 7, "revoked",
			"/alpha.crl /anchor.crl /bridge.crl /issued-to-alpha.p7c /issued-to-bridge.p7c"},
		{"without revocation", append(append(build, "leaf.pem", "--no-revocation"), allowed...), 0, "", "/issued-to-alpha.p7c /issued-to-bridge.p7c"},
		{"no rule", append(build, "leaf.pem", "--fetch"), 7, "no rule allows the port", ""},
		{"another rule", append(build, "leaf.pem", "--fetch", "--allow-host", "localhost"), 7, "no rule allows the port", ""},
		{"not asked to", append(build, "leaf.pem"), 7, "no issuer leads to an anchor", ""},
		{"one path", append([]string{"path", "validate", "--anchor", "anchor.pem", "bridge.pem", "alpha.pem", "leaf.pem"}, allowed...), 0, "CRLs 1",
			"/alpha.crl /anchor.crl /bridge.crl"},
		{"a rule that does nothing", append(build, "leaf.pem", "--allow-host", "127.0.0.1"), 2, "without --fetch", ""},
		{"no host", append(build, "leaf.pem", "--fetch", "--allow-host", "http://127.0.0.1"), 2, "--allow-host", ""},
		{"of the bridge", append(build, "leaf.pem", "--fetch", "--bridge"), 2, "[bridge fetch]", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clear(w.asked)
			code, _, stderr := w.bridgectl(t, tt.args...)
			if code != tt.code || !strings.Contains(stderr, tt.want) {
				t.Errorf("got %d, %q, want %d with %q", code, stderr, tt.code, tt.want)
			}
			if got := w.askedFor(t); got != tt.asked {
				t.Errorf("asked for %s, want %s", got, tt.asked)
			}
		})
	}
}

// askedFor lists what was asked for, each once.
func (w *web) askedFor(t *testing.T) string {
	for path, n := range w.asked {
		if n != 1 {
			t.Errorf("%s was asked for %d times", path, n)
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(w.asked)), " ")
}
