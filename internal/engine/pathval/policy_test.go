package pathval_test

import (
	"crypto/x509"
	"math/rand/v2"
	"testing"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/wire/certext"
)

// On chains made at random the standard library, whose policy graph is
// RFC 9618's too, must come to the same verdict; only the three initial flags
// it has not.
func TestPoliciesAgainstStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	some := func() (out []x509.OID) {
		for i := range 4 {
			if r.IntN(2) == 0 {
				out = append(out, oid(t, uint64(i)))
			}
		}
		return out
	}
	root := newEntity(t, "", "Root")
	rootDER := root.issueDER(t, root, profile{ca: true})
	var cas []*entity
	for _, name := range []string{"A", "B", "C"} {
		cas = append(cas, newEntity(t, "", name))
	}
	user := newEntity(t, "", "User")
	valid := 0
	for range 400 {
		above := root
		roots, inter := x509.NewCertPool(), x509.NewCertPool()
		std, err := x509.ParseCertificate(rootDER)
		if err != nil {
			t.Fatal(err)
		}
		roots.AddCert(std)
		var path []*pathval.Certificate
		for _, next := range append(cas[:1+r.IntN(3):3], user) {
			p := profile{ca: next != user, policies: some()}
			if p.ca && r.IntN(2) == 0 {
				for range 1 + r.IntN(2) {
					p.mappings = append(p.mappings, certext.Mapping{Issuer: oid(t, uint64(r.IntN(4))), Subject: oid(t, uint64(r.IntN(4)))})
				}
			}
			if r.IntN(4) == 0 {
				p.policies = append(p.policies, pathval.AnyPolicy())
			}
			if r.IntN(3) == 0 {
				p.constraints = &certext.PolicyConstraints{RequireExplicit: r.IntN(3), InhibitMapping: r.IntN(3) - 1}
			}
			if n := r.IntN(6); n < 3 {
				p.inhibitAny = &n
			}
			der := above.issueDER(t, next, p)
			path = append(path, parse(t, der))
			if std, err = x509.ParseCertificate(der); err != nil {
				t.Fatal(err)
			}
			inter.AddCert(std)
			above = next
		}
		in := pathval.Inputs{Anchors: []*pathval.Certificate{parse(t, rootDER)}, At: now, Policies: some()}
		_, stdErr := std.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: inter, CurrentTime: now, CertificatePolicies: in.Policies, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		res, err := pathval.Validate(t.Context(), path, in)
		if (err == nil) != (stdErr == nil) {
			t.Fatalf("got %v, the standard library %v", err, stdErr)
		}
		if err == nil {
			valid++
			checkPath(t, res, in, path[len(path)-1])
		}
	}
	if valid < 50 || valid > 350 {
		t.Errorf("%d of 400 are valid: this shows little", valid)
	}
}
