package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/crosscert"
	"bridge.example/internal/ceremony"
	"bridge.example/internal/daemon"
	"bridge.example/internal/fault"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/telemetry"
)

func rolloverCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rollover begin|switch|retire --config FILE",
		Short: "Replace the bridge CA's own key",
		Long: `Replace the bridge CA's own key, in three steps, each while the daemon is
stopped. Doing a step again finishes what was begun, or does nothing.

  begin   makes the new key, its certificate, and the certificates that link it
          with the old one. The old key goes on signing.
  switch  makes the new key sign. The old one signs nothing but its CRL.
  retire  closes the old key with a last CRL, once all that it issued has
          expired or been revoked.

Each says what comes next, and when. See docs/rollover.md.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, step := range []struct {
		name, short string
		act         func(*daemon.Stopped, context.Context) error
		report      func(io.Writer, []daemon.Standing)
	}{
		{"begin", "Make and publish a new key; the old one goes on signing", (*daemon.Stopped).Announce, announced},
		{"switch", "Make the new key sign", (*daemon.Stopped).Switch, switched},
		{"retire", "Close the old key with a last CRL", (*daemon.Stopped).Retire, retired},
	} {
		var path string
		sub := &cobra.Command{
			Use: step.name + " --config FILE", Short: step.short, Args: arguments(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				return stopped(cmd.Context(), path, func(s *daemon.Stopped, _ *config.Config) error {
					if err := step.act(s, cmd.Context()); err != nil {
						return err
					}
					standing, err := s.Standing(cmd.Context())
					if err != nil {
						return err
					}
					w := cmd.OutOrStdout()
					for _, g := range standing {
						fmt.Fprintf(w, "Key %-10d %s, certificate valid until %s\n", g.Number, g.Phase, g.Parsed.NotAfter.Format(time.DateOnly))
					}
					step.report(w, standing)
					return nil
				})
			},
		}
		configFlag(sub, &path)
		c.AddCommand(sub)
	}
	return c
}

// stopped does something to a bridge that is not running.
func stopped(ctx context.Context, path string, do func(*daemon.Stopped, *config.Config) error) (err error) {
	c, err := config.LoadFile(path)
	if err != nil {
		return err
	}
	s, err := daemon.OpenStopped(ctx, c, telemetry.NewLogger(os.Stderr, "warn", c.Log.Format))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(s, c)
}

func announced(w io.Writer, all []daemon.Standing) {
	g := all[len(all)-1]
	if g.Phase != crosscert.Announced {
		return
	}
	fmt.Fprintf(w, "New key        %s\n", g.Key)
	fmt.Fprintf(w, "Fingerprint    %s\n", ceremony.Fingerprint(g.Parsed))
	fmt.Fprintf(w, `
Back up the state directory, then start the daemon: it publishes the new
certificate as %s. Give relying parties its fingerprint, and
time to fetch it: at least as long as a list is valid. Then stop the daemon and
go on with: bridged rollover switch
`, daemon.BridgeCAPathOf(g.Number))
}

func switched(w io.Writer, all []daemon.Standing) {
	fmt.Fprint(w, `
Start the daemon: it renews the signers and certifies the members with the new
key. What the old key issued stays in force beside, and the old key signs its
CRL, so keep it.
`)
	for _, g := range all {
		if g.Phase != crosscert.Retiring {
			continue
		}
		if g.InForce == 0 {
			fmt.Fprintf(w, "Nothing that key %d issued is in force: bridged rollover retire\n", g.Number)
			continue
		}
		fmt.Fprintf(w, "Key %d has issued %d certificates in force. After %s, stop the daemon\nand go on with: bridged rollover retire\n",
			g.Number, g.InForce, g.Until.Format(time.DateOnly))
	}
}

func retired(w io.Writer, all []daemon.Standing) {
	for _, g := range all {
		if g.Phase == crosscert.Closed {
			fmt.Fprintf(w, "\nKey %d has signed its last CRL. Nothing needs it any more: destroy\n%s and every copy of it.\n", g.Number, g.Key)
		}
	}
}

func endCommand() *cobra.Command {
	var path, phrase string
	c := &cobra.Command{
		Use:   `end --config FILE --confirm "end NAME"`,
		Short: "End the bridge for ever",
		Long: `End the bridge for ever, while the daemon is stopped: publish an empty list,
revoke every certificate in force with reason cessationOfOperation, and sign last
CRLs that never expire. Nothing is signed after that. The daemon can be started
again, to serve the CRLs and the last list for as long as anybody asks.

There is no way back. The phrase to confirm is the word end and the name of the
bridge as it is configured. See docs/rollover.md.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return stopped(cmd.Context(), path, func(s *daemon.Stopped, c *config.Config) error {
				if want := "end " + c.Bridge.Name; phrase != want {
					return fault.New(fault.Invalid, "nothing was done: to end the bridge for ever, say --confirm %q", want)
				}
				if err := s.End(cmd.Context()); err != nil {
					return err
				}
				_, err := fmt.Fprint(cmd.OutOrStdout(), `The bridge has ended: nothing it issued is in force, and it signs nothing more.

Start the daemon, to serve the last CRLs and the empty list. Destroy the keys of
the bridge CA and of both signers, and every copy and backup of them: a backup
from before the end does not know of it.
`)
				return err
			})
		},
	}
	configFlag(c, &path)
	c.Flags().StringVar(&phrase, "confirm", "", `"end NAME", with the name of the bridge`)
	return c
}
