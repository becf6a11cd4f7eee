// Command bridged is the bridge: it admits members and serves what follows
// from that, the signed list, the cross-certificates, the virtual directory
// and the virtual responder.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"bridge.example/internal/fault"
)

// version is stamped by the build.
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := command().ExecuteContext(ctx)
	if err != nil {
		complain(err)
	}
	os.Exit(exitCode(err))
}

func command() *cobra.Command {
	c := &cobra.Command{
		Use:   "bridged",
		Short: "Link independent certification authorities into one trust community",
		Long: `bridged serves a bridge between the certification authorities of its members.

Start with "bridged demo", or found a bridge with "bridged init" and serve it
with "bridged run". Officers work with bridgectl.

Exit codes: 0 done, 1 internal error, 2 invalid input, 3 not found,
4 conflict, 5 denied, 6 unavailable.`,
		Version:       buildVersion(),
		Args:          arguments(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fault.New(fault.Invalid, "%w", err) })
	c.AddCommand(initCommand(), ceremonyCommand(), runCommand(), validateCommand(), demoCommand(), rolloverCommand(), endCommand())
	return c
}

// arguments makes what check refuses the caller's mistake.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return fault.New(fault.Invalid, "%w; see %q", err, c.CommandPath()+" --help")
		}
		return nil
	}
}

// hinted is an error and what to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// complain writes err to standard error, each problem on a line of its own, and
// then what to do about it.
func complain(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(os.Stderr, "bridged: error: %s\n", line)
	}
	if h, ok := errors.AsType[hinted](err); ok {
		fmt.Fprintf(os.Stderr, "bridged: hint: %s\n", h.hint)
	}
}

// exitCode is the code of the first fault in err's tree.
func exitCode(err error) int {
	if err == nil || errors.Is(err, context.Canceled) {
		return 0
	}
	return fault.KindOf(err).ExitCode()
}

// buildVersion is the version stamped by the build, or what Go knows.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
