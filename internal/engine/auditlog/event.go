package auditlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"bridge.example/internal/fault"
)

// Bounds of one event, so that no caller can fill the disk with one act.
const (
	maxEventBytes = 16 << 10 // encoded
	maxKindBytes  = 64
	maxEvidence   = 64
	maxDetails    = 32
)

// Event is one thing that is about to be done, or the outcome of one.
type Event struct {
	Number uint64    `json:"number"` // from 1, without gaps; set by the log
	At     time.Time `json:"at"`     // UTC, whole milliseconds, never falling; set by the log
	// Kind is what it is: lower-case words separated by dots, the noun first,
	// such as certificate.issue.
	Kind string `json:"kind"`
	// Of is the number of the earlier event whose outcome this one tells; 0 for
	// an event that announces.
	Of     uint64 `json:"of,omitempty"`
	Member string `json:"member,omitempty"` // id of the member concerned
	Person string `json:"person,omitempty"` // who acts; empty for the bridge itself
	// Credential is the hex SHA-256 of the certificate by which the person was
	// known.
	Credential string `json:"credential,omitempty"`
	// Evidence names documents by hash; they are kept elsewhere.
	Evidence []Evidence        `json:"evidence,omitempty"`
	Details  map[string]string `json:"details,omitempty"`
}

// Evidence is a document that the event rests on.
type Evidence struct {
	Name   string `json:"name"`   // what it is, such as certificate
	SHA256 string `json:"sha256"` // lower-case hex
}

// Document returns the evidence that document is, called name.
func Document(name string, document []byte) Evidence {
	sum := sha256.Sum256(document)
	return Evidence{Name: name, SHA256: hex.EncodeToString(sum[:])}
}

// Encode returns e as it is hashed and stored: one line of JSON, the members in
// the order of the struct, those of details in that of their names, without
// white space. Errors are Invalid.
func (e Event) Encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, fault.New(fault.Invalid, "audit event %q: %w", e.Kind, err)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fault.New(fault.Invalid, "audit event %q: %w", e.Kind, err)
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(text) > maxEventBytes {
		return nil, fault.New(fault.Invalid, "audit event %q: %d bytes; at most %d", e.Kind, len(text), maxEventBytes)
	}
	return text, nil
}

func (e Event) check() error {
	if e.Kind == "" || len(e.Kind) > maxKindBytes || strings.Trim(e.Kind, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return fault.New(fault.Invalid, "its kind is not lower-case words separated by dots")
	}
	if len(e.Evidence) > maxEvidence || len(e.Details) > maxDetails {
		return fault.New(fault.Invalid, "more than %d documents or %d details", maxEvidence, maxDetails)
	}
	if e.At.Location() != time.UTC || e.At.Nanosecond()%int(time.Millisecond) != 0 {
		return fault.New(fault.Invalid, "its time is not in UTC and whole milliseconds")
	}
	texts := []string{e.Member, e.Person, e.Credential}
	for _, d := range e.Evidence {
		if b, err := hex.DecodeString(d.SHA256); err != nil || len(b) != 32 || strings.ToLower(d.SHA256) != d.SHA256 {
			return fault.New(fault.Invalid, "evidence %q: want a SHA-256 in lower-case hex", d.Name)
		}
		texts = append(texts, d.Name)
	}
	for name, text := range e.Details {
		texts = append(texts, name, text)
	}
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return fault.New(fault.Invalid, "%q is not UTF-8", s)
		}
	}
	return nil
}

// DecodeEvent reads what Encode wrote, and nothing else: whatever is not in the
// one form is Invalid.
func DecodeEvent(text []byte) (Event, error) {
	if len(text) > maxEventBytes {
		return Event{}, fault.New(fault.Invalid, "audit event: longer than %d bytes", maxEventBytes)
	}
	var e Event
	if err := json.Unmarshal(text, &e); err != nil {
		return Event{}, fault.New(fault.Invalid, "audit event: %w", err)
	}
	again, err := e.Encode()
	if err != nil {
		return Event{}, err
	}
	if !bytes.Equal(text, again) {
		return Event{}, fault.New(fault.Invalid, "audit event: not in the one form of an event")
	}
	return e, nil
}
