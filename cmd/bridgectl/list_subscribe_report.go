package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"

	"bridge.example/internal/fault"
	"bridge.example/internal/subscription"
)

const reportHelp = `JSON: state (up to date, changed, refused, unreachable, expired or empty), ok
(whether the machine trusts what the bridge says now), attack and problem (why
not), consentable, number, issued_at, next_update, in_force, listed, selected,
idle (rules that fit nothing), changes [{change, text, entry}], targets [{kind,
path}], command (why it failed).`

// subscribed is a subscription.Report as JSON.
type subscribed struct {
	State       subscription.State  `json:"state"`
	OK          bool                `json:"ok"`
	Attack      subscription.Attack `json:"attack,omitempty"`
	Problem     string              `json:"problem,omitempty"`
	Consentable bool                `json:"consentable,omitempty"`
	Number      int64               `json:"number,omitempty"`
	IssuedAt    time.Time           `json:"issued_at,omitzero"`
	NextUpdate  time.Time           `json:"next_update,omitzero"`
	InForce     bool                `json:"in_force"`
	Listed      int                 `json:"listed"`
	Selected    int                 `json:"selected"`
	Idle        []string            `json:"idle"`
	Changes     []change            `json:"changes"`
	Targets     []made              `json:"targets"`
	Command     string              `json:"command,omitempty"`
}

type made struct {
	Kind string `json:"kind"`
	Path string `json:"path"`
}

// emitSubscribed writes a report, and returns the error it stands for.
func (t *tool) emitSubscribed(r *subscription.Report) error {
	v := subscribed{
		r.State, r.OK(), r.Attack, r.Problem, r.Consentable, r.Number, r.IssuedAt, r.NextUpdate, r.InForce, r.Listed, r.Selected,
		each(r.Idle, ruleText), each(r.Changes, newChange), each(r.Targets, func(m subscription.Made) made { return made{m.Kind, m.Path} }), r.Command,
	}
	t.noteIdle(v.Idle)
	var out rows
	out.add("state", string(r.State))
	out.add("attack", string(r.Attack))
	if r.Number != 0 {
		out.add("number", fmt.Sprint(r.Number))
		out.add("issued", stamp(r.IssuedAt))
		out.add("next update", stamp(r.NextUpdate))
		out.add("selected", fmt.Sprintf("%d of %d", r.Selected, r.Listed))
	}
	for _, c := range v.Changes {
		out.add(c.Change, c.Text)
	}
	for _, m := range v.Targets {
		out.add(m.Kind, m.Path)
	}
	if err := t.emit(v, nil, out); err != nil {
		return err
	}
	return verdict(r)
}

func subscriptionFile(dir string) string { return filepath.Join(dir, "subscription.yaml") }

const maxSubscriptionBytes = 1 << 20

// readSubscription reads what a directory is subscribed to. Errors: those of
// readFile; Invalid for what is unknown or malformed.
func readSubscription(dir string) (c subscription.Config, err error) {
	path := subscriptionFile(dir)
	text, err := readFile(path, maxSubscriptionBytes)
	if err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return c, withHint(err, "bridgectl list subscribe init begins a subscription")
		}
		return c, err
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&c); err != nil {
		return c, fault.New(fault.Invalid, "%s: %s", path, yaml.FormatError(err, false, true))
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func encodeSubscription(c subscription.Config) ([]byte, error) {
	text, err := yaml.Marshal(c)
	if err != nil {
		return nil, err
	}
	return append([]byte("# What this machine subscribes to; see bridgectl list subscribe --help.\n"), text...), nil
}
