package main_test

import (
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

// TestTutorialPage executes the commands of docs/tutorial.md in one shell, as its
// reader does, and looks for the output that the page shows.
func TestTutorialPage(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS is not 1")
	}
	docs, err := filepath.Abs(filepath.Join("..", "..", "docs"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(docs, "tutorial.md"))
	if err != nil {
		t.Fatal(err)
	}
	source := t.TempDir()
	for name, target := range map[string]string{"docs": docs, "bin": programs} {
		if err := os.Symlink(target, filepath.Join(source, name)); err != nil {
			t.Fatal(err)
		}
	}
	const mark = "=== the next block ==="
	blocks := regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	script := "exec 2>&1\n"
	var commands, want []string
	for _, b := range blocks {
		switch b[1] {
		case "sh":
			script += b[2] + "echo '" + mark + "'\n"
			commands, want = append(commands, b[2]), append(want, "")
		case "output":
			want[len(want)-1] = b[2]
		default:
			t.Fatalf("a block of %q", b[1])
		}
	}
	cmd := exec.Command("sh", "-e", "-c", script)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "TUTORIAL="+filepath.Join(t.TempDir(), "tutorial"), fmt.Sprintf("PORT=%d", portsAfter(t, 8)))
	// What runs in the background goes with the shell, however that ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	guard := time.AfterFunc(time.Minute, end)
	var out strings.Builder
	cmd.Stdout = &out
	cmd.WaitDelay = time.Second
	if err = cmd.Start(); err == nil {
		err = cmd.Wait()
		guard.Stop()
		end()
	}
	parts := strings.Split(out.String(), mark+"\n")
	if err != nil {
		t.Fatalf("%v after\n%s\n%s", err, commands[min(len(parts), len(commands))-1], parts[len(parts)-1])
	}
	for i, w := range want {
		if missing := absent(parts[i], w); missing != "" {
			t.Errorf("no line %q, in this place, in what\n%s\nprinted:\n%s", missing, commands[i], parts[i])
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
