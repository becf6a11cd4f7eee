package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
)

func (t *tool) digestCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "digest", Short: "Show what ends soon, and what is wrong", Args: cobra.NoArgs,
		Annotations: map[string]string{moreOutputs: "ical"},
		Long: `Shows what is due now at the bridge and its members: certificates, CRLs, audits,
contracts and credentials that end soon or have ended, and what is wrong: status
that cannot be had, suspensions that nobody confirmed, checks that changed. The
most urgent comes first. With --all also what ends later. The daemon announces
each of these once a day at most, when it becomes due, and as its end comes
nearer.

With --output ical it is a calendar with one event for each end (RFC 5545).

JSON: notices [{key, member, kind, text, ends, overdue}]; member is absent for
the bridge's own, ends for what is wrong now.`,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.digest(ctx, all) }),
	}
	c.Flags().BoolVar(&all, "all", false, "show what ends later, too")
	return c
}

type noticeView struct {
	Key     string    `json:"key"`
	Member  string    `json:"member,omitempty"`
	Kind    string    `json:"kind"`
	Text    string    `json:"text"`
	Ends    time.Time `json:"ends,omitzero"`
	Overdue bool      `json:"overdue,omitempty"`
}

func (t *tool) digest(ctx context.Context, all bool) error {
	return t.ask(func(client proto.BridgeClient) error {
		p, err := client.GetDigest(ctx, &proto.GetDigestRequest{All: all})
		if err != nil {
			return err
		}
		notices := make([]noticeView, 0, len(p.Notices))
		for _, n := range p.Notices {
			notices = append(notices, noticeView{n.Key, n.Member, n.Kind, n.Text, instant(n.Ends), n.Overdue})
		}
		if t.output == "ical" {
			t.emitted = true
			_, err := io.WriteString(t.out, calendar(notices, time.Now()))
			return err
		}
		var r [][]string
		for _, n := range notices {
			when := "now"
			if !n.Ends.IsZero() {
				when = stamp(n.Ends)
			}
			if n.Overdue {
				when += " (over)"
			}
			r = append(r, []string{when, n.Member, n.Kind, n.Text})
		}
		return t.emit(map[string][]noticeView{"notices": notices}, []string{"ENDS", "MEMBER", "KIND", "WHAT"}, r)
	})
}

// calendar is an iCalendar object (RFC 5545) with an event for each end, and a
// reminder a week before.
func calendar(notices []noticeView, now time.Time) string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(fold(fmt.Sprintf(format, args...))) }
	const stamped = "20060102T150405Z"
	line("BEGIN:VCALENDAR")
	line("VERSION:2.0")
	line("PRODID:-//bridge.example//bridgectl//EN")
	for _, n := range notices {
		if n.Ends.IsZero() {
			continue
		}
		// The same thing with the same end is the same event at every export.
		uid := sha256.Sum256([]byte(n.Key))
		who := n.Member
		if who == "" {
			who = "the bridge"
		}
		line("BEGIN:VEVENT")
		line("UID:%s@bridge.example", hex.EncodeToString(uid[:16]))
		line("DTSTAMP:%s", now.UTC().Format(stamped))
		line("DTSTART:%s", n.Ends.UTC().Format(stamped))
		line("SUMMARY:%s", calendarText(fmt.Sprintf("%s: %s ends", who, n.Kind)))
		line("DESCRIPTION:%s", calendarText(n.Text))
		line("TRANSP:TRANSPARENT")
		line("BEGIN:VALARM")
		line("ACTION:DISPLAY")
		line("DESCRIPTION:%s", calendarText(n.Text))
		line("TRIGGER:-P7D")
		line("END:VALARM")
		line("END:VEVENT")
	}
	line("END:VCALENDAR")
	return b.String()
}

// calendarText escapes a value of type TEXT (RFC 5545 §3.3.11).
func calendarText(s string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", `\n`).Replace(harmless(s))
}

// fold breaks a content line at 75 octets, between characters, and ends it
// (RFC 5545 §3.1).
func fold(s string) string {
	const width = 75
	var b strings.Builder
	for room := width; len(s) > room; room = width - 1 { // the space counts
		n := room
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		b.WriteString(s[:n] + "\r\n ")
		s = s[n:]
	}
	return b.String() + s + "\r\n"
}
