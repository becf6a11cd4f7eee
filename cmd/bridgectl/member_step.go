package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/fault"
)

// given is what the flags of a step say.
type given struct {
	files, expires map[string]*string // by flag

	mappings     []string
	allMappings  bool
	fingerprints []string
	reason, date string
	hash         string
	confirmed    string
	yes, watch   bool
}

func (t *tool) memberStep(s step) *cobra.Command {
	g := given{files: map[string]*string{}, expires: map[string]*string{}}
	c := &cobra.Command{
		Use: strings.TrimSpace(fmt.Sprintf("%s ID %s", s.verb, s.usage())), Short: s.short, Long: s.long + "\n\n" + memberJSON,
		Args: cobra.ExactArgs(1), ValidArgsFunction: t.memberIDs, DisableFlagsInUseLine: true,
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		t.started = true
		if s.publishes {
			t.allowLong(c)
		}
		return t.take(c.Context(), s, args[0], g)
	}
	f := c.Flags()
	for _, p := range s.papers {
		g.files[p.flag] = f.String(p.flag, "", "`file` with "+p.what)
		must(c.MarkFlagRequired(p.flag))
		if p.expires != "" {
			g.expires[p.flag] = f.String(p.expires, "", "`date` YYYY-MM-DD on which that ends")
			must(c.MarkFlagRequired(p.expires))
		}
	}
	if s.mappings {
		f.StringSliceVar(&g.mappings, "mapping", nil, "`MEMBER=BRIDGE`, policies found equivalent; repeatable")
		f.BoolVar(&g.allMappings, "all-mappings", false, "every row of the record was found equivalent")
		c.MarkFlagsMutuallyExclusive("mapping", "all-mappings")
		c.MarkFlagsOneRequired("mapping", "all-mappings")
	}
	if s.fingerprints {
		fingerprintFlag(c, &g.fingerprints)
	}
	if s.onForm {
		f.StringSliceVar(&g.fingerprints, "fingerprint", nil, "`SHA-256` of a CA certificate as it stands on the form; repeatable")
	}
	if s.date {
		f.StringVar(&g.date, "date", "", "`date` YYYY-MM-DD of leaving, UTC")
		must(c.MarkFlagRequired("date"))
	}
	if s.reason {
		f.StringVar(&g.reason, "reason", "", "`why`, for the register")
		must(c.MarkFlagRequired("reason"))
	}
	if s.binds {
		hashFlag(c, &g.hash)
	}
	if s.asks {
		f.BoolVar(&g.yes, "yes", false, "do not ask")
	}
	if s.final {
		f.StringVar(&g.confirmed, "confirm", "", "the `id` once more, instead of being asked for it")
	}
	if s.publishes {
		f.BoolVar(&g.watch, "watch", false, "wait until what the world sees agrees")
	}
	return c
}

// take takes one step.
func (t *tool) take(ctx context.Context, s step, id string, g given) error {
	req := &proto.DecideMemberRequest{Id: id, Verb: convert.FromVerb(s.verb), Reason: g.reason}
	files, err := g.papers(s)
	if err != nil {
		return err
	}
	if s.date {
		date, err := parseDate("date", g.date)
		if err != nil {
			return err
		}
		req.Date = timestamppb.New(date)
	}
	return t.ask(func(client proto.BridgeClient) error {
		if s.binds {
			p, err := t.look(ctx, client, id, g.hash)
			if err != nil {
				return err
			}
			req.RecordHash = p.GetRecordHash()
			if err := t.complete(s, g, p, req); err != nil {
				return err
			}
		}
		if s.final {
			if err := t.reallyFinal(s, id, g.confirmed); err != nil {
				return err
			}
		}
		var err error
		if req.Documents, err = putAll(ctx, client, id, files); err != nil {
			return err
		}
		if err := t.decide(ctx, client, req); err != nil || !g.watch {
			return err
		}
		return t.settle(ctx, client, id)
	})
}

// papers reads the documents, before anybody is asked.
func (g given) papers(s step) (out []evidence, err error) {
	for _, p := range s.papers {
		e, err := readEvidence(*g.files[p.flag], p.kind)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", p.flag, err)
		}
		if p.expires != "" {
			if e.Expires, err = parseDate(p.expires, *g.expires[p.flag]); err != nil {
				return nil, err
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// complete adds to a decision what it says about the record p.
func (t *tool) complete(s step, g given, p *proto.Member, req *proto.DecideMemberRequest) (err error) {
	if s.mappings {
		if req.Mappings, err = g.reviewed(candidate(p).GetPolicies()); err != nil {
			return err
		}
	}
	if s.fingerprints {
		if req.Fingerprints, err = t.readAloud(newRecord(candidate(p)).Anchors, g.fingerprints); err != nil {
			return err
		}
	}
	if s.onForm {
		req.Fingerprints = g.fingerprints
	}
	if s.asks {
		if err := t.sheet(section{"record", newRecord(candidate(p)).rows()}); err != nil {
			return err
		}
		return t.sure(g.yes, fmt.Sprintf("%s %s?", s.verb, p.GetApplication().GetId()))
	}
	return nil
}

// reviewed are the mappings named, or all of the record.
func (g given) reviewed(policies []*proto.Policy) ([]*proto.Policy, error) {
	if g.allMappings {
		return policies, nil
	}
	var out []*proto.Policy
	for _, s := range g.mappings {
		member, bridge, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fault.New(fault.Invalid, "--mapping: %q is not MEMBER=BRIDGE", s)
		}
		row := &proto.Policy{Member: member, Bridge: bridge}
		if i := slices.IndexFunc(policies, func(p *proto.Policy) bool { return p.Member == member && p.Bridge == bridge }); i >= 0 {
			row = policies[i]
		}
		out = append(out, row)
	}
	return out, nil
}

// reallyFinal wants the id once more.
func (t *tool) reallyFinal(s step, id, confirmed string) error {
	if confirmed == "" {
		if !t.asks() {
			return withHint(fault.New(fault.Invalid, "--confirm: %s cannot be undone, and nobody can be asked here", s.verb), "name the member once more: --confirm "+id)
		}
		confirmed = t.prompt(fmt.Sprintf("%s cannot be undone. Type the id of the member to go on:", s.verb))
	}
	if confirmed != id {
		return no{errors.New("nothing was done: the id is another")}
	}
	return nil
}

// decide sends a decision and tells what it came to.
func (t *tool) decide(ctx context.Context, client proto.BridgeClient, req *proto.DecideMemberRequest) error {
	verb := convert.ToVerb(req.GetVerb())
	stop := t.busy(fmt.Sprintf("%s %s", verb, req.GetId()))
	r, err := client.DecideMember(ctx, req)
	stop()
	if err != nil {
		return t.explain(ctx, client, req.GetId(), req.GetRecordHash(), verb, err)
	}
	return t.emitStep(ctx, client, r.GetMember())
}

// parseDate reads a day: the instant at which it begins, UTC.
func parseDate(flag, s string) (time.Time, error) {
	at, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, fault.New(fault.Invalid, "--%s: %q is not a date like 2026-01-31", flag, s)
	}
	return at, nil
}

func fingerprintFlag(c *cobra.Command, to *[]string) {
	c.Flags().StringSliceVar(to, "fingerprint", nil, "`SHA-256` of an anchor as it was read aloud; repeatable")
}

// readAloud returns the fingerprints of all anchors as they were read aloud: as
// given, or asked for. One that is none of theirs is a Conflict.
func (t *tool) readAloud(anchors []certificate, given []string) ([]string, error) {
	if len(given) == 0 {
		if !t.asks() {
			return nil, withHint(fault.New(fault.Invalid, "--fingerprint: nobody can be asked here"), "give the SHA-256 of each anchor as it was read aloud, not as it is shown here")
		}
		for _, a := range anchors {
			given = append(given, t.prompt("SHA-256 of "+a.Subject+", as it was read aloud:"))
		}
	}
	var out []string
	for _, f := range given {
		f = strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(f))
		if !slices.ContainsFunc(anchors, func(a certificate) bool { return a.SHA256 == f }) {
			return nil, withHint(fault.New(fault.Conflict, "the fingerprint %q is that of no anchor of the record", f),
				"do not go on: ask who read it aloud which certificate was meant")
		}
		out = append(out, f)
	}
	for _, a := range anchors {
		if !slices.Contains(out, a.SHA256) {
			return nil, fault.New(fault.Invalid, "--fingerprint: that of %s is missing", a.Subject)
		}
	}
	return out, nil
}
