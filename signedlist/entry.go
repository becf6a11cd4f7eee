package signedlist

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
	"unicode/utf8"

	"bridge.example/internal/fault"
)

// Bounds on a list.
const (
	maxEntries  = 50_000
	maxPolicies = 100 // and levels
	maxDomains  = 400
	maxMember   = 64 // bytes
	maxTitle    = 64 // characters, RFC 5914 §2.4
	maxDomain   = 253
)

// normalise returns e in the one form that is written: equal entries must give
// equal bytes, or every reconciliation would publish a list.
func (e Entry) normalise() (Entry, error) {
	bad := func(format string, args ...any) (Entry, error) {
		return e, fault.New(fault.Invalid, "entry of %q: "+format, append([]any{e.Member}, args...)...)
	}
	if e.Member == "" || len(e.Member) > maxMember || strings.Trim(e.Member, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return bad("not the id of a member")
	}
	if e.Title == "" || !utf8.ValidString(e.Title) {
		return bad("no title, or one that is not UTF-8")
	}
	e.Title = oneLine(e.Title)
	if r := []rune(e.Title); len(r) > maxTitle {
		e.Title = string(r[:maxTitle])
	}
	if e.Certificate == nil || !e.Certificate.IsCA {
		return bad("no CA certificate")
	}
	e.Policies, e.Levels = distinct(e.Policies), distinct(e.Levels)
	if len(e.Policies) == 0 || len(e.Policies) > maxPolicies || len(e.Levels) > maxPolicies {
		return bad("%d policies and %d levels: want 1 to %d, and no more levels", len(e.Policies), len(e.Levels), maxPolicies)
	}
	e.MailDomains = slices.Compact(slices.Sorted(slices.Values(e.MailDomains)))
	if len(e.MailDomains) == 0 || len(e.MailDomains) > maxDomains {
		return bad("%d mail domains: want 1 to %d", len(e.MailDomains), maxDomains)
	}
	for _, d := range e.MailDomains {
		if d == "" || len(d) > maxDomain || strings.Trim(d, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || d[0] == '.' {
			return bad("%q is not a mail domain in lower case", d)
		}
	}
	return e, nil
}

// distinct orders oids and leaves out what is there twice.
func distinct(oids []x509.OID) []x509.OID {
	out := slices.SortedFunc(slices.Values(oids), func(a, b x509.OID) int { return strings.Compare(a.String(), b.String()) })
	return slices.CompactFunc(out, x509.OID.Equal)
}

// normalise orders entries. A certificate can be that of one entry only.
func normalise(entries []Entry) ([]Entry, error) {
	if len(entries) > maxEntries {
		return nil, fault.New(fault.Invalid, "%d entries are more than the %d allowed", len(entries), maxEntries)
	}
	out := make([]Entry, len(entries))
	owner := make(map[string]string, len(entries))
	for i, e := range entries {
		var err error
		if out[i], err = e.normalise(); err != nil {
			return nil, err
		}
		if other, ok := owner[string(e.Certificate.Raw)]; ok {
			return nil, fault.New(fault.Invalid, "the certificate of %q stands in the list for %q and for %q", e.Certificate.Subject, other, e.Member)
		}
		owner[string(e.Certificate.Raw)] = e.Member
	}
	slices.SortFunc(out, compare)
	return out, nil
}

// inOrder checks that entries that were read are as normalise leaves them.
func inOrder(entries []Entry) error {
	normal, err := normalise(entries)
	if err == nil && !slices.EqualFunc(entries, normal, Entry.equal) {
		err = fault.New(fault.Invalid, "entries, or what is in them, are out of order")
	}
	return err
}

// compare gives the order in a list.
func compare(a, b Entry) int {
	if c := strings.Compare(a.Member, b.Member); c != 0 {
		return c
	}
	return bytes.Compare(a.Certificate.Raw, b.Certificate.Raw)
}

func (e Entry) equal(other Entry) bool {
	return compare(e, other) == 0 && e.Title == other.Title &&
		slices.EqualFunc(e.Policies, other.Policies, x509.OID.Equal) && slices.EqualFunc(e.Levels, other.Levels, x509.OID.Equal) && slices.Equal(e.MailDomains, other.MailDomains)
}
