package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"bridge.example/api/convert"
	"bridge.example/api/proto"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

func (t *tool) authCommand() *cobra.Command {
	c := t.noun("auth", "Persons, roles and credentials",
		t.authWhoami(), t.authCanI(), t.authList(), t.authShow(), t.authRequest(), t.authPropose(), t.authConfirm(), t.authRenew(), t.authWithdraw())
	c.Long = `Persons, roles and credentials.

A new person makes a key and a request for it ("auth request"), which an officer
or operator proposes with the roles ("auth propose") and another one confirms
("auth confirm"); the certificate goes back to the person. Nobody appoints
themselves or confirms what they proposed. Before it expires, everybody renews
their own credential ("auth renew"). Taking away needs one person and works at
once ("auth withdraw").`
	return c
}

func (t *tool) authWhoami() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show as whom the daemon knows you", Args: cobra.NoArgs,
		Long: `Shows as whom the daemon knows you.

JSON: person, roles, member (for whom an applicant or member acts), credential
(SHA-256 of the certificate), not_after (of the certificate).`,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.whoami(ctx) }),
	}
}

// expiryNotice is how long before its end a credential is to be renewed.
const expiryNotice = 30 * 24 * time.Hour

func (t *tool) whoami(ctx context.Context) error {
	return t.ask(func(client proto.BridgeClient) error {
		p, err := client.WhoAmI(ctx, &proto.WhoAmIRequest{})
		if err != nil {
			return err
		}
		who := struct {
			actor
			Roles    []string  `json:"roles"`
			Member   string    `json:"member,omitempty"`
			NotAfter time.Time `json:"not_after,omitzero"`
		}{newActor(p.Actor), each(p.Actor.GetRoles(), roleName), p.Actor.GetMember(), instant(p.NotAfter)}
		var r rows
		r.add("person", who.Person)
		r.add("roles", strings.Join(who.Roles, ", "))
		r.add("member", who.Member)
		r.add("credential", who.Credential)
		r.add("not after", stamp(who.NotAfter))
		if left := time.Until(who.NotAfter); left < expiryNotice {
			t.note("your credential expires in %d days; \"bridgectl auth renew\" makes the next one", int(left.Hours()/24))
		}
		return t.emit(who, nil, r)
	})
}

func (t *tool) authCanI() *cobra.Command {
	var list bool
	c := &cobra.Command{
		Use: "can-i VERB NOUN | --list", Short: "Ask what the daemon lets you do", Args: cobra.MaximumNArgs(2),
		Long: `Asks whether the daemon lets you do something, such as "can-i approve member".
The answer no exits 7. --list shows all you may. "own" is about the member for
whom you act, "self" about yourself. Whether the state of a member allows it, and
whether another person must do it, is decided when you try.

JSON: {"allowed", "scope"}, or with --list {"may": [{"verb", "noun", "scope"}]}.`,
		Example: "  bridgectl auth can-i approve member\n  bridgectl auth can-i --list",
		RunE: t.run(func(ctx context.Context, args []string) error {
			if list != (len(args) == 0) || len(args) == 1 {
				return fault.New(fault.Invalid, "want VERB and NOUN, or --list")
			}
			return t.canI(ctx, args)
		}),
	}
	c.Flags().BoolVar(&list, "list", false, "show all that you may do")
	return c
}

// permission is one thing that the caller may do.
type permission struct {
	Verb  string `json:"verb"`
	Noun  string `json:"noun"`
	Scope string `json:"scope"`
}

func (t *tool) canI(ctx context.Context, args []string) error {
	var may []permission
	err := t.ask(func(client proto.BridgeClient) error {
		p, err := client.WhoAmI(ctx, &proto.WhoAmIRequest{})
		may = each(p.GetMay(), func(p *proto.Permission) permission {
			verb, noun := words(p.GetRpc())
			if p.GetVerb() != proto.Verb_VERB_UNSPECIFIED {
				verb = string(convert.ToVerb(p.GetVerb()))
			}
			return permission{verb, noun, enumName(p.GetScope().String(), "SCOPE_")}
		})
		return err
	})
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return t.emit(map[string]any{"may": may}, []string{"VERB", "NOUN", "ABOUT"}, each(may, func(p permission) []string { return []string{p.Verb, p.Noun, p.Scope} }))
	}
	verb, noun := strings.ToLower(args[0]), strings.TrimSuffix(strings.ToLower(args[1]), "s")
	matches := func(v, n string) bool { return v == verb && strings.TrimSuffix(n, "s") == noun }
	type answer struct {
		Allowed bool   `json:"allowed"`
		Scope   string `json:"scope,omitempty"`
	}
	for _, p := range may {
		if matches(p.Verb, p.Noun) {
			return t.emit(answer{true, p.Scope}, nil, [][]string{{"yes", p.Scope}})
		}
	}
	known := slices.ContainsFunc(proto.Bridge_ServiceDesc.Methods, func(m grpc.MethodDesc) bool { return matches(words(m.MethodName)) }) ||
		slices.ContainsFunc(membership.Verbs(), func(v membership.Verb) bool { return matches(string(v), "member") })
	if known {
		if t.output == "json" {
			if err := t.emit(answer{}, nil, nil); err != nil {
				return err
			}
		}
		return no{fmt.Errorf("you may not %s %s", verb, noun)}
	}
	return withHint(fault.New(fault.Invalid, "nothing is called %q %q", args[0], args[1]), "\"can-i --list\" shows what you may, in these words")
}

// words takes the name of an RPC apart: ListMembers is list, members.
func words(rpc string) (verb, noun string) {
	var out []string
	for i, r := range rpc {
		if unicode.IsUpper(r) && (i == 0 || !unicode.IsUpper(rune(rpc[i-1]))) {
			out = append(out, "")
		}
		if len(out) > 0 {
			out[len(out)-1] += string(unicode.ToLower(r))
		}
	}
	if len(out) == 0 {
		return rpc, ""
	}
	return out[0], strings.Join(out[1:], "-")
}

func roleName(r proto.Role) string { return enumName(r.String(), "ROLE_") }

func parseRole(s string) (proto.Role, error) {
	r, ok := proto.Role_value["ROLE_"+strings.ToUpper(s)]
	if !ok || r == 0 {
		return 0, fault.New(fault.Invalid, "--role: %q is no role; want applicant, member, officer, assessor, approver, signer, auditor or operator", s)
	}
	return proto.Role(r), nil
}

func parseRoles(in []string) (out []proto.Role, err error) {
	for _, s := range in {
		r, err := parseRole(s)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}
