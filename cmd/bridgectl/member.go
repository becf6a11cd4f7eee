package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

func (t *tool) memberCommand() *cobra.Command {
	return t.noun("member", "Apply for members, look at them, admit and stop them",
		t.memberApply(), t.memberShow(), t.memberList(), t.memberApprove(), t.memberSuspend(), t.memberTemplate())
}

// memberJSON says in each help what the object is.
const memberJSON = "JSON: the member, with everything it declared, its approvals, its history and its\nprojection. See \"bridgectl member show --help\"."

func (t *tool) memberApply() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "apply -f FILE", Short: "Record an organisation's application", Args: cobra.NoArgs,
		Long: "Records the application in FILE, in the form that \"bridgectl member template\"\nprints. Everything wrong with it is reported at once.\n\n" + memberJSON,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.apply(ctx, file) }),
	}
	c.Flags().StringVarP(&file, "file", "f", "", "`file` with the application")
	must(c.MarkFlagRequired("file"))
	must(c.MarkFlagFilename("file", "yaml", "yml"))
	return c
}

func (t *tool) apply(ctx context.Context, file string) error {
	a, err := readApplication(file)
	if err != nil {
		return err
	}
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.ApplyMember(ctx, &proto.ApplyMemberRequest{Application: a})
		if err != nil {
			return err
		}
		return t.emitSummary(r.Member)
	})
}

func (t *tool) memberShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show everything known about one member", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Long: `Shows one member: what it declared, who decided what, and what the world sees of
it.

JSON: id, name, country, state (applied, active, suspended), since, reason,
record_hash, applied_by {person, credential}, applied_at, approvals_needed,
approvals and decisions [{verb, person, credential, record_hash, reason, at, to}],
contacts, mail_domains, directory_names, excluded_domains, policies [{member, bridge}], directories, anchors and
intermediates [{subject, sha256, not_after, certificate (DER, base64), ocsp, crl, test_serials}],
cross_from (member to bridge, likewise), cross_profile, accepted (those accepted since, with
person, credential and at), projection {listed, list_number,
directory_domains, responder_issuers, cross_to (bridge to member) [{serial,
subject, not_after, revoked_at, reason}]}, pending.`,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.show(ctx, args[0]) }),
	}
}

func (t *tool) show(ctx context.Context, id string) error {
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.GetMember(ctx, &proto.GetMemberRequest{Id: id})
		if err != nil {
			return err
		}
		m := newMember(r.Member)
		return t.emit(m, nil, m.rows())
	})
}

func (t *tool) memberList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List all members", Args: cobra.NoArgs,
		Long: `Lists all members, ordered by id. Columns: id, state, since, approvals given since
then, mail domains, name.

JSON: {"members": [{id, name, state, since, approvals, mail_domains}]}.`,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.members(ctx) }),
	}
}

func (t *tool) members(ctx context.Context) error {
	type line struct {
		ID          string    `json:"id"`
		Name        string    `json:"name"`
		State       string    `json:"state"`
		Since       time.Time `json:"since,omitzero"`
		Approvals   int       `json:"approvals"`
		MailDomains []string  `json:"mail_domains"`
	}
	return t.ask(func(client proto.BridgeClient) error {
		out := struct {
			Members []line `json:"members"`
		}{[]line{}}
		var rows [][]string
		for token := ""; ; {
			page, err := client.ListMembers(ctx, &proto.ListMembersRequest{PageToken: token, PageSize: 500})
			if err != nil {
				return err
			}
			for _, m := range page.Members {
				l := line{m.Id, m.Name, stateName(m.State), instant(m.Since), int(m.Approvals), m.MailDomains}
				out.Members = append(out.Members, l)
				rows = append(rows, []string{l.ID, l.State, stamp(l.Since), fmt.Sprint(l.Approvals), strings.Join(l.MailDomains, ","), l.Name})
			}
			// A server that repeats a page would keep this loop running.
			if page.NextPageToken <= token {
				break
			}
			token = page.NextPageToken
		}
		return t.emit(out, []string{"ID", "STATE", "SINCE", "APPROVALS", "DOMAINS", "NAME"}, rows)
	})
}

func (t *tool) memberApprove() *cobra.Command {
	var o approval
	c := &cobra.Command{
		Use: "approve ID", Short: "Approve a member's record", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Long: `Approves the record of a member: to admit it, or to bring it back after a
suspension. Different officers must approve the same record before it takes
effect.

On a terminal the record is shown, with the summary line of "bridgectl crosscert
preview", and confirmed first. Without one, or with
--yes, nothing is asked; --record-hash then ensures that the record is the one
that was looked at.

` + memberJSON,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.approve(ctx, args[0], o) }),
	}
	f := c.Flags()
	f.StringVar(&o.hash, "record-hash", "", "approve only if the record has this `hash`")
	f.StringVar(&o.reason, "reason", "", "`why`, for the register")
	f.BoolVar(&o.yes, "yes", false, "do not ask")
	return c
}

// approval is what "member approve" is told.
type approval struct {
	hash, reason string
	yes          bool
}

func (t *tool) approve(ctx context.Context, id string, o approval) error {
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.GetMember(ctx, &proto.GetMemberRequest{Id: id})
		if err != nil {
			return err
		}
		hash := r.GetMember().GetRecordHash()
		if o.hash != "" && !strings.EqualFold(o.hash, hash) {
			return withHint(fault.New(fault.Conflict, "the record of %s has the hash %s, not %s", id, hash, o.hash),
				"look at it again: bridgectl member show "+id)
		}
		// What is shown must be what the hash binds, whatever the daemon says.
		shown := membership.Member{Application: convert.ToApplication(r.GetMember().GetApplication())}
		if shown.RecordHash() != hash {
			return withHint(fault.New(fault.Conflict, "the record of %s does not have the hash that the daemon names", id),
				"this program and the daemon may be of different versions: see bridgectl version and bridgectl status")
		}
		if t.errTerminal {
			if err := align(t.err, lines(newMember(r.Member).bound())); err != nil {
				return err
			}
		}
		asks := t.inTerminal && !o.yes
		if t.errTerminal || asks {
			t.previewLine(ctx, client, id, hash)
		}
		if asks {
			if err := t.confirm("Approve this record?"); err != nil {
				return err
			}
		}
		done, err := client.ApproveMember(ctx, &proto.ApproveMemberRequest{Id: id, RecordHash: hash, Reason: o.reason})
		if err != nil {
			return err
		}
		return t.emitSummary(done.Member)
	})
}

// confirm asks a question. Anything but yes is no.
func (t *tool) confirm(question string) error {
	fmt.Fprintf(t.err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(io.LimitReader(t.in, 100)).ReadString('\n')
	if err != nil {
		fmt.Fprintln(t.err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return no{fmt.Errorf("nothing was approved")}
}

func (t *tool) memberSuspend() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "suspend ID --reason WHY", Short: "Stop a member at once", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Long: `Stops a member at once: it leaves the signed list, the directory and the
responder, and its cross-certificates are revoked. One officer is enough; to
bring it back, approvals are needed as for the admission.

` + memberJSON,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.suspend(ctx, args[0], reason) }),
	}
	c.Flags().StringVar(&reason, "reason", "", "`why`, for the register")
	must(c.MarkFlagRequired("reason"))
	return c
}

func (t *tool) suspend(ctx context.Context, id, reason string) error {
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.SuspendMember(ctx, &proto.SuspendMemberRequest{Id: id, Reason: reason})
		if err != nil {
			return err
		}
		return t.emitSummary(r.Member)
	})
}

func (t *tool) memberTemplate() *cobra.Command {
	return &cobra.Command{
		Use: "template", Short: "Print an application to fill in", Args: cobra.NoArgs,
		Long: "Prints an application with every key explained.\n\nJSON: {\"template\": the same text}.",
		RunE: t.run(func(context.Context, []string) error {
			if t.output == "json" {
				return t.emit(map[string]string{"template": applicationTemplate}, nil, nil)
			}
			_, err := io.WriteString(t.out, applicationTemplate)
			return err
		}),
	}
}

// emitSummary tells how a member stands after a decision.
func (t *tool) emitSummary(p *proto.Member) error {
	m := newMember(p)
	return t.emit(m, nil, m.summary())
}

// memberIDs offers member ids to the shell. It never asks a person anything,
// and says nothing when the daemon does not answer quickly.
func (t *tool) memberIDs(c *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	if len(args) == 0 {
		t.timeout = min(t.timeout, 2*time.Second)
		_ = t.ask(func(client proto.BridgeClient) error {
			page, err := client.ListMembers(c.Context(), &proto.ListMembersRequest{PageSize: 500})
			for _, m := range page.GetMembers() {
				if strings.HasPrefix(m.Id, prefix) {
					out = append(out, cobra.CompletionWithDesc(harmless(m.Id), harmless(m.Name)))
				}
			}
			return err
		})
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
