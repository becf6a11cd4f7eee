package crosscert

import (
	"bytes"
	"crypto/x509"
	"net/url"
	"slices"
	"strconv"

	"bridge.example/internal/wire/certext"
)

// PairPath is where value n, from 1, of a member's crossCertificatePair is
// published, below [Options].BaseURL.
func PairPath(member string, n int) string {
	return "/members/" + url.PathEscape(member) + "/pairs/" + strconv.Itoa(n) + ".cp"
}

// Pairs are the values of crossCertificatePair (RFC 4523 §2.3) for the
// directory entries of a member's CAs: issued to them is what the bridge signed
// (to), issued by them what they signed for the bridge (from). The halves of
// one value name each other and hold each other's keys; what has no other half
// stands alone, so that every certificate is in exactly one value.
func Pairs(to, from []*x509.Certificate) []certext.CertificatePair {
	var out []certext.CertificatePair
	left := slices.Clone(from)
	for _, t := range to {
		p := certext.CertificatePair{IssuedToThisCA: t.Raw}
		if i := slices.IndexFunc(left, func(f *x509.Certificate) bool { return opposite(t, f) }); i >= 0 {
			p.IssuedByThisCA = left[i].Raw
			left = slices.Delete(left, i, i+1)
		}
		out = append(out, p)
	}
	for _, f := range left {
		out = append(out, certext.CertificatePair{IssuedByThisCA: f.Raw})
	}
	return out
}

// opposite reports whether each of two certificates was signed with the key
// that the other certifies.
func opposite(a, b *x509.Certificate) bool {
	signed := func(c, by *x509.Certificate) bool {
		return bytes.Equal(c.RawIssuer, by.RawSubject) && c.CheckSignatureFrom(by) == nil
	}
	return signed(a, b) && signed(b, a)
}
