package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/signedlist"
)

func (t *tool) listCommand() *cobra.Command {
	return t.noun("list", "Fetch the signed list, and check it", t.listFetch(), t.listVerify())
}

func (t *tool) listFetch() *cobra.Command {
	var out, from string
	c := &cobra.Command{
		Use: "fetch", Short: "Fetch the signed list in force", Args: cobra.NoArgs,
		Long: `Fetches the signed list from the daemon or, with --url, from a repository, which
needs no credentials. Its signature is not checked: "bridgectl list verify" does
that. Without --out the list itself, CMS SignedData in DER, goes to standard
output.

JSON: number, issued_at, next_update (these three only from the daemon), bytes,
sha256, and file or list (DER, base64).`,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.fetch(ctx, from, out) }),
	}
	c.Flags().StringVar(&out, "out", "", "`file` to write the list to")
	c.Flags().StringVar(&from, "url", "", "http or https `address` of the list in a repository")
	return c
}

// fetched describes a list that came, and carries it where it has no file.
type fetched struct {
	Number     int64     `json:"number,omitempty"`
	IssuedAt   time.Time `json:"issued_at,omitzero"`
	NextUpdate time.Time `json:"next_update,omitzero"`
	Bytes      int       `json:"bytes"`
	SHA256     string    `json:"sha256"`
	File       string    `json:"file,omitempty"`
	List       []byte    `json:"list,omitempty"`
}

func (t *tool) fetch(ctx context.Context, from, out string) error {
	if out == "" && t.outTerminal && t.output == "text" {
		return withHint(fault.New(fault.Invalid, "a signed list is no text for a terminal"), "name a file with --out, or redirect the output")
	}
	f, err := t.fetchFrom(ctx, from)
	if err != nil {
		return err
	}
	list, sum := f.List, sha256.Sum256(f.List)
	f.Bytes, f.SHA256 = len(list), hex.EncodeToString(sum[:])
	if out != "" {
		if err := writeFile(out, list); err != nil {
			return err
		}
		f.File, f.List = out, nil
	} else if t.output == "text" {
		_, err := t.out.Write(list)
		return err
	}
	var r rows
	r.add("file", f.File)
	r.add("bytes", fmt.Sprint(f.Bytes))
	r.add("SHA-256", f.SHA256)
	if f.Number != 0 {
		r.add("number", fmt.Sprint(f.Number))
	}
	r.add("issued", stamp(f.IssuedAt))
	r.add("next update", stamp(f.NextUpdate))
	return t.emit(f, nil, r)
}

func (t *tool) fetchFrom(ctx context.Context, from string) (f fetched, err error) {
	if from != "" {
		f.List, err = t.download(ctx, from)
		return f, err
	}
	err = t.ask(func(client proto.BridgeClient) error {
		p, err := client.GetList(ctx, &proto.GetListRequest{})
		f = fetched{Number: p.GetNumber(), IssuedAt: instant(p.GetIssuedAt()), NextUpdate: instant(p.GetNextUpdate()), List: p.GetList()}
		return err
	})
	return f, err
}

// download gets what is at an address, at most maxAnswerBytes of it.
func (t *tool) download(ctx context.Context, from string) ([]byte, error) {
	u, err := url.Parse(from)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.New(fault.Invalid, "--url: %q is not an http or https address", from)
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "--url: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "fetching the list: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return nil, fault.New(fault.NotFound, "fetching the list: %s says %s", u.Redacted(), resp.Status)
	default:
		return nil, fault.New(fault.Unavailable, "fetching the list: %s says %s", u.Redacted(), resp.Status)
	}
	body := http.MaxBytesReader(nil, resp.Body, maxAnswerBytes)
	b, err := io.ReadAll(body)
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return nil, fault.New(fault.Invalid, "fetching the list: longer than %d bytes", maxAnswerBytes)
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "fetching the list: %w", err)
	}
	return b, nil
}

func (t *tool) listVerify() *cobra.Command {
	var o verification
	c := &cobra.Command{
		Use: "verify FILE --anchor FILE", Short: "Check a signed list, offline", Args: cobra.ExactArgs(1),
		Long: `Checks a signed list without asking anybody: its signature, that its signer
chains to the anchor, that it is in force at the instant asked about, and that it
does not roll back a previous one. Exits 7 when it does not hold.

JSON: valid and, if not, problem; if so, number, issued_at, next_update, entries
[{member, title, subject, sha256, not_after, certificate (DER, base64), policies,
mail_domains}].`,
		RunE: t.run(func(_ context.Context, args []string) error { return t.verify(args[0], o) }),
	}
	f := c.Flags()
	f.StringVar(&o.anchor, "anchor", "", "`file` with the bridge CA's certificate, PEM or DER")
	f.StringVar(&o.at, "at", "", "`instant` to check for, such as 2026-01-02T03:04:05Z or 2026-01-02; now when absent")
	f.StringVar(&o.previous, "previous", "", "`file` with the list used so far")
	must(c.MarkFlagRequired("anchor"))
	return c
}

// verification is what "list verify" is told.
type verification struct{ anchor, at, previous string }

func (t *tool) verify(file string, o verification) error {
	at, err := parseInstant("--at", o.at, time.Now())
	if err != nil {
		return err
	}
	anchor, err := readCertificate(o.anchor)
	if err != nil {
		return err
	}
	der, err := readFile(file, maxAnswerBytes)
	if err != nil {
		return err
	}
	var previous []byte
	if o.previous != "" {
		if previous, err = readFile(o.previous, maxAnswerBytes); err != nil {
			return err
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(anchor)
	list, err := check(der, previous, roots, at)
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

type entry struct {
	Member string `json:"member"`
	Title  string `json:"title"`
	certificate
	Policies    []string `json:"policies"`
	MailDomains []string `json:"mail_domains"`
}

func newCheckedList(l *signedlist.List) checkedList {
	return checkedList{
		Valid: true, Number: l.Number, IssuedAt: l.IssuedAt, NextUpdate: l.NextUpdate,
		Entries: each(l.Entries, func(e signedlist.Entry) entry {
			return entry{
				Member: e.Member, Title: e.Title, certificate: newCertificate(e.Certificate.Raw),
				Policies: each(e.Policies, x509.OID.String), MailDomains: each(e.MailDomains, same),
			}
		}),
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
		r.add("policies", strings.Join(e.Policies, ", "))
		r.add("mail domains", strings.Join(e.MailDomains, ", "))
	}
	return r
}
