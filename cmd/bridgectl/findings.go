package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"bridge.example/api/proto"
	"bridge.example/internal/checkup"
)

// report is the newest examination, and what it found where that could be read.
type report struct {
	Document string    `json:"document"`
	At       time.Time `json:"at,omitzero"`
	Passed   bool      `json:"passed"`
	// Current tells that the record is still the one that was examined.
	Current  bool              `json:"current"`
	Failed   []string          `json:"failed"`
	Findings []checkup.Finding `json:"findings"`
}

func newReport(r *proto.Report, recordHash string) *report {
	if r == nil {
		return nil
	}
	return &report{
		Document: r.GetDocument(), At: instant(r.GetAt()), Passed: r.GetPassed(), Current: r.GetRecordHash() == recordHash,
		Failed: each(r.GetFailed(), same), Findings: []checkup.Finding{},
	}
}

// readFindings completes the report of m from the document that holds it. A
// report in another form than this program knows leaves the ids of what failed.
func readFindings(ctx context.Context, client proto.BridgeClient, m *member) error {
	if m.Report == nil {
		return nil
	}
	content, err := getDocument(ctx, client, m.ID, m.Report.Document)
	if err != nil {
		return err
	}
	var in checkup.Report
	if err := json.Unmarshal(content, &in); err == nil && in.Findings != nil {
		m.Report.Findings = in.Findings
	}
	return nil
}

// rows are the outcome and what a person must look at; with all, what is in
// order too.
func (r *report) rows(all bool) (out rows) {
	if r == nil {
		return nil
	}
	outcome := "passed"
	if !r.Passed {
		outcome = "failed at " + strings.Join(r.Failed, ", ")
	}
	if !r.Current {
		outcome += "; not of the record as it stands"
	}
	out.add("check", fmt.Sprintf("%s %s", stamp(r.At), outcome))
	counts := map[checkup.Verdict]int{}
	for _, f := range r.Findings {
		counts[f.Verdict]++
		if f.Verdict == checkup.Fail || f.Verdict == checkup.Warn {
			out.add(string(f.Verdict), inLine(f))
		}
	}
	if all && len(r.Findings) > 0 {
		out.add("findings", fmt.Sprintf("%d failed, %d warned of, %d skipped, %d in order", counts[checkup.Fail], counts[checkup.Warn], counts[checkup.Skipped], counts[checkup.OK]))
	}
	return out
}

// inLine is a finding in one line.
func inLine(f checkup.Finding) string {
	s := f.ID + " " + f.Title
	if f.Subject != "" {
		s += " (" + f.Subject + ")"
	}
	if len(f.Evidence) > 0 {
		s += ": " + strings.Join(f.Evidence, "; ")
	}
	if f.Fix != "" {
		s += "; fix: " + f.Fix
	}
	return s
}
