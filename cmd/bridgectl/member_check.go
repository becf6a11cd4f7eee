package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

func (t *tool) memberCheck() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "check ID", Short: "Have the bridge examine what a member declared", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Long: `Has the bridge examine a member as its record stands: certificates, directory,
CRLs, responders. The report becomes evidence. When all that must hold holds,
what was submitted is a step further. --watch checks again every half minute,
until nothing fails: for whoever mends it meanwhile.

Text: the outcome, then what failed and what is warned of, with a fix; then how
the member stands. Exit code 7 when a check failed that must hold.

` + memberJSON,
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		t.started = true
		t.allowLong(c)
		return t.check(c.Context(), args[0], watch)
	}
	c.Flags().BoolVar(&watch, "watch", false, "check again until nothing fails")
	return c
}

func (t *tool) check(ctx context.Context, id string, watch bool) error {
	return t.ask(func(client proto.BridgeClient) error {
		m, err := t.examined(ctx, client, id)
		for watch && !settled(m, err) {
			if err := t.sheet(section{"check", m.Report.rows(false)}); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(t.recheck):
			}
			m, err = t.examined(ctx, client, id)
		}
		if err != nil {
			return err
		}
		if err := t.emit(m, nil, append(m.Report.rows(true), m.summary()...)); err != nil {
			return err
		}
		if !m.Report.Passed {
			return withHint(no{fmt.Errorf("a check failed that must hold; %s", m.stands())},
				"mend what is named and check again: bridgectl member check "+id)
		}
		t.note("%s", m.stands())
		t.noteNext(m)
		return nil
	})
}

// settled reports whether checking again is of no use. A Conflict is: the record
// was edited while it was examined.
func settled(m member, err error) bool {
	if err != nil {
		return fault.KindOf(err) != fault.Conflict
	}
	return m.Report.Passed
}

// examined has a member examined, and returns it with what was found.
func (t *tool) examined(ctx context.Context, client proto.BridgeClient, id string) (member, error) {
	stop := t.busy("checking " + id)
	r, err := client.CheckMember(ctx, &proto.CheckMemberRequest{Id: id})
	stop()
	if err != nil {
		return member{}, t.explain(ctx, client, id, "", membership.Check, err)
	}
	m := newMember(r.GetMember())
	if m.Report == nil {
		return member{}, fault.New(fault.Internal, "the daemon checked %s and has no report", id)
	}
	nameAble(ctx, client, &m)
	return m, readFindings(ctx, client, &m)
}
