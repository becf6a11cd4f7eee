package daemon

import (
	"encoding/json"

	"bridge.example/internal/checkup"
)

// compareReports says in words how one report of a member differs from the one
// before. One that cannot be read, such as an earlier version's, is as if there
// were nothing in it.
func compareReports(before, after []byte) (lines []string) {
	var old, now checkup.Report
	_ = json.Unmarshal(before, &old)
	_ = json.Unmarshal(after, &now)
	for _, c := range checkup.Diff(old, now) {
		lines = append(lines, c.String())
	}
	return lines
}
