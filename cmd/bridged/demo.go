package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"bridge.example/internal/ceremony"
	"bridge.example/internal/daemon"
	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/statedir"
	"bridge.example/internal/setup/telemetry"
)

// demoLevel is the assurance level of the demo's bridge, below the number that
// is set aside for documentation (RFC 5612).
const demoLevel = "1.3.6.1.4.1.32473.1.1"

func demoCommand() *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "Start a federation of two simulated organisations and tour it",
		Long: `Start a bridge and two simulated organisations on loopback, take both through
the whole admission, with checks that really ask their servers, and make the
journey of an encrypted mail from one to the other. Then print commands to try,
and stay up until interrupted.

Everything is kept in the state directory; a second start continues with it.
When all answers, the ready file is written: a JSON object that names every
address, file and user.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.portsGiven = cmd.Flags().Changed("port-base")
			o.out, o.terminal = cmd.OutOrStdout(), isTerminal(os.Stdout)
			return runDemo(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.state, "state", "bridged-demo", "`directory` that keeps the demo")
	f.StringVar(&o.readyFile, "ready-file", "", "`file` to write when everything answers")
	f.IntVar(&o.portBase, "port-base", defaultPortBase, "first of the ports to listen on; 0 takes free ones")
	return c
}

type demoOptions struct {
	state, readyFile string
	portBase         int
	portsGiven       bool
	out              io.Writer
	terminal         bool // out is one
}

// demo is a running demo.
type demo struct {
	demoOptions
	ports   ports
	members []*lab.Organisation // alpha, beta
	names   *lab.DNS            // knows the proofs of their mail domains
	bridge  statedir.Dir
	stopped map[string]bool // members that an earlier demo left out of force
	log     *os.File        // the bridge's
}

func (d *demo) logFile() string { return filepath.Join(d.state, "bridged.log") }

// runDemo starts everything, makes the journey, and stays until ctx ends. What
// it started has ended when it returns.
func runDemo(ctx context.Context, o demoOptions) (err error) {
	if o.state, err = filepath.Abs(o.state); err != nil {
		return err
	}
	d := &demo{demoOptions: o, bridge: statedir.Dir(filepath.Join(o.state, "bridge")), stopped: map[string]bool{}}
	if d.ports, err = choosePorts(o.state, o.portBase, o.portsGiven); err != nil {
		return err
	}
	if err := d.forgetReady(); err != nil {
		return err
	}
	if d.log, err = os.OpenFile(d.logFile(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return fault.New(fault.Denied, "opening the log: %w", err)
	}
	defer func() {
		for _, m := range d.members {
			err = errors.Join(err, m.Close())
		}
		if d.names != nil {
			err = errors.Join(err, d.names.Close())
		}
		err = errors.Join(err, d.log.Close())
	}()
	for i, spec := range []lab.Spec{lab.Alpha(), lab.Beta()} {
		if err := d.step("Starting organisation "+spec.ID, func() error { return d.startMember(i, spec) }); err != nil {
			return portHint(err)
		}
	}
	if d.names, err = lab.StartDNS(d.ports.names(), d.members...); err != nil {
		return portHint(err)
	}
	if err := d.step("Founding the bridge", func() error { return d.found(ctx) }); err != nil {
		return err
	}

	serving, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var served error
	defer func() {
		stop()
		wg.Wait()
		err = errors.Join(err, served)
	}()
	var running *daemon.Daemon
	if err := d.step("Starting the bridge", func() (err error) {
		running, err = d.startBridge(ctx)
		return err
	}); err != nil {
		return portHint(err)
	}
	wg.Go(func() {
		served = running.Run(serving)
		stop() // a bridge that fell over ends the demo
	})
	select {
	case <-running.Ready():
	case <-serving.Done():
		return nil
	}
	for _, m := range d.members {
		if err := d.step("Admitting "+m.Spec.ID+", examined and approved by two", func() error { return d.admit(serving, m) }); err != nil {
			return err
		}
	}
	if len(d.stopped) > 0 {
		d.printf("\nA member is not in force since the last time, so no mail can be sent; below is how to bring one back that is suspended.\n")
	} else if err := d.journey(serving); err != nil {
		return fmt.Errorf("the journey: %w", err)
	}
	if err := d.keepCross(running); err != nil {
		return err
	}
	if err := d.writeReady(); err != nil {
		return err
	}
	if err := d.printTour(); err != nil {
		return err
	}
	<-serving.Done()
	if ctx.Err() != nil {
		d.printf("\nStopping.\n")
	}
	return nil
}

// step says what is done, and how long it took.
func (d *demo) step(what string, do func() error) error {
	if d.terminal {
		d.printf("%s …", what)
	}
	start := time.Now()
	if err := do(); err != nil {
		if d.terminal {
			d.printf("\n")
		}
		return err
	}
	if d.terminal {
		d.printf("\r\x1b[K")
	}
	d.printf("%s: done in %.1fs\n", what, time.Since(start).Seconds())
	return nil
}

// printf writes to standard output. That nobody reads it is no reason to stop
// serving.
func (d *demo) printf(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format, args...) }

func (d *demo) startMember(i int, spec lab.Spec) error {
	m, err := lab.New(filepath.Join(d.state, spec.ID), spec, d.ports.member(i))
	if err != nil {
		return err
	}
	d.members = append(d.members, m)
	return m.Start()
}

// found makes the bridge, unless an earlier demo has. It is made beside its
// place and moved there whole, so that an interrupted demo can start again.
func (d *demo) found(ctx context.Context) error {
	if _, err := os.Stat(d.bridge.Config()); err == nil {
		return nil
	}
	unfinished := string(d.bridge) + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	_, err := ceremony.Found(ctx, unfinished, ceremony.Options{
		Name: "Demo Bridge", Level: demoLevel, LevelName: "demo", Persons: demoPersons(),
		Operator: config.Operator{
			Name: "Demo Bridge", Street: "Example Street 1", Locality: "Berlin", Country: "DE", Email: "office@bridge.example",
		},
		URL: "http://" + d.ports.repository(), ResponderURL: "http://" + d.ports.responder(),
		Admin: d.ports.admin(), Directory: d.ports.directory(), Responder: d.ports.responder(), Repository: d.ports.repository(),
		Suffix: demoBase, Allow: []string{"127.0.0.1/32"},
		PlainKeys: true, // nobody is there to keep a passphrase
	})
	if err != nil {
		return err
	}
	for _, m := range d.members {
		if name := m.Directory().Credential; name != "" {
			if err := os.WriteFile(statedir.Dir(unfinished).Credential(name), []byte(m.Spec.Password+"\n"), 0o600); err != nil {
				return err
			}
		}
	}
	return os.Rename(unfinished, string(d.bridge))
}

func (d *demo) startBridge(ctx context.Context) (*daemon.Daemon, error) {
	c, err := config.LoadFile(d.bridge.Config())
	if err != nil {
		return nil, err
	}
	c.Checks.Resolver = d.names.Addr
	return daemon.New(ctx, c, buildVersion(), telemetry.NewLogger(d.log, c.Log.Level, c.Log.Format))
}

// portHint adds what to do when a port is taken.
func portHint(err error) error {
	if k := fault.KindOf(err); k == fault.Conflict || k == fault.Unavailable {
		return hinted{err, "if another program has the port, choose others with --port-base N, or free ones with --port-base 0, and another --state"}
	}
	return err
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
