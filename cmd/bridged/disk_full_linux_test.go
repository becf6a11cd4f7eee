package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

const envDiskFull = "BRIDGE_DISK_FULL"

// TestDiskFull fills the disk under a bridge that runs. The test runs itself
// again in a mount namespace of its own, where it may mount a small file system.
func TestDiskFull(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS is not 1")
	}
	if dir := os.Getenv(envDiskFull); dir != "" {
		fillDisk(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
	cmd.Env = append(os.Environ(), envDiskFull+"="+t.TempDir(), envPrograms+"="+programs)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if cmd.Process == nil && forbidden(err) {
		t.Skipf("no mount namespace can be had here: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// forbidden reports whether the machine does not let tests have namespaces, as
// many containers do not.
func forbidden(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL)
}

// fillDisk wants acts to be refused with clear words while the disk is full, and
// reading to go on; and after room was made and a restart, everything
// acknowledged to be there and the audit log to hold.
func fillDisk(t *testing.T, disk string) {
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); forbidden(err) {
		t.Skipf("nothing can be mounted here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	files := t.TempDir() // on another disk
	dir, filler := filepath.Join(disk, "bridge"), filepath.Join(disk, "filler")
	if out, code := bridged(t, founding(dir, append(listening(freePorts(t, 4)...), "--plain-keys", "--person", "ada=officer", "--person", "grace=officer",
		"--person", "barbara=approver", "--person", "edsger=approver")...)...); code != 0 {
		t.Fatalf("init: exit %d\n%s", code, out)
	}
	c := admission{dir: dir, kill: serve(t, filepath.Join(dir, "bridged.yaml"))}
	draft := func(id string) string {
		path := filepath.Join(files, id+".yaml")
		text := fmt.Sprintf("id: %s\nname: Organisation\ncountry: DE\ncontacts: [{name: PKI office, email: pki@%s.example}]\n", id, id)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c.try(t, 0, "", "ada", "member", "apply", "-f", draft("alpha"))

	fill(t, filler)
	acknowledged, refused := []string{"alpha"}, ""
	tool := demo{ready: ready{State: dir}}
	tool.Persons = append(tool.Persons, struct{ ID, Credentials string }{"ada", "officers/ada"})
	for n := 0; refused == ""; n++ {
		id := fmt.Sprintf("m%d", n)
		switch out, code := tool.bridgectl(t, "ada", "member", "apply", "-f", draft(id)); {
		case code == 0 && n < 200: // what was free inside the file
			acknowledged = append(acknowledged, id)
		case code == 6 && strings.Contains(out, "no space left on device") && strings.Contains(out, "make room"):
			refused = id
		default:
			t.Fatalf("on a full disk: exit %d\n%s", code, out)
		}
	}
	t.Logf("%d acknowledged, then %s refused", len(acknowledged), refused)
	// Stopping is refused as well, and says what to do.
	c.try(t, 6, "restart bridged", "ada", "member", "suspend", "alpha", "--reason", "a doubt")
	reads := func() {
		for _, id := range acknowledged {
			c.try(t, 0, id, "ada", "member", "show", id)
		}
		c.try(t, 3, "", "ada", "member", "show", refused)
		c.try(t, 0, "member.apply", "ada", "audit", "list")
	}
	reads()
	c.try(t, 0, "restart bridged", "ada", "status")

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	c.restart(t)
	reads()
	c.try(t, 0, "", "ada", "member", "apply", "-f", draft(refused))
	key, err := keys.Open(statedir.Dir(dir).Key(statedir.AuditLog), nil)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, err := auditlog.Fingerprint(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	c.try(t, 0, "", "ada", "audit", "verify", "--fingerprint", fingerprint)
}

// fill writes a file until there is no room, to the last byte.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
