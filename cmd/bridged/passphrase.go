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
	"bridge.example/internal/setup/statedir"
)

// newPassphrase returns what new keys are sealed under: from file or systemd,
// or else asked at the terminal. of says whose it is.
func newPassphrase(file, of string) ([]byte, error) {
	return anyPassphrase(file, "Passphrase for "+of+": ", "The same again: ")
}

// passphrase is newPassphrase for keys that were sealed before.
func passphrase(file, of string) ([]byte, error) {
	return anyPassphrase(file, "Passphrase of "+of+": ")
}

// rootPassphrase never takes what systemd hands to the daemon.
func rootPassphrase(dir, file string) ([]byte, error) {
	if file != "" {
		return keys.Passphrase(file)
	}
	if _, err := os.Stat(statedir.Dir(dir).RootSettings()); err == nil {
		return ask("Passphrase of the root's key: ")
	}
	return ask("Passphrase for the root's key: ", "The same again: ")
}

func anyPassphrase(file string, prompts ...string) ([]byte, error) {
	p, err := keys.Passphrase(file)
	if p != nil || err != nil {
		return p, err
	}
	return ask(prompts...)
}

// ask asks at the terminal, twice for a new passphrase, so that a slip of the
// finger locks nobody out. In raw mode Ctrl-C ends the reading and not the
// process, which would leave the terminal without echo.
func ask(prompts ...string) (_ []byte, err error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		hint := "name a file that holds it with --passphrase-file FILE"
		if len(prompts) > 1 {
			hint += ", or leave the keys unencrypted with --plain-keys"
		}
		return nil, hinted{fault.New(fault.Invalid, "keys: nobody is at the terminal to give a passphrase"), hint}
	}
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
	var first []byte
	for i, prompt := range prompts {
		s, err := t.ReadPassword(prompt)
		if err != nil {
			return nil, fault.New(fault.Invalid, "keys: no passphrase was given")
		}
		if i == 0 {
			first = []byte(s)
		}
		if err := keys.Strong(first); err != nil {
			return nil, err
		}
		if !bytes.Equal([]byte(s), first) {
			return nil, fault.New(fault.Invalid, "keys: the two passphrases differ")
		}
	}
	return first, nil
}
