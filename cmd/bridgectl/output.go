package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"

	"bridge.example/internal/fault"
)

// emit writes a command's result: v as JSON, or heading and rows as text. A
// nil heading is for rows that name themselves.
func (t *tool) emit(v any, heading []string, rows [][]string) error {
	t.emitted = true
	if t.output == "json" {
		return t.emitJSON(v)
	}
	if t.outTerminal && heading != nil {
		rows = append([][]string{heading}, rows...)
	}
	if t.outTerminal {
		return align(t.out, lines(rows))
	}
	_, err := io.WriteString(t.out, lines(rows))
	return err
}

// section is a part of a page. Only people need its title.
type section struct {
	title string
	rows  rows
}

// writePage writes what a page has to show.
func writePage(w io.Writer, terminal bool, page []section) error {
	for _, s := range page {
		text := lines(s.rows)
		switch {
		case text == "":
		case !terminal:
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
		default:
			if _, err := fmt.Fprintln(w, strings.ToUpper(s.title)); err != nil {
				return err
			}
			indented := "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
			if err := align(w, indented); err != nil {
				return err
			}
		}
	}
	return nil
}

// lines writes rows, their cells separated by tabs.
func lines(rows [][]string) string {
	var text strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				text.WriteByte('\t')
			}
			text.WriteString(harmless(cell))
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// align writes lines in columns.
func align(w io.Writer, text string) error {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(columns, text); err != nil {
		return err
	}
	return columns.Flush()
}

func (t *tool) emitJSON(v any) error {
	text, err := encodeJSON(v)
	if err != nil {
		return err
	}
	_, err = io.WriteString(t.out, text)
	return err
}

func encodeJSON(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return escapeJSON(b.String()), nil
}

// report writes err, if there is one, and returns the exit code.
func (t *tool) report(err error) int {
	if err == nil {
		return 0
	}
	kind, label := fault.KindOf(err).String(), "error"
	if isNo(err) {
		kind, label = "no", "no"
	}
	t.note("%s: %v", label, err)
	hint := hintOf(err)
	if hint != "" {
		t.note("hint: %s", hint)
	}
	// What already is on standard output is the one object it may hold.
	if t.output == "json" && !t.emitted {
		type problem struct {
			Kind    string `json:"kind"`
			Message string `json:"message"`
			Hint    string `json:"hint,omitempty"`
		}
		if err := t.emitJSON(map[string]problem{"error": {kind, err.Error(), hint}}); err != nil {
			return exitOf(err)
		}
	}
	return exitOf(err)
}

// note writes a message to standard error. Its further lines are indented, so
// that none can pose as another message.
func (t *tool) note(format string, args ...any) {
	lines := strings.Split(strings.TrimSpace(fmt.Sprintf(format, args...)), "\n")
	for i, l := range lines {
		lines[i] = harmless(l)
	}
	fmt.Fprintf(t.err, "bridgectl: %s\n", strings.Join(lines, "\n  "))
}

// harmless writes what a terminal might obey, and what hides or reorders text,
// as an escape.
func harmless(s string) string {
	return escape(s, func(r rune) string { return fmt.Sprintf(`\u%04x`, r) })
}

// escapeJSON does the same inside JSON, where such an escape reads back as
// what it was.
func escapeJSON(s string) string {
	return escape(s, func(r rune) string {
		switch {
		case r == '\n':
			return "\n" // between values: inside strings it is escaped already
		case r > 0xffff:
			a, b := utf16.EncodeRune(r)
			return fmt.Sprintf(`\u%04x\u%04x`, a, b)
		}
		return fmt.Sprintf(`\u%04x`, r)
	})
}

func escape(s string, with func(rune) string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(with(r))
		}
	}
	return b.String()
}

// stamp is an instant as text; the zero time is empty.
func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// isTerminal reports whether a person sits at f. The null device is a
// character device too, and nobody sits there.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
