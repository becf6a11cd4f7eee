package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/internal/subscription"
	"bridge.example/signedlist"
)

func (t *tool) listShow() *cobra.Command {
	var anchor string
	c := &cobra.Command{
		Use: "show FILE --anchor FILE", Short: "Show the entries of a signed list", Args: cobra.ExactArgs(1),
		Long: `Shows a signed list, a line for each entry: member, title, CA, SHA-256, end of
validity, levels of assurance, policies and mail domains. The signature is checked; a list that has
expired is shown too, and said to have. Exits 7 when it does not hold.

JSON: as that of "list verify".`,
		RunE: t.run(func(_ context.Context, args []string) error {
			l, err := t.openFile(args[0], anchor, time.Now())
			if err != nil {
				return err
			}
			v := newCheckedList(l)
			v.Valid = !time.Now().After(l.NextUpdate)
			return t.emit(v, []string{"MEMBER", "TITLE", "CA", "SHA-256", "UNTIL", "LEVELS", "POLICIES", "MAIL DOMAINS"}, each(v.Entries, entry.row))
		}),
	}
	c.Flags().StringVar(&anchor, "anchor", "", "`file` with the bridge CA's certificate, PEM or DER")
	must(c.MarkFlagRequired("anchor"))
	return c
}

func (e entry) row() []string {
	return []string{e.Member, e.Title, e.Subject, e.SHA256, stamp(e.NotAfter), strings.Join(e.Levels, ", "), strings.Join(e.Policies, ", "), strings.Join(e.MailDomains, ", ")}
}

func (t *tool) listDiff() *cobra.Command {
	var anchor string
	c := &cobra.Command{
		Use: "diff OLD NEW --anchor FILE", Short: "Say what changed between two signed lists", Args: cobra.ExactArgs(2),
		Long: `Says in a sentence each which CA certificates the second list trusts that the
first did not, which not any more, and for which the limits changed. Both
signatures are checked, and that the second may follow the first. Exits 7 when
that does not hold; a difference is no failure.

JSON: from and to (numbers), changes [{change (added, removed or changed), text,
entry}].`,
		RunE: t.run(func(_ context.Context, args []string) error {
			old, err := t.openFile(args[0], anchor, time.Now())
			if err != nil {
				return err
			}
			list, err := t.openFile(args[1], anchor, time.Now())
			if err != nil {
				return err
			}
			if err := list.Supersedes(old); err != nil {
				return no{err}
			}
			return t.emitChanges(old, list)
		}),
	}
	c.Flags().StringVar(&anchor, "anchor", "", "`file` with the bridge CA's certificate, PEM or DER")
	must(c.MarkFlagRequired("anchor"))
	return c
}

// change is one difference between lists.
type change struct {
	Change string `json:"change"`
	Text   string `json:"text"`
	Entry  entry  `json:"entry"`
}

func newChange(d subscription.Difference) change { return change{d.Change, d.Text, newEntry(d.Entry)} }

func (t *tool) emitChanges(old, list *signedlist.List) error {
	v := struct {
		From    int64    `json:"from"`
		To      int64    `json:"to"`
		Changes []change `json:"changes"`
	}{old.Number, list.Number, each(subscription.Compare(old.Entries, list.Entries), newChange)}
	return t.emit(v, nil, each(v.Changes, change.row))
}

func (c change) row() []string { return []string{c.Change, c.Text} }
