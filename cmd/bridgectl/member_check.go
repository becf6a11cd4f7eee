package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/membership"
)

func (t *tool) memberCheck() *cobra.Command {
	c := &cobra.Command{
		Use: "check ID", Short: "Have the bridge examine what a member declared", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Long: `Has the bridge examine a member as its record stands: certificates, directory,
CRLs, responders. The report becomes evidence. When all that must hold holds,
what was submitted is a step further. On a terminal it tells how long it takes.

Text: the outcome, then what failed and what is warned of, with a fix; then how
the member stands. Exit code 7 when a check failed that must hold.

` + memberJSON,
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		t.started = true
		t.allowLong(c)
		return t.check(c.Context(), args[0])
	}
	return c
}

func (t *tool) check(ctx context.Context, id string) error {
	return t.ask(func(client proto.BridgeClient) error {
		stop := t.busy("checking " + id)
		r, err := client.CheckMember(ctx, &proto.CheckMemberRequest{Id: id})
		stop()
		if err != nil {
			return t.explain(ctx, client, id, "", membership.Check, err)
		}
		m := newMember(r.GetMember())
		if err := readFindings(ctx, client, &m); err != nil {
			return err
		}
		if err := t.emit(m, nil, append(m.Report.rows(true), m.summary()...)); err != nil {
			return err
		}
		if m.Report != nil && !m.Report.Passed {
			return withHint(no{fmt.Errorf("a check failed that must hold; %s", m.stands())},
				"mend what is named and check again: bridgectl member check "+id)
		}
		t.note("%s", m.stands())
		if s := m.nextStep(); s != "" {
			t.note("hint: %s", s)
		}
		return nil
	})
}
