package checkup

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"bridge.example/internal/engine/pathval"
)

// Of the latency of a directory.
const (
	queries = 20
	maxP95  = 2 * time.Second
)

func checkMailbox(_ context.Context, _ *examination, t target, r *result) {
	e := t.endpoint
	if e.mailbox == "" {
		r.wrong("no test mailbox is declared")
		r.advise("Create an entry with a certificate that always stays, and name its address as test_mailbox.")
		return
	}
	if !e.ready(r, true) {
		return
	}
	l := e.lookup()
	r.saw("search %s below %q", e.filter(e.mailbox), e.Base)
	switch {
	case errors.Is(l.err, errNoPassword):
		r.skip("%v", l.err)
	case errors.Is(l.err, errKeepPassword):
		r.skip("%v; see D2", l.err)
	case l.err != nil:
		r.wrong("%v", l.err)
	case len(l.entries) == 0:
		r.wrong("no entry")
	case len(values(l.entries)) == 0:
		r.wrong("an entry without a certificate")
		r.advise("Publish the certificate of %s in userCertificate.", e.mailbox)
	default:
		r.saw("%d entries with %d certificates", len(l.entries), len(values(l.entries)))
	}
}

// values are the certificates in entries as they are stored, each once.
func values(entries []*goldap.Entry) (out [][]byte) {
	for _, e := range entries {
		for _, a := range e.Attributes {
			if name, _, _ := strings.Cut(a.Name, ";"); !strings.EqualFold(name, "userCertificate") {
				continue
			}
			for _, v := range a.ByteValues {
				if b, _ := pem.Decode(v); b != nil && b.Type == "CERTIFICATE" {
					v = b.Bytes
				}
				if !slices.ContainsFunc(out, func(o []byte) bool { return string(o) == string(v) }) {
					out = append(out, v)
				}
			}
		}
	}
	return out
}

// maxCertificates bounds how many certificates of one mailbox are looked at.
const maxCertificates = 10

func checkUserCertificate(ctx context.Context, x *examination, t target, r *result) {
	l, ok := t.endpoint.found(r)
	if !ok {
		return
	}
	ders := values(l.entries)
	if len(ders) == 0 {
		r.skip("no certificate was found; see D4")
		return
	}
	good := 0
	for _, der := range ders[:min(len(ders), maxCertificates)] {
		sum := sha256.Sum256(der)
		problems := x.userProblems(ctx, der, t.endpoint.mailbox)
		if len(problems) == 0 {
			good++
			r.saw("certificate SHA-256 %x: good", sum)
		}
		for _, p := range problems {
			r.saw("certificate SHA-256 %x: %s", sum, p)
		}
	}
	if good == 0 {
		r.wrong("nobody could encrypt to %s", t.endpoint.mailbox)
	}
}

// userProblems says why nobody could encrypt mail to address with a certificate
// (RFC 8550 §3, §4.4).
func (x *examination) userProblems(ctx context.Context, der []byte, address string) (out []string) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return []string{"not a certificate: " + err.Error()}
	}
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	view, err := pathval.ParseCertificate(der)
	if err != nil {
		return []string{err.Error()}
	}
	named := slices.ContainsFunc(view.Emails, func(s string) bool { return strings.EqualFold(s, address) })
	add(!named, "not for %s, but for %q", address, view.Emails)
	add(x.at.After(c.NotAfter), "expired on %s", c.NotAfter.UTC().Format(time.DateOnly))
	add(x.at.Before(c.NotBefore), "not valid before %s", c.NotBefore.UTC().Format(time.DateOnly))
	wanted := x509.KeyUsageKeyEncipherment
	if c.PublicKeyAlgorithm != x509.RSA {
		wanted |= x509.KeyUsageKeyAgreement
	}
	add(c.KeyUsage != 0 && c.KeyUsage&wanted == 0, "its key usage does not allow encryption")
	add(c.IsCA, "it is a CA certificate")
	if len(out) == 0 {
		err := x.chain(ctx, view, "")
		add(err != nil, "no path to the applicant's anchors: %v", err)
	}
	return out
}

// checkDiscretion asks what nobody should: everybody, and everything of one.
func checkDiscretion(ctx context.Context, x *examination, t target, r *result) {
	e := t.endpoint
	if !e.ready(r, true) {
		return
	}
	l, err := x.open(ctx, e)
	if err != nil {
		r.skip("no connection; see D2")
		return
	}
	defer l.Close()
	attribute := e.dialect.Addresses[0].Attribute
	for _, filter := range []string{"(" + attribute + "=*)", "(" + attribute + "=" + goldap.EscapeFilter(e.mailbox[:1]) + "*)"} {
		res, _, err := l.search(ctx, e.Base, goldap.ScopeWholeSubtree, 2, filter, "1.1")
		switch {
		case res != nil && len(res.Entries) > 0:
			r.wrong("search %s: answered with entries", filter)
		case err != nil:
			r.saw("search %s: refused with code %d", filter, resultCode(err))
		default:
			r.saw("search %s: nothing", filter)
		}
	}
	res, _, err := l.search(ctx, e.Base, goldap.ScopeWholeSubtree, 2, e.filter(e.mailbox))
	if err != nil || len(res.Entries) == 0 {
		return
	}
	var more []string
	for _, a := range res.Entries[0].Attributes {
		name, _, _ := strings.Cut(strings.ToLower(a.Name), ";")
		if !slices.Contains([]string{"mail", "cn", "usercertificate", "objectclass", "rfc822mailbox"}, name) {
			more = append(more, name)
		}
	}
	if len(more) > 0 {
		r.wrong("an entry shows more than mail, cn and userCertificate: %s", strings.Join(more, ", "))
	}
	if dn, err := goldap.ParseDN(res.Entries[0].DN); err == nil && len(dn.RDNs) > 0 {
		r.saw("the entry lies %d levels deep", len(dn.RDNs))
	}
}

func checkLatency(ctx context.Context, x *examination, t target, r *result) {
	e := t.endpoint
	if _, ok := e.found(r); !ok {
		return
	}
	l, err := x.open(ctx, e)
	if err != nil {
		r.wrong("the second connection: %v", err)
		return
	}
	defer l.Close()
	var took []time.Duration
	for range queries {
		_, d, err := l.search(ctx, e.Base, goldap.ScopeWholeSubtree, 20, e.filter(e.mailbox), e.attributes()...)
		if err != nil {
			r.wrong("query %d of %d: %v", len(took)+1, queries, err)
			return
		}
		took = append(took, d)
	}
	slices.Sort(took)
	p95 := took[queries*95/100-1]
	if r.saw("%d queries, 95th percentile %v, slowest %v", queries, p95.Round(time.Millisecond), took[queries-1].Round(time.Millisecond)); p95 > maxP95 {
		r.wrong("slower than %v", maxP95)
	}
}

func checkRedundancy(_ context.Context, x *examination, t target, r *result) {
	if len(x.endpoints) == 1 {
		r.skip("only one directory is declared")
		return
	}
	e := t.endpoint
	if !e.probe().reached() {
		r.wrong("does not answer; see D1")
		return
	}
	mine, ok := e.found(r)
	if !ok {
		return
	}
	for _, o := range x.endpoints {
		if o == e || o.mailbox != e.mailbox || !o.probe().reached() || o.dialect == nil {
			continue
		}
		if theirs := o.lookup(); theirs.err == nil && !sameSet(texts(values(mine.entries)), texts(values(theirs.entries))) {
			r.wrong("%s has other certificates for %s", o.URL, e.mailbox)
			return
		}
	}
	r.saw("answers as the others do")
}

func texts(values [][]byte) (out []string) {
	for _, v := range values {
		out = append(out, string(v))
	}
	return out
}
