package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/membership"
)

// next is a decision that could be taken now.
type next struct {
	Verb      string   `json:"verb"`
	Who       []string `json:"who"`
	Persons   int      `json:"persons"`
	Given     []string `json:"given"`
	Documents []string `json:"documents"`
	Missing   []string `json:"missing"`
	// Able are the persons who can, where the caller may know them.
	Able []string `json:"able"`
}

func newNext(n *proto.Next) next {
	return next{
		string(convert.ToVerb(n.GetVerb())), each(n.GetWho(), roleName), int(n.GetPersons()),
		each(n.GetGiven(), same), each(n.GetDocuments(), same), each(n.GetMissing(), same), []string{},
	}
}

// String is who can do it, what with, and what stands in the way.
func (n next) String() string {
	s := n.Verb + ": " + n.who()
	if n.Persons > 1 {
		s += fmt.Sprintf(", %d of %d so far", len(n.Given), n.Persons)
	}
	if len(n.Documents) > 0 {
		s += "; with " + strings.Join(n.Documents, ", ")
	}
	if len(n.Missing) > 0 {
		s += "; missing: " + strings.Join(n.Missing, "; ")
	}
	return s
}

func (n next) who() string {
	who := strings.Join(n.Who, " or ")
	switch {
	case len(n.Given) > 0:
		who = fmt.Sprintf("another %s than %s", who, strings.Join(n.Given, ", "))
	case who != "" && strings.ContainsRune("aeio", rune(who[0])):
		who = "an " + who
	default:
		who = "a " + who
	}
	switch {
	case len(n.Able) > maxNamed:
		who += " (" + strings.Join(n.Able[:maxNamed], ", ") + " and others)"
	case len(n.Able) > 0:
		who += " (" + strings.Join(n.Able, ", ") + ")"
	}
	return who
}

// maxNamed is how many persons one line names.
const maxNamed = 5

// nameAble finds who can take the next steps of m, for callers who may see the
// persons of the bridge. It only informs: for others, and where the daemon does
// not say, they stay unnamed.
func nameAble(ctx context.Context, client proto.BridgeClient, m *member) {
	me, err := client.WhoAmI(ctx, &proto.WhoAmIRequest{})
	if err != nil || !slices.ContainsFunc(me.GetMay(), func(p *proto.Permission) bool { return p.GetRpc() == "ListPersons" }) {
		return
	}
	r, err := client.ListPersons(ctx, &proto.ListPersonsRequest{})
	if err != nil {
		return
	}
	for i := range m.Next {
		n := &m.Next[i]
		for _, p := range r.GetPersons() {
			if n.able(newPerson(p), m) {
				n.Able = append(n.Able, p.GetId())
			}
		}
	}
}

// able reports whether p can take the step n of m now, as far as the record says.
func (n next) able(p person, m *member) bool {
	now := time.Now()
	return slices.ContainsFunc(p.Roles, func(r string) bool { return slices.Contains(n.Who, r) }) &&
		(p.Member == "" || p.Member == m.ID) && !slices.Contains(n.Given, p.ID) &&
		(n.Verb != string(membership.Approve) || !slices.Contains(m.Prepared, p.ID)) &&
		slices.ContainsFunc(p.Credentials, func(c credential) bool { return c.WithdrawnAt.IsZero() && now.Before(c.NotAfter) })
}

// forward are the verbs that lead on, the nearest to the end first where several
// are possible at once.
var forward = []membership.Verb{
	membership.Confirm, membership.Submit, membership.Check, membership.Assess, membership.Contract, membership.Identify, membership.Activate,
	membership.Approve, membership.Resume, membership.Renew,
}

// nextStep says in one sentence what leads on from where m stands; empty when
// nothing does, or nothing needs to.
func (m member) nextStep() string {
	for _, v := range forward {
		i := slices.IndexFunc(m.Next, func(n next) bool { return n.Verb == string(v) })
		if i >= 0 && m.timely(v, m.Next[i]) {
			return m.Next[i].command(m.ID)
		}
	}
	return ""
}

// timely reports whether somebody should take a step that could be taken.
func (m member) timely(v membership.Verb, n next) bool {
	switch v {
	case membership.Confirm: // once
		return !slices.ContainsFunc(m.Decisions, func(d decision) bool { return d.Verb == string(v) && !d.At.Before(m.Since) })
	case membership.Activate: // else the approvals are due again
		return len(n.Missing) == 0
	case membership.Renew:
		return m.State == string(membership.RenewalDue)
	}
	return true
}

// command is what whoever can do it has to type.
func (n next) command(id string) string {
	s := fmt.Sprintf("%s can now run: bridgectl member %s %s", n.who(), n.Verb, id)
	if flags := usageOf(membership.Verb(n.Verb)); flags != "" {
		s += " " + flags
	}
	if len(n.Missing) > 0 {
		s += "; it takes: " + strings.Join(n.Missing, "; ")
	}
	return s
}
