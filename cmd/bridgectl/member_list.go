package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

func (t *tool) memberList() *cobra.Command {
	var q listing
	c := &cobra.Command{
		Use: "list", Short: "List members", Args: cobra.NoArgs,
		Long: `Lists members, ordered by id. Columns: id, state, since, what is proposed, mail
domains, name. --limit ends after that many; --after goes on behind an id.

JSON: {"members": [{id, name, state, since, amendment (its stage), approvals
(short of the persons they need), mail_domains}]}.`,
		Example: "  bridgectl member list --state submitted,checked\n  bridgectl member list --limit 100 --after beta",
		RunE:    t.run(func(ctx context.Context, _ []string) error { return t.members(ctx, q) }),
	}
	f := c.Flags()
	f.StringSliceVar(&q.states, "state", nil, "only those in this `state`, or whose amendment is; repeatable")
	f.IntVar(&q.limit, "limit", 0, "at most this `many`; 0 means all")
	f.StringVar(&q.after, "after", "", "only those behind this `id`")
	complete(c, "state", stateNames()...)
	return c
}

func stateNames() []string {
	return each(membership.States(), func(s membership.State) string { return string(s) })
}

// listing is what "member list" is asked for.
type listing struct {
	states []string
	limit  int
	after  string
}

// memberLine is one line of the list.
type memberLine struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	State       string    `json:"state"`
	Since       time.Time `json:"since,omitzero"`
	Amendment   string    `json:"amendment,omitempty"`
	Approvals   int       `json:"approvals"`
	MailDomains []string  `json:"mail_domains"`
}

func (t *tool) members(ctx context.Context, q listing) error {
	for _, s := range q.states {
		if !slices.Contains(stateNames(), s) {
			return fault.New(fault.Invalid, "--state: %q is not one of %s", s, strings.Join(stateNames(), ", "))
		}
	}
	if q.limit < 0 {
		return fault.New(fault.Invalid, "--limit: want 0 or more")
	}
	out := []memberLine{}
	err := t.ask(func(client proto.BridgeClient) error {
		for token := q.after; ; {
			page, err := client.ListMembers(ctx, &proto.ListMembersRequest{PageToken: token, PageSize: q.pageSize()})
			if err != nil {
				return err
			}
			for _, m := range page.GetMembers() {
				l := memberLine{m.GetId(), m.GetName(), stateName(m.GetState()), instant(m.GetSince()), stateName(m.GetAmendment()), int(m.GetApprovals()), each(m.GetMailDomains(), same)}
				if len(q.states) == 0 || slices.Contains(q.states, l.State) || slices.Contains(q.states, l.Amendment) {
					out = append(out, l)
				}
				if q.limit > 0 && len(out) == q.limit {
					return nil
				}
			}
			// A server that repeats a page would keep this loop running.
			if page.GetNextPageToken() <= token {
				return nil
			}
			token = page.GetNextPageToken()
		}
	})
	if err != nil {
		return err
	}
	return t.emit(map[string]any{"members": out}, []string{"ID", "STATE", "SINCE", "PROPOSED", "DOMAINS", "NAME"}, each(out, func(l memberLine) []string {
		return []string{l.ID, l.State, stamp(l.Since), l.Amendment, strings.Join(l.MailDomains, ","), l.Name}
	}))
}

// pageSize asks for no more than is wanted, where that can be known.
func (q listing) pageSize() int32 {
	if q.limit > 0 && len(q.states) == 0 {
		return int32(min(q.limit, 500))
	}
	return 500
}
