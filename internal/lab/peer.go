package lab

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"bridge.example/internal/fault"
)

// Peer is a real program that stands in for a simulated server.
type Peer struct {
	Port int // on 127.0.0.1

	cmd   *exec.Cmd
	dir   string // its own, removed at the end; may be empty
	log   *bytes.Buffer
	ended chan struct{}
	close sync.Once
}

// Close ends the program and waits until it is gone.
func (p *Peer) Close() error {
	p.close.Do(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	return os.RemoveAll(p.dir)
}

// startTime is how long a program may take until it answers.
const startTime = 20 * time.Second

// startPeer runs a program that will listen on port and waits until ready,
// asked again and again, has no error. The program ends with ctx, or earlier
// with [Peer.Close]. It owns dir, if not
// empty, from now on.
func startPeer(ctx context.Context, dir string, port int, ready func(context.Context) error, program string, args ...string) (*Peer, error) {
	p := &Peer{Port: port, dir: dir, log: new(bytes.Buffer), ended: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fault.New(fault.Unavailable, "starting %s: %w", program, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // killed is how it ends; what went wrong earlier is in the log
	}()
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return p, nil
		}
		select {
		case <-p.ended:
			err = fmt.Errorf("it ended: %s", p.log)
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
			continue
		}
		_ = p.Close()
		return nil, fault.New(fault.Unavailable, "starting %s: %w", program, err)
	}
}

// lookPath finds a program, also where administrators' programs are kept; it
// is Unavailable, with the package to install, when there is none.
func lookPath(program, debian string) (string, error) {
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fault.New(fault.Unavailable, "%s is not installed (Debian: apt-get install %s)", program, debian)
}

// freePort returns a port nobody listens on. Somebody may before it is used;
// then the program that was to have it says so.
func freePort() (int, error) {
	ln, err := listenOn(0)
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}
