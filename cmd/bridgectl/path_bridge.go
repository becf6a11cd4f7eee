package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"bridge.example/api/proto"
	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
)

// askPath asks the daemon for a path to leaf, and believes nothing of it that
// can be checked here. With serverCA, a file, it asks without credentials.
func (t *tool) askPath(ctx context.Context, leaf *pathval.Certificate, in pathval.Inputs, serverCA string) error {
	if len(in.Anchors) != 1 {
		return fault.New(fault.Invalid, "--anchor: want exactly one certificate with --bridge, not %d", len(in.Anchors))
	}
	var answer *proto.BuildPathResponse
	ask := t.ask
	if serverCA != "" {
		ask = func(f func(proto.BridgeClient) error) error { return t.askUnknown(serverCA, f) }
	}
	err := ask(func(client proto.BridgeClient) (err error) {
		answer, err = client.BuildPath(ctx, &proto.BuildPathRequest{
			Anchor: in.Anchors[0].Raw, Leaf: leaf.Raw, Policies: each(in.Policies, x509.OID.String), ExplicitPolicy: in.ExplicitPolicy,
			InhibitMapping: in.InhibitPolicyMapping, InhibitAnyPolicy: in.InhibitAnyPolicy, Email: in.Email,
		})
		return err
	})
	if err != nil {
		return err
	}
	if len(answer.GetPath()) == 0 {
		return t.refuse(newRefusal(answer))
	}
	r, err := checkPath(ctx, answer.GetPath(), leaf, in)
	if err != nil {
		return fault.New(fault.Denied, "the bridge's path: %w", err)
	}
	return t.answerPath(r, nil)
}

// checkPath validates a path that the bridge named, which looked at the
// revocation of what it issued.
func checkPath(ctx context.Context, ders [][]byte, leaf *pathval.Certificate, in pathval.Inputs) (*pathval.Result, error) {
	path := make([]*pathval.Certificate, len(ders))
	for i, der := range ders {
		var err error
		if path[i], err = pathval.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("parsing certificate %d: %w", i+1, err)
		}
	}
	if last := path[len(path)-1]; !bytes.Equal(last.Raw, leaf.Raw) {
		return nil, fmt.Errorf("it leads to another certificate: %s", last)
	}
	in.Revocation = nil
	return pathval.Validate(ctx, path, in)
}

// newRefusal is the answer no, and the same in words.
func newRefusal(r *proto.BuildPathResponse) (pathAnswer, error) {
	a := pathAnswer{Problem: r.GetProblem(), Omitted: int(r.GetOmitted())}
	text := a.Problem
	for _, p := range r.GetRejections() {
		a.Rejections = append(a.Rejections, rejection{Reason: p.GetReason(), Rule: p.GetRule(), Message: p.GetMessage()})
		text += "\n- " + p.GetMessage()
	}
	return a, no{errors.New(text)}
}
