package daemon_test

import (
	"errors"
	"net"
	"runtime"
	"testing"
	"time"

	"bridge.example/internal/setup/config"
)

// TestShutdown ends the daemon while questions are under way. They are answered
// in full, nobody new is let in, and nothing of the daemon is left.
func TestShutdown(t *testing.T) {
	beta := organisation(t, betaSpec())
	u := user(t, beta)
	before := runtime.NumGoroutine()
	t.Run("questions under way", func(t *testing.T) {
		b := start(t, "o=bridge", func(c *config.Config) {
			c.Drain = 20 * time.Second
			c.Directory.MemberTimeout, c.Responder.MemberTimeout = time.Minute, time.Minute
		}, beta)
		directory, responder := gated(t, b, beta)
		directory.shut()
		responder.shut()
		busy, idle := dialLDAP(t, b.Directory), dialLDAP(t, b.Directory)
		bound(t, idle, 3)
		answers := make(chan error, 2)
		report := func(part, got string, err error) {
			if err == nil && got != found {
				err = errors.New(part + " answered " + got)
			}
			answers <- err
		}
		go func() {
			got, err := askDirectory(busy, u)
			report("the directory", got, err)
		}()
		go func() {
			got, err := askResponder(b.Responder, u.Certificate, beta.Issuing.Certificate)
			report("the responder", got, err)
		}()
		<-directory.asked
		<-responder.asked
		b.cancel()
		// The notice to who asks nothing says that the end has begun.
		if _, err := idle.ask(nil); !errors.Is(err, errNotice) {
			t.Errorf("an idle client got %v, want a notice of disconnection", err)
		}
		for _, addr := range []string{b.Directory, b.Responder, b.Repository, b.Admin} {
			awaitRefusal(t, addr)
		}
		directory.pull()
		responder.pull()
		for range 2 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		begun := time.Now()
		if err := b.stop(); err != nil {
			t.Errorf("Run returned %v", err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("the end took %v, though nothing was left to do", took)
		}
	})
	// Connections of the test itself may take a moment to be gone.
	var after int
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if after = runtime.NumGoroutine(); after <= before {
			return
		}
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("%d goroutines before, %d after:\n%s", before, after, stacks[:runtime.Stack(stacks, true)])
}

// TestShutdownGivesUp ends the daemon while a member hangs: the time to drain is
// all it takes.
func TestShutdownGivesUp(t *testing.T) {
	beta := organisation(t, betaSpec())
	b := start(t, "o=bridge", func(c *config.Config) {
		c.Drain = 50 * time.Millisecond
		c.Directory.MemberTimeout, c.Responder.MemberTimeout = time.Minute, time.Minute
	}, beta)
	directory, responder := gated(t, b, beta)
	directory.shut()
	responder.shut()
	u, c := user(t, beta), dialLDAP(t, b.Directory)
	answers := make(chan string, 2)
	go func() { got, _ := askDirectory(c, u); answers <- got }()
	go func() {
		got, _ := askResponder(b.Responder, u.Certificate, beta.Issuing.Certificate)
		answers <- got
	}()
	<-directory.asked
	<-responder.asked
	begun := time.Now()
	if err := b.stop(); err != nil {
		t.Errorf("Run returned %v", err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the end took %v, want about the %v given to drain", took, 50*time.Millisecond)
	}
	for range 2 {
		if got := <-answers; got == found || got == nothing {
			t.Errorf("got %q from a bridge that was never told", got)
		}
	}
}

// awaitRefusal waits until nobody listens at addr.
func awaitRefusal(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Errorf("%s still accepts connections", addr)
}
