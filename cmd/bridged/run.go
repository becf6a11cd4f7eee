package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"bridge.example/internal/daemon"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/telemetry"
)

func runCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Serve a bridge until interrupted",
		Long: `Serve a bridge until interrupted. At SIGINT or SIGTERM nothing new is accepted,
and what runs may finish within the configured time.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), path) },
	}
	configFlag(c, &path)
	return c
}

func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "config", "bridged.yaml", "configuration file")
	_ = c.MarkFlagFilename("config", "yaml", "yml") // fails only without the flag
}

func run(ctx context.Context, path string) error {
	c, err := config.LoadFile(path)
	if err != nil {
		return err
	}
	d, err := daemon.New(ctx, c, buildVersion(), telemetry.NewLogger(os.Stderr, c.Log.Level, c.Log.Format))
	if err != nil {
		return err
	}
	return d.Run(ctx)
}
