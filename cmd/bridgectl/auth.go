package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/api/proto"
)

func (t *tool) authCommand() *cobra.Command {
	return t.noun("auth", "Look at one's own credentials", t.authWhoami())
}

func (t *tool) authWhoami() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show as whom the daemon knows you", Args: cobra.NoArgs,
		Long: `Shows as whom the daemon knows you.

JSON: person, credential (SHA-256 of the certificate), not_after (of the
certificate).`,
		RunE: t.run(func(ctx context.Context, _ []string) error { return t.whoami(ctx) }),
	}
}

func (t *tool) whoami(ctx context.Context) error {
	return t.ask(func(client proto.BridgeClient) error {
		p, err := client.WhoAmI(ctx, &proto.WhoAmIRequest{})
		if err != nil {
			return err
		}
		who := struct {
			actor
			NotAfter time.Time `json:"not_after,omitzero"`
		}{newActor(p.Actor), instant(p.NotAfter)}
		var r rows
		r.add("person", who.Person)
		r.add("credential", who.Credential)
		r.add("not after", stamp(who.NotAfter))
		return t.emit(who, nil, r)
	})
}
