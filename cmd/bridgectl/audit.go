package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"bridge.example/api/proto"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
)

func (t *tool) auditCommand() *cobra.Command {
	return t.noun("audit", "Read the audit log, and prove it", t.auditList(), t.auditShow(), t.auditCheckpoint(), t.auditExport(), t.auditVerify())
}

// eventJSON is in the help of the commands that show events.
const eventJSON = `number, at, kind, of (number of the event whose outcome this is), member,
person, credential (SHA-256 of the certificate), evidence [{name, sha256}],
details {name: text}.`

func (t *tool) auditList() *cobra.Command {
	var q auditQuery
	c := &cobra.Command{
		Use: "list", Short: "List what was done, the oldest first", Args: cobra.NoArgs,
		Long: `Lists the events of the audit log, the oldest first. What the daemon says is
not verified: "bridgectl audit verify" does that.

JSON: [event], each: ` + eventJSON,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.listEvents(ctx, q) }),
	}
	f := c.Flags()
	f.StringVar(&q.since, "since", "", "only from this `instant` on, such as 2026-01-02T03:04:05Z or 2026-01-02")
	f.StringVar(&q.member, "member", "", "only about the member with this `id`")
	f.StringVar(&q.person, "person", "", "only by this `person`")
	return c
}

// auditQuery is what "audit list" is told.
type auditQuery struct{ since, member, person string }

func (t *tool) listEvents(ctx context.Context, q auditQuery) error {
	r := &proto.ListAuditEventsRequest{PageSize: 500, Member: q.member, Person: q.person}
	if q.since != "" {
		at, err := parseInstant("--since", q.since, time.Time{})
		if err != nil {
			return err
		}
		r.Since = timestamppb.New(at)
	}
	return t.ask(func(client proto.BridgeClient) error {
		out := []auditlog.Event{}
		for {
			page, err := client.ListAuditEvents(ctx, r)
			if err != nil {
				return err
			}
			events, err := parseEvents(page.Events)
			if err != nil {
				return err
			}
			out = append(out, events...)
			// A server that repeats a page would keep this loop running.
			if page.Next <= r.From {
				break
			}
			r.From = page.Next
		}
		return t.emit(out, []string{"NUMBER", "AT", "KIND", "MEMBER", "PERSON", "DETAILS"}, each(out, eventRow))
	})
}

func parseEvents(texts []string) (out []auditlog.Event, err error) {
	for _, text := range texts {
		e, err := auditlog.DecodeEvent([]byte(text))
		if err != nil {
			return nil, withHint(fault.New(fault.Internal, "the daemon sent what is no event: %w", err),
				"this program and the daemon may be of different versions: see bridgectl version and bridgectl status")
		}
		out = append(out, e)
	}
	return out, nil
}

func eventRow(e auditlog.Event) []string {
	return []string{strconv.FormatUint(e.Number, 10), stamp(e.At), e.Kind, e.Member, e.Person, strings.Join(details(e), " ")}
}

// details are those of an event as name=text, in the order of the names.
func details(e auditlog.Event) (out []string) {
	for name, text := range e.Details {
		out = append(out, name+"="+text)
	}
	slices.Sort(out)
	return out
}

func (t *tool) auditShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NUMBER", Short: "Show one event", Args: cobra.ExactArgs(1),
		Long: `Shows one event of the audit log.

JSON: ` + eventJSON,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.showEvent(ctx, args[0]) }),
	}
}

func (t *tool) showEvent(ctx context.Context, arg string) error {
	number, err := strconv.ParseUint(arg, 10, 63)
	if err != nil || number == 0 {
		return fault.New(fault.Invalid, "%q is not the number of an event: they count from 1", arg)
	}
	return t.ask(func(client proto.BridgeClient) error {
		page, err := client.ListAuditEvents(ctx, &proto.ListAuditEventsRequest{From: number, PageSize: 1})
		if err != nil {
			return err
		}
		events, err := parseEvents(page.Events)
		if err != nil {
			return err
		}
		if len(events) == 0 || events[0].Number != number {
			return fault.New(fault.NotFound, "no event %d yet", number)
		}
		return t.emit(events[0], nil, eventRows(events[0]))
	})
}

func eventRows(e auditlog.Event) (r rows) {
	r.add("number", strconv.FormatUint(e.Number, 10))
	r.add("at", stamp(e.At))
	r.add("kind", e.Kind)
	if e.Of != 0 {
		r.add("outcome of", strconv.FormatUint(e.Of, 10))
	}
	r.add("member", e.Member)
	r.add("person", e.Person)
	r.add("credential", e.Credential)
	for _, d := range e.Evidence {
		r.add("evidence", fmt.Sprintf("%s, SHA-256 %s", d.Name, d.SHA256))
	}
	for _, d := range details(e) {
		name, text, _ := strings.Cut(d, "=")
		r.add(name, text)
	}
	return r
}
