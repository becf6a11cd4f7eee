package main

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"
)

func (t *tool) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the version of this program", Args: cobra.NoArgs,
		Long: "Shows the version of this program; \"bridgectl status\" tells the daemon's.\n\nJSON: version, go (the Go release it was built with), platform.",
		RunE: t.run(func(context.Context, []string) error {
			v := struct {
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{programVersion(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return t.emit(v, nil, [][]string{{"bridgectl", v.Version}, {"go", v.Go}, {"platform", v.Platform}})
		}),
	}
}
