package main

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/internal/fault"
)

const rootHelp = `bridgectl asks the bridge's daemon as one person, and checks what the bridge
publishes without asking anybody.

The credential directory holds certificate.pem and key.pem (the person),
ca.pem (the daemon's admin CA) and server (its address, host:port).

Standard output is the result; everything else goes to standard error. On a
terminal, text comes as aligned columns with a heading. Elsewhere columns are
separated by one tab, without heading. With --output json it is one object,
described in each command's help; an error is
{"error": {"kind", "message", "hint"}}, beside its text on standard error.

Exit codes:
  0  done
  1  internal: a fault of the daemon or of this program
  2  invalid: what was given can never be accepted as it is
  3  not found
  4  conflict: the state does not allow it; look again
  5  denied: this person, or this server, may not
  6  unavailable: something needed does not answer; try again later
  7  a check ran, or a question was asked, and the answer is no`

// tool is one run of the program: where it reads and writes, and what the
// flags that all commands share say.
type tool struct {
	in       io.Reader
	out, err io.Writer
	// Whether a person sits there.
	inTerminal, outTerminal, errTerminal bool

	credentials string
	server      string
	output      string
	timeout     time.Duration
	recheck     time.Duration // between two checks of "member check --watch"

	started bool // a command began: what fails now is not its usage
	emitted bool // the result is on standard output
}

func newTool() *tool {
	return &tool{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		recheck: 30 * time.Second, inTerminal: isTerminal(os.Stdin), outTerminal: isTerminal(os.Stdout), errTerminal: isTerminal(os.Stderr),
	}
}

// execute runs the command that args name and returns the exit code.
func (t *tool) execute(args []string) int {
	root := t.root()
	root.SetArgs(args)
	root.SetIn(t.in)
	root.SetOut(t.out)
	root.SetErr(t.err)
	err := root.ExecuteContext(context.Background())
	if err != nil && !t.started {
		err = withHint(fault.New(fault.Invalid, "%w", err), "see bridgectl --help")
	}
	return t.report(err)
}

func (t *tool) root() *cobra.Command {
	c := t.noun("bridgectl", "Tool of the bridge's persons")
	c.Long = rootHelp
	c.SilenceErrors, c.SilenceUsage = true, true
	f := c.PersistentFlags()
	f.StringVar(&t.credentials, "credentials", os.Getenv("BRIDGECTL_CREDENTIALS"), "`directory` with your credentials [BRIDGECTL_CREDENTIALS]")
	f.StringVar(&t.server, "server", os.Getenv("BRIDGECTL_SERVER"), "`host:port` of the daemon, instead of the one in the credentials [BRIDGECTL_SERVER]")
	f.StringVar(&t.output, "output", "text", "`format` of the result: text or json, and what a command's help names besides")
	f.DurationVar(&t.timeout, "timeout", 10*time.Second, "how long one answer may take")
	must(c.RegisterFlagCompletionFunc("output", func(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return outputs(c), cobra.ShellCompDirectiveNoFileComp
	}))
	c.PersistentPreRunE = func(c *cobra.Command, _ []string) error { return t.checkFlags(c) }
	c.AddCommand(t.auditCommand(), t.authCommand(), t.crosscertCommand(), t.digestCommand(), t.listCommand(), t.memberCommand(), t.pathCommand(), t.preflightCommand(), t.statusCommand(), t.versionCommand())
	return c
}

// moreOutputs is the annotation of a command that has more values of --output
// than all have: their names, separated by spaces.
const moreOutputs = "outputs"

// outputs are the values of --output that c has.
func outputs(c *cobra.Command) []string {
	return append([]string{"text", "json"}, strings.Fields(c.Annotations[moreOutputs])...)
}

func (t *tool) checkFlags(c *cobra.Command) error {
	if known := outputs(c); !slices.Contains(known, t.output) {
		bad := t.output
		t.output = "text"
		return fault.New(fault.Invalid, "--output: %q is not one of %s", bad, strings.Join(known, ", "))
	}
	if t.timeout <= 0 {
		return fault.New(fault.Invalid, "--timeout: want more than zero, such as 10s")
	}
	return nil
}

// noun groups commands. Alone it shows its help; what is not one of its
// commands is refused.
func (t *tool) noun(name, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(commands...)
	return c
}

// run adapts a command's function, and notes that it began.
func (t *tool) run(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		t.started = true
		return f(c.Context(), args)
	}
}

// complete has the shell offer values for a flag.
func complete(c *cobra.Command, flag string, values ...cobra.Completion) {
	must(c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// must reports a slip in how the commands are put together.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
