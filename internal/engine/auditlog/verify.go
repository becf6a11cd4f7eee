package auditlog

import (
	"bufio"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bridge.example/internal/fault"
)

// Expectation is what a verifier knows beforehand.
type Expectation struct {
	// Fingerprint is that of the key of the log ([Fingerprint]). Required: a
	// file cannot vouch for itself.
	Fingerprint string
	// Since is an earlier checkpoint of the same log, kept by the verifier: the
	// events it covers must still be the first of the log. May be nil.
	Since []byte
	// Each, if not nil, is called with every event once it is verified.
	Each func(Event) error
}

// Report is what a verified export says.
type Report struct {
	Checkpoint  Checkpoint
	Key         crypto.PublicKey
	First, Last time.Time // of the events; zero without any
}

// Misfit is the first place at which an export is not what was signed.
type Misfit struct {
	Event  uint64 // its number; 0 in the header
	Offset int64  // in bytes from the start of the file to the line
	Err    error
}

// Error implements error.
func (m *Misfit) Error() string {
	if m.Event == 0 {
		return fmt.Sprintf("header, at byte %d: %v", m.Offset, m.Err)
	}
	return fmt.Sprintf("event %d, at byte %d: %v", m.Event, m.Offset, m.Err)
}

// Unwrap gives access to what is wrong, a fault of kind Invalid.
func (m *Misfit) Unwrap() error { return m.Err }

// VerifyExport checks what [Log.Export] wrote, in one pass and in memory that
// does not grow with it. The error is a [Misfit] naming the first line that
// does not fit, one of Each, or one of r.
func VerifyExport(r io.Reader, want Expectation) (Report, error) {
	v := &exportReader{r: bufio.NewReaderSize(r, maxEventBytes+1), want: want}
	report, err := v.verify()
	if err != nil && fault.KindOf(err) == fault.Invalid && !v.whole {
		err = &Misfit{v.event, v.offset, err}
	}
	return report, err
}

type exportReader struct {
	r      *bufio.Reader
	want   Expectation
	report Report

	event  uint64 // whose lines are being read
	offset int64  // of the line read last
	next   int64  // of the line after it
	whole  bool   // what is wrong is not one line

	since uint64      // events that the earlier checkpoint covers
	parts []tlog.Hash // of the nodes that hold exactly these
}

func (v *exportReader) verify() (Report, error) {
	key, err := v.header()
	if err != nil {
		return Report{}, err
	}
	var since Checkpoint
	if v.want.Since != nil {
		since, err = openCheckpoint(v.want.Since, key)
		if err != nil {
			v.whole = true
			return Report{}, fault.New(fault.Invalid, "the earlier checkpoint: %w", err)
		}
		if since.Size > v.report.Checkpoint.Size {
			v.whole = true
			return Report{}, fault.New(fault.Invalid, "the log had %d events before, and has %d now", since.Size, v.report.Checkpoint.Size)
		}
		v.since = since.Size
	}
	root, size := v.report.Checkpoint.Root, v.report.Checkpoint.Size
	switch {
	case size > 0:
		err = v.tree(node{0, size}, root, v.since == 0)
	case root != emptyRoot:
		err = fault.New(fault.Invalid, "the root is not that of a log without events")
	}
	if err != nil {
		return Report{}, err
	}
	v.offset = v.next
	switch _, err := v.r.Peek(1); {
	case err == nil:
		return Report{}, fault.New(fault.Invalid, "more follows after it, the last event")
	case !errors.Is(err, io.EOF):
		return Report{}, v.broken(err)
	}
	if v.since > 0 && fold(v.parts) != since.Root {
		v.whole = true
		return Report{}, fault.New(fault.Invalid, "the first %d events are not those of the earlier checkpoint: the log has two histories", v.since)
	}
	return v.report, nil
}

// header reads the title, the key and the checkpoint.
func (v *exportReader) header() (verifier, error) {
	var lines [7]string
	for i := range lines {
		line, err := v.line()
		if err != nil {
			return verifier{}, err
		}
		lines[i] = string(line)
		switch i {
		case 0:
			if lines[0] != exportTitle {
				return verifier{}, fault.New(fault.Invalid, "not an export of an audit log: it does not begin with %q", exportTitle)
			}
		case 1:
			if err := v.key(lines[1]); err != nil {
				return verifier{}, err
			}
		}
	}
	key, err := newVerifier(v.report.Key)
	if err != nil {
		return verifier{}, err
	}
	v.report.Checkpoint, err = openCheckpoint([]byte(strings.Join(lines[2:], "\n")+"\n"), key)
	return key, err
}

func (v *exportReader) key(line string) error {
	spki, err := base64.StdEncoding.Strict().DecodeString(line)
	if err != nil || fingerprint(spki) != v.want.Fingerprint {
		return fault.New(fault.Invalid, "its key is not the one with fingerprint %s", v.want.Fingerprint)
	}
	if v.report.Key, err = x509.ParsePKIXPublicKey(spki); err != nil {
		return fault.New(fault.Invalid, "its key: %w", err)
	}
	return nil
}

// tree reads the subtree n, whose hash is known already. covered says that it
// lies within a part noted before, or that no part is wanted.
func (v *exportReader) tree(n node, hash tlog.Hash, covered bool) error {
	if !covered && n.first+n.leaves <= v.since {
		v.parts, covered = append(v.parts, hash), true
	}
	v.event = n.first + 1
	line, err := v.line()
	if err != nil {
		return err
	}
	if n.leaves == 1 {
		return v.leaf(line, hash)
	}
	l, r, ok := parsePair(line)
	if !ok || tlog.NodeHash(l, r) != hash {
		return fault.New(fault.Invalid, "the hashes before it are not those that were signed")
	}
	left, right := n.children()
	if err := v.tree(left, l, covered); err != nil {
		return err
	}
	return v.tree(right, r, covered)
}

func (v *exportReader) leaf(line []byte, hash tlog.Hash) error {
	if tlog.RecordHash(line) != hash {
		return fault.New(fault.Invalid, "it is not the event that was signed")
	}
	e, err := DecodeEvent(line)
	if err != nil {
		return err
	}
	if e.Number != v.event || e.At.Before(v.report.Last) {
		return fault.New(fault.Invalid, "it calls itself event %d of %s: its number or time does not follow the one before", e.Number, e.At.Format(time.RFC3339))
	}
	if v.report.Last = e.At; e.Number == 1 {
		v.report.First = e.At
	}
	if v.want.Each == nil {
		return nil
	}
	err = v.want.Each(e)
	v.whole = err != nil
	return err
}

// line returns the next line without its end, valid until the next call.
func (v *exportReader) line() ([]byte, error) {
	v.offset = v.next
	b, err := v.r.ReadSlice('\n')
	v.next += int64(len(b))
	switch {
	case err == nil:
		return b[:len(b)-1], nil
	case errors.Is(err, io.EOF):
		return nil, fault.New(fault.Invalid, "the file ends here, too early")
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fault.New(fault.Invalid, "the line is longer than any of an export")
	}
	return nil, v.broken(err)
}

func (v *exportReader) broken(err error) error {
	v.whole = true
	return fmt.Errorf("reading the export: %w", err)
}

// parsePair reads two hashes in lower-case hex, separated by a space.
func parsePair(line []byte) (left, right tlog.Hash, ok bool) {
	const half = 2 * tlog.HashSize
	if len(line) != 2*half+1 || line[half] != ' ' || strings.ContainsAny(string(line), "ABCDEF") {
		return left, right, false
	}
	_, errLeft := hex.Decode(left[:], line[:half])
	_, errRight := hex.Decode(right[:], line[half+1:])
	return left, right, errLeft == nil && errRight == nil
}

// fold is the root of a tree of which parts are the complete subtrees, from the
// left: those to the right are the smaller ones.
func fold(parts []tlog.Hash) tlog.Hash {
	h := parts[len(parts)-1]
	for i := len(parts) - 2; i >= 0; i-- {
		h = tlog.NodeHash(parts[i], h)
	}
	return h
}
