package pathval_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/crl"
)

// list makes a CRL of e, which revokes some certificates.
func (e *entity) list(t testing.TB, from time.Time, revoked ...*pathval.Certificate) *crl.List {
	t.Helper()
	return e.scopedList(t, 1, from, crl.KeyCompromise, revoked)
}

// scopedList makes one with a number, a reason and extensions.
func (e *entity) scopedList(t testing.TB, number int64, from time.Time, why crl.Reason, revoked []*pathval.Certificate, exts ...pkix.Extension) *crl.List {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: from, NextUpdate: from.AddDate(0, 0, 7), ExtraExtensions: exts}
	for _, c := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: new(big.Int).SetBytes(c.Serial), RevocationTime: from, ReasonCode: int(why)})
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

// scope is an issuingDistributionPoint, given its content.
func scope(content ...byte) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: append([]byte{0x30, byte(len(content))}, content...)}
}

// at is a distributionPoint of one URI, as the field of a scope or of a
// certificate's extension.
func at(uri string) []byte {
	b := append([]byte{0x86, byte(len(uri))}, uri...)
	b = append([]byte{0xa0, byte(len(b))}, b...)
	return append([]byte{0xa0, byte(len(b))}, b...)
}

func pointExtension(points ...[]byte) pkix.Extension {
	var all []byte
	for _, p := range points {
		all = append(all, append([]byte{0x30, byte(len(p))}, p...)...)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 31}, Value: append([]byte{0x30, byte(len(all))}, all...)}
}

// Which list answers for what: one CA, one leaf whose CRL is at a URI.
func TestCRLScopes(t *testing.T) {
	root := newEntity(t, "", "Root")
	anchor := root.issue(t, root, profile{ca: true})
	leaf := root.issue(t, newEntity(t, "", "User"), profile{extra: []pkix.Extension{pointExtension(at("http://a"))}})
	ca := root.issue(t, newEntity(t, "", "CA"), profile{ca: true})
	other := root.issue(t, newEntity(t, "", "Other"), profile{})
	yesterday := now.AddDate(0, 0, -1)
	list := func(number int64, why crl.Reason, revoked []*pathval.Certificate, exts ...pkix.Extension) *crl.List {
		return root.scopedList(t, number, yesterday, why, revoked, exts...)
	}
	delta := func(base byte) pkix.Extension {
		return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, base}}
	}
	both := []*pathval.Certificate{leaf, other}
	const good, revoked, unknown = pathval.Reason(0), pathval.Revoked, pathval.StatusUnknown
	const held, removed = crl.CertificateHold, crl.RemoveFromCRL
	only := func(reasons ...byte) pkix.Extension {
		return scope(append([]byte{0x83, byte(len(reasons))}, reasons...)...)
	}
	for name, tc := range map[string]struct {
		lists []*crl.List
		want  pathval.Reason
	}{
		"without scope":                 {[]*crl.List{list(1, 0, nil)}, good},
		"at the point":                  {[]*crl.List{list(1, 0, nil, scope(at("http://a")...))}, good},
		"at the point, revoked":         {[]*crl.List{list(1, held, both, scope(at("http://a")...))}, revoked},
		"at another point":              {[]*crl.List{list(1, 0, nil, scope(at("http://b")...))}, unknown},
		"for users":                     {[]*crl.List{list(1, 0, nil, scope(0x81, 1, 0xff))}, good},
		"for CAs":                       {[]*crl.List{list(1, 0, nil, scope(0x82, 1, 0xff))}, unknown},
		"for attributes":                {[]*crl.List{list(1, 0, nil, scope(0x85, 1, 0xff))}, unknown},
		"for some reasons":              {[]*crl.List{list(1, 0, nil, only(5, 0x60))}, unknown},
		"for all reasons, in two":       {[]*crl.List{list(1, 0, nil, only(5, 0x60)), list(1, 0, nil, only(7, 0x1f, 0x80))}, good},
		"for the other reasons revoked": {[]*crl.List{list(1, 0, nil, only(5, 0x60)), list(1, held, both, only(7, 0x1f, 0x80))}, revoked},
		"unknown critical extension":    {[]*crl.List{list(1, 0, nil, critical(t, 2, 999, 1))}, unknown},
		"removed in a complete list":    {[]*crl.List{list(1, removed, both)}, revoked},
		"delta without a base":          {[]*crl.List{list(2, 0, nil, delta(1))}, unknown},
		"delta revokes":                 {[]*crl.List{list(1, 0, nil), list(2, held, both, delta(1))}, revoked},
		"delta restores":                {[]*crl.List{list(1, held, both), list(2, removed, both, delta(1))}, good},
		"delta for a later base":        {[]*crl.List{list(1, held, both), list(3, removed, both, delta(2))}, revoked},
		"delta older than the base":     {[]*crl.List{list(5, held, both), list(4, removed, both, delta(1))}, revoked},
		"delta of another scope":        {[]*crl.List{list(1, held, both), list(2, removed, both, delta(1), scope(at("http://a")...))}, revoked},
		"the later delta":               {[]*crl.List{list(1, 0, nil), list(2, held, both, delta(1)), list(3, removed, both, delta(1))}, good},
		"for CAs, of a CA":              {[]*crl.List{list(1, 0, nil, scope(0x82, 1, 0xff))}, good},
		"for users, of a CA":            {[]*crl.List{list(1, 0, nil, scope(0x81, 1, 0xff))}, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			crls, err := pathval.NewCRLs(nil, tc.lists...)
			if err != nil {
				t.Fatal(err)
			}
			asked := leaf
			if strings.HasSuffix(name, "of a CA") {
				asked = ca
			}
			in := pathval.Inputs{Anchors: []*pathval.Certificate{anchor}, At: now, Revocation: crls}
			_, err = pathval.Validate(t.Context(), []*pathval.Certificate{asked}, in)
			var got pathval.Reason
			if rs := reasonsOf(err); len(rs) > 0 {
				got = rs[0]
			}
			if got != tc.want || (err == nil) != (tc.want == good) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// A list of another issuer answers only if the certificate says so, the list
// says so, and the issuer is entitled by the same anchor.
func TestIndirectCRL(t *testing.T) {
	root, office := newEntity(t, "", "Root"), newEntity(t, "", "CRL office")
	anchor := root.issue(t, root, profile{ca: true})
	name := rdnSequence(t, office.name)
	dir := append([]byte{0xa4, byte(len(name))}, name...)
	field := func(tag byte, b []byte) []byte { return append([]byte{tag, byte(len(b))}, b...) }
	point := pointExtension(append(field(0xa0, field(0xa0, dir)), field(0xa2, dir)...))
	leaf := root.issue(t, newEntity(t, "", "User"), profile{extra: []pkix.Extension{point}})
	ofOffice := profile{usage: x509.KeyUsageCRLSign, extra: []pkix.Extension{pointExtension(at("http://office"))}}
	officer := root.issue(t, office, ofOffice)
	stranger := newEntity(t, "", "Root").issue(t, office, ofOffice)
	yesterday := now.AddDate(0, 0, -1)
	own := root.scopedList(t, 1, yesterday, 0, nil, scope(at("http://office")...)) // answers for the officer only
	indirect := office.scopedList(t, 1, yesterday, 0, nil, scope(0x84, 1, 0xff))
	in := pathval.Inputs{Anchors: []*pathval.Certificate{anchor}, At: now}
	for name, tc := range map[string]struct {
		signer *pathval.Certificate
		lists  []*crl.List
		ok     bool
	}{
		"entitled":      {officer, []*crl.List{own, indirect}, true},
		"not indirect":  {officer, []*crl.List{own, office.list(t, yesterday)}, false},
		"by a stranger": {stranger, []*crl.List{indirect}, false},
		"signer unseen": {officer, []*crl.List{indirect}, false},
	} {
		crls, err := pathval.NewCRLs(pathval.NewPool(tc.signer), tc.lists...)
		if err != nil {
			t.Fatal(err)
		}
		in.Revocation = crls
		if _, err := pathval.Validate(t.Context(), []*pathval.Certificate{leaf}, in); (err == nil) != tc.ok {
			t.Errorf("%s: got %v, want valid: %v", name, err, tc.ok)
		}
	}
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
		"an older one is still good": {[]*crl.List{a.root.list(t, yesterday), bridge.list(t, now.AddDate(0, 0, -2)), bridge.list(t, yesterday, b.fromBridge),
			b.root.list(t, yesterday), b.issuing.list(t, yesterday)}, pathval.ErrRevoked},
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
