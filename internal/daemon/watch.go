package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bridge.example/internal/edge/mail"
	"bridge.example/internal/engine/retrieve"
	"bridge.example/internal/federation"
	"bridge.example/internal/notice"
	"bridge.example/internal/outbound"
	"bridge.example/internal/people"
	"bridge.example/membership"
)

// watching says how members in force are watched.
func (d *Daemon) watching(out outbound.Policy) federation.Watching {
	w := d.config.Watch
	return federation.Watching{
		// Each URL has limits of its own: one member's do not use up another's.
		CRLs: func(ctx context.Context, url string) ([][]byte, error) {
			run := retrieve.New(out, retrieve.Limits{})
			defer run.Close()
			found, err := run.Get(ctx, url)
			return found.CRLs, err
		},
		Memory: d.store.Seen(), Every: w.Status, CRLGrace: w.CRLGrace,
	}
}

// newBoard makes what announces the daily digest.
func (d *Daemon) newBoard(persons *people.Register, out outbound.Policy) *notice.Board {
	n := d.config.Notices
	b := &notice.Board{
		Sources: []func(context.Context) ([]notice.Item, error){
			d.federation.Notices,
			func(ctx context.Context) ([]notice.Item, error) { return credentials(ctx, persons) },
		},
		Store: d.store.Sent(), At: n.TimeOfDay(), Log: d.log,
	}
	if n.SMTP == "" {
		return b
	}
	// The operator vouches for the relay, wherever its name leads.
	if host, err := outbound.ParseHost(n.SMTP); err == nil {
		out.Hosts = append(slices.Clip(out.Hosts), host)
	}
	relay := mail.Relay{Addr: n.SMTP, From: n.From, Dial: outbound.Dial(out), Plain: n.Plain}
	b.Post = func(ctx context.Context, items []notice.Item, now time.Time) error {
		if n.MemberRole != "" {
			d.tellMembers(ctx, relay, items, now)
		}
		return relay.Send(ctx, n.To, d.subject(items), digestText(items, now), now)
	}
	return b
}

// credentials are those of the bridge's persons that end, of each the last one.
func credentials(ctx context.Context, persons *people.Register) (out []notice.Item, err error) {
	all, err := persons.Persons(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for _, p := range all {
		var ends time.Time
		for _, c := range p.Credentials {
			if c.Withdrawal == nil && now.After(c.NotBefore) && c.NotAfter.After(ends) {
				ends = c.NotAfter
			}
		}
		if ends.IsZero() || len(p.Roles) == 0 {
			continue
		}
		out = append(out, notice.Item{
			Key: fmt.Sprintf("credential %s %d", p.ID, ends.Unix()), Member: string(p.Member), Kind: "credential",
			Ends: ends, Ahead: notice.Usual(), Text: fmt.Sprintf("the last credential of %s; \"bridgectl auth renew\" makes another", p.ID),
		})
	}
	return out, nil
}

// tellMembers sends contacts what is about their member. A relay that refuses
// one of them is logged and no more: the bridge's own persons know it too, and
// must not get everything again because of it.
func (d *Daemon) tellMembers(ctx context.Context, relay mail.Relay, items []notice.Item, now time.Time) {
	byMember := map[string][]notice.Item{}
	for _, i := range items {
		if i.Member != "" {
			byMember[i.Member] = append(byMember[i.Member], i)
		}
	}
	for id, own := range byMember {
		c, err := d.federation.Case(ctx, membership.ID(id))
		if err == nil {
			err = sendTo(ctx, relay, c.Member.Contacts, d.config.Notices.MemberRole, d.subject(own), digestText(own, now), now)
		}
		if err != nil {
			d.log.Warn("no digest for a member", "member", id, "err", err)
		}
	}
}

func sendTo(ctx context.Context, relay mail.Relay, contacts []membership.Contact, role, subject, text string, now time.Time) error {
	var errs []error
	for _, c := range contacts {
		if strings.EqualFold(c.Role, role) {
			errs = append(errs, relay.Send(ctx, []string{c.Email}, subject, text, now))
		}
	}
	return errors.Join(errs...)
}

func (d *Daemon) subject(items []notice.Item) string {
	return fmt.Sprintf("%s: %d to see to", d.config.Bridge.Name, len(items))
}

// digestText is the body of a mail, the most urgent first.
func digestText(items []notice.Item, now time.Time) string {
	var b strings.Builder
	for _, i := range items {
		when := "now"
		switch {
		case i.Overdue(now):
			when = "ended " + i.Ends.UTC().Format(time.DateOnly)
		case !i.Ends.IsZero():
			when = fmt.Sprintf("ends %s, in %d days", i.Ends.UTC().Format(time.DateOnly), int(i.Ends.Sub(now).Hours()/24))
		}
		who := i.Member
		if who == "" {
			who = "the bridge"
		}
		fmt.Fprintf(&b, "%s: %s (%s)\n  %s\n\n", when, who, i.Kind, i.Text)
	}
	return b.String()
}
