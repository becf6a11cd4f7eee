package federation

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"bridge.example/internal/notice"
	"bridge.example/membership"
)

const (
	// settle is how long a status may be unknown before it is worth a word.
	settle = 2 * time.Hour
	// recent is for how long what happened stays in the digest.
	recent = 30 * 24 * time.Hour
)

// Artifacts that are made anew all the time are announced late: earlier they are
// always about to end.
var (
	listAhead = []time.Duration{48 * time.Hour}
	crlAhead  = []time.Duration{24 * time.Hour}
	idleAhead = []time.Duration{30 * 24 * time.Hour, 14 * 24 * time.Hour, 7 * 24 * time.Hour, 24 * time.Hour}
)

// Notices returns what ends, and what is wrong, at the bridge and its members.
func (f *Federation) Notices(ctx context.Context) ([]notice.Item, error) {
	members, err := f.Register.Live(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the register: %w", err)
	}
	seen, err := f.Seen(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading what was seen: %w", err)
	}
	out := f.ownNotices()
	now := f.Now()
	for _, m := range members {
		out = append(out, memberNotices(&m, &seen, now)...)
		out = append(out, seen.notices(&m, now)...)
	}
	for _, t := range f.Artifacts().Trusted {
		for _, c := range t.CrossTo {
			out = append(out, certificateNotice(string(t.ID), "cross-certificate", "the bridge's certificate for", c))
		}
		for _, c := range t.CrossFrom {
			out = append(out, certificateNotice(string(t.ID), "inbound-certificate", "the member's certificate for the bridge, by", c))
		}
	}
	for m, err := range f.Register.Open(ctx) {
		if err != nil {
			return nil, fmt.Errorf("reading the register: %w", err)
		}
		if _, at := m.Due(); !at.IsZero() {
			out = append(out, notice.Item{
				Key: key("idle", m.ID, at), Member: string(m.ID), Kind: "application", Ends: at, Ahead: idleAhead,
				Text: fmt.Sprintf("the application, which is %s, lapses unless somebody goes on with it", m.State),
			})
		}
	}
	return out, nil
}

// key names an item by what it is, whose, and when it ends: what is renewed is
// another.
func key(what string, member membership.ID, at time.Time) string {
	return fmt.Sprintf("%s %s %d", what, member, at.Unix())
}

func certificateNotice(member, kind, whose string, c *x509.Certificate) notice.Item {
	name := c.Subject.String()
	if kind == "inbound-certificate" {
		name = c.Issuer.String()
	}
	return notice.Item{
		Key: kind + " " + fingerprint(c.Raw), Member: member, Kind: kind, Ends: c.NotAfter, Ahead: notice.Usual(),
		Text: fmt.Sprintf("%s %q, serial %x", whose, name, c.SerialNumber),
	}
}

// ownNotices are about the bridge itself.
func (f *Federation) ownNotices() []notice.Item {
	a := f.Artifacts()
	out := []notice.Item{certificateNotice("", "bridge-ca", "the bridge CA", f.BridgeCA)}
	for _, c := range f.Signers {
		out = append(out, certificateNotice("", "signer", "the signer", c))
	}
	if !a.ListNextUpdate.IsZero() {
		out = append(out, notice.Item{Key: key("list", "", a.ListNextUpdate), Kind: "list", Ends: a.ListNextUpdate, Ahead: listAhead,
			Text: fmt.Sprintf("the signed list, number %d, and no newer one was signed", a.ListNumber)})
	}
	if !a.CRLNextUpdate.IsZero() {
		out = append(out, notice.Item{Key: key("crl", "", a.CRLNextUpdate), Kind: "bridge-crl", Ends: a.CRLNextUpdate, Ahead: listAhead,
			Text: fmt.Sprintf("the CRL of the bridge CA, number %d, and no newer one was signed", a.CRLNumber)})
	}
	return out
}

// memberNotices are those that the record of a live member gives rise to.
func memberNotices(m *membership.Member, seen *Seen, now time.Time) (out []notice.Item) {
	add := func(kind string, ends time.Time, ahead []time.Duration, format string, args ...any) {
		out = append(out, notice.Item{
			Key: key(kind, m.ID, ends), Member: string(m.ID), Kind: kind, Ends: ends, Ahead: ahead, Text: fmt.Sprintf(format, args...),
		})
	}
	anchors, intermediates := m.Certificates()
	for _, c := range slices.Concat(anchors, intermediates) {
		if !m.IsBarred(c.Raw) {
			out = append(out, certificateNotice(string(m.ID), "ca-certificate", "the CA certificate", c))
		}
	}
	for _, d := range m.Evidence() {
		if !d.Expires.IsZero() {
			add(string(d.Kind), d.Expires, notice.Usual(), "the document %q of kind %s", d.Name, d.Kind)
		}
	}
	if m.State == membership.Active || m.State == membership.RenewalDue {
		add("membership", m.RenewBy, notice.Usual(), "the term of membership, which a renewal makes longer")
	}
	if m.State == membership.Exiting {
		add("exit", m.ExitAt, notice.Usual(), "the membership, by notice of exit")
	}
	if at, ok := m.Unconfirmed(); ok && now.Sub(at) > membership.ConfirmWithin {
		out = append(out, notice.Item{Key: key("unconfirmed", m.ID, at), Member: string(m.ID), Kind: "suspension",
			Text: fmt.Sprintf("suspended since %s, and no second person has confirmed it", at.Format(time.RFC3339))})
	}
	for _, b := range m.Barred {
		if now.Sub(b.At) < recent {
			out = append(out, notice.Item{Key: "barred " + string(m.ID) + " " + b.Certificate, Member: string(m.ID), Kind: "revoked", Text: b.Reason})
		}
	}
	if d, ok := seen.Changes[m.ID]; ok && now.Sub(d.At) < recent {
		out = append(out, notice.Item{Key: key("checks", m.ID, d.At), Member: string(m.ID), Kind: "checks",
			Text: "checks changed: " + strings.Join(d.Lines, "; ")})
	}
	return out
}

// notices are those about the status of the CA certificates of m.
func (s *Seen) notices(m *membership.Member, now time.Time) (out []notice.Item) {
	for _, ca := range slices.Concat(m.Anchors, m.Intermediates) {
		hash := fingerprint(ca.Certificate)
		st, ok := s.Standings[hash]
		if !ok || m.IsBarred(ca.Certificate) {
			continue
		}
		if !st.CRLEnds.IsZero() {
			out = append(out, notice.Item{Key: key("crl "+hash, m.ID, st.CRLEnds), Member: string(m.ID), Kind: "crl", Ends: st.CRLEnds, Ahead: crlAhead,
				Text: fmt.Sprintf("the CRL of %q, and no newer one was seen", st.Subject)})
		}
		for kind, why := range map[string]string{"status": st.Unknown, "crl-problem": st.CRLProblem} {
			if why != "" && now.Sub(st.Since) >= settle {
				out = append(out, notice.Item{Key: key(kind+" "+hash, m.ID, st.Since), Member: string(m.ID), Kind: kind,
					Text: fmt.Sprintf("%q, since %s: %s", st.Subject, st.Since.Format(time.RFC3339), oneLine(why))})
			}
		}
	}
	return out
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }
