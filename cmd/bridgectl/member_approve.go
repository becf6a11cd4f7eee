package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

func (t *tool) memberApprove() *cobra.Command {
	var o approval
	c := &cobra.Command{
		Use: "approve ID", Short: "Approve a member's record, after a look at all of it", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Long: `Approves what is proposed for a member. Two approvers who had no hand in it must
approve the same record within 72 hours; then a signer puts it into force.

Shown first, on standard error: who prepared it and who approved already, the
last check, the difference to what is in force, the whole record with the
fingerprints of its anchors, and which paths between members would open and
close. Then the fingerprints are asked for, as they were read aloud at the
meeting or over the telephone, and whether to approve. --fingerprint and --yes
answer; neither is enough without the other where nobody can be asked.

The approval names the hash of exactly the record and of the preview shown. When
either changed meanwhile it is refused, with exit code 4.

` + memberJSON,
		Example: "  bridgectl member approve alpha\n  bridgectl member approve alpha --fingerprint 5E:11:…:07 --yes",
		RunE:    t.run(func(ctx context.Context, args []string) error { return t.approve(ctx, args[0], o) }),
	}
	hashFlag(c, &o.hash)
	fingerprintFlag(c, &o.fingerprints)
	c.Flags().StringVar(&o.reason, "reason", "", "`why`, for the register")
	c.Flags().BoolVar(&o.yes, "yes", false, "do not ask whether to approve")
	return c
}

// approval is what "member approve" is told.
type approval struct {
	hash, reason string
	fingerprints []string
	yes          bool
}

func (t *tool) approve(ctx context.Context, id string, o approval) error {
	return t.ask(func(client proto.BridgeClient) error {
		p, err := t.look(ctx, client, id, o.hash)
		if err != nil {
			return err
		}
		m := newMember(p)
		if !slices.ContainsFunc(m.Next, func(n next) bool { return n.Verb == string(membership.Approve) }) {
			return t.explain(ctx, client, id, m.RecordHash, membership.Approve, fault.New(fault.Conflict, "%s: nothing to approve", m.stands()))
		}
		if err := readFindings(ctx, client, &m); err != nil {
			return err
		}
		r, err := client.PreviewMember(ctx, &proto.PreviewMemberRequest{Id: id})
		if err != nil {
			return err
		}
		if r.GetRecordHash() != m.RecordHash {
			return withHint(fault.New(fault.Conflict, "the record of %s was changed while it was read", id), lookAgain(id))
		}
		if err := t.sheet(approvalSheet(m, newPreview(id, r))...); err != nil {
			return err
		}
		fingerprints, err := t.readAloud(m.candidate().Anchors, o.fingerprints)
		if err != nil {
			return err
		}
		if err := t.sure(o.yes, "Approve this record?"); err != nil {
			return err
		}
		return t.decide(ctx, client, &proto.DecideMemberRequest{
			Id: id, Verb: proto.Verb_VERB_APPROVE, RecordHash: m.RecordHash, Reason: o.reason, Fingerprints: fingerprints, Preview: r.GetDigest(),
		})
	})
}

// approvalSheet is what a second person reads before signing.
func approvalSheet(m member, p preview) []section {
	var r rows
	r.add("approve", m.stands())
	r.add("prepared by", strings.Join(m.Prepared, ", "))
	for _, d := range m.Approvals {
		if d.Verb == string(membership.Approve) && d.RecordHash == m.RecordHash {
			r.add("approved by", fmt.Sprintf("%s at %s", d.Person, stamp(d.At)))
		}
	}
	difference := rows{{"difference", "everything is new"}}
	if a := m.Amendment; a != nil {
		difference = append(rows{{"difference", counted(len(a.Changes), "line") + " to what is in force"}}, changeRows(a.Changes)...)
	}
	return []section{
		{"who", r}, {"last check", m.Report.rows(false)}, {"difference", difference}, {"the whole record", m.candidate().rows()},
		{"paths between members", p.shortened(maxSheetPaths).rows()},
		{"what is signed", rows{{"record hash", m.RecordHash}, {"preview", p.Digest}}},
	}
}

// maxSheetPaths is how many paths a person reads; "crosscert preview" shows all.
const maxSheetPaths = 20

// shortened leaves n paths that change, those that lead beyond the member first.
func (p preview) shortened(n int) preview {
	p.Paths = slices.DeleteFunc(slices.Clone(p.Paths), func(x previewPath) bool { return x.Change == "stays" })
	slices.SortStableFunc(p.Paths, func(a, b previewPath) int {
		switch {
		case a.Beyond == b.Beyond:
			return 0
		case a.Beyond:
			return -1
		}
		return 1
	})
	p.Paths = p.Paths[:min(n, len(p.Paths))]
	return p
}
