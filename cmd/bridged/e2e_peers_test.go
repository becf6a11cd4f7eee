package main_test

import (
	"os/exec"
	"strings"
	"testing"
)

// pasteAll runs each command that the demo printed in a shell, as a person
// would, and holds what comes out against what was promised.
func pasteAll(t *testing.T, d *demo) {
	// By what stands in the comment above the command: what its output must and
	// must not contain.
	promises := map[string]struct{ want, not string }{
		"Bob's certificate":          {"userCertificate;binary:: MII", ""},
		"Is it still good?":          {"bob.pem: good", "unauthorized"},
		"A revoked one":              {"remy.pem: revoked", "good"},
		"The signed list":            {"CMS Verification successful", "failure"},
		"The path from alpha's root": {"bob.pem: OK", "error"},
		"The same path":              {"issued-to-bridge.p7c", "error"},
		"Bob reads the mail":         {"only you can read this", "Error"},
		"Who is a member":            {"beta", "error"},
		"All about beta":             {"beta.example", "error"},
		"The same list":              {"", "error"},
		"How the federation stands":  {"Demo Bridge", "error"},
		"Stop beta":                  {"suspended", "error"},
		"Who may do what here":       {"alfred\tapplicant\talpha", "error"},
		"The path again":             {"certificate 3", "error"},
		"The bridge examines alpha":  {"passed", "fail\t"},
		"Once it passes again":       {"active", "error"},
		"Who did what":               {"suspend", "error"},
	}
	lines := strings.Split(d.tour, "\n")
	kept := 0
	for i, line := range lines {
		what, ok := strings.CutPrefix(line, "  # ")
		if !ok {
			continue
		}
		command := strings.TrimSpace(lines[i+1])
		out, err := exec.Command("sh", "-c", command).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s\n%s", what, err, command, out)
			continue
		}
		for start, p := range promises {
			if !strings.HasPrefix(what, start) {
				continue
			}
			kept++
			if !strings.Contains(string(out), p.want) || p.not != "" && strings.Contains(string(out), p.not) {
				t.Errorf("%s: want %q and not %q in\n%s\n%s", what, p.want, p.not, command, out)
			}
		}
	}
	if kept != len(promises) {
		t.Errorf("%d commands kept a promise of %d", kept, len(promises))
	}
}
