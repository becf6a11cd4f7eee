package checkup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Verdict is what a check says.
type Verdict string

// The verdicts, the best first.
const (
	OK      Verdict = "ok"
	Skipped Verdict = "skipped" // Evidence says why
	Warn    Verdict = "warn"
	Fail    Verdict = "fail"
)

// Finding is the outcome of one check of one subject.
type Finding struct {
	ID       string        `json:"id"` // of the check, such as V5
	Title    string        `json:"title"`
	Source   string        `json:"source"` // where the demand stands
	Must     bool          `json:"must"`
	Verdict  Verdict       `json:"verdict"`
	Subject  string        `json:"subject"`  // which certificate, URL, endpoint; may be empty
	Evidence []string      `json:"evidence"` // what was asked and answered; may hold text of strangers
	Fix      string        `json:"fix,omitempty"`
	Took     time.Duration `json:"took_ns"`
}

// Report is one examination.
type Report struct {
	Member   string    `json:"member"`
	At       time.Time `json:"at"` // UTC, whole seconds
	Findings []Finding `json:"findings"`
}

// Passed reports whether no check failed that must hold.
func (r Report) Passed() bool {
	for _, f := range r.Findings {
		if f.Must && f.Verdict == Fail {
			return false
		}
	}
	return true
}

// Encode returns the report as JSON; equal reports have equal bytes.
func (r Report) Encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // plain data; cannot fail
	}
	return b
}

// Hash is the hex SHA-256 over [Report.Encode]: what a record keeps as evidence.
func (r Report) Hash() string {
	h := sha256.Sum256(r.Encode())
	return hex.EncodeToString(h[:])
}

// Change is a verdict that is not what it was. Old is empty for what was not
// examined before, New for what no longer is.
type Change struct {
	ID, Subject string
	Old, New    Verdict
}

// String is the change in one line.
func (c Change) String() string {
	word := func(v Verdict) string {
		if v == "" {
			return "not examined"
		}
		return string(v)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s", c.ID, c.Subject)) + ": " + word(c.Old) + ", now " + word(c.New)
}

// Diff returns what changed from one report to a later one, in the order of
// the later, what is gone last.
func Diff(old, new Report) (out []Change) {
	type key struct{ id, subject string }
	was := map[key]Verdict{}
	for _, f := range old.Findings {
		was[key{f.ID, f.Subject}] = f.Verdict
	}
	for _, f := range new.Findings {
		k := key{f.ID, f.Subject}
		if was[k] != f.Verdict {
			out = append(out, Change{f.ID, f.Subject, was[k], f.Verdict})
		}
		delete(was, k)
	}
	for _, f := range old.Findings {
		if v, left := was[key{f.ID, f.Subject}]; left {
			out = append(out, Change{f.ID, f.Subject, v, ""})
		}
	}
	return out
}
