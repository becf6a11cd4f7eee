package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bridge.example/internal/subscription"
)

func (t *tool) listSelect() *cobra.Command {
	var anchor string
	var rules rules
	c := &cobra.Command{
		Use: "select FILE --anchor FILE", Short: "Try a selection on a signed list", Args: cobra.ExactArgs(1),
		Long: `Says for each entry of a signed list whether a selection takes it, and why.

` + rulesHelp + `

JSON: number, selected (how many), choices [{in, why, entry}], idle (rules that fit
no entry).`,
		RunE: t.run(func(_ context.Context, args []string) error {
			l, err := t.openFile(args[0], anchor, time.Now())
			if err != nil {
				return err
			}
			s, err := rules.selection()
			if err != nil {
				return err
			}
			v := selected{Number: l.Number, Choices: each(s.Apply(l.Entries), newChoice), Idle: each(s.Idle(l.Entries), ruleText)}
			for _, c := range v.Choices {
				if c.In {
					v.Selected++
				}
			}
			t.noteIdle(v.Idle)
			return t.emit(v, []string{"SELECTED", "WHY", "MEMBER", "TITLE", "CA"}, each(v.Choices, choice.row))
		}),
	}
	c.Flags().StringVar(&anchor, "anchor", "", "`file` with the bridge CA's certificate, PEM or DER")
	rules.flags(c.Flags())
	must(c.MarkFlagRequired("anchor"))
	return c
}

const rulesHelp = `A rule is member=ID, level=OID (a level of assurance of the bridge's), policy=OID
(a policy of the member's own) or domain=DOMAIN (a mail domain, with all above and
below it). What a rule of --exclude fits is out; else, what one of --include fits is
in; else --default decides, which is none if there is something to include, and all
otherwise.`

// rules are the flags of a selection.
type rules struct {
	otherwise        string
	include, exclude []string
}

func (r *rules) flags(f *pflag.FlagSet) {
	f.StringVar(&r.otherwise, "default", "", "what no rule fits: `all` or none")
	f.StringArrayVar(&r.include, "include", nil, "`rule` for what to trust; may be repeated")
	f.StringArrayVar(&r.exclude, "exclude", nil, "`rule` for what not to trust; may be repeated")
}

func (r *rules) selection() (subscription.Selection, error) {
	rule := func(s string) subscription.Rule { return subscription.Rule(s) }
	s := subscription.Selection{Default: r.otherwise, Include: each(r.include, rule), Exclude: each(r.exclude, rule)}
	return s, s.Validate()
}

// selected is what a selection makes of a list.
type selected struct {
	Number   int64    `json:"number"`
	Selected int      `json:"selected"`
	Choices  []choice `json:"choices"`
	Idle     []string `json:"idle"`
}

type choice struct {
	In    bool   `json:"in"`
	Why   string `json:"why"`
	Entry entry  `json:"entry"`
}

func newChoice(c subscription.Choice) choice { return choice{c.In, c.Why, newEntry(c.Entry)} }

func (c choice) row() []string {
	in := "no"
	if c.In {
		in = "yes"
	}
	return []string{in, c.Why, c.Entry.Member, c.Entry.Title, c.Entry.Subject}
}

func ruleText(r subscription.Rule) string { return string(r) }

func (t *tool) noteIdle(rules []string) {
	for _, r := range rules {
		t.note("the rule %s fits nothing in the list", r)
	}
}
