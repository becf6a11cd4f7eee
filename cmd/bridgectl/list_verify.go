package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/internal/fault"
	"bridge.example/signedlist"
)

func (t *tool) listVerify() *cobra.Command {
	var o verification
	c := &cobra.Command{
		Use: "verify FILE --anchor FILE", Short: "Check a signed list, offline", Args: cobra.ExactArgs(1),
		Long: `Checks a signed list without asking anybody: its signature, that its signer
chains to the anchor, that it is in force at the instant asked about, and that it
does not roll back a previous one. With --view also that a published file, such as
anchors.pem, is the one that the list vouches for, by its name. Exits 7 when
something does not hold.

JSON: valid and, if not, problem; if so, number, issued_at, next_update, entries
[{member, title, subject, sha256, not_after, certificate (DER, base64), levels,
policies, mail_domains}].`,
		RunE: t.run(func(_ context.Context, args []string) error { return t.verify(args[0], o) }),
	}
	f := c.Flags()
	f.StringVar(&o.anchor, "anchor", "", "`file` with the bridge CA's certificate, PEM or DER")
	f.StringVar(&o.at, "at", "", "`instant` to check for, such as 2026-01-02T03:04:05Z or 2026-01-02; now when absent")
	f.StringVar(&o.previous, "previous", "", "`file` with the list used so far")
	f.StringArrayVar(&o.views, "view", nil, "published `file` to check against the list, by its name; may be repeated")
	must(c.MarkFlagRequired("anchor"))
	return c
}

// verification is what "list verify" is told.
type verification struct {
	anchor, at, previous string
	views                []string
}

func (t *tool) verify(file string, o verification) error {
	at, err := parseInstant("--at", o.at, time.Now())
	if err != nil {
		return err
	}
	anchor, err := readCertificate(o.anchor)
	if err != nil {
		return err
	}
	der, err := readFile(file, maxListBytes)
	if err != nil {
		return err
	}
	var previous []byte
	if o.previous != "" {
		if previous, err = readFile(o.previous, maxListBytes); err != nil {
			return err
		}
	}
	list, err := check(der, previous, poolOf(anchor), at)
	for _, view := range o.views {
		b, readErr := readFile(view, maxListBytes)
		if readErr != nil {
			return readErr
		}
		if err == nil {
			err = list.CheckView(filepath.Base(view), b)
		}
	}
	if err != nil {
		why := no{fmt.Errorf("%s: %w", file, err)}
		if t.output == "json" {
			if err := t.emit(checkedList{Problem: why.Error()}, nil, nil); err != nil {
				return err
			}
		}
		return why
	}
	v := newCheckedList(list)
	return t.emit(v, nil, v.rows())
}

// check opens a list, and the one before it when there is one.
func check(der, previous []byte, roots *x509.CertPool, at time.Time) (*signedlist.List, error) {
	list, err := signedlist.Open(der, roots, at)
	if err != nil || previous == nil {
		return list, err
	}
	old, err := signedlist.Open(previous, roots, at)
	if err != nil && !errors.Is(err, signedlist.ErrExpired) { // that it has run out is no matter
		return nil, fmt.Errorf("the previous list: %w", err)
	}
	return list, list.Supersedes(old)
}

func parseInstant(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return now, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fault.New(fault.Invalid, "%s: %q is no instant such as 2026-01-02T03:04:05Z or 2026-01-02", flag, s)
}

// checkedList is the result of a check.
type checkedList struct {
	Valid   bool   `json:"valid"`
	Problem string `json:"problem,omitempty"`

	Number     int64     `json:"number,omitempty"`
	IssuedAt   time.Time `json:"issued_at,omitzero"`
	NextUpdate time.Time `json:"next_update,omitzero"`
	Entries    []entry   `json:"entries,omitzero"`
}

func newCheckedList(l *signedlist.List) checkedList {
	return checkedList{
		Valid: true, Number: l.Number, IssuedAt: l.IssuedAt, NextUpdate: l.NextUpdate,
		Entries: each(l.Entries, newEntry),
	}
}

func (l checkedList) rows() (r rows) {
	r.add("number", fmt.Sprint(l.Number))
	r.add("issued", stamp(l.IssuedAt))
	r.add("next update", stamp(l.NextUpdate))
	r.add("certificates", fmt.Sprint(len(l.Entries)))
	for _, e := range l.Entries {
		r.add("member", e.Member)
		r.add("title", e.Title)
		r.add("certificate", e.Subject+", until "+stamp(e.NotAfter))
		r.add("SHA-256", e.SHA256)
		r.add("levels", strings.Join(e.Levels, ", "))
		r.add("policies", strings.Join(e.Policies, ", "))
		r.add("mail domains", strings.Join(e.MailDomains, ", "))
	}
	return r
}
