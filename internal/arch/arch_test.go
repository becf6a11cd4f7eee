package arch_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"bridge.example/internal/arch"
)

const module = "bridge.example"

type pkg struct {
	ImportPath string
	Imports    []string // without those of tests
}

func list(t *testing.T) (out []pkg) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	cmd.Dir = "../.."
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for d := json.NewDecoder(strings.NewReader(string(b))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
}

// fits reports whether path is pattern, or under it when it ends in "/...".
func fits(path, pattern string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == dir || strings.HasPrefix(path, dir+"/")
	}
	return path == pattern
}

func row(path string) (int, bool) {
	for _, r := range arch.Rows {
		for _, p := range r.Patterns {
			if fits(path, p) {
				return r.Number, true
			}
		}
	}
	return 0, false
}

// problems says what a package's imports break.
func problems(p pkg) (out []string) {
	path := strings.TrimPrefix(p.ImportPath, module+"/")
	own, known := row(path)
	if !known {
		return []string{path + " stands in no row; give it one in internal/arch"}
	}
	for _, imp := range p.Imports {
		for _, tech := range arch.Technologies {
			if fits(imp, tech.Import) && !allowed(path, tech.In) {
				out = append(out, path+" imports "+imp+", which belongs to "+strings.Join(tech.In, ", "))
			}
		}
		inside, ok := strings.CutPrefix(imp, module+"/")
		if !ok {
			continue
		}
		theirs, _ := row(inside)
		switch {
		case theirs == 8: // Technologies say who may
		case theirs >= own:
			out = append(out, path+" imports "+inside+", which does not stand in a lower row")
		case path == "cmd/bridgectl" && theirs > arch.OfflineRow && !allowed(inside, arch.OfflineBeside):
			out = append(out, path+" imports "+inside+"; it may use rows 0 to 3 and the API only")
		}
	}
	return out
}

func allowed(path string, patterns []string) bool {
	for _, p := range patterns {
		if fits(path, p) {
			return true
		}
	}
	return false
}

func TestRows(t *testing.T) {
	packages := list(t)
	if len(packages) < 10 {
		t.Fatalf("go list found only %d packages", len(packages))
	}
	for _, p := range packages {
		for _, problem := range problems(p) {
			t.Error(problem)
		}
	}
}

// TestProblems shows that the rule would notice.
func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		name, from, imports string
		want                int
	}{
		{"a lower row", "vdir", module + "/internal/wire/ldap", 0},
		{"the same row", "vdir", module + "/vocsp", 1},
		{"a higher row", "membership", module + "/internal/edge/boltstore", 1},
		{"a technology at its edge", "internal/edge/boltstore", "go.etcd.io/bbolt", 0},
		{"a technology elsewhere", "membership", "go.etcd.io/bbolt/errors", 1},
		{"the lab in the demo", "cmd/bridged", module + "/internal/lab", 0},
		{"the lab in the daemon", "internal/daemon", module + "/internal/lab", 1},
		{"the tool reaching up", "cmd/bridgectl", module + "/internal/federation", 1},
		{"a package without a row", "internal/attic", "fmt", 1},
	} {
		got := problems(pkg{ImportPath: module + "/" + tt.from, Imports: []string{tt.imports}})
		if len(got) != tt.want {
			t.Errorf("%s: got %q, want %d problem(s)", tt.name, got, tt.want)
		}
	}
}
