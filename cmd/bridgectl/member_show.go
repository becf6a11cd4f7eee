package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

func (t *tool) memberShow() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "show ID", Short: "Show everything known about one member", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Long: `Shows the case of one member: state, what is missing for the next step and who
can take it, findings of the last check, what it declared, what is proposed
instead, who decided what on which evidence, and what the world sees of it.
--watch then tells what happens, until nothing is pending and nobody need do
anything more.

JSON: id, name, country, register_number, address, sector, website, languages,
contacts [{name, email, phone, role}], services (none: all), one_way, delivery
(to-end, to-site), escrow, mail_domains, excluded_domains, directory_names,
policies [{member, bridge, section}], documents [{kind, hash, name, title,
version, date, oid, link, expires}], directories [{url, base, dialect, bind_dn,
credential, start_tls, test_mailbox}], anchors and intermediates [{subject,
sha256, not_after, certificate (DER, base64), ocsp, crl, test_serials {valid,
revoked, unused}, chain}], cross_from (member to bridge, likewise),
cross_profile, state, since, reason, halted, record_hash, applied_by {person,
credential}, applied_at, active_since, renew_by, exit_at, amendment (the same
fields as above up to cross_profile, then stage, since, renewal, changes
[{change (removed, added), name, value}]), prepared (persons), next [{verb, who
(roles), persons (how many it takes), given (persons), documents (kinds),
missing}], report {document (hash), at, passed, current (of the record as it
stands), failed (ids), findings [{id, title, source, must, verdict (ok, skipped,
warn, fail), subject, evidence, fix, took_ns}] (filled by show and check)}, barred
[{certificate (SHA-256), reason, at}], approvals (short of the persons they
need) and decisions [{verb, person, credential, roles, record_hash, reason, at,
to, documents, fingerprints, mappings, preview, date}], accepted (certificates
for the bridge accepted since, as cross_from with person, credential, at),
projection {listed, list_number, directory_domains, responder_issuers, cross_to
(bridge to member) [{serial, subject, not_after, revoked_at, reason}]},
pending.`,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.show(ctx, args[0], watch) }),
	}
	c.Flags().BoolVar(&watch, "watch", false, "go on until nothing is left to do")
	return c
}

func (t *tool) show(ctx context.Context, id string, watch bool) error {
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.GetMember(ctx, &proto.GetMemberRequest{Id: id})
		if err != nil {
			return err
		}
		m := newMember(r.GetMember())
		if watch {
			t.noteStep(m)
			if m, err = t.watch(ctx, client, id, m, func(m member) bool { return m.Pending == "" && m.nextStep() == "" }); err != nil {
				return err
			}
		}
		if err := readFindings(ctx, client, &m); err != nil {
			return err
		}
		if t.output == "json" {
			return t.emit(m, nil, nil)
		}
		t.emitted = true
		return writePage(t.out, t.outTerminal, m.page())
	})
}

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
