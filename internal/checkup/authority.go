package checkup

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"time"

	"bridge.example/internal/engine/pathval"
	"bridge.example/internal/wire/crl"
	"bridge.example/membership"
)

// authority is a CA certificate of the subject.
type authority struct {
	*x509.Certificate
	membership.CA
	role       string // anchor or intermediate
	crls       []*crlSource
	responders []*responder
}

func newAuthority(c *x509.Certificate, declared membership.CA, role string) *authority {
	return &authority{Certificate: c, CA: declared, role: role}
}

func (a *authority) name() string { return a.role + " " + a.Subject.String() }

func (a *authority) fingerprint() string {
	h := sha256.Sum256(a.Raw)
	return hex.EncodeToString(h[:])
}

// above returns the CA that signed a: itself, or one of all. ErrAlgorithm of
// package crl means that nothing here could tell.
func (a *authority) above(all []*authority) (*authority, error) {
	view, err := pathval.ParseCertificate(a.Raw)
	if err != nil {
		return nil, err
	}
	err = errors.New("no CA certificate of the application has the name of its issuer")
	for _, o := range all {
		if !bytes.Equal(o.RawSubject, a.RawIssuer) {
			continue
		}
		if err = view.CheckSignature(o.PublicKey, crl.Legacy); err == nil || errors.Is(err, crl.ErrAlgorithm) {
			return o, nil
		}
	}
	return nil, err
}

// below returns the CAs that a issued, without itself.
func (x *examination) below(a *authority) (out []*authority) {
	for _, o := range x.authorities() {
		if o == a || !bytes.Equal(o.RawIssuer, a.RawSubject) {
			continue
		}
		if up, err := o.above(x.authorities()); err == nil && up == a {
			out = append(out, o)
		}
	}
	return out
}

func views(cas []*authority) (out []*pathval.Certificate, err error) {
	for _, a := range cas {
		v, err := pathval.ParseCertificate(a.Raw)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// chain finds the path from the subject's own anchors, and no other's, to c.
func (x *examination) chain(ctx context.Context, c *pathval.Certificate, email string, s ...pathval.Supposition) error {
	anchors, err := views(x.anchors)
	if err != nil {
		return err
	}
	subs, err := views(x.subs)
	if err != nil {
		return err
	}
	_, err = pathval.Build(ctx, c, pathval.NewPool(subs...), pathval.Inputs{
		Anchors: anchors, At: x.at, Purpose: pathval.EmailProtection(), Email: email, Cache: pathval.Suppose(s...),
	})
	return err
}

// subscriber makes a certificate as a would issue it, signed by nobody, and the
// supposition that a did: for asking what a's own certificate permits.
func (x *examination) subscriber(a *authority) (*pathval.Certificate, pathval.Supposition, error) {
	var none pathval.Supposition
	issuer, err := pathval.ParseCertificate(a.Raw)
	if err != nil {
		return nil, none, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, none, err
	}
	var policies []x509.OID
	for _, p := range x.Application.Policies {
		if oid, err := x509.ParseOID(p.Member); err == nil {
			policies = append(policies, oid)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: x.at.Add(-time.Minute), NotAfter: x.at.Add(time.Minute), Policies: policies,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}, &x509.Certificate{RawSubject: a.RawSubject, SubjectKeyId: a.SubjectKeyId, PublicKey: key.Public()}, key.Public(), key)
	if err != nil {
		return nil, none, err
	}
	leaf, err := pathval.ParseCertificate(der)
	return leaf, pathval.Supposition{Certificate: leaf, Issuer: issuer}, err
}

// validSerial is the serial number of a certificate of a that is known not to
// be revoked: the one declared, or that of a CA below.
func (x *examination) validSerial(a *authority) (*big.Int, bool) {
	if s := serial(a.TestSerials.Valid); s != nil {
		return s, true
	}
	if below := x.below(a); len(below) > 0 {
		return below[0].SerialNumber, true
	}
	return nil, false
}

// serial reads a serial number of a valid application; nil when it is empty.
func serial(hex string) *big.Int {
	n, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		return nil
	}
	return n
}

// sameSet reports whether two lists hold the same, whatever the order.
func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return strings.Join(slices.Compact(a), "\n") == strings.Join(slices.Compact(b), "\n")
}
