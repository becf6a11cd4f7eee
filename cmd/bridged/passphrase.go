package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
)

// newPassphrase returns what new keys are sealed under: from file or systemd,
// or else asked at the terminal.
func newPassphrase(file string) ([]byte, error) {
	p, err := keys.Passphrase(file)
	if p != nil || err != nil {
		return p, err
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, hinted{fault.New(fault.Invalid, "keys: nobody is at the terminal to give a passphrase"),
			"name a file that holds one with --passphrase-file FILE, or leave the keys unencrypted with --plain-keys"}
	}
	return askNew()
}

// askNew asks twice, so that a slip of the finger locks nobody out. In raw mode
// Ctrl-C ends the reading and not the process, which would leave the terminal
// without echo.
func askNew() (_ []byte, err error) {
	fd := int(os.Stdin.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("asking for a passphrase: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(fd, before)) }()
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stderr}, "")
	var answers [2][]byte
	for i, prompt := range []string{"Passphrase for the bridge's keys: ", "The same again: "} {
		s, err := t.ReadPassword(prompt)
		if err != nil {
			return nil, fault.New(fault.Invalid, "keys: no passphrase was given")
		}
		answers[i] = []byte(s)
		if err := keys.Strong(answers[i]); err != nil {
			return nil, err
		}
	}
	if !bytes.Equal(answers[0], answers[1]) {
		return nil, fault.New(fault.Invalid, "keys: the two passphrases differ")
	}
	return answers[0], nil
}
