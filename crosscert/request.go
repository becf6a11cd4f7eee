package crosscert

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

const (
	maxMappings = 50
	maxDomains  = 100
	maxNames    = 20
	maxPathLen  = 5
)

// checkRequest reports everything that is wrong with r in one Invalid error.
func (a *Authority) checkRequest(r Request) error {
	var problems []string
	addf := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	addf(r.Member == "", "member: missing")
	addf(len(r.Mappings) == 0 || len(r.Mappings) > maxMappings, "mappings: want 1 to %d, got %d", maxMappings, len(r.Mappings))
	addf(len(r.MailDomains) == 0 || len(r.MailDomains) > maxDomains, "mail domains: want 1 to %d, got %d", maxDomains, len(r.MailDomains))
	for _, d := range r.MailDomains {
		addf(!isHost(d), "mail domains: %q is not a lower-case host name", d)
	}
	addf(len(r.ExcludedDomains) > maxDomains, "excluded domains: want at most %d, got %d", maxDomains, len(r.ExcludedDomains))
	for _, d := range r.ExcludedDomains {
		addf(!isHost(d) || !slices.ContainsFunc(r.MailDomains, func(m string) bool { return strings.HasSuffix(d, "."+m) }),
			"excluded domains: %q is no host below a mail domain", d)
	}
	addf(len(r.DirectoryNames) > maxNames, "directory names: want at most %d, got %d", maxNames, len(r.DirectoryNames))
	for _, n := range r.DirectoryNames {
		_, err := certext.EncodeName(n)
		addf(err != nil, "directory names: %v", err)
	}
	addf(r.MaxPathLen < 0 || r.MaxPathLen > maxPathLen, "path length: want 0 to %d, got %d", maxPathLen, r.MaxPathLen)
	if r.Subject == nil {
		addf(true, "subject: missing")
	} else {
		for _, p := range a.checkSubject(r.Subject, r.MaxPathLen) {
			addf(true, "subject: %s", p)
		}
	}
	addf(!a.signing.cert.NotAfter.After(a.instant()), "the bridge CA's certificate expired on %v", a.signing.cert.NotAfter)
	if problems != nil {
		return fault.New(fault.Invalid, "cross-certificate for %q: %s", r.Member, strings.Join(problems, "; "))
	}
	return nil
}

func (a *Authority) checkSubject(c *x509.Certificate, pathLen int) (problems []string) {
	now := a.instant()
	spki, _ := x509.MarshalPKIXPublicKey(c.PublicKey) // nil, so unequal, for a key it does not know
	for _, p := range []struct {
		bad  bool
		what string
	}{
		{!c.BasicConstraintsValid || !c.IsCA, "not a CA certificate"},
		{c.KeyUsage&x509.KeyUsageCertSign == 0 && c.KeyUsage != 0, "its key may not sign certificates"},
		{now.Before(c.NotBefore) || !now.Before(c.NotAfter), "not valid now"},
		{!bytes.Equal(spki, c.RawSubjectPublicKeyInfo), "its key is encoded so that it cannot be taken over byte by byte"},
		{bytes.Equal(c.RawSubject, a.signing.cert.RawSubject), "it has the bridge CA's name"},
		{slices.ContainsFunc(a.gens, func(g *generation) bool { return sameKey(c.PublicKey, g.cert.PublicKey) }), "it has the bridge CA's key"},
		{c.MaxPathLen >= 0 && c.BasicConstraintsValid && pathLen > c.MaxPathLen, "it allows fewer CAs below it"},
		// The least proof that whoever sent it holds the key.
		{bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(c) != nil, "its own signature does not verify"},
	} {
		if p.bad {
			problems = append(problems, p.what)
		}
	}
	return problems
}

// isHost reports whether s is a host name of two labels or more, in lower-case
// letters, digits and hyphens.
func isHost(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return len(labels) > 1 && len(s) <= 253
}
