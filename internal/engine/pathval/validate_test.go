package pathval_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"testing"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/wire/certext"
	"bridge.example/internal/wire/crl"
)

// Literal paths, where no search has looked before.
func TestValidate(t *testing.T) {
	root, ca, user := newEntity(t, "", "Root"), newEntity(t, "", "CA"), newEntity(t, "", "User")
	sub := newEntity(t, "", "Sub")
	anchor := root.issue(t, root, profile{ca: true})
	pol := []x509.OID{oid(t, 1)}
	anyPolicy := []x509.OID{pathval.AnyPolicy()}
	zero := 0
	path := func(cs ...*pathval.Certificate) []*pathval.Certificate { return cs }
	for name, tc := range map[string]struct {
		path []*pathval.Certificate
		in   pathval.Inputs
		want pathval.Reason // 0: valid
	}{
		"plain":              {path(root.issue(t, ca, profile{ca: true}), ca.issue(t, user, profile{})), pathval.Inputs{}, 0},
		"with the anchor":    {path(anchor, root.issue(t, ca, profile{ca: true}), ca.issue(t, user, profile{})), pathval.Inputs{}, 0},
		"empty":              {nil, pathval.Inputs{}, pathval.NoIssuer},
		"upside down":        {path(ca.issue(t, user, profile{}), root.issue(t, ca, profile{ca: true})), pathval.Inputs{}, pathval.NoIssuer},
		"key without name":   {path(root.issue(t, ca, profile{ca: true}), (&entity{sub.name, ca.key}).issue(t, user, profile{})), pathval.Inputs{}, pathval.NameChaining},
		"name without key":   {path(root.issue(t, ca, profile{ca: true}), ca.rekeyed(t).issue(t, user, profile{})), pathval.Inputs{}, pathval.BadSignature},
		"not yet valid":      {path(root.issue(t, user, profile{})), pathval.Inputs{At: now.AddDate(-2, 0, 0)}, pathval.NotYetValid},
		"path length":        {path(root.issue(t, ca, profile{ca: true, pathLen: -1}), ca.issue(t, sub, profile{ca: true}), sub.issue(t, user, profile{})), pathval.Inputs{}, pathval.PathTooLong},
		"path length enough": {path(root.issue(t, ca, profile{ca: true, pathLen: 1}), ca.issue(t, sub, profile{ca: true}), sub.issue(t, user, profile{})), pathval.Inputs{}, 0},
		"path length of the anchor": {path(root.issue(t, ca, profile{ca: true}), ca.issue(t, user, profile{})),
			pathval.Inputs{Anchors: path(root.issue(t, root, profile{ca: true, pathLen: -1}))}, pathval.PathTooLong},
		"self-issued does not count": {path(root.issue(t, ca, profile{ca: true, pathLen: -1}), ca.issue(t, ca, profile{ca: true}), ca.issue(t, user, profile{})), pathval.Inputs{}, 0},
		"anyPolicy of the self-issued": {path(root.issue(t, ca, profile{ca: true, policies: pol, inhibitAny: &zero}), ca.issue(t, ca, profile{ca: true, policies: anyPolicy}),
			ca.issue(t, user, profile{policies: pol})), pathval.Inputs{ExplicitPolicy: true}, 0},
		"anyPolicy inhibited": {path(root.issue(t, ca, profile{ca: true, policies: pol, inhibitAny: &zero}), ca.issue(t, user, profile{policies: anyPolicy})),
			pathval.Inputs{ExplicitPolicy: true}, pathval.PolicyMissing},
		"anyPolicy inhibited by the user": {path(root.issue(t, user, profile{policies: anyPolicy})), pathval.Inputs{ExplicitPolicy: true, InhibitAnyPolicy: true}, pathval.PolicyMissing},
		"anyPolicy":                       {path(root.issue(t, user, profile{policies: anyPolicy})), pathval.Inputs{ExplicitPolicy: true, Policies: pol}, 0},
		"mapping of anyPolicy": {path(root.issue(t, ca, profile{ca: true, policies: anyPolicy, mappings: []certext.Mapping{{Issuer: anyPolicy[0], Subject: pol[0]}}}),
			ca.issue(t, user, profile{policies: pol})), pathval.Inputs{}, pathval.MappingAnyPolicy},
		"address of another domain": {path(root.issue(t, user, profile{emails: []string{"a@x.example"}})), pathval.Inputs{Email: "a@y.example"}, pathval.Address},
		"address of another person": {path(root.issue(t, user, profile{emails: []string{"a@x.example"}})), pathval.Inputs{Email: "b@x.example"}, pathval.Address},
		"address":                   {path(root.issue(t, user, profile{emails: []string{"a@x.example"}})), pathval.Inputs{Email: "a@X.example"}, 0},
		"address that is none":      {path(root.issue(t, user, profile{emails: []string{"a"}})), pathval.Inputs{Email: "a"}, pathval.Address},
	} {
		t.Run(name, func(t *testing.T) {
			in := tc.in
			if in.At.IsZero() {
				in.At = now
			}
			if in.Anchors == nil {
				in.Anchors = path(anchor)
			}
			_, err := pathval.Validate(t.Context(), tc.path, in)
			var got pathval.Reason
			if rs := reasonsOf(err); len(rs) > 0 {
				got = rs[0]
			}
			if got != tc.want || (err == nil) != (tc.want == 0) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	if _, err := pathval.Validate(t.Context(), path(root.issue(t, user, profile{})), pathval.Inputs{Anchors: path(anchor)}); err == nil {
		t.Error("valid at no time at all")
	}
}

// Several anchors of one name: whichever key fits.
func TestAnchorsOfOneName(t *testing.T) {
	old := newEntity(t, "", "Root")
	next := old.rekeyed(t)
	leaf := next.issue(t, newEntity(t, "", "User"), profile{})
	in := pathval.Inputs{At: now, Anchors: []*pathval.Certificate{old.issue(t, old, profile{ca: true}), next.issue(t, next, profile{ca: true})}}
	r, err := pathval.Validate(t.Context(), []*pathval.Certificate{leaf}, in)
	if err != nil || r.Anchor != in.Anchors[1] {
		t.Errorf("Validate: got %v, %v", r, err)
	}
	r, err = pathval.Build(t.Context(), leaf, pathval.NewPool(), in)
	if err != nil || r.Anchor != in.Anchors[1] {
		t.Errorf("Build: got %v, %v", r, err)
	}
}

// A small cache forgets, and never lies about it.
func TestCacheForgets(t *testing.T) {
	root := newEntity(t, "", "Root")
	cache := pathval.NewCache(2)
	in := pathval.Inputs{At: now, Anchors: []*pathval.Certificate{root.issue(t, root, profile{ca: true})}, Cache: cache}
	var leaves []*pathval.Certificate
	for range 10 {
		leaves = append(leaves, root.issue(t, newEntity(t, "", "User"), profile{}))
	}
	verified := 0
	for range 2 {
		for _, l := range leaves {
			for range 2 {
				r, err := pathval.Validate(t.Context(), []*pathval.Certificate{l}, in)
				if err != nil {
					t.Fatal(err)
				}
				verified += r.Work.Signatures
			}
		}
	}
	if verified != 20 {
		t.Errorf("%d signatures verified, want 20: each once a round", verified)
	}
}

// What a lenient caller cached must not help a strict one.
func TestCacheKeepsStandards(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	root := &entity{pkix.Name{CommonName: "Old root"}, key}
	path := []*pathval.Certificate{root.issue(t, newEntity(t, "", "User"), profile{})}
	in := pathval.Inputs{At: now, Anchors: []*pathval.Certificate{root.issue(t, root, profile{ca: true})}, Cache: pathval.NewCache(10), Accept: crl.Legacy}
	if _, err := pathval.Validate(t.Context(), path, in); err != nil {
		t.Fatal(err)
	}
	in.Accept = crl.Modern
	if _, err := pathval.Validate(t.Context(), path, in); !slices.Equal(reasonsOf(err), []pathval.Reason{pathval.WeakAlgorithm}) {
		t.Errorf("got %v, want WeakAlgorithm", err)
	}
}
