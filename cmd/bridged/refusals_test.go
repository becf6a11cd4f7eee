package main_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// bridged runs the program to its end and returns what it wrote to standard
// error, and its exit code. It is given up after half a minute.
func bridged(t *testing.T, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "bridged"), args...)
	cmd.Stderr = &stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return stderr.String(), exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return stderr.String(), 0
}

// found makes a bridge that listens on the ports given, and returns its
// directory.
func found(t *testing.T, ports ...int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if out, code := bridged(t, founding(dir, append(listening(ports...), "--plain-keys")...)...); code != 0 {
		t.Fatalf("init: exit %d\n%s", code, out)
	}
	return dir
}

// listening are the arguments that name the ports, any free one by default.
func listening(ports ...int) (args []string) {
	for i, flag := range []string{"--admin", "--directory", "--responder", "--repository"} {
		port := 0
		if i < len(ports) {
			port = ports[i]
		}
		args = append(args, flag, fmt.Sprintf("127.0.0.1:%d", port))
	}
	return args
}

// founding are the arguments that make a bridge in dir with keys that are made
// fast.
func founding(dir string, more ...string) []string {
	return append([]string{"init", dir, "--name", "Test Bridge", "--level", "1.3.6.1.4.1.32473.1.1", "--key", "p-256",
		"--url", "http://127.0.0.1:1", "--responder-url", "http://127.0.0.1:2"}, more...)
}

// secret makes a file with a passphrase, another each time.
func secret(t *testing.T, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(path, []byte(rand.Text()+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRefusals(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	busyPort := busy.Addr().(*net.TCPAddr).Port
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("state: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := func(dir string) string { return filepath.Join(dir, "bridged.yaml") }
	edit := func(dir, name string, change func([]byte) []byte) string {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(b), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	remove := func(dir, name string) string {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	loose := found(t)
	if err := os.Chmod(filepath.Join(loose, "keys", "bridge-ca.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	readable := secret(t, 0o644)
	right, wrong := secret(t, 0o600), secret(t, 0o600)
	locked, lost := filepath.Join(t.TempDir(), "locked"), filepath.Join(t.TempDir(), "lost")
	for _, dir := range []string{locked, lost} {
		if out, code := bridged(t, founding(dir, "--passphrase-file", right)...); code != 0 {
			t.Fatalf("init: exit %d\n%s", code, out)
		}
	}
	if out, code := bridged(t, "validate", "--config", config(locked)); code != 0 {
		t.Errorf("with the right passphrase: exit %d\n%s", code, out)
	}
	point := func(path string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(right), []byte(path), 1) }
	}
	edit(locked, "bridged.yaml", point(wrong))
	edit(lost, "bridged.yaml", point(filepath.Join(t.TempDir(), "none")))
	inUse := found(t)
	serve(t, config(inUse))

	for _, tt := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"an unknown command", []string{"serve"}, 2, []string{"unknown command", "--help"}},
		{"an unknown flag", []string{"run", "--conf", "x"}, 2, []string{"unknown flag"}},
		{"init without a place", []string{"init"}, 2, []string{"accepts 1 arg"}},
		{"init without a name", []string{"init", t.TempDir()}, 2, []string{"name"}},
		{"init where a bridge is", []string{"init", found(t), "--name", "B", "--level", "1.2.3", "--url", "http://a", "--responder-url", "http://b"}, 4, []string{"holds one already"}},
		{"init below a file", []string{"init", filepath.Join(file, "state"), "--name", "B", "--level", "1.2.3", "--url", "http://a", "--responder-url", "http://b"}, 5, []string{"not a directory"}},
		{"init without a passphrase", founding(filepath.Join(t.TempDir(), "state")), 2, []string{"passphrase", "hint", "--passphrase-file", "--plain-keys"}},
		{"init with a passphrase others can read", founding(filepath.Join(t.TempDir(), "state"), "--passphrase-file", readable), 5, []string{"chmod 600"}},
		{"init with and without a passphrase", founding(filepath.Join(t.TempDir(), "state"), "--passphrase-file", readable, "--plain-keys"), 2, []string{"exclude each other"}},
		{"a wrong passphrase", []string{"run", "--config", config(locked)}, 5, []string{"bridge-ca.pem: wrong passphrase"}},
		{"a lost passphrase", []string{"validate", "--config", config(lost)}, 3, []string{"reading passphrase"}},
		{"no configuration", []string{"run", "--config", filepath.Join(t.TempDir(), "none.yaml")}, 2, []string{"none.yaml"}},
		{"a broken configuration", []string{"run", "--config", file}, 2, []string{"configuration"}},
		{"a configuration with several mistakes", []string{"validate", "--config", config(edit(found(t), "bridged.yaml", func(b []byte) []byte {
			return append(b, "drain: soon\nlisten: here\n"...)
		}))}, 2, []string{"drain: want a duration", "listen: unknown key"}},
		{"a lost store", []string{"run", "--config", config(remove(found(t), "bridge.db"))}, 3, []string{"bridge.db is gone", "restore it from a backup"}},
		{"a damaged store", []string{"run", "--config", config(edit(found(t), "bridge.db", func(b []byte) []byte { return make([]byte, len(b)) }))}, 2, []string{"opening store"}},
		{"a lost key", []string{"validate", "--config", config(remove(found(t), "keys/list-signer.pem"))}, 3, []string{"list-signer.pem"}},
		{"a key that others can read", []string{"run", "--config", config(loose)}, 5, []string{"chmod 600"}},
		{"a store in use", []string{"run", "--config", config(inUse)}, 6, []string{"another process has it open"}},
		{"a port in use", []string{"run", "--config", config(found(t, 0, busyPort))}, 6, []string{"directory.listen", "address already in use"}},
		{"a demo on ports in use", []string{"demo", "--state", filepath.Join(t.TempDir(), "d"), "--port-base", fmt.Sprint(busyPort - 10)}, 4, []string{"address already in use", "hint", "--port-base"}},
		{"a demo below a file", []string{"demo", "--state", filepath.Join(file, "state")}, 5, []string{"not a directory"}},
		{"a demo on an impossible port", []string{"demo", "--state", filepath.Join(t.TempDir(), "d"), "--port-base", "65530"}, 2, []string{"--port-base"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, code := bridged(t, tt.args...)
			if code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("got\n%s\nwhich does not say %q", out, want)
				}
			}
			if strings.Contains(out, "goroutine ") {
				t.Errorf("it crashed:\n%s", out)
			}
		})
	}
}

// TestValidateBesideTheDaemon checks that a bridge with encrypted keys runs, and
// can be validated while it does.
func TestValidateBesideTheDaemon(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if out, code := bridged(t, founding(dir, append(listening(), "--passphrase-file", secret(t, 0o600))...)...); code != 0 {
		t.Fatalf("init: exit %d\n%s", code, out)
	}
	config := filepath.Join(dir, "bridged.yaml")
	if out, code := bridged(t, "validate", "--config", config); code != 0 {
		t.Errorf("before it runs: exit %d\n%s", code, out)
	}
	serve(t, config)
	if out, code := bridged(t, "validate", "--config", config); code != 0 {
		t.Errorf("while it runs: exit %d\n%s", code, out)
	}
}

// serve runs a bridge until the test ends or it is killed, and returns once it
// is up.
func serve(t *testing.T, config string) (kill func()) {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs, "bridged"), "run", "--config", config)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	up, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(log); s.Scan(); {
			if strings.Contains(s.Text(), "bridge is up") {
				close(up)
			}
		}
	}()
	kill = sync.OnceFunc(func() { _ = cmd.Process.Kill(); <-ended; _ = cmd.Wait() })
	t.Cleanup(kill)
	select {
	case <-up:
	case <-ended:
		t.Fatal("the bridge did not come up")
	case <-time.After(30 * time.Second):
		t.Fatal("the bridge was not up in 30 s")
	}
	return kill
}
