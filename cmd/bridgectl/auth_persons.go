package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
)

const personJSON = `JSON: id, name, roles, member, credentials [{sha256, serial, not_before,
not_after, issued_at, issued_by, withdrawn_at, withdrawn_by, withdrawn_reason}],
proposal {hash, by, at, reason, name, roles, member, key (SHA-256 of the public
key of a new credential)}.`

// person is one of the bridge's, as shown.
type person struct {
	ID          string       `json:"id"`
	Name        string       `json:"name,omitempty"`
	Roles       []string     `json:"roles"`
	Member      string       `json:"member,omitempty"`
	Credentials []credential `json:"credentials"`
	Proposal    *proposal    `json:"proposal,omitempty"`
}

type credential struct {
	SHA256          string    `json:"sha256"`
	Serial          string    `json:"serial"`
	NotBefore       time.Time `json:"not_before"`
	NotAfter        time.Time `json:"not_after"`
	IssuedAt        time.Time `json:"issued_at"`
	IssuedBy        []string  `json:"issued_by"`
	WithdrawnAt     time.Time `json:"withdrawn_at,omitzero"`
	WithdrawnBy     string    `json:"withdrawn_by,omitempty"`
	WithdrawnReason string    `json:"withdrawn_reason,omitempty"`
}

type proposal struct {
	Hash   string    `json:"hash"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Name   string    `json:"name,omitempty"`
	Roles  []string  `json:"roles"`
	Member string    `json:"member,omitempty"`
	Key    string    `json:"key,omitempty"`
}

func newPerson(p *proto.Person) person {
	out := person{
		ID: p.GetId(), Name: p.GetName(), Roles: each(p.GetRoles(), roleName), Member: p.GetMember(),
		Credentials: each(p.GetCredentials(), func(c *proto.Credential) credential {
			return credential{
				c.GetSha256(), c.GetSerial(), instant(c.GetNotBefore()), instant(c.GetNotAfter()), instant(c.GetIssuedAt()), each(c.GetIssuedBy(), (*proto.Actor).GetPerson),
				instant(c.GetWithdrawnAt()), c.GetWithdrawnBy().GetPerson(), c.GetWithdrawnReason(),
			}
		}),
	}
	if q := p.GetProposal(); q != nil {
		out.Proposal = &proposal{q.GetHash(), q.GetBy().GetPerson(), instant(q.GetAt()), q.GetReason(), q.GetName(), each(q.GetRoles(), roleName), q.GetMember(), keyOf(q.GetRequest())}
	}
	return out
}

// until is the end of the longest-lived credential in force; zero without one.
func (p person) until(now time.Time) (end time.Time) {
	for _, c := range p.Credentials {
		if c.WithdrawnAt.IsZero() && now.Before(c.NotAfter) && c.NotAfter.After(end) {
			end = c.NotAfter
		}
	}
	return end
}

func (p person) rows() (r rows) {
	r.add("person", p.ID)
	r.add("name", p.Name)
	r.add("roles", strings.Join(p.Roles, ", "))
	r.add("member", p.Member)
	for _, c := range p.Credentials {
		text := c.SHA256 + " until " + stamp(c.NotAfter)
		if len(c.IssuedBy) > 0 {
			text += ", by " + strings.Join(c.IssuedBy, " and ")
		}
		if !c.WithdrawnAt.IsZero() {
			text += ", withdrawn " + stamp(c.WithdrawnAt) + " by " + c.WithdrawnBy + ": " + c.WithdrawnReason
		}
		r.add("credential", text)
	}
	if q := p.Proposal; q != nil {
		r.add("proposed by", q.By+" at "+stamp(q.At)+": "+q.Reason)
		r.add("proposed name", q.Name)
		r.add("proposed roles", strings.Join(q.Roles, ", "))
		r.add("proposed member", q.Member)
		r.add("proposed key", q.Key)
		r.add("proposal hash", q.Hash)
	}
	return r
}

func (t *tool) authList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the persons of the bridge", Args: cobra.NoArgs,
		Long: `Lists the persons of the bridge. Text: id, roles, member, the end of their
credential, by whom something is proposed for them.

JSON: {"persons": [as "auth show"]}.`,
		RunE: t.run(func(ctx context.Context, _ []string) error {
			list, err := t.persons(ctx)
			if err != nil {
				return err
			}
			t.warnFew(list)
			return t.emit(map[string]any{"persons": list}, []string{"ID", "ROLES", "MEMBER", "UNTIL", "PROPOSED BY"}, each(list, func(p person) []string {
				by := ""
				if p.Proposal != nil {
					by = p.Proposal.By
				}
				return []string{p.ID, strings.Join(p.Roles, ","), p.Member, stamp(p.until(time.Now())), by}
			}))
		}),
	}
}

// warnFew says when one credential more that expires or is lost leaves nobody to
// replace it.
func (t *tool) warnFew(list []person) {
	appoint, approve := 0, 0
	soon := time.Now().Add(expiryNotice)
	for _, p := range list {
		if !p.until(soon).IsZero() {
			roles := "," + strings.Join(p.Roles, ",") + ","
			if strings.Contains(roles, ",officer,") || strings.Contains(roles, ",operator,") {
				appoint++
			}
			if strings.Contains(roles, ",approver,") {
				approve++
			}
		}
	}
	if appoint < 3 {
		t.note("only %d officers or operators have credentials that last a month; two are needed to appoint anybody, so have three", appoint)
	}
	if approve < 2 {
		t.note("only %d approvers have credentials that last a month; two are needed to admit anybody", approve)
	}
}

func (t *tool) authShow() *cobra.Command {
	return &cobra.Command{
		Use: "show PERSON", Short: "Show a person, their credentials and what is proposed", Args: cobra.ExactArgs(1),
		Long: "Shows a person, their credentials and what is proposed for them.\n\n" + personJSON,
		RunE: t.run(func(ctx context.Context, args []string) error {
			p, err := t.person(ctx, args[0])
			if err != nil {
				return err
			}
			return t.emit(p, nil, p.rows())
		}),
	}
}

func (t *tool) persons(ctx context.Context) (out []person, err error) {
	err = t.ask(func(client proto.BridgeClient) error {
		r, err := client.ListPersons(ctx, &proto.ListPersonsRequest{})
		out = each(r.GetPersons(), newPerson)
		return err
	})
	return out, err
}

func (t *tool) person(ctx context.Context, id string) (person, error) {
	list, err := t.persons(ctx)
	if err != nil {
		return person{}, err
	}
	for _, p := range list {
		if p.ID == id {
			return p, nil
		}
	}
	return person{}, fault.New(fault.NotFound, "no person %q", id)
}
