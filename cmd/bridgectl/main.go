// Command bridgectl is the tool of the bridge's persons: it asks the bridge's daemon, and it
// checks what the bridge publishes without asking anybody.
package main

import (
	"os"
	"runtime/debug"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

func main() { os.Exit(newTool().execute(os.Args[1:])) }

// programVersion is the version stamped into the binary, or what the Go tool
// recorded about its source.
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
