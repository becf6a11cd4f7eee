package ocsp_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	oracle "golang.org/x/crypto/ocsp"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ocsp"
)

func TestCheckAccepts(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	id := newID(t, crypto.SHA256, ca, 5)
	hour := good(id)
	d := ca.delegate(t, nil)
	fresh := hour
	fresh.ThisUpdate, fresh.NextUpdate = now.Add(-ocsp.Skew), time.Time{}
	just := hour
	just.NextUpdate = now.Add(-ocsp.Skew)
	soon := hour
	soon.ThisUpdate = now.Add(ocsp.Skew)
	byName := template(hour)
	byName.Responder.Name = d.cert.RawSubject
	without := template(hour)
	without.Certificates = [][]byte{}
	others := template(hour)
	others.Certificates = [][]byte{{0x30, 0}, newCA(t, "beta", p256(t)).cert.Raw, d.cert.Raw}
	for name, r := range map[string]*ocsp.Response{
		"issuer":                       mustSign(t, without, ca),
		"issuer that embeds itself":    mustSign(t, template(hour), ca),
		"delegate by key":              mustSign(t, template(hour), d),
		"delegate by name":             mustSign(t, byName, d),
		"delegate after other certs":   mustSign(t, others, d),
		"delegate without key usage":   mustSign(t, template(hour), ca.delegate(t, func(c *x509.Certificate) { c.KeyUsage = 0 })),
		"fresh without nextUpdate":     mustSign(t, template(fresh), ca),
		"ended within the skew":        mustSign(t, template(just), ca),
		"begins within the skew":       mustSign(t, template(soon), ca),
		"said twice":                   mustSign(t, template(hour, hour), ca),
		"answers about others as well": mustSign(t, template(good(newID(t, crypto.SHA256, ca, 4)), hour), ca),
	} {
		if s, err := r.Check(id, ca.cert, now); err != nil || s.Status != ocsp.Good {
			t.Errorf("%s: got %+v, %v", name, s, err)
		}
	}
}

// TestCheckRefuses has one lie per case.
func TestCheckRefuses(t *testing.T) {
	ca, beta := newCA(t, "alpha", p256(t)), newCA(t, "beta", p256(t))
	twin := newCA(t, "alpha", p256(t))     // same name, other key
	heir := newCA(t, "alpha heir", ca.key) // same key, other name
	id := newID(t, crypto.SHA256, ca, 5)
	of := func(change func(*ocsp.SingleResponse)) *ocsp.Response {
		s := good(id)
		change(&s)
		return template(s)
	}
	about := func(other ocsp.CertID) *ocsp.Response {
		return of(func(s *ocsp.SingleResponse) { s.ID = other })
	}
	as := func(change func(*x509.Certificate)) pair { return ca.delegate(t, change) }
	plain := func() *ocsp.Response { return template(good(id)) }
	revoked := good(id)
	revoked.Status, revoked.RevokedAt = ocsp.Revoked, now
	newer := good(id)
	newer.NextUpdate = now.Add(2 * time.Hour)
	otherResponder, otherName, unembedded, future := plain(), plain(), plain(), plain()
	otherResponder.Responder.KeyHash = make([]byte, 20)
	otherName.Responder.Name = beta.cert.RawSubject
	unembedded.Certificates = [][]byte{}
	future.ProducedAt = now.Add(ocsp.Skew + time.Second)
	intermediate := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "intermediate"}, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 1, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, ca, p256(t))
	chained := plain()
	nested := intermediate.delegate(t, nil)
	chained.Certificates = [][]byte{nested.cert.Raw, intermediate.cert.Raw}
	swapped := mustSign(t, plain(), ca.delegate(t, nil))
	swapped.Certificates[0] = ca.delegate(t, nil).cert.Raw

	for name, c := range map[string]struct {
		r    *ocsp.Response
		want error
	}{
		"other serial":            {mustSign(t, about(newID(t, crypto.SHA256, ca, 6)), ca), ocsp.ErrOtherCert},
		"other hash":              {mustSign(t, about(newID(t, crypto.SHA1, ca, 5)), ca), ocsp.ErrOtherCert},
		"same serial, other CA":   {mustSign(t, about(newID(t, crypto.SHA256, beta, 5)), ca), ocsp.ErrOtherCert},
		"same serial, other key":  {mustSign(t, about(newID(t, crypto.SHA256, twin, 5)), ca), ocsp.ErrOtherCert},
		"same serial, other name": {mustSign(t, about(newID(t, crypto.SHA256, heir, 5)), ca), ocsp.ErrOtherCert},
		"good and revoked":        {mustSign(t, template(good(id), revoked), ca), ocsp.ErrContradiction},
		"revoked and good":        {mustSign(t, template(revoked, good(id)), ca), ocsp.ErrContradiction},
		"two validities":          {mustSign(t, template(good(id), newer), ca), ocsp.ErrContradiction},
		"another CA":              {mustSign(t, plain(), beta), ocsp.ErrSigner},
		"another CA of that name": {mustSign(t, plain(), twin), ocsp.ErrSigner},
		"delegate of another CA":  {mustSign(t, plain(), beta.delegate(t, nil)), ocsp.ErrSigner},
		"delegate of the twin":    {mustSign(t, plain(), twin.delegate(t, nil)), ocsp.ErrSigner},
		"delegate of the heir":    {mustSign(t, plain(), heir.delegate(t, nil)), ocsp.ErrSigner},
		"ordinary certificate":    {mustSign(t, plain(), as(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} })), ocsp.ErrSigner},
		"any extended key usage":  {mustSign(t, plain(), as(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })), ocsp.ErrSigner},
		"no extended key usage":   {mustSign(t, plain(), as(func(c *x509.Certificate) { c.ExtKeyUsage = nil })), ocsp.ErrSigner},
		"key for encryption":      {mustSign(t, plain(), as(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })), ocsp.ErrSigner},
		"revocable delegate":      {mustSign(t, plain(), as(func(c *x509.Certificate) { c.ExtraExtensions = nil })), ocsp.ErrSigner},
		"expired delegate":        {mustSign(t, plain(), as(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) })), ocsp.ErrSigner},
		"delegate of tomorrow":    {mustSign(t, plain(), as(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) })), ocsp.ErrSigner},
		"delegate with a riddle": {mustSign(t, plain(), as(func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: []int{2, 999, 1}, Critical: true, Value: []byte{5, 0}})
		})), ocsp.ErrSigner},
		"delegate of a sub-CA":     {mustSign(t, chained, nested), ocsp.ErrSigner},
		"sub-CA, embedded":         {mustSign(t, plain(), intermediate), ocsp.ErrSigner},
		"delegate not embedded":    {mustSign(t, unembedded, ca.delegate(t, nil)), ocsp.ErrSigner},
		"other delegate embedded":  {swapped, ocsp.ErrSigner},
		"wrong responder key":      {mustSign(t, otherResponder, ca), ocsp.ErrSigner},
		"wrong responder name":     {mustSign(t, otherName, ca), ocsp.ErrSigner},
		"signed with SHA-1":        {sha1Signed(t, ca), ocsp.ErrSigner},
		"stale":                    {mustSign(t, of(func(s *ocsp.SingleResponse) { s.NextUpdate = now.Add(-ocsp.Skew - time.Second) }), ca), ocsp.ErrStale},
		"no nextUpdate, not fresh": {mustSign(t, of(func(s *ocsp.SingleResponse) { s.NextUpdate = time.Time{} }), ca), ocsp.ErrStale},
		"ends before it begins":    {mustSign(t, of(func(s *ocsp.SingleResponse) { s.ThisUpdate, s.NextUpdate = now, now.Add(-time.Second) }), ca), ocsp.ErrStale},
		"early":                    {mustSign(t, of(func(s *ocsp.SingleResponse) { s.ThisUpdate = now.Add(ocsp.Skew + time.Second) }), ca), ocsp.ErrEarly},
		"produced in the future":   {mustSign(t, future, ca), ocsp.ErrEarly},
	} {
		if s, err := c.r.Check(id, ca.cert, now); !errors.Is(err, c.want) || s != nil || fault.KindOf(err) != fault.Denied {
			t.Errorf("%s: got %+v, %v, want %v", name, s, err, c.want)
		}
	}
	if _, err := mustSign(t, about(newID(t, crypto.SHA256, beta, 5)), ca).Check(newID(t, crypto.SHA256, beta, 5), ca.cert, now); !errors.Is(err, ocsp.ErrOtherCert) {
		t.Errorf("CertID of another issuer than asked for: got %v, want %v", err, ocsp.ErrOtherCert)
	}
}

// sha1Signed is a response that only archives accept.
func sha1Signed(t testing.TB, ca pair) *ocsp.Response {
	t.Helper()
	der, err := oracle.CreateResponse(ca.cert, ca.cert, oracle.Response{
		Status: oracle.Good, SerialNumber: big.NewInt(5), IssuerHash: crypto.SHA256, ThisUpdate: now, NextUpdate: now.Add(time.Hour),
		SignatureAlgorithm: x509.ECDSAWithSHA1,
	}, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ocsp.ParseResponse(der)
	if err != nil {
		t.Fatal(err)
	}
	r.ProducedAt = now // the oracle writes the present
	return r
}

func TestVerifierExceptions(t *testing.T) {
	ca, bridge := newCA(t, "alpha", p256(t)), newCA(t, "bridge", p256(t))
	id := newID(t, crypto.SHA256, ca, 5)
	revocable := ca.delegate(t, func(c *x509.Certificate) { c.ExtraExtensions = nil })
	fine := func(*x509.Certificate) error { return nil }
	bad := func(*x509.Certificate) error { return fault.New(fault.Denied, "revoked") }
	for name, c := range map[string]struct {
		v    ocsp.Verifier
		r    *ocsp.Response
		want error
	}{
		"SHA-1":             {ocsp.Verifier{SHA1: true}, sha1Signed(t, ca), nil},
		"trusted responder": {ocsp.Verifier{Responders: []*x509.Certificate{bridge.cert}}, mustSign(t, template(good(id)), bridge), nil},
		"its delegate":      {ocsp.Verifier{Responders: []*x509.Certificate{bridge.cert}}, mustSign(t, template(good(id)), bridge.delegate(t, nil)), ocsp.ErrSigner},
		"delegate valid":    {ocsp.Verifier{DelegateStatus: fine}, mustSign(t, template(good(id)), revocable), nil},
		"delegate revoked":  {ocsp.Verifier{DelegateStatus: bad}, mustSign(t, template(good(id)), revocable), ocsp.ErrSigner},
	} {
		if _, err := c.v.Check(c.r, ca.cert, now, id); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestCheckNonce(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	with, without := rich(t, ca), mustSign(t, template(good(newID(t, crypto.SHA1, ca, 5))), ca)
	for name, c := range map[string]struct {
		r    *ocsp.Response
		sent string
		want error
	}{
		"the one sent": {with, "nonce", nil}, "another": {with, "n0nce", ocsp.ErrNonce}, "none": {without, "nonce", nil},
	} {
		if err := c.r.CheckNonce([]byte(c.sent)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// TestEveryByteCounts changes each byte of a valid response: nothing signed may
// change, and nothing else may make it say more.
func TestEveryByteCounts(t *testing.T) {
	ca := newCA(t, "alpha", p256(t))
	id := newID(t, crypto.SHA256, ca, 5)
	valid := mustSign(t, template(good(id)), ca.delegate(t, nil)).Raw
	for i := range valid {
		der := bytes.Clone(valid)
		der[i] ^= 0x01
		r, err := ocsp.ParseResponse(der)
		if err != nil {
			continue
		}
		if s, err := r.Check(id, ca.cert, now); err == nil {
			t.Errorf("byte %d of %d: accepted as %+v", i, len(valid), s)
		}
	}
}
