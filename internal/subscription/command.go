package subscription

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// command tells other programs of the change.
func (s *Subscription) command(ctx context.Context) error {
	if len(s.config.Command) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	c := exec.CommandContext(ctx, s.config.Command[0], s.config.Command[1:]...)
	c.Dir = s.dir
	c.Env = append(os.Environ(), "BRIDGE_LIST_DIR="+filepath.Join(s.dir, currentLink))
	c.WaitDelay = time.Second
	if out, err := c.CombinedOutput(); err != nil {
		text := strings.TrimSpace(string(out[:min(len(out), 500)]))
		return fmt.Errorf("running %s: %w: %s", s.config.Command[0], err, text)
	}
	return nil
}

// commandTime is what a command may take.
const commandTime = 2 * time.Minute
