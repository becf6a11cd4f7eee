package crosscert_test

import (
	"crypto/sha1" // gpgsm knows its anchors by it
	"crypto/x509"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bridge.example/crosscert"
	"bridge.example/internal/wire/certext"
)

// TestCompatible: the flavours differ in three criticalities and in nothing
// else, and neither stands in for the other.
func TestCompatible(t *testing.T) {
	b := newBridge(t)
	root, _ := newCA(t, "alpha")
	strict := request(t, "alpha", root)
	compatible := strict
	compatible.Compatible = true
	certs := map[bool]*x509.Certificate{}
	for _, r := range []crosscert.Request{strict, compatible} {
		c, err := b.Issue(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		certs[r.Compatible] = c
		if !b.Covers(c, r) {
			t.Error("a certificate does not cover its own request")
		}
		r.Compatible = !r.Compatible
		if b.Covers(c, r) {
			t.Error("a certificate covers the request for the other flavour")
		}
	}
	turned := 0
	for i, e := range certs[false].Extensions {
		o := certs[true].Extensions[i]
		if !e.Id.Equal(o.Id) || string(e.Value) != string(o.Value) || !e.Critical && o.Critical {
			t.Errorf("%v: got %v critically %v, want %v", e.Id, o.Id, o.Critical, e.Critical)
		}
		if e.Critical != o.Critical {
			turned++
		}
		if limit := e.Id.Equal(certext.OIDNameConstraints()) || e.Id.Equal(certext.OIDPolicyConstraints()) || e.Id.Equal(certext.OIDInhibitAnyPolicy()); limit && o.Critical {
			t.Errorf("%v is critical in the compatible flavour", e.Id)
		}
	}
	if turned != 3 {
		t.Errorf("%d extensions lost their criticality, want 3", turned)
	}
	b.check(t)
}

// flavours are beta's certificates from the bridge, and the bridge's from alpha,
// and what GnuTLS and gpgsm think of paths over them from the bridge's root, and
// from alpha's.
func flavours(t *testing.T, verify func(w *world, anchor *x509.Certificate, cross ...*x509.Certificate) (string, bool)) {
	w := newWorld(t)
	w.leaf(t, "bob.pem", "bob@beta.example", betaPolicy, nil)
	r := request(t, "beta", w.betaRoot)
	r.Mappings = []crosscert.Mapping{{Bridge: oid(t, bridgePolicy), Member: oid(t, betaPolicy)}}
	r.Compatible = true
	compatible, err := w.Issue(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if out, good := verify(w, w.cert, w.toBeta); good {
		t.Errorf("the strict flavour is accepted: the compatible one has no use any more\n%s", out)
	}
	if out, good := verify(w, w.cert, compatible); !good {
		t.Errorf("the compatible flavour is refused\n%s", out)
	}
	in := w.Inbound(crosscert.Inbound{
		Anchors: []*x509.Certificate{w.alphaRoot}, MailDomains: []string{"alpha.example"},
		Mappings: []crosscert.Mapping{{Bridge: oid(t, bridgePolicy), Member: oid(t, alphaPolicy)}},
	})
	if out, good := verify(w, w.alphaRoot, w.certifyBridge(t, in, w.alphaKey), compatible); good {
		t.Errorf("the strict flavour of the bridge's certificate is accepted\n%s", out)
	}
	in.Compatible = true
	fromAlpha := w.certifyBridge(t, in, w.alphaKey)
	if out, good := verify(w, w.alphaRoot, fromAlpha, compatible); !good {
		t.Errorf("the compatible flavour of the bridge's certificate is refused\n%s", out)
	}
	// Who knows the limits still keeps to them.
	w.leaf(t, "mallory.pem", "mallory@gamma.example", betaPolicy, nil)
	w.write(t, "chain.pem", fromAlpha, compatible, w.betaIssuing)
	for anchor, policy := range map[string]string{"bridge.pem": bridgePolicy, "alpha.pem": alphaPolicy} {
		for leaf, good := range map[string]bool{"bob.pem": true, "mallory.pem": false} {
			out, err := w.run(t, "openssl", "verify", "-policy_check", "-explicit_policy", "-policy", policy, "-purpose", "smimesign",
				"-no-CApath", "-no-CAstore", "-CAfile", anchor, "-untrusted", "chain.pem", leaf)
			if (err == nil) != good {
				t.Errorf("openssl over the compatible flavour from %s: %s: %v\n%s", anchor, leaf, err, out)
			}
		}
	}
}

func TestGnuTLS(t *testing.T) {
	flavours(t, func(w *world, anchor *x509.Certificate, cross ...*x509.Certificate) (string, bool) {
		var chain []byte
		slices.Reverse(cross) // from the leaf upwards
		w.write(t, "middle.pem", append([]*x509.Certificate{w.betaIssuing}, cross...)...)
		w.write(t, "anchor.pem", anchor)
		for _, name := range []string{"bob.pem", "middle.pem"} {
			b, err := os.ReadFile(w.path(name))
			if err != nil {
				t.Fatal(err)
			}
			chain = append(chain, b...)
		}
		if err := os.WriteFile(w.path("path.pem"), chain, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := w.run(t, "certtool", "--verify", "--load-ca-certificate", "anchor.pem", "--infile", "path.pem")
		return out, err == nil && strings.Contains(out, "Chain verification output: Verified")
	})
}

func TestGpgsm(t *testing.T) {
	flavours(t, func(w *world, anchor *x509.Certificate, cross ...*x509.Certificate) (string, bool) {
		// The agent's socket needs a short path.
		home, err := os.MkdirTemp("", "gpgsm-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(home)
		defer w.run(t, "gpgconf", "--homedir", home, "--kill", "all")
		sum := sha1.Sum(anchor.Raw)
		if err := os.WriteFile(filepath.Join(home, "trustlist.txt"), []byte(hex.EncodeToString(sum[:])+" S relax\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.write(t, "all.pem", append([]*x509.Certificate{anchor, w.betaIssuing}, cross...)...)
		gpgsm := func(args ...string) (string, error) {
			return w.run(t, "gpgsm", append([]string{"--homedir", home, "--batch", "--disable-crl-checks", "--disable-dirmngr"}, args...)...)
		}
		if out, err := gpgsm("--import", "all.pem"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if out, err := gpgsm("--import", "bob.pem"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, err := gpgsm("--with-validation", "--list-keys", "bob@beta.example")
		return out, err == nil && strings.Contains(out, "certificate is good")
	})
}
