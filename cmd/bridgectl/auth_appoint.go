package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
	"bridge.example/internal/fault"
)

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
elsewhere --hash names what "auth show" showed. Compare the key with what the
person reads to you from "auth request": who holds it acts as that person. With a new credential, DIR gets
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
	case q.Key != "" && out == "":
		return fault.New(fault.Invalid, "--out: name a directory for the new certificate")
	case hash == "" && !t.inTerminal:
		return withHint(fault.New(fault.Invalid, "--hash: say which proposal you looked at"), "bridgectl auth show "+id)
	case hash == "":
		t.note("%s", lines(before.rows()))
		if t.confirm("Confirm this?") != nil {
			return no{errors.New("nothing was confirmed")}
		}
		hash = q.Hash
	}
	if q.Key != "" {
		if err := os.Mkdir(out, 0o700); err != nil {
			return fileFault(err)
		}
	}
	return t.ask(func(client proto.BridgeClient) error {
		r, err := client.ConfirmPerson(ctx, &proto.ConfirmPersonRequest{Person: id, Hash: hash})
		if err != nil {
			if q.Key != "" {
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
