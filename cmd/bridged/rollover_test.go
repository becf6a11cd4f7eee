package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bridge.example/internal/setup/statedir"
)

// documented are the commands of docs/rollover.md, in order.
func documented(t *testing.T) (out []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/rollover.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^    (bridged .+)$`).FindAllSubmatch(page, -1) {
		out = append(out, string(m[1]))
	}
	return out
}

// TestRollOverPage does what docs/rollover.md says, with the daemon in between.
// Nothing expires meanwhile, so a key that signs is retired nowhere: that
// refusal has to be the one that the page tells of.
func TestRollOverPage(t *testing.T) {
	dir := found(t)
	config := statedir.Dir(dir).Config()
	var seen []string
	for _, line := range documented(t) {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		for range 2 { // each step can be repeated
			stderr.Reset()
			_, err := cmd.Output()
			refused := strings.Contains(line, "rollover retire")
			if (err != nil) != refused || refused && !strings.Contains(stderr.String(), "in force, the last until") {
				t.Fatalf("%s: %v\n%s", line, err, stderr.String())
			}
			again := exec.Command("sh", "-c", line)
			again.Dir, again.Env, again.Stderr = cmd.Dir, cmd.Env, &stderr
			cmd = again
		}
		seen = append(seen, strings.Fields(line)[1])
		t.Run("serve after "+strings.Join(strings.Fields(line)[1:3], " "), func(t *testing.T) { serve(t, config) })
	}
	if want := []string{"rollover", "rollover", "rollover", "end"}; !slices.Equal(seen, want) {
		t.Errorf("the page has %v, want %v", seen, want)
	}
	for _, name := range []string{"bridge-ca", "bridge-ca-2", "list-signer", "ocsp-signer"} {
		if err := os.Remove(statedir.Dir(dir).Key(name)); err != nil {
			t.Error(err)
		}
	}
	t.Run("serve without keys", func(t *testing.T) { serve(t, config) })
	if out, code := bridged(t, "validate", "--config", config); code != 0 {
		t.Errorf("validate after the end: exit %d\n%s", code, out)
	}
	if out, code := bridged(t, "rollover", "begin", "--config", config); code != 5 || !strings.Contains(out, "the bridge ended") {
		t.Errorf("a roll-over after the end: exit %d\n%s", code, out)
	}
}

// TestRollOverRefusals says no to what must not be done.
func TestRollOverRefusals(t *testing.T) {
	dir := found(t)
	config := statedir.Dir(dir).Config()
	// What an attempt that was killed while it wrote the key has left.
	if err := os.WriteFile(filepath.Join(dir, "keys", "bridge-ca-2.pem.new"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"rollover", "switch"}, 4, "no new key"},
		{[]string{"rollover", "retire"}, 4, "no roll-over"},
		{[]string{"end"}, 2, `say --confirm "end Test Bridge"`},
		{[]string{"end", "--confirm", "yes"}, 2, "nothing was done"},
		{[]string{"rollover", "begin"}, 0, ""},
	} {
		if out, code := bridged(t, append(tt.args, "--config", config)...); code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("%v: exit %d\n%s", tt.args, code, out)
		}
	}
}
