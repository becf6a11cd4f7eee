package vdir

import (
	"cmp"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"time"
)

// Why a certificate stays inside.
var (
	errTooLarge   = errors.New("larger than 64 KiB")
	errUnreadable = errors.New("not an X.509 certificate")
	errCA         = errors.New("a CA certificate")
	errAddress    = errors.New("for another address")
	errExpired    = errors.New("expired")
	errNotYet     = errors.New("not valid yet")
	errKeyUsage   = errors.New("key usage does not allow encryption")
	errPurpose    = errors.New("extended key usage does not allow mail protection")
)

var oidEmailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

// screen returns the certificates that may be shown for a, as DER, the one with
// the longest remaining validity first.
func (d *Directory) screen(m *mount, a address, ders [][]byte) [][]byte {
	now := d.o.Now()
	var passed []*x509.Certificate
	for _, der := range ders {
		c, err := encryptionCertificate(der, a, now)
		if err != nil {
			d.o.Log.Debug("certificate not shown", "member", m.Member, "reason", err.Error())
			continue
		}
		if err := m.Check(c, now); err != nil {
			d.o.Log.Warn("certificate not shown", "member", m.Member, "serial", c.SerialNumber.Text(16), "reason", anonymous(err))
			continue
		}
		passed = append(passed, c)
	}
	slices.SortStableFunc(passed, func(a, b *x509.Certificate) int {
		return cmp.Or(b.NotAfter.Compare(a.NotAfter), b.NotBefore.Compare(a.NotBefore))
	})
	out := make([][]byte, len(passed))
	for i, c := range passed {
		out[i] = c.Raw
	}
	return out
}

// encryptionCertificate parses der if it is a certificate for encrypting mail
// to a, by its own contents (RFC 8550 §4.4). Whether to believe them is not
// decided here.
func encryptionCertificate(der []byte, a address, now time.Time) (*x509.Certificate, error) {
	if len(der) > maxCertBytes {
		return nil, errTooLarge
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errUnreadable
	}
	switch {
	case c.IsCA:
		return nil, errCA
	case now.After(c.NotAfter):
		return nil, errExpired
	case now.Before(c.NotBefore):
		return nil, errNotYet
	case !mayEncrypt(c):
		return nil, errKeyUsage
	case !forMail(c):
		return nil, errPurpose
	case !names(c, a):
		return nil, errAddress
	}
	return c, nil
}

// mayEncrypt follows RFC 8550 §4.4.2; without the extension a key may do
// anything. Keys that can only sign are refused whatever their usage says.
func mayEncrypt(c *x509.Certificate) bool {
	switch c.PublicKeyAlgorithm {
	case x509.RSA: // cannot agree on keys
		return c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageKeyEncipherment != 0
	case x509.DSA, x509.Ed25519:
		return false
	}
	return c.KeyUsage == 0 || c.KeyUsage&(x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement) != 0
}

func forMail(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// names reports whether c carries a, in subjectAltName or in the subject
// (RFC 8550 §3).
func names(c *x509.Certificate, a address) bool {
	if slices.ContainsFunc(c.EmailAddresses, a.is) {
		return true
	}
	for _, n := range c.Subject.Names {
		if s, ok := n.Value.(string); ok && n.Type.Equal(oidEmailAddress) && a.is(s) {
			return true
		}
	}
	return false
}

// anonymous is the text of err, unless it may contain a mail address: those
// stay out of logs.
func anonymous(err error) string {
	if s := err.Error(); !strings.Contains(s, "@") {
		return s
	}
	return "refused by the member's check"
}
