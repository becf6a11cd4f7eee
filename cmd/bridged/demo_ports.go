package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"

	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
)

// defaultPortBase is the first of the demo's ports unless told otherwise.
const defaultPortBase = 7300

// ports are where everything of a demo listens, counted from one base.
type ports int

func (p ports) addr(offset int) string { return fmt.Sprintf("127.0.0.1:%d", int(p)+offset) }

func (p ports) admin() string      { return p.addr(0) }
func (p ports) directory() string  { return p.addr(1) }
func (p ports) responder() string  { return p.addr(2) }
func (p ports) repository() string { return p.addr(3) }

// names is the UDP port of the name server.
func (p ports) names() int { return int(p) + 4 }

// member returns the ports of the i-th member, counted from 0.
func (p ports) member(i int) lab.Ports {
	first := int(p) + 10*(i+1)
	return lab.Ports{LDAP: first, OCSP: first + 1, HTTP: first + 2}
}

// portSpan is how many numbers from the base on a demo uses at most.
const portSpan = 23

// all are those for TCP.
func (p ports) all() []int {
	return []int{0, 1, 2, 3, 10, 11, 12, 20, 21, 22}
}

// choosePorts returns the ports of the demo in state. Those of a state that
// exists are in its certificates and stay; asked is what --port-base says, and
// given whether it was said. 0 asks for any that are free.
func choosePorts(state string, asked int, given bool) (ports, error) {
	file := filepath.Join(state, "demo.json")
	var kept struct{ PortBase ports }
	b, err := os.ReadFile(file)
	switch {
	case err == nil:
		if err := json.Unmarshal(b, &kept); err != nil || kept.PortBase <= 0 {
			return 0, fault.New(fault.Invalid, "%s is damaged; remove %s and start again", file, state)
		}
		if given && asked != 0 && ports(asked) != kept.PortBase {
			return 0, fault.New(fault.Conflict, "the demo in %s uses ports from %d on, and its certificates say so; use another --state", state, kept.PortBase)
		}
		return kept.PortBase, nil
	case !errors.Is(err, fs.ErrNotExist):
		return 0, fault.New(fault.Denied, "opening state: %w", err)
	}
	if asked < 0 || asked > 65535-portSpan {
		return 0, fault.New(fault.Invalid, "--port-base: %d is not between 0 and %d", asked, 65535-portSpan)
	}
	kept.PortBase = ports(asked)
	if asked == 0 {
		if kept.PortBase, err = freePorts(); err != nil {
			return 0, err
		}
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return 0, fault.New(fault.Denied, "making state: %w", err)
	}
	if b, err = json.Marshal(kept); err != nil {
		return 0, err
	}
	if err := writeFile(file, b); err != nil {
		return 0, fault.New(fault.Denied, "making state: %w", err)
	}
	return kept.PortBase, nil
}

// freePorts looks below the numbers that systems hand to outgoing connections,
// so that none of those takes one later.
func freePorts() (ports, error) {
	for range 100 {
		p := ports(10000 + rand.IntN(20000))
		if p.free() {
			return p, nil
		}
	}
	return 0, fault.New(fault.Unavailable, "no free ports found; name some with --port-base")
}

func (p ports) free() bool {
	for _, offset := range p.all() {
		l, err := net.Listen("tcp", p.addr(offset))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	c, err := net.ListenPacket("udp", p.addr(4))
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// writeFile writes a file whole or not at all.
func writeFile(path string, b []byte) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
