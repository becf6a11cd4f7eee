package subscription_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"bridge.example/internal/subscription"
)

// victim is what a process of its own is told: to update, and to kill itself
// before a step.
type victim struct {
	Dir    string
	Config subscription.Config
	Step   int
}

const victimVariable = "SUBSCRIPTION_VICTIM"

// TestKilled kills an update before each of its changes to the disk. What other
// programs read is the old set or the new one, whole; and the next update ends
// with the new one.
func TestKilled(t *testing.T) {
	if text := os.Getenv(victimVariable); text != "" {
		runVictim(t, text)
		return
	}
	b := newBridge(t)
	first := b.publish(t, entry(t, "alpha"), entry(t, "beta"))
	second := b.publish(t, entry(t, "alpha"), entry(t, "gamma"))
	var olds, news int
	for step, done := 1, false; !done; step++ {
		dir := filepath.Join(t.TempDir(), "subscription")
		c := b.config("directory", "p7b")
		c.Targets = append(c.Targets, subscription.Target{Kind: "pem", Link: filepath.Join(t.TempDir(), "anchors.pem")})
		s := create(t, dir, b, c, subscription.Options{})
		b.answer(first)
		update(t, s)
		old := snapshot(t, dir)

		b.answer(second)
		text, err := json.Marshal(victim{dir, c, step})
		if err != nil {
			t.Fatal(err)
		}
		p := exec.Command(os.Args[0], "-test.run", "^TestKilled$")
		p.Env = append(os.Environ(), victimVariable+"="+string(text), "GORACE=atexit_sleep_ms=0")
		out, err := p.CombinedOutput()
		if done = err == nil; !done && p.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("step %d: %v\n%s", step, err, out)
		}

		after := snapshot(t, dir)
		update(t, s)
		fresh := snapshot(t, dir)
		switch {
		case maps.Equal(fresh, old):
			t.Errorf("step %d: the new list was never taken", step)
		case maps.Equal(after, old):
			olds++
		case maps.Equal(after, fresh):
			news++
		default:
			t.Errorf("step %d: got %v, want %v or %v", step, after, old, fresh)
		}
		linked, err := os.ReadFile(c.Targets[len(c.Targets)-1].Link)
		inside, _ := os.ReadFile(filepath.Join(dir, "current", "anchors.pem"))
		if err != nil || string(linked) != string(inside) {
			t.Errorf("step %d: the link outside leads elsewhere (%v)", step, err)
		}
		if r, err := s.Status(); err != nil || !r.OK() {
			t.Errorf("step %d: got %+v, %v", step, r, err)
		}
	}
	t.Logf("the old set %s times, the new one %s", strconv.Itoa(olds), strconv.Itoa(news))
	if olds < 5 || news < 3 {
		t.Errorf("killed %d times with the old set and %d with the new one: too few to tell", olds, news)
	}
}

func runVictim(t *testing.T, text string) {
	var v victim
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	b := bridge{now: noon}
	s, err := subscription.Open(v.Dir, v.Config, subscription.Options{Now: b.clock})
	if err != nil {
		t.Fatal(err)
	}
	s.OnStep(func() {
		if v.Step--; v.Step == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	update(t, s)
}
