package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
)

func (t *tool) memberDiff() *cobra.Command {
	var code bool
	c := &cobra.Command{
		Use: "diff ID", Short: "Show what an amendment changes", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Long: `Shows the difference between the record in force and what is proposed: one line
for each that is taken out (-) or put in (+), in order. Of an application that
never was in force everything is new. As with git, the exit code is 0 whether or
not there is a difference; with --exit-code it is 7 when there is one.

JSON: {"id", "record_hash" (of what is proposed), "changes": [{change (removed,
added), name, value}]}.`,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.diff(ctx, args[0], code) }),
	}
	c.Flags().BoolVar(&code, "exit-code", false, "exit with 7 when there is a difference")
	return c
}

func (t *tool) diff(ctx context.Context, id string, code bool) error {
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.GetMember(ctx, &proto.GetMemberRequest{Id: id})
		if err != nil {
			return err
		}
		m := newMember(r.GetMember())
		changes := []difference{}
		switch {
		case m.Amendment != nil:
			changes = m.Amendment.Changes
		case m.ActiveSince.IsZero():
			changes = compare(nil, m.record.rows())
		}
		var out [][]string
		for _, c := range changes {
			out = append(out, []string{c.String()[:1], c.Name, c.Value})
		}
		if err := t.emit(map[string]any{"id": m.ID, "record_hash": m.RecordHash, "changes": changes}, nil, out); err != nil {
			return err
		}
		if code && len(changes) > 0 {
			return no{fmt.Errorf("what is proposed differs by %s", counted(len(changes), "line"))}
		}
		return nil
	})
}
