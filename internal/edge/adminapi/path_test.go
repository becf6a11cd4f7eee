package adminapi_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"bridge.example/api/proto"
	"bridge.example/internal/federation"
	"bridge.example/internal/wire/certext"
)

func TestBuildPath(t *testing.T) {
	f := newFake(t)
	i := start(t, f, quiet)
	client := i.as(t, "anna")
	issuing, leaf := mappedPath(t, i.ca)
	f.artifacts = &federation.Artifacts{Trusted: []federation.Trusted{{Intermediates: []*x509.Certificate{issuing}}}}
	question := func(edit func(*proto.BuildPathRequest)) *proto.BuildPathRequest {
		q := &proto.BuildPathRequest{Anchor: i.ca.cert.Raw, Leaf: leaf}
		edit(q)
		return q
	}
	explicit := func(q *proto.BuildPathRequest) { q.Policies, q.ExplicitPolicy = []string{"1.2.3"}, true }
	got, err := client.BuildPath(t.Context(), question(explicit))
	if err != nil || len(got.Path) != 2 || !bytes.Equal(got.Path[0], issuing.Raw) || !bytes.Equal(got.Path[1], leaf) || got.Problem != "" || got.Rejections != nil {
		t.Errorf("got %v, %v", got, err)
	}

	// No is an answer, with reasons.
	for name, edit := range map[string]func(*proto.BuildPathRequest){
		"another anchor":  func(q *proto.BuildPathRequest) { q.Anchor = newAuthority(t, "admin CA").cert.Raw },
		"another address": func(q *proto.BuildPathRequest) { q.Email = "anna@beta.example" },
		"not for mail":    func(q *proto.BuildPathRequest) { q.Email = "bert@beta.example" },
		"another policy":  func(q *proto.BuildPathRequest) { explicit(q); q.Policies = []string{"1.2.5"} },
		"no mapping":      func(q *proto.BuildPathRequest) { explicit(q); q.InhibitMapping = true },
		"no any policy":   func(q *proto.BuildPathRequest) { explicit(q); q.InhibitAnyPolicy = true },
	} {
		got, err := client.BuildPath(t.Context(), question(edit))
		if err != nil || got.Path != nil || got.Problem == "" || len(got.Rejections) == 0 {
			t.Errorf("%s: got %v, %v", name, got, err)
			continue
		}
		if r := got.Rejections[0]; r.Reason == "" || r.Rule == "" || r.Message == "" {
			t.Errorf("%s: got rejection %v", name, r)
		}
	}

	// What is no question is an error.
	for name, edit := range map[string]func(*proto.BuildPathRequest){
		"no anchor":        func(q *proto.BuildPathRequest) { q.Anchor = nil },
		"no leaf":          func(q *proto.BuildPathRequest) { q.Leaf = nil },
		"half a leaf":      func(q *proto.BuildPathRequest) { q.Leaf = leaf[:len(leaf)/2] },
		"half a policy":    func(q *proto.BuildPathRequest) { q.Policies = []string{"1."} },
		"hundred policies": func(q *proto.BuildPathRequest) { q.Policies = slices.Repeat([]string{"1.2.3"}, 101) },
	} {
		if _, err := client.BuildPath(t.Context(), question(edit)); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: got %v", name, err)
		}
	}
	f.artifacts = nil
	if _, err := client.BuildPath(t.Context(), question(func(*proto.BuildPathRequest) {})); status.Code(err) != codes.Unavailable {
		t.Errorf("before anything is published: got %v", err)
	}
}

// mappedPath makes a CA below anchor for any policy that maps 1.2.3 to 1.2.4,
// and bert's certificate from it, for TLS clients under 1.2.4.
func mappedPath(t *testing.T, anchor authority) (issuing *x509.Certificate, leaf []byte) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var ids [3]x509.OID
	for i, text := range []string{"2.5.29.32.0", "1.2.3", "1.2.4"} {
		id, err := x509.ParseOID(text)
		must(err)
		ids[i] = id
	}
	mapping, err := certext.PolicyMappings([]certext.Mapping{{Issuer: ids[1], Subject: ids[2]}})
	must(err)
	key := newKey(t)
	validity := x509.Certificate{SerialNumber: big.NewInt(3), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	ca, person := validity, validity
	ca.Subject, ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = pkix.Name{CommonName: "issuing"}, true, true, x509.KeyUsageCertSign
	ca.Policies, ca.ExtraExtensions = ids[:1], []pkix.Extension{mapping}
	der, err := x509.CreateCertificate(rand.Reader, &ca, anchor.cert, key.Public(), anchor.key)
	must(err)
	issuing, err = x509.ParseCertificate(der)
	must(err)
	person.Subject, person.EmailAddresses, person.Policies = pkix.Name{CommonName: "bert"}, []string{"bert@beta.example"}, ids[2:]
	person.KeyUsage, person.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	leaf, err = x509.CreateCertificate(rand.Reader, &person, issuing, key.Public(), key)
	must(err)
	return issuing, leaf
}
