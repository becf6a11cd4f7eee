package pathval_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/crl"
)

// list makes a CRL of e, which revokes some certificates.
func (e *entity) list(t testing.TB, from time.Time, revoked ...*pathval.Certificate) *crl.List {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: from.AddDate(0, 0, 7)}
	for _, c := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: new(big.Int).SetBytes(c.Serial), RevocationTime: from, ReasonCode: int(crl.KeyCompromise)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l,
		&x509.Certificate{Subject: e.name, SubjectKeyId: e.keyID(), KeyUsage: x509.KeyUsageCRLSign}, e.key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := crl.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCRLs(t *testing.T) {
	m := newMesh(t, 2, 1)
	a, b, bridge := m.members[0], m.members[1], m.bridges[0]
	yesterday := now.AddDate(0, 0, -1)
	for name, tc := range map[string]struct {
		lists []*crl.List
		want  error
	}{
		"nothing revoked": {[]*crl.List{a.root.list(t, yesterday), bridge.list(t, yesterday), b.root.list(t, yesterday), b.issuing.list(t, yesterday)}, nil},
		"leaf revoked":    {[]*crl.List{a.root.list(t, yesterday), bridge.list(t, yesterday), b.root.list(t, yesterday), b.issuing.list(t, yesterday, b.leaf)}, pathval.ErrRevoked},
		"cross-certificate revoked": {[]*crl.List{a.root.list(t, yesterday), bridge.list(t, yesterday, b.fromBridge), b.root.list(t, yesterday), b.issuing.list(t, yesterday)},
			pathval.ErrRevoked},
		"one missing": {[]*crl.List{a.root.list(t, yesterday), b.root.list(t, yesterday), b.issuing.list(t, yesterday)}, pathval.ErrStatusUnknown},
		"one forged":  {[]*crl.List{a.root.list(t, yesterday), bridge.rekeyed(t).list(t, yesterday), b.root.list(t, yesterday), b.issuing.list(t, yesterday)}, pathval.ErrStatusUnknown},
		"one out of date": {[]*crl.List{a.root.list(t, yesterday), bridge.list(t, now.AddDate(0, 0, -8)), b.root.list(t, yesterday), b.issuing.list(t, yesterday)},
			pathval.ErrStatusUnknown},
		"one of tomorrow": {[]*crl.List{a.root.list(t, yesterday), bridge.list(t, now.AddDate(0, 0, 1)), b.root.list(t, yesterday), b.issuing.list(t, yesterday)},
			pathval.ErrStatusUnknown},
		"none": {nil, pathval.ErrStatusUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			pool := pathval.NewPool(m.certs...)
			crls, err := pathval.NewCRLs(pool, tc.lists...)
			if err != nil {
				t.Fatal(err)
			}
			in := a.inputs()
			in.Revocation = crls
			_, err = pathval.Build(t.Context(), b.leaf, pool, in)
			switch {
			case tc.want == nil && err != nil:
				t.Error(err)
			case errors.Is(tc.want, pathval.ErrRevoked):
				if !slices.Contains(reasonsOf(err), pathval.Revoked) {
					t.Errorf("got %v, want Revoked", err)
				}
			case tc.want != nil:
				if !errors.Is(err, tc.want) || fault.KindOf(err) != fault.Unavailable {
					t.Errorf("got %v of kind %v, want %v", err, fault.KindOf(err), tc.want)
				}
			}
		})
	}
}

// A CA that changed its key signs its CRLs with the new one: those certified
// under the old are still told about (RFC 5280 §6.3.3 (f)), if somebody with
// the old key, or the anchor, says who has the new.
func TestCRLUnderAnotherKey(t *testing.T) {
	root, ca := newEntity(t, "", "Root"), newEntity(t, "", "CA")
	next := ca.rekeyed(t)
	anchor := root.issue(t, root, profile{ca: true})
	old, leaf := root.issue(t, ca, profile{ca: true}), ca.issue(t, newEntity(t, "", "User"), profile{})
	renewed := root.issue(t, next, profile{ca: true})
	yesterday := now.AddDate(0, 0, -1)
	for name, tc := range map[string]struct {
		pool []*pathval.Certificate
		ok   bool
	}{
		"the new key is known":              {[]*pathval.Certificate{old, renewed}, true},
		"the new key is unknown":            {[]*pathval.Certificate{old}, false},
		"the new key is for something else": {[]*pathval.Certificate{old, root.issue(t, next, profile{ca: true, usage: x509.KeyUsageCertSign})}, false},
		"the new key is a stranger's":       {[]*pathval.Certificate{old, newEntity(t, "", "Root").issue(t, next, profile{ca: true})}, false},
		"the new key ended":                 {[]*pathval.Certificate{old, root.issue(t, next, profile{ca: true, until: yesterday})}, false},
	} {
		pool := pathval.NewPool(tc.pool...)
		crls, err := pathval.NewCRLs(pool, root.list(t, yesterday), next.list(t, yesterday))
		if err != nil {
			t.Fatal(err)
		}
		_, err = pathval.Build(t.Context(), leaf, pool, pathval.Inputs{Anchors: []*pathval.Certificate{anchor}, At: now, Revocation: crls})
		if (err == nil) != tc.ok {
			t.Errorf("%s: got %v, want valid: %v", name, err, tc.ok)
		}
	}
}

// Whoever is asked sees the path above, and its error reaches the caller.
func TestStatusFunc(t *testing.T) {
	m := newMesh(t, 2, 1)
	in := m.members[0].inputs()
	asked := 0
	down := fault.New(fault.Unavailable, "responder is down")
	in.Revocation = pathval.StatusFunc(func(_ context.Context, q pathval.StatusQuery) error {
		asked++
		if !q.Issuer().Subject.Equal(q.Certificate.Issuer) || q.Above[0] != m.members[0].rootCert || len(q.Above) != asked || !q.At.Equal(now) {
			t.Errorf("question %d: %+v", asked, q)
		}
		if asked == 4 {
			return down
		}
		return nil
	})
	_, err := pathval.Build(t.Context(), m.members[1].leaf, pathval.NewPool(m.certs...), in)
	if asked != 4 || !errors.Is(err, pathval.ErrStatusUnknown) {
		t.Errorf("asked %d times: %v", asked, err)
	}
}
