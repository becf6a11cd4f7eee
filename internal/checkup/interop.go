package checkup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"bridge.example/internal/wire/cms"
	"bridge.example/membership"
)

// challengeLabel is where the proof of a domain lies, below the domain.
const challengeLabel = "_bridge-challenge."

// Challenge is the text that a TXT record at _bridge-challenge.<mail domain>
// holds to prove that the owner of the domain wants it in the application: the
// SHA-256 over the member's id and the SHA-256 of its anchors in ascending
// order. It is no secret, and it is worth nothing for other anchors or members.
func Challenge(a membership.Application) string {
	var sums []string
	for _, c := range a.Anchors {
		h := sha256.Sum256(c.Certificate)
		sums = append(sums, hex.EncodeToString(h[:]))
	}
	slices.Sort(sums)
	h := sha256.Sum256([]byte(string(a.ID) + "\n" + strings.Join(sums, "\n")))
	return "bridge-challenge=" + hex.EncodeToString(h[:])
}

func checkDomain(ctx context.Context, x *examination, t target, r *result) {
	if x.Others != nil && slices.Contains(x.Others.Domains, t.domain) {
		r.wrong("the domain belongs to a member already")
		r.advise("One member owns each domain: settle with the bridge whose it is.")
		return
	}
	name, want := challengeLabel+t.domain, Challenge(x.Application)
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	texts, err := x.Resolver.LookupTXT(ctx, name)
	if r.saw("TXT records of %s: %d", name, len(texts)); !slices.Contains(texts, want) {
		dns, ok := errors.AsType[*net.DNSError](err)
		if err != nil && (!ok || !dns.IsNotFound) {
			r.saw("%v", err)
		}
		r.wrong("none is the expected one")
		r.advise("Publish in DNS: %s IN TXT %q", name+".", want)
	}
}

// checkURLs compares what the subject's certificates say with what it declared
// for their issuer.
func checkURLs(_ context.Context, x *examination, t target, r *result) {
	a := t.authority
	var issued []*x509.Certificate
	for _, o := range x.below(a) {
		issued = append(issued, o.Certificate)
	}
	for _, e := range x.endpoints {
		if e.mailbox == "" || e.dialect == nil || !e.probe().reached() {
			continue
		}
		for _, der := range values(e.lookup().entries) {
			c, err := x509.ParseCertificate(der)
			if err == nil && bytes.Equal(c.RawIssuer, a.RawSubject) && len(issued) < maxCertificates {
				issued = append(issued, c)
			}
		}
	}
	if len(issued) == 0 {
		r.skip("no certificate that it issued is known")
		return
	}
	for _, c := range issued {
		if !sameSet(c.CRLDistributionPoints, a.CRL) {
			r.wrong("%s names the CRLs %q, declared are %q", c.Subject, c.CRLDistributionPoints, a.CRL)
		}
		if !sameSet(c.OCSPServer, a.CA.OCSP) {
			r.wrong("%s names the responders %q, declared are %q", c.Subject, c.OCSPServer, a.CA.OCSP)
		}
	}
	r.saw("compared with %d certificates", len(issued))
}

// Of the history of status services.
const (
	polls     = 5
	pollsOver = 24 * time.Hour
)

func checkHistory(_ context.Context, x *examination, _ target, r *result) {
	earlier := slices.Clone(x.Earlier)
	slices.SortFunc(earlier, func(a, b Report) int { return a.At.Compare(b.At) })
	if len(earlier) < polls || earlier[len(earlier)-1].At.Sub(earlier[0].At) < pollsOver {
		r.skip("%d earlier examinations are known; %d over %v are wanted", len(earlier), polls, pollsOver)
		return
	}
	// Those of the last day, and five at least.
	first := len(earlier) - polls
	for first > 0 && earlier[len(earlier)-1].At.Sub(earlier[first].At) < pollsOver {
		first--
	}
	for _, report := range earlier[first:] {
		for _, f := range report.Findings {
			if f.Must && f.Verdict == Fail && slices.Contains([]string{"V1", "V2", "V4", "V5"}, f.ID) {
				r.wrong("%s: %s %s failed", report.At.Format(time.RFC3339), f.ID, f.Subject)
			}
		}
	}
	r.saw("%d examinations since %s", len(earlier)-first, earlier[first].At.Format(time.RFC3339))
}

func checkMail(_ context.Context, x *examination, _ target, r *result) {
	r.skip("an officer sends an encrypted mail to the test mailbox and records the signed reply")
	for _, e := range x.endpoints {
		if e.TestMailbox != "" {
			r.saw("test mailbox %s", e.TestMailbox)
		}
	}
}

func checkSite(_ context.Context, _ *examination, _ target, r *result) {
	r.skip("no domain certificates are declared")
}

func checkBridgeSearch(ctx context.Context, x *examination, t target, r *result) {
	if x.Search == nil {
		r.skip("only the bridge can ask its own directory")
		return
	}
	mine, ok := t.endpoint.found(r)
	if !ok {
		return
	}
	theirs, err := x.Search(ctx, t.endpoint.mailbox)
	switch {
	case err != nil:
		r.wrong("asking for %s: %v", t.endpoint.mailbox, err)
	case len(theirs) == 0:
		r.wrong("the bridge's directory does not show the certificate of %s", t.endpoint.mailbox)
	default:
		for _, der := range theirs {
			if !slices.ContainsFunc(values(mine.entries), func(v []byte) bool { return bytes.Equal(v, der) }) {
				r.wrong("the bridge shows a certificate that the directory does not have")
			}
		}
		r.saw("the bridge shows %d certificates of %s", len(theirs), t.endpoint.mailbox)
	}
}

func checkPaths(ctx context.Context, x *examination, _ target, r *result) {
	if x.Paths == nil {
		r.skip("only the bridge knows its members")
		return
	}
	missing, unexpected, err := x.Paths(ctx)
	if err != nil {
		r.wrong("searching paths: %v", err)
	}
	for _, m := range missing {
		r.wrong("no path: %s", m)
	}
	for _, u := range unexpected {
		r.wrong("a path that nobody wants: %s", u)
	}
	if r.verdict == "" {
		r.saw("all wanted paths, and no others")
	}
}

// checkImport reads an anchor back as importers get it, and names what one of
// them is known to stumble over.
func checkImport(_ context.Context, _ *examination, t target, r *result) {
	c := t.authority.Certificate
	bundle, err := cms.CertsOnly([]*x509.Certificate{c})
	if err != nil || !bytes.Contains(bundle, c.Raw) {
		r.wrong("it does not fit into a PKCS #7 bundle: %v", err)
	}
	if c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() > 159 {
		r.wrong("the serial number %v is not positive or longer than 20 octets (RFC 5280 §4.1.2.2)", c.SerialNumber)
	}
	for _, e := range c.Extensions {
		if e.Id.String() == "2.5.29.19" && !e.Critical {
			r.wrong("basicConstraints are not critical (RFC 5280 §4.2.1.9)")
		}
	}
	if len(c.UnhandledCriticalExtensions) > 0 {
		r.wrong("critical extensions that importers do not know: %v", c.UnhandledCriticalExtensions)
	}
	if r.verdict == "" {
		r.saw("read back from a bundle")
	}
}
