package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/ceremony"
)

// TestCeremonyPage runs the commands of docs/ceremony.md, each on its machine.
func TestCeremonyPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "ceremony.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh (root|bridge)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 8 {
		t.Fatalf("got %d blocks of commands, want 8", len(blocks))
	}
	dir := t.TempDir()
	for _, machine := range []string{"root", "bridge", "medium"} {
		if err := os.Mkdir(filepath.Join(dir, machine), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	fingerprint, root := "", ""
	for _, b := range blocks {
		cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", b[2])
		cmd.Dir = filepath.Join(dir, b[1])
		cmd.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "MEDIUM="+filepath.Join(dir, "medium"), "FINGERPRINT="+fingerprint)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("on the %s's machine: %v\n%s\n%s", b[1], err, b[2], out)
		}
		if m := regexp.MustCompile(`of the key +(\S+)`).FindSubmatch(out); m != nil {
			fingerprint = string(m[1])
		}
		// Every step that names the root names the same.
		if m := regexp.MustCompile(`Root [^\n]*\n(?:  valid[^\n]*\n)?(?:  f|F)ingerprint +(\S+)`).FindSubmatch(out); m != nil {
			if root != "" && root != string(m[1]) {
				t.Errorf("got the root %s, want %s\n%s", m[1], root, out)
			}
			root = string(m[1])
		}
	}
	if root == "" {
		t.Error("no step names the root's fingerprint")
	}
	if _, err := os.Stat(filepath.Join(dir, "bridge", "state", "keys", "root.pem")); err == nil {
		t.Error("the root's key is on the bridge's machine")
	}
}

// TestCertifyAnother shows that a request exchanged on its way gets nothing, and
// is not told what to claim.
func TestCertifyAnother(t *testing.T) {
	dir := t.TempDir()
	root, state := filepath.Join(dir, "root"), filepath.Join(dir, "state")
	common := []string{"--name", "Test Bridge", "--key", "p-256", "--plain-keys"}
	for _, args := range [][]string{
		append([]string{"ceremony", "root", root, "--url", "http://127.0.0.1:1"}, common...),
		append([]string{"ceremony", "request", state}, common...),
	} {
		if out, code := bridged(t, args...); code != 0 {
			t.Fatalf("%v: exit %d\n%s", args, code, out)
		}
	}
	if out, code := bridged(t, "ceremony", "crl", root); code != 2 || !strings.Contains(out, "--out") {
		t.Errorf("without a flag that is needed: exit %d\n%s", code, out)
	}
	out, code := bridged(t, "ceremony", "certify", root, "--request", filepath.Join(state, "request.pem"),
		"--fingerprint", strings.Repeat("00:", 32), "--level", "1.3.6.1.4.1.32473.1.1", "--out", filepath.Join(dir, "back"))
	if code != 5 || strings.Count(out, ":") > 4 {
		t.Errorf("got exit %d\n%s", code, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "back")); err == nil {
		t.Error("something came out")
	}
}

func TestInitJSON(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "bridged"),
		founding(filepath.Join(dir, "state"), "--plain-keys", "--root", filepath.Join(dir, "root"), "--output", "json")...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Made         string
		Certificates []struct{ Role, File, SHA256 string }
		Keys         []struct{ Name, Place, Protection, Holder string }
		Next         []string
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.Made != "bridge" || len(got.Certificates) != 2 || len(got.Keys) != 7 || len(got.Next) == 0 {
		t.Errorf("got %+v", got)
	}
	for _, k := range got.Keys {
		if _, err := os.Stat(k.Place); err != nil || k.Protection != "not encrypted" || k.Holder == "" {
			t.Errorf("got %+v, %v", k, err)
		}
	}
}

// TestCeremonyKilled kills foundings below one root at any time. What is left
// says that it is not finished, or is; nothing of the root comes twice.
func TestCeremonyKilled(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	there := func(path ...string) bool { _, err := os.Stat(filepath.Join(path...)); return err == nil }
	serials, last := map[string]bool{}, int64(0)
	for i := range 16 {
		state := filepath.Join(dir, fmt.Sprintf("state%d", i))
		cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "bridged"), founding(state, "--plain-keys", "--root", root)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(i)*3*time.Millisecond, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		kill.Stop()
		whole := there(state, "bridged.yaml")
		if err == nil && (!whole || there(state, "UNFINISHED")) {
			t.Errorf("%d: done, but not finished", i)
		}
		if files, _ := os.ReadDir(state); len(files) > 0 && !whole && !there(state, "UNFINISHED") {
			t.Errorf("%d: neither finished nor marked: %v", i, files)
		}
		if !there(root, "root.json") {
			if files, _ := os.ReadDir(root); len(files) > 0 && !there(root, "UNFINISHED") {
				t.Errorf("%d: the root is neither finished nor marked: %v", i, files)
			}
			if err := os.RemoveAll(root); err != nil {
				t.Fatal(err)
			}
			continue
		}
		r, err := ceremony.OpenRoot(t.Context(), root, nil, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		crl, err := r.CRL(t.Context())
		live, liveErr := r.Live(t.Context())
		if err := errors.Join(err, liveErr, r.Close()); err != nil {
			t.Fatal(err)
		}
		if n := crl.Number.Int64(); n < last {
			t.Errorf("%d: CRL %d after %d", i, n, last)
		} else {
			last = n
		}
		seen := map[string]bool{}
		for _, c := range live {
			seen[c.SerialNumber.String()] = true
		}
		for s := range serials {
			if !seen[s] {
				t.Errorf("%d: the root forgot serial %s", i, s)
			}
		}
		if len(seen) != len(live) {
			t.Errorf("%d: a serial came twice", i)
		}
		serials = seen
	}
}
