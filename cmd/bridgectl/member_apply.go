package main

import (
	"context"
	_ "embed"
	"io"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// applicationTemplate is an application with every key explained, and
// applicationBlank one to fill in.
var (
	//go:embed application.yaml
	applicationTemplate string
	//go:embed application_blank.yaml
	applicationBlank string
)

func (t *tool) memberTemplate() *cobra.Command {
	var blank bool
	c := &cobra.Command{
		Use: "template", Short: "Print an application to fill in", Args: cobra.NoArgs,
		Long: `Prints an application with every key explained; with --blank a short form to fill
in.

JSON: {"template": the same text}.`,
		RunE: t.run(func(context.Context, []string) error {
			text := applicationTemplate
			if blank {
				text = applicationBlank
			}
			if t.output == "json" {
				return t.emit(map[string]string{"template": text}, nil, nil)
			}
			_, err := io.WriteString(t.out, text)
			return err
		}),
	}
	c.Flags().BoolVar(&blank, "blank", false, "a short form without explanations")
	return c
}

func (t *tool) memberApply() *cobra.Command {
	var o submission
	c := &cobra.Command{
		Use: "apply -f FILE", Short: "Record an organisation's application, as a draft", Args: cobra.NoArgs,
		Long: `Records the application in FILE, in the form that "bridgectl member template"
prints, as a draft: mail domains, policies and anchors may still be missing. The
documents that it names are stored first. Everything wrong with it is reported
at once. With --submit it is handed in too, with the signed form.

` + memberJSON,
		Example: "  bridgectl member apply -f alpha.yaml\n  bridgectl member apply -f alpha.yaml --submit --form signed-form.pdf",
		RunE:    t.run(func(ctx context.Context, _ []string) error { return t.apply(ctx, o) }),
	}
	f := c.Flags()
	f.BoolVar(&o.submit, "submit", false, "hand it in at once")
	f.StringVar(&o.form, "form", "", "`file` with the application, signed; with --submit")
	c.MarkFlagsRequiredTogether("submit", "form")
	applicationFlag(c, &o.file)
	return c
}

func applicationFlag(c *cobra.Command, file *string) {
	c.Flags().StringVarP(file, "file", "f", "", "`file` with the application")
	must(c.MarkFlagRequired("file"))
	must(c.MarkFlagFilename("file", "yaml", "yml"))
}

// submission is what "member apply" is told.
type submission struct {
	file, form string
	submit     bool
}

func (t *tool) apply(ctx context.Context, o submission) error {
	a, err := readDraft(o.file, !o.submit)
	if err != nil {
		return err
	}
	var form []evidence
	if o.submit {
		f, err := readEvidence(o.form, membership.Form)
		if err != nil {
			return err
		}
		form = []evidence{f}
	}
	return t.ask(func(client proto.BridgeClient) error {
		if _, err := putAll(ctx, client, a.Id, a.documents); err != nil {
			return err
		}
		r, err := client.ApplyMember(ctx, &proto.ApplyMemberRequest{Application: a.Application})
		if err != nil {
			return t.explain(ctx, client, a.Id, "", membership.Apply, err)
		}
		if !o.submit {
			return t.emitStep(ctx, client, r.GetMember())
		}
		docs, err := putAll(ctx, client, a.Id, form)
		if err != nil {
			return err
		}
		return t.decide(ctx, client, &proto.DecideMemberRequest{
			Id: a.Id, Verb: proto.Verb_VERB_SUBMIT, RecordHash: r.GetMember().GetRecordHash(), Documents: docs,
		})
	})
}

func (t *tool) memberEdit() *cobra.Command {
	var file, hash string
	var yes bool
	c := &cobra.Command{
		Use: "edit ID -f FILE", Short: "Replace what a member applied for", Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs,
		Long: `Replaces what a member applied for by the application in FILE; of a member in
force it proposes an amendment, while what is in force stays. Approvals given
before are void, and the steps begin again with submit; but contacts, web site
and languages change at once. On a terminal the difference is shown and
confirmed; elsewhere --yes confirms it.

` + memberJSON,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.edit(ctx, args[0], file, hash, yes) }),
	}
	applicationFlag(c, &file)
	hashFlag(c, &hash)
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func hashFlag(c *cobra.Command, hash *string) {
	c.Flags().StringVar(hash, "record-hash", "", "only if the record still has this `hash`")
}

func (t *tool) edit(ctx context.Context, id, file, hash string, yes bool) error {
	a, err := readDraft(file, true)
	if err != nil {
		return err
	}
	if a.Id != id {
		return fault.New(fault.Invalid, "%s is about %q, not %q", file, a.Id, id)
	}
	return t.ask(func(client proto.BridgeClient) error {
		p, err := t.look(ctx, client, id, hash)
		if err != nil {
			return err
		}
		changes := compare(newRecord(candidate(p)).rows(), newRecord(a.Application).rows())
		if len(changes) == 0 {
			return fault.New(fault.Conflict, "%s says what the record says already", file)
		}
		if err := t.sheet(section{"what changes", changeRows(changes)}); err != nil {
			return err
		}
		if err := t.sure(yes, "Change the record of "+id+"?"); err != nil {
			return err
		}
		if _, err := putAll(ctx, client, id, a.documents); err != nil {
			return err
		}
		done, err := client.EditMember(ctx, &proto.EditMemberRequest{Id: id, RecordHash: p.GetRecordHash(), Application: a.Application})
		if err != nil {
			return t.explain(ctx, client, id, p.GetRecordHash(), membership.Edit, err)
		}
		return t.emitStep(ctx, client, done.GetMember())
	})
}

// sheet shows what is to be decided upon.
func (t *tool) sheet(page ...section) error { return writePage(t.err, t.errTerminal, page) }

// sure asks, unless the answer was given by --yes.
func (t *tool) sure(yes bool, question string) error {
	switch {
	case yes:
		return nil
	case t.asks():
		return t.confirm(question)
	}
	return withHint(fault.New(fault.Invalid, "--yes: nobody can be asked here"), "look at what is shown, and run it again with --yes")
}
