package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
)

func (t *tool) crosscertPreview() *cobra.Command {
	return &cobra.Command{
		Use: "preview MEMBER", Short: "Show what admitting a member would open and close", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Annotations: map[string]string{moreOutputs: "svg"},
		Long: `Shows which paths would open between members, and which would close, if the
record of MEMBER came into force as it stands; and which of its mail domains and
CA names overlap those of others. The daemon drafts the cross-certificates and
searches the mesh with and without them, from each anchor under that member's
own policies. Nothing is signed or recorded. Name constraints on subscribers are
not weighed: a path that is shown may serve fewer names, never more.

Text: one line per path that changes: change, from, to, policies (of from),
anchor, the CAs below it, and "beyond" where the last CA seems to be another
organisation's or another bridge's. Then one line per overlap, then the summary.

--output svg writes a picture: the bridge in the middle, members around it, the
paths that open as thick lines, those that close as dashed ones.

JSON: member, record_hash, bridge, members (ids), opened, closed, kept (counts),
paths [{change (opens, closes, stays), from, to, anchor, ca, policies, via,
beyond}] (the first thousand), overlaps [{kind (mail domain, CA name), name, with
(empty: the bridge), other}], cut (pairs with MEMBER left out to bound the
work; above 0 the counts are too low), cut_others (pairs of two others left
out), summary, digest (names this preview in an approval).`,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.preview(ctx, args[0]) }),
	}
}

// preview is what a member would change, as this program shows it.
type preview struct {
	Member     string        `json:"member"`
	RecordHash string        `json:"record_hash"`
	Bridge     string        `json:"bridge"`
	Members    []string      `json:"members"`
	Opened     int           `json:"opened"`
	Closed     int           `json:"closed"`
	Kept       int           `json:"kept"`
	Paths      []previewPath `json:"paths"`
	Overlaps   []overlap     `json:"overlaps"`
	Cut        int           `json:"cut"`
	CutOthers  int           `json:"cut_others"`
	Summary    string        `json:"summary"`
	Digest     string        `json:"digest"`
}

type previewPath struct {
	Change   string   `json:"change"`
	From     string   `json:"from"`
	To       string   `json:"to"`
	Anchor   string   `json:"anchor"`
	CA       string   `json:"ca"`
	Policies []string `json:"policies"`
	Via      []string `json:"via"`
	Beyond   bool     `json:"beyond"`
}

type overlap struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	With  string `json:"with"`
	Other string `json:"other"`
}

func newPreview(member string, p *proto.PreviewMemberResponse) preview {
	v := preview{
		Member: member, Digest: p.GetDigest(), RecordHash: p.GetRecordHash(), Bridge: p.GetBridge(), Members: each(p.GetMembers(), same),
		Opened: int(p.GetOpened()), Closed: int(p.GetClosed()), Kept: int(p.GetKept()), Cut: int(p.GetCut()), CutOthers: int(p.GetCutOthers()),
		Paths: each(p.GetPaths(), func(x *proto.PreviewPath) previewPath {
			return previewPath{
				enumName(x.GetChange().String(), "CHANGE_"), x.GetFrom(), x.GetTo(), x.GetAnchor(), x.GetCa(),
				each(x.GetPolicies(), same), each(x.GetVia(), same), x.GetBeyond(),
			}
		}),
		Overlaps: each(p.GetOverlaps(), func(o *proto.Overlap) overlap {
			return overlap{o.GetKind(), o.GetName(), o.GetWith(), o.GetOther()}
		}),
	}
	v.Summary = v.summary()
	return v
}

// summary is one line that leaves nothing out that ought to make one look.
func (p preview) summary() string {
	s := fmt.Sprintf("opens %s, closes %d", counted(p.Opened, "path"), p.Closed)
	beyond := 0
	for _, x := range p.Paths {
		if x.Beyond && x.Change == "opens" {
			beyond++
		}
	}
	if beyond > 0 {
		s += fmt.Sprintf("; %d of them beyond the member", beyond)
	}
	if n := len(p.Overlaps); n > 0 {
		s += "; " + counted(n, "name") + " overlapping"
	}
	if p.Cut > 0 {
		s += "; not complete: " + counted(p.Cut, "pair") + " with it left out"
	}
	if p.CutOthers > 0 {
		s += "; " + counted(p.CutOthers, "pair") + " of others not searched"
	}
	return s
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (t *tool) preview(ctx context.Context, id string) error {
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.PreviewMember(ctx, &proto.PreviewMemberRequest{Id: id})
		if err != nil {
			return err
		}
		p := newPreview(id, r)
		if t.output == "svg" {
			t.emitted = true
			return p.drawTo(t.out)
		}
		return t.emit(p, nil, p.rows())
	})
}

func (p preview) rows() (out [][]string) {
	for _, x := range p.Paths {
		if x.Change == "stays" {
			continue
		}
		row := []string{x.Change, x.From, x.To, strings.Join(x.Policies, " "), x.Anchor + " > " + strings.Join(x.Via, " > ")}
		if x.Beyond {
			row = append(row, "beyond")
		}
		out = append(out, row)
	}
	if n := p.Opened + p.Closed - len(out); n > 0 {
		out = append(out, []string{"more", fmt.Sprint(n)})
	}
	for _, o := range p.Overlaps {
		with := o.With
		if with == "" {
			with = "the bridge"
		}
		out = append(out, []string{"overlap", o.Kind, o.Name, with, o.Other})
	}
	return append(out, []string{"summary", p.Summary})
}
