package main

import (
	"errors"
	"fmt"
	"strings"
)

const maxAnswerLine = 300

// prompt asks for one line; no answer is an empty one.
func (t *tool) prompt(question string) string {
	fmt.Fprintf(t.err, "%s ", harmless(question))
	var line []byte
	for b := make([]byte, 1); len(line) < maxAnswerLine; { // byte by byte: what follows answers the next question
		if n, err := t.in.Read(b); n == 0 || err != nil || b[0] == '\n' {
			if err != nil {
				fmt.Fprintln(t.err)
			}
			break
		}
		line = append(line, b[0])
	}
	return strings.TrimSpace(string(line))
}

// confirm asks a question. Anything but yes is no.
func (t *tool) confirm(question string) error {
	switch strings.ToLower(t.prompt(question + " [y/N]")) {
	case "y", "yes":
		return nil
	}
	return no{errors.New("nothing was done")}
}

// asks reports whether there is a person to ask.
func (t *tool) asks() bool { return t.inTerminal }
