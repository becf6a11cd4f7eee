package main_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// block is some commands of a page, and lines of what they print.
type block struct{ commands, output string }

// readTutorial returns the blocks of docs/tutorial.md before the heading that
// begins so; all for none.
func readTutorial(t *testing.T, end string) (out []block) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "tutorial.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	if end != "" {
		page, _, _ = strings.Cut(page, "\n## "+end)
	}
	for _, b := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		switch b[1] {
		case "sh":
			out = append(out, block{commands: b[2]})
		case "output":
			out[len(out)-1].output = b[2]
		default:
			t.Fatalf("a block of %q", b[1])
		}
	}
	return out
}

// paste runs commands in one shell, as the reader of the tutorial does, and
// returns what each printed, until one fails.
func paste(t *testing.T, commands []string, env ...string) (printed []string, err error) {
	t.Helper()
	source := t.TempDir()
	docs, err := filepath.Abs(filepath.Join("..", "..", "docs"))
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"docs": docs, "bin": programs} {
		if err := os.Symlink(target, filepath.Join(source, name)); err != nil {
			t.Fatal(err)
		}
	}
	const mark = "=== the next block ===\n"
	cmd := exec.Command("sh", "-e", "-c", "exec 2>&1\n"+strings.Join(commands, "\nprintf '"+strings.ReplaceAll(mark, "\n", `\n`)+"'\n"))
	cmd.Dir = source
	cmd.Env = append(os.Environ(), append(env, "TUTORIAL="+filepath.Join(t.TempDir(), "tutorial"), fmt.Sprintf("PORT=%d", portsAfter(t, 12)))...)
	// What runs in the background goes with the shell, however that ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var out strings.Builder
	cmd.Stdout = &out
	cmd.WaitDelay = time.Second
	if err = cmd.Start(); err == nil {
		guard := time.AfterFunc(2*time.Minute, end)
		err = cmd.Wait()
		guard.Stop()
		end()
	}
	if errors.Is(err, exec.ErrWaitDelay) { // of the servers in the background
		err = nil
	}
	return strings.Split(out.String(), mark), err
}

// TestTutorialPage executes the commands of docs/tutorial.md, and looks for the
// output that the page shows.
func TestTutorialPage(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS is not 1")
	}
	blocks := readTutorial(t, "")
	var commands []string
	for _, b := range blocks {
		commands = append(commands, b.commands)
	}
	printed, err := paste(t, commands)
	if err != nil {
		last := len(printed) - 1
		t.Fatalf("%v after\n%s\n%s", err, commands[last], printed[last])
	}
	for i, b := range blocks {
		if missing := absent(printed[i], b.output); missing != "" {
			t.Errorf("no line %q, in this place, in what\n%s\nprinted:\n%s", missing, b.commands, printed[i])
		}
	}
}

// absent is the first line of want that out does not have after those before it;
// an ellipsis stands for anything, and blanks are alike.
func absent(out, want string) string {
	lines := strings.Split(out, "\n")
	for w := range strings.Lines(want) {
		w = strings.Join(strings.Fields(w), " ")
		like := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(w), "…", ".*") + "$")
		for ; ; lines = lines[1:] {
			if len(lines) == 0 {
				return w
			}
			if like.MatchString(strings.Join(strings.Fields(lines[0]), " ")) {
				break
			}
		}
		lines = lines[1:]
	}
	return ""
}

// portsAfter is a number n after which are count ports that nobody listens on.
func portsAfter(t *testing.T, count int) int {
	t.Helper()
	for range 100 {
		n, free := 10000+rand.IntN(20000), 0
		for i := range count {
			if l, err := net.Listen("tcp", fmt.Sprintf(":%d", n+1+i)); err == nil {
				free++
				_ = l.Close()
			}
		}
		if free == count {
			return n
		}
	}
	t.Fatal("no free ports")
	return 0
}
