package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

func (t *tool) memberHistory() *cobra.Command {
	var verb string
	c := &cobra.Command{
		Use: "history ID", Short: "Show who did what when", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Long: `Shows all that was done about a member, oldest first. Columns: time, verb,
person, roles, state that followed, record hash, documents (kind=hash), reason.

JSON: {"id", "history": [{verb, person, credential, roles, record_hash, reason,
at, to, documents, fingerprints, mappings, preview, date}]}.`,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.history(ctx, args[0], verb) }),
	}
	c.Flags().StringVar(&verb, "verb", "", "only what has this `verb`")
	complete(c, "verb", verbNames()...)
	return c
}

// verbNames are all that a history may hold.
func verbNames() []string {
	out := []string{string(membership.Apply), string(membership.Edit), string(membership.Check), string(membership.Bar)}
	return append(out, each(membership.Verbs(), func(v membership.Verb) string { return string(v) })...)
}

func (t *tool) history(ctx context.Context, id, verb string) error {
	if verb != "" && !slices.Contains(verbNames(), verb) {
		return fault.New(fault.Invalid, "--verb: %q is not one of %s", verb, strings.Join(verbNames(), ", "))
	}
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.GetMember(ctx, &proto.GetMemberRequest{Id: id})
		if err != nil {
			return err
		}
		m := newMember(r.GetMember())
		done := slices.DeleteFunc(m.Decisions, func(d decision) bool { return verb != "" && d.Verb != verb })
		var out [][]string
		for _, d := range done {
			var papers []string
			for _, e := range d.Documents {
				papers = append(papers, e.Kind+"="+e.Hash)
			}
			out = append(out, []string{stamp(d.At), d.Verb, d.Person, strings.Join(d.Roles, ","), d.To, d.RecordHash, strings.Join(papers, ","), d.Reason})
		}
		return t.emit(map[string]any{"id": m.ID, "history": done},
			[]string{"TIME", "VERB", "PERSON", "ROLES", "TO", "RECORD", "DOCUMENTS", "REASON"}, out)
	})
}
