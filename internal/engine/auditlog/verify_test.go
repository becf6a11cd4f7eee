package auditlog_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
)

func verify(b []byte, want auditlog.Expectation) (auditlog.Report, error) {
	return auditlog.VerifyExport(bytes.NewReader(b), want)
}

// headerLines come before the tree.
const headerLines = 7

// eventOfLine says to which event each line of an export belongs: the one that
// it is, or precedes; 0 in the header.
func eventOfLine(exported []byte) (out []uint64) {
	number := uint64(1)
	for line := range bytes.Lines(exported) {
		if len(out) < headerLines {
			out = append(out, 0)
			continue
		}
		out = append(out, number)
		if line[0] == '{' {
			number++
		}
	}
	return out
}

func TestExport(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 255, 256, 257, 600} {
		s := &memory{}
		l := open(t, s, testKey)
		record(t, l, n)
		var seen []uint64
		want := expected(t, testKey)
		want.Each = func(e auditlog.Event) error { seen = append(seen, e.Number); return nil }
		r, err := verify(export(t, l), want)
		if err != nil || r.Checkpoint.Size != uint64(n) || len(seen) != n || !slices.IsSorted(seen) {
			t.Errorf("%d events: got %+v, %v and saw %d", n, r.Checkpoint, err, len(seen))
		}
	}
	l := open(t, &memory{}, p256)
	record(t, l, 3)
	if _, err := verify(export(t, l), expected(t, p256)); err != nil {
		t.Errorf("ECDSA: %v", err)
	}
	failed := errors.New("enough")
	want := expected(t, p256)
	want.Each = func(auditlog.Event) error { return failed }
	if _, err := verify(export(t, l), want); !errors.Is(err, failed) {
		t.Errorf("got %v, want the error of Each", err)
	}
}

// TestEveryByte changes each byte of an export in turn, in several ways, and
// wants the event, and the offset of the line, named every time.
func TestEveryByte(t *testing.T) {
	l := open(t, &memory{}, testKey)
	record(t, l, 5)
	good := export(t, l)
	want := expected(t, testKey)
	events := eventOfLine(good)
	line, start := 0, 0
	for i, c := range good {
		for _, change := range []byte{c ^ 1, '\n'} {
			if change == c {
				continue
			}
			bad := slices.Clone(good)
			bad[i] = change
			_, err := verify(bad, want)
			m, ok := errors.AsType[*auditlog.Misfit](err)
			switch {
			case !ok:
				t.Fatalf("byte %d (%q) as %q: got %v, want a misfit", i, c, change, err)
			// The checkpoint is checked as a whole.
			case events[line] == 0 && m.Event != 0, events[line] != 0 && (m.Event != events[line] || m.Offset != int64(start)):
				t.Fatalf("byte %d (%q) as %q: got %v, want event %d at %d", i, c, change, err, events[line], start)
			}
		}
		if c == '\n' {
			line, start = line+1, i+1
		}
	}
}

// TestLines takes lines away, doubles, exchanges and adds them.
func TestLines(t *testing.T) {
	l := open(t, &memory{}, testKey)
	record(t, l, 6)
	good := export(t, l)
	events := eventOfLine(good)
	lines := slices.Collect(bytes.Lines(good))
	want := expected(t, testKey)
	check := func(name string, changed [][]byte, event uint64) {
		t.Helper()
		_, err := verify(bytes.Join(changed, nil), want)
		if m, ok := errors.AsType[*auditlog.Misfit](err); !ok || m.Event != event {
			t.Errorf("%s: got %v, want a misfit at event %d", name, err, event)
		}
	}
	for i := headerLines; i < len(lines); i++ {
		check(fmt.Sprintf("without line %d", i), slices.Delete(slices.Clone(lines), i, i+1), events[i])
		check(fmt.Sprintf("cut before line %d", i), lines[:i], events[i])
		if i+1 < len(lines) {
			swapped := slices.Clone(lines)
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			check(fmt.Sprintf("lines %d and %d exchanged", i, i+1), swapped, events[i])
			check(fmt.Sprintf("line %d twice", i), slices.Insert(slices.Clone(lines), i, lines[i]), events[i+1])
		}
	}
	check("one more event", append(slices.Clone(lines), lines[len(lines)-1]), 6)
	for i := range len(good) {
		if _, err := verify(good[:i], want); err == nil {
			t.Errorf("cut to %d bytes, it is accepted", i)
		}
	}
}

// TestHistories gives two logs of the same key to a verifier who has an earlier
// checkpoint of one of them.
func TestHistories(t *testing.T) {
	checkpoints := map[uint64][]byte{}
	l := open(t, &memory{}, testKey)
	for i := range 12 {
		checkpoints[l.Size()] = l.Checkpoint()
		record(t, l, i%2+1)
	}
	ours := export(t, l)
	fork := open(t, &memory{}, testKey)
	for i := range 30 {
		if _, err := fork.Record(t.Context(), event(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	theirs := export(t, fork)
	want := expected(t, testKey)
	for size, c := range checkpoints {
		want.Since = c
		if _, err := verify(ours, want); err != nil {
			t.Errorf("since %d: %v", size, err)
		}
		if _, err := verify(theirs, want); (err == nil) != (size == 0) || err != nil && !strings.Contains(err.Error(), "two histories") {
			t.Errorf("since %d: got %v for another history", size, err)
		}
	}
	want.Since = fork.Checkpoint()
	if _, err := verify(ours, want); err == nil || !strings.Contains(err.Error(), "had 30 events before, and has 18 now") {
		t.Errorf("got %v for a log that shrank", err)
	}
	want.Since = []byte("no checkpoint\n")
	if _, err := verify(ours, want); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v for an earlier checkpoint that is none", err)
	}
	want.Since = nil
	want.Fingerprint = strings.Repeat("0", 64)
	if m, ok := errors.AsType[*auditlog.Misfit](func() error { _, err := verify(ours, want); return err }()); !ok || m.Event != 0 {
		t.Error("the export of another key is accepted")
	}
}

// TestLongLine checks that a line without an end is given up early.
func TestLongLine(t *testing.T) {
	r := &endless{}
	if _, err := auditlog.VerifyExport(r, expected(t, testKey)); fault.KindOf(err) != fault.Invalid || r.read > 64<<10 {
		t.Errorf("got %v after %d bytes", err, r.read)
	}
}

type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	e.read += len(b)
	return len(b), nil
}

func FuzzVerifyExport(f *testing.F) {
	l := open(f, &memory{}, testKey)
	record(f, l, 3)
	good := export(f, l)
	f.Add(good)
	want := expected(f, testKey)
	f.Fuzz(func(t *testing.T, b []byte) {
		// The same key signed only this log, and it is the only one that fits.
		if _, err := verify(b, want); (err == nil) != bytes.Equal(b, good) {
			t.Errorf("got %v", err)
		}
	})
}

func BenchmarkExport(b *testing.B) {
	l := open(b, &memory{}, testKey)
	record(b, l, 100_000)
	b.Run("write", func(b *testing.B) {
		for range b.N {
			if err := l.Export(b.Context(), io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	exported, want := export(b, l), expected(b, testKey)
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(int64(len(exported)))
		for range b.N {
			if _, err := verify(exported, want); err != nil {
				b.Fatal(err)
			}
		}
	})
}
