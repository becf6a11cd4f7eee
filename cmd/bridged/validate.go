package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"bridge.example/internal/daemon"
	"bridge.example/internal/setup/config"
)

func validateCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "validate --config FILE",
		Short: "Load everything a configuration names, without starting",
		Long: `Load everything a configuration names, without starting: keys, certificates and
the store. All problems are reported at once. It may run beside the daemon.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return validate(cmd.OutOrStdout(), path) },
	}
	configFlag(c, &path)
	return c
}

func validate(w io.Writer, path string) error {
	c, err := config.LoadFile(path)
	if err != nil {
		return err
	}
	if err := daemon.Validate(c); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s: valid\n", path)
	return err
}
