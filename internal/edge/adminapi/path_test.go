package adminapi_test

import (
	"bytes"
	"crypto/x509"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"bridge.example/api/proto"
	"bridge.example/internal/federation"
)

func TestBuildPath(t *testing.T) {
	f := newFake(t)
	f.artifacts = &federation.Artifacts{}
	i := start(t, f, quiet)
	client := i.as(t, "anna")
	leaf := i.ca.issue(t, "bert", x509.ExtKeyUsageEmailProtection).Certificate[0]
	question := func(edit func(*proto.BuildPathRequest)) *proto.BuildPathRequest {
		q := &proto.BuildPathRequest{Anchor: i.ca.cert.Raw, Leaf: leaf}
		edit(q)
		return q
	}
	got, err := client.BuildPath(t.Context(), question(func(*proto.BuildPathRequest) {}))
	if err != nil || len(got.Path) != 1 || !bytes.Equal(got.Path[0], leaf) || got.Problem != "" || got.Rejections != nil {
		t.Errorf("got %v, %v", got, err)
	}

	// No is an answer, with reasons.
	for name, edit := range map[string]func(*proto.BuildPathRequest){
		"another anchor":   func(q *proto.BuildPathRequest) { q.Anchor = newAuthority(t, "admin CA").cert.Raw },
		"another address":  func(q *proto.BuildPathRequest) { q.Email = "bert@beta.example" },
		"a policy missing": func(q *proto.BuildPathRequest) { q.Policies, q.ExplicitPolicy = []string{"1.2.3"}, true },
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
