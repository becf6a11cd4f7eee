package crosscert_test

import (
	"crypto"
	"crypto/x509"
	"os"
	"strings"
	"testing"

	"bridge.example/crosscert"
	"bridge.example/internal/wire/certext"
)

// certifyBridge has a member's CA certify the bridge, with nothing around it.
func certifyBridge(t *testing.T, b *bridge, root *x509.Certificate, key crypto.Signer) *x509.Certificate {
	template := caTemplate("x")
	template.RawSubject, template.SubjectKeyId = b.cert.RawSubject, b.cert.SubjectKeyId
	return certify(t, template, root, b.cert.PublicKey, key)
}

// TestPairs has two CAs of one member, of one name: only keys tell who belongs
// to whom.
func TestPairs(t *testing.T) {
	b := newBridge(t)
	one, oneKey := newCA(t, "alpha")
	two, twoKey := newCA(t, "alpha")
	var to []*x509.Certificate
	for _, root := range []*x509.Certificate{one, two} {
		c, err := b.Issue(t.Context(), request(t, "alpha", root))
		if err != nil {
			t.Fatal(err)
		}
		to = append(to, c)
	}
	fromTwo, again := certifyBridge(t, b, two, twoKey), certifyBridge(t, b, two, twoKey)
	fromOne := certifyBridge(t, b, one, oneKey)
	raw := func(cs ...*x509.Certificate) (out [2]string) {
		for i, c := range cs {
			if c != nil {
				out[i] = string(c.Raw)
			}
		}
		return out
	}
	for _, tt := range []struct {
		name     string
		to, from []*x509.Certificate
		want     [][2]string
	}{
		{"nothing", nil, nil, nil},
		{"one direction", to[:1], nil, [][2]string{raw(to[0], nil)}},
		{"the other", nil, []*x509.Certificate{fromTwo}, [][2]string{raw(nil, fromTwo)}},
		{"crossed", to, []*x509.Certificate{fromTwo, fromOne}, [][2]string{raw(to[0], fromOne), raw(to[1], fromTwo)}},
		{"another key's", to[:1], []*x509.Certificate{fromTwo}, [][2]string{raw(to[0], nil), raw(nil, fromTwo)}},
		{"renewed", to[1:], []*x509.Certificate{fromTwo, again}, [][2]string{raw(to[1], fromTwo), raw(nil, again)}},
	} {
		got := crosscert.Pairs(tt.to, tt.from)
		if len(got) != len(tt.want) {
			t.Errorf("%s: got %d values, want %d", tt.name, len(got), len(tt.want))
			continue
		}
		for i, p := range got {
			if string(p.IssuedToThisCA) != tt.want[i][0] || string(p.IssuedByThisCA) != tt.want[i][1] {
				t.Errorf("%s: value %d is another", tt.name, i)
			}
			der, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if back, err := certext.ParseCertificatePair(der); err != nil || string(back.IssuedToThisCA) != tt.want[i][0] {
				t.Errorf("%s: value %d does not read back: %v", tt.name, i, err)
			}
		}
	}
	if got := crosscert.PairPath("alpha", 1); got != "/members/alpha/pairs/1.cp" {
		t.Errorf("got %s", got)
	}
}

// TestOpenSSLPair has openssl find both certificates behind explicit tags.
func TestOpenSSLPair(t *testing.T) {
	w := newWorld(t)
	der, err := crosscert.Pairs([]*x509.Certificate{w.toBeta}, []*x509.Certificate{certifyBridge(t, w.bridge, w.betaRoot, w.betaRootKey)})[0].Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.path("pair.der"), der, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := w.run(t, "openssl", "asn1parse", "-inform", "DER", "-in", "pair.der")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(out, "\n")
	// At depth 1 the two tags, and below each a SEQUENCE: the certificate.
	var shape []string
	for _, l := range lines {
		if strings.Contains(l, ":d=1 ") || strings.Contains(l, ":d=2 ") {
			shape = append(shape, strings.Join(strings.Fields(l[strings.LastIndex(l, "cons:"):]), " "))
		}
	}
	if got, want := strings.Join(shape, ", "), "cons: cont [ 0 ], cons: SEQUENCE, cons: cont [ 1 ], cons: SEQUENCE"; got != want {
		t.Errorf("got %s, want %s\n%s", got, want, out)
	}
}
