package checkup

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/engine/pathval"
)

const (
	minRSABits  = 2048
	minECBits   = 256
	minValidity = 180 * 24 * time.Hour
)

func checkVersion(_ context.Context, _ *examination, t target, r *result) {
	if r.saw("version %d, SHA-256 %s", t.authority.Version, t.authority.fingerprint()); t.authority.Version != 3 {
		r.wrong("not an X.509v3 certificate")
	}
}

func checkKeySize(_ context.Context, _ *examination, t target, r *result) {
	switch k := t.authority.PublicKey.(type) {
	case *rsa.PublicKey:
		if r.saw("RSA, %d bits", k.N.BitLen()); k.N.BitLen() < minRSABits {
			r.wrong("fewer than %d bits", minRSABits)
		}
	case *ecdsa.PublicKey:
		if r.saw("ECDSA on %s", k.Params().Name); k.Params().BitSize < minECBits {
			r.wrong("fewer than %d bits", minECBits)
		}
	default:
		r.wrong("a key of a kind that mail clients do not know: %s", t.authority.PublicKeyAlgorithm)
	}
}

func checkKeyQuality(_ context.Context, _ *examination, t target, r *result) {
	k, ok := t.authority.PublicKey.(*rsa.PublicKey)
	if !ok {
		r.saw("not an RSA key: the curve is a named one")
		return
	}
	r.saw("exponent %d, modulus SHA-256 %x", k.E, sha256.Sum256(k.N.Bytes()))
	for _, w := range rsaWeaknesses(k) {
		r.wrong("%s", w)
	}
}

func checkRole(_ context.Context, _ *examination, t target, r *result) {
	c := t.authority.Certificate
	if !c.BasicConstraintsValid || !c.IsCA {
		r.wrong("basicConstraints do not make it a CA")
	}
	if c.KeyUsage&x509.KeyUsageCertSign == 0 {
		r.wrong("keyUsage lacks keyCertSign")
	}
	if c.KeyUsage&x509.KeyUsageCRLSign == 0 {
		r.wrong("keyUsage lacks cRLSign")
	}
	if len(c.SubjectKeyId) == 0 {
		r.wrong("no subjectKeyIdentifier")
	}
}

func checkChain(_ context.Context, x *examination, t target, r *result) {
	up, err := t.authority.above(x.authorities())
	switch {
	case err != nil:
		r.wrong("issued by %s: %v", t.authority.Issuer, err)
		return
	case up == t.authority && t.authority.role == "intermediate":
		r.wrong("self-signed, but declared as an intermediate")
	case up != t.authority:
		r.saw("signed by %s", up.name())
	default:
		r.saw("self-signed")
	}
	if t.authority.role == "anchor" && len(x.below(t.authority)) == 0 {
		r.unwise("no CA below it is declared: the key of the anchor itself signs for people")
		r.advise("Keep the anchor offline and issue from a CA below it; declare that one under intermediates.")
	}
}

func checkSignatureHash(_ context.Context, _ *examination, t target, r *result) {
	switch a := t.authority.SignatureAlgorithm; a {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1, x509.UnknownSignatureAlgorithm:
		r.wrong("signed with %s", a)
	default:
		r.saw("signed with %s", a)
	}
}

func checkValidity(_ context.Context, x *examination, t target, r *result) {
	c := t.authority.Certificate
	r.saw("valid from %s to %s", c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
	switch left := c.NotAfter.Sub(x.at); {
	case x.at.Before(c.NotBefore):
		r.wrong("not valid yet")
	case left < 0:
		r.wrong("expired")
	case left < minValidity:
		r.wrong("%d days are left, fewer than %d", left/(24*time.Hour), minValidity/(24*time.Hour))
	}
}

func checkFingerprint(_ context.Context, x *examination, t target, r *result) {
	if x.Fingerprints == nil {
		r.skip("no signed form was given; the fingerprint is %s", t.authority.fingerprint())
		return
	}
	r.saw("SHA-256 %s", t.authority.fingerprint())
	on := func(s string) bool {
		return strings.EqualFold(strings.NewReplacer(":", "", " ", "").Replace(s), t.authority.fingerprint())
	}
	if !slices.ContainsFunc(x.Fingerprints, on) {
		r.wrong("the form does not have this fingerprint")
	}
}

func checkUnowned(_ context.Context, x *examination, t target, r *result) {
	spki := sha256.Sum256(t.authority.RawSubjectPublicKeyInfo)
	r.saw("key SHA-256 %x", spki)
	blocked := func(s string) bool { return strings.EqualFold(s, hex.EncodeToString(spki[:])) }
	if slices.ContainsFunc(x.Blocked, blocked) {
		r.wrong("this key is blocked")
	}
	if x.Others == nil {
		if r.verdict == "" {
			r.skip("only the bridge knows the keys and names of its members")
		}
		return
	}
	for _, o := range x.Others.Certificates {
		switch {
		case bytes.Equal(o.RawSubjectPublicKeyInfo, t.authority.RawSubjectPublicKeyInfo):
			r.wrong("a member has this key already")
			return
		case bytes.Equal(o.RawSubject, t.authority.RawSubject):
			r.wrong("a CA of a member has this name already")
			return
		}
	}
}

func checkLint(_ context.Context, _ *examination, t target, r *result) {
	findings, err := crosscert.SecondOpinion(t.authority.Certificate)
	if err != nil {
		r.wrong("the linter cannot read it: %v", err)
	}
	for _, f := range findings {
		r.wrong("%s", f)
	}
}

func checkPolicies(_ context.Context, x *examination, t target, r *result) {
	c := t.authority.Certificate
	for _, m := range c.PolicyMappings {
		if m.IssuerDomainPolicy.Equal(pathval.AnyPolicy()) || m.SubjectDomainPolicy.Equal(pathval.AnyPolicy()) {
			r.wrong("the certificate maps to or from anyPolicy")
		}
	}
	for _, p := range x.Application.Policies {
		if x.Levels != nil && !slices.Contains(x.Levels, p.Bridge) {
			r.wrong("%s is mapped to %s, which is no level of the bridge", p.Member, p.Bridge)
		}
	}
	if t.authority.role == "anchor" { // all policies are valid under an anchor: RFC 5280 §6.1.1
		return
	}
	for _, p := range x.Application.Policies {
		carries := func(o x509.OID) bool { return o.String() == p.Member || o.Equal(pathval.AnyPolicy()) }
		if slices.ContainsFunc(c.Policies, carries) {
			r.saw("carries %s", p.Member)
			return
		}
	}
	r.wrong("certificatePolicies has none of the policies in the application, so that no path is valid under them")
}

// checkConstraints asks whether the bridge's validator understands everything
// critical in the certificate and finds subscribers possible below it. Faults
// that have a check of their own are left to it.
func checkConstraints(ctx context.Context, x *examination, t target, r *result) {
	leaf, supposed, err := x.subscriber(t.authority)
	if err == nil {
		err = x.chain(ctx, leaf, "", supposed)
	}
	if err == nil {
		return
	}
	path, ok := errors.AsType[*pathval.NoPathError](err)
	if !ok {
		r.wrong("%v", err)
		return
	}
	own := []pathval.Reason{pathval.UnknownCritical, pathval.NameConstraint, pathval.PathTooLong, pathval.PolicyMissing, pathval.Purpose, pathval.Exhausted}
	for _, rejected := range path.Rejections {
		if slices.Contains(own, rejected.Reason) {
			r.wrong("%v", rejected)
		}
	}
	if r.verdict == "" {
		r.saw("no path yet, for reasons that other checks name")
	}
}
