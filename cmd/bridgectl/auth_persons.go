package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
)

const personJSON = `JSON: id, name, roles, member, credentials [{sha256, serial, not_before,
not_after, issued_at, issued_by, withdrawn_at, withdrawn_by, withdrawn_reason}],
proposal {hash, by, at, reason, name, roles, member, new_credential}.`

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
	Hash          string    `json:"hash"`
	By            string    `json:"by"`
	At            time.Time `json:"at"`
	Reason        string    `json:"reason"`
	Name          string    `json:"name,omitempty"`
	Roles         []string  `json:"roles"`
	Member        string    `json:"member,omitempty"`
	NewCredential bool      `json:"new_credential"`
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
		out.Proposal = &proposal{q.GetHash(), q.GetBy().GetPerson(), instant(q.GetAt()), q.GetReason(), q.GetName(), each(q.GetRoles(), roleName), q.GetMember(), len(q.GetRequest()) > 0}
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
		if q.NewCredential {
			r.add("proposed", "a new credential")
		}
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

func (t *tool) authPropose() *cobra.Command {
	var q proto.ProposePersonRequest
	var roles []string
	var request string
	c := &cobra.Command{
		Use: "propose PERSON --role ROLE --reason WHY", Short: "Propose what a person shall be", Args: cobra.ExactArgs(1),
		Long: `Proposes the roles of a person, and with --request a credential for the key in
that PKCS #10 file. Only its key counts: the certificate names PERSON. Roles not
named are lost, and an earlier proposal is replaced. Another officer or operator
confirms it within 72 hours.

` + personJSON,
		Example: "  bridgectl auth propose bea --role approver --request bea/request.pem --reason 'elected to the board'",
		RunE: t.run(func(ctx context.Context, args []string) (err error) {
			if q.Roles, err = parseRoles(roles); err != nil {
				return err
			}
			if request != "" {
				if q.Request, err = readRequest(request); err != nil {
					return err
				}
			}
			q.Person = args[0]
			return t.ask(func(client proto.BridgeClient) error {
				r, err := client.ProposePerson(ctx, &q)
				if err != nil {
					return err
				}
				p := newPerson(r.GetPerson())
				return t.emit(p, nil, p.rows())
			})
		}),
	}
	f := c.Flags()
	f.StringSliceVar(&roles, "role", nil, "`role` of the person; repeatable")
	f.StringVar(&q.Name, "name", "", "`name` of the person, for people")
	f.StringVar(&q.Member, "member", "", "`id` of the member for whom an applicant or member acts")
	f.StringVar(&request, "request", "", "`file` with the PKCS #10 that \"auth request\" made; required for a new person")
	f.StringVar(&q.Reason, "reason", "", "`why`, for the record")
	must(c.MarkFlagRequired("role"))
	must(c.MarkFlagRequired("reason"))
	return c
}

func (t *tool) authConfirm() *cobra.Command {
	var hash, out string
	c := &cobra.Command{
		Use: "confirm PERSON --hash HASH --out DIR", Short: "Confirm what another proposed", Args: cobra.ExactArgs(1),
		Long: `Makes true what another person proposed. On a terminal it is shown and asked for;
elsewhere --hash names what "auth show" showed. With a new credential, DIR gets
certificate.pem, ca.pem and server, to be handed to the person, who puts them
beside key.pem.

` + personJSON,
		RunE: t.run(func(ctx context.Context, args []string) error { return t.confirmPerson(ctx, args[0], hash, out) }),
	}
	c.Flags().StringVar(&hash, "hash", "", "`hash` of the proposal that you looked at")
	c.Flags().StringVar(&out, "out", "", "`directory` for the new certificate, which must not exist")
	return c
}

func (t *tool) confirmPerson(ctx context.Context, id, hash, out string) error {
	before, err := t.person(ctx, id)
	if err != nil {
		return err
	}
	q := before.Proposal
	switch {
	case q == nil:
		return fault.New(fault.NotFound, "nothing is proposed for %q", id)
	case q.NewCredential && out == "":
		return fault.New(fault.Invalid, "--out: name a directory for the new certificate")
	case hash == "" && !(t.inTerminal && t.errTerminal):
		return withHint(fault.New(fault.Invalid, "--hash: say which proposal you looked at"), "bridgectl auth show "+id)
	case hash == "":
		t.note("%s", lines(before.rows()))
		if t.confirm("Confirm this?") != nil {
			return no{errors.New("nothing was confirmed")}
		}
		hash = q.Hash
	}
	if q.NewCredential {
		if err := os.Mkdir(out, 0o700); err != nil {
			return fileFault(err)
		}
	}
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.ConfirmPerson(ctx, &proto.ConfirmPersonRequest{Person: id, Hash: hash})
		if err != nil {
			if q.NewCredential {
				err = errors.Join(err, os.Remove(out))
			}
			return err
		}
		if len(r.GetCertificate()) > 0 {
			if err := t.writeCredential(out, r.GetCertificate()); err != nil {
				return err
			}
		}
		p := newPerson(r.GetPerson())
		return t.emit(p, nil, p.rows())
	})
}

func (t *tool) authWithdraw() *cobra.Command {
	var sha256, role, reason string
	c := &cobra.Command{
		Use: "withdraw PERSON --reason WHY", Short: "Take credentials or a role away at once", Args: cobra.ExactArgs(1),
		Long: `Ends all credentials of a person and what is proposed for them; with --credential
one only, with --role that role. It works at once, on open connections too. An
officer or operator may do it, and everybody to themselves. The last two who can
appoint others stay: appoint a third first, or renew and withdraw the old one.

` + personJSON,
		RunE: t.run(func(ctx context.Context, args []string) error {
			return t.ask(func(client proto.BridgeClient) error {
				p, err := withdraw(ctx, client, args[0], sha256, role, reason)
				if err != nil {
					return err
				}
				view := newPerson(p)
				return t.emit(view, nil, view.rows())
			})
		}),
	}
	c.Flags().StringVar(&sha256, "credential", "", "`SHA-256` of the one certificate")
	c.Flags().StringVar(&role, "role", "", "the `role`")
	c.Flags().StringVar(&reason, "reason", "", "`why`, for the record")
	must(c.MarkFlagRequired("reason"))
	c.MarkFlagsMutuallyExclusive("credential", "role")
	return c
}

func withdraw(ctx context.Context, client proto.BridgeClient, id, sha256, role, reason string) (*proto.Person, error) {
	if role == "" {
		r, err := client.WithdrawCredential(ctx, &proto.WithdrawCredentialRequest{Person: id, Sha256: sha256, Reason: reason})
		return r.GetPerson(), err
	}
	parsed, err := parseRole(role)
	if err != nil {
		return nil, err
	}
	r, err := client.WithdrawRole(ctx, &proto.WithdrawRoleRequest{Person: id, Role: parsed, Reason: reason})
	return r.GetPerson(), err
}

// writeCredential writes what belongs beside a key into dir.
func (t *tool) writeCredential(dir string, der []byte) error {
	ca, err := readFile(filepath.Join(t.credentials, "ca.pem"), maxCertificateBytes)
	if err != nil {
		return err
	}
	server := t.server
	if server == "" {
		b, err := readFile(filepath.Join(t.credentials, "server"), 1<<10)
		if err != nil {
			return err
		}
		server = strings.TrimSpace(string(b))
	}
	return errors.Join(
		writeFile(filepath.Join(dir, "certificate.pem"), encodePEM("CERTIFICATE", der)),
		writeFile(filepath.Join(dir, "ca.pem"), ca),
		writeFile(filepath.Join(dir, "server"), []byte(server+"\n")),
	)
}
