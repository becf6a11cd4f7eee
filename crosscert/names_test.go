package crosscert_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"strings"
	"testing"

	"bridge.example/crosscert"
	"bridge.example/internal/wire/certext"
)

// TestNarrowed asks for less than all of the member's mail domains.
func TestNarrowed(t *testing.T) {
	b := newBridge(t)
	root, _ := newCA(t, "alpha")
	r := request(t, "alpha", root)
	plain := r
	r.ExcludedDomains = []string{"guests.alpha.example", "a.alpha.example", "guests.alpha.example"}
	r.DirectoryNames = []string{"O=alpha,C=XX", "OU=Mail,O=Alpha Müller,C=XX"}
	c, err := b.Issue(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := certext.ParseNameConstraints(c)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, n := range append(got.Permitted, got.Excluded...) {
		if n.Form == certext.RFC822Name {
			texts = append(texts, n.Value)
		}
	}
	if want := strings.Fields("alpha.example .alpha.example a.alpha.example .a.alpha.example guests.alpha.example .guests.alpha.example"); !slices.Equal(texts, want) {
		t.Errorf("got mail names %v, want %v", texts, want)
	}
	if len(got.Permitted) != 4 || len(got.Excluded) != 4 {
		t.Errorf("got %d permitted and %d excluded, want 4 and 4", len(got.Permitted), len(got.Excluded))
	}
	if !b.Covers(c, r) || b.Covers(c, plain) {
		t.Error("the certificate does not cover what was asked for, or covers more")
	}
	b.check(t)
	for name, change := range map[string]func(*crosscert.Request){
		"a mail domain itself":    func(r *crosscert.Request) { r.ExcludedDomains = []string{"alpha.example"} },
		"another's mail domain":   func(r *crosscert.Request) { r.ExcludedDomains = []string{"x.beta.example"} },
		"what only ends alike":    func(r *crosscert.Request) { r.ExcludedDomains = []string{"notalpha.example"} },
		"no host":                 func(r *crosscert.Request) { r.ExcludedDomains = []string{"a@b.alpha.example"} },
		"too many excluded":       func(r *crosscert.Request) { r.ExcludedDomains = slices.Repeat([]string{"a.alpha.example"}, 101) },
		"the name of everything":  func(r *crosscert.Request) { r.DirectoryNames = []string{""} },
		"no name":                 func(r *crosscert.Request) { r.DirectoryNames = []string{"alpha"} },
		"too many names":          func(r *crosscert.Request) { r.DirectoryNames = slices.Repeat([]string{"O=a"}, 21) },
		"names and no mail names": func(r *crosscert.Request) { r.MailDomains, r.DirectoryNames = nil, []string{"O=a"} },
	} {
		r := plain
		change(&r)
		if c, err := b.Issue(t.Context(), r); err == nil {
			t.Errorf("%s: got %v, want a refusal", name, c.Subject)
		}
	}
}

// TestOpenSSLNarrowed has openssl keep to the names.
func TestOpenSSLNarrowed(t *testing.T) {
	w := newWorld(t)
	r := request(t, "beta", w.betaRoot)
	r.Mappings = []crosscert.Mapping{{Bridge: oid(t, bridgePolicy), Member: oid(t, betaPolicy)}}
	r.ExcludedDomains, r.DirectoryNames = []string{"guests.beta.example"}, []string{"O=BETA,C=xx"}
	cross, err := w.Issue(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "chain.pem", cross, w.betaIssuing)
	for _, tt := range []struct {
		name, mail, organisation string
		want                     string
	}{
		{"inside", "bob@beta.example", "beta", "OK"},
		{"an excluded host", "bob@guests.beta.example", "beta", "excluded subtree violation"},
		{"below an excluded host", "bob@a.guests.beta.example", "beta", "excluded subtree violation"},
		{"another organisation", "bob@beta.example", "alpha", "permitted subtree violation"},
	} {
		w.leaf(t, "leaf.pem", tt.mail, betaPolicy, func(c *x509.Certificate) {
			c.Subject = pkix.Name{Country: []string{"XX"}, Organization: []string{tt.organisation}, CommonName: "Bob"}
		})
		out, err := w.run(t, "openssl", "verify", "-x509_strict", "-policy_check", "-explicit_policy", "-policy", bridgePolicy, "-purpose", "smimesign",
			"-no-CApath", "-no-CAstore", "-CAfile", "bridge.pem", "-untrusted", "chain.pem", "leaf.pem")
		if !strings.Contains(out, tt.want) || (err == nil) != (tt.want == "OK") {
			t.Errorf("%s: got %v\n%swant %q", tt.name, err, out, tt.want)
		}
	}
}
