package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTerminal shows what a person sees who sits at all three ends.
func TestTerminal(t *testing.T) {
	dir := t.TempDir()
	startAdmin(t, dir, t.Cleanup)
	root := newAuthority(t, "Alpha Root").cert
	write(t, filepath.Join(dir, "root.pem"), pemOf(root.Raw))
	file := filepath.Join(dir, "alpha.yaml")
	write(t, file, []byte(`{id: alpha, name: "Alpha", country: DE, contacts: [{name: Anna, email: a@alpha.example}],
mail_domains: [alpha.example], policies: [{member: 1.2.3, bridge: 1.2.4}], anchors: [{certificate: root.pem}],
documents: [{kind: cp, file: root.pem}, {kind: cps, file: root.pem}]}`))

	run := func(wantExit int, person, input string, args ...string) (stdout, stderr string) {
		t.Helper()
		var out, err bytes.Buffer
		p := &tool{in: strings.NewReader(input), out: &out, err: &err, inTerminal: true, outTerminal: true, errTerminal: true}
		if got := p.execute(append([]string{"--credentials", filepath.Join(dir, "officers", person)}, args...)); got != wantExit {
			t.Errorf("%q exits %d, want %d: %s", args, got, wantExit, err.String())
		}
		return out.String(), err.String()
	}
	run(0, "anna", "", "member", "apply", "-f", file)
	out, _ := run(0, "anna", "", "member", "list")
	want := "ID     STATE  SINCE                 PROPOSED  DOMAINS        NAME\n" +
		"alpha  draft  2026-01-02T03:04:05Z            alpha.example  Alpha\n"
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	fingerprint := newCertificate(root.Raw).SHA256
	run(0, "anna", "", "member", "submit", "alpha", "--form", file)
	run(0, "anna", "", "member", "check", "alpha")
	run(0, "cleo", "", "member", "assess", "alpha", "--assessment", file, "--audit", file, "--audit-expires", "2027-01-01", "--all-mappings")
	run(0, "anna", "", "member", "contract", "alpha", "--agreement", file, "--declaration", file, "--expires", "2027-01-01")
	for _, officer := range []string{"anna", "bert"} {
		run(0, officer, fingerprint+"\n", "member", "identify", "alpha", "--minutes", file)
	}
	for _, answer := range []string{"", "\n", "n\n", "yes please\n", strings.Repeat("y", 1000)} {
		if out, _ := run(7, "dora", fingerprint+"\n"+answer, "member", "approve", "alpha"); out != "" {
			t.Errorf("%.10q: got %q on standard output", answer, out)
		}
	}
	spelt := strings.ToUpper(fingerprint[:2] + ":" + fingerprint[2:30] + " " + fingerprint[30:])
	out, shown := run(0, "dora", spelt+"\ny\n", "member", "approve", "alpha")
	for _, s := range []string{"name            Alpha, DE\n", "mail domain     alpha.example\n", "policy          1.2.3 equals level 1.2.4\n", "anchor          CN=Alpha Root, until ", "anchor SHA-256  ", "record hash     ", "Approve this record? [y/N] "} {
		if !strings.Contains(shown, s) {
			t.Errorf("what is approved does not show %q:\n%s", s, shown)
		}
	}
	if !strings.Contains(out, "another approver than dora, 1 of 2 so far") {
		t.Errorf("got %q", out)
	}
	run(2, "anna", "", "list", "fetch") // binary
}

func TestHarmless(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"text", "Müller & Söhne 有限公司", "Müller & Söhne 有限公司"},
		{"escape sequence", "\x1b[31mred", `\u001b[31mred`},
		{"C1 control", "\u009b31m", `\u009b31m`},
		{"line and column", "a\nb\tc", `a\u000ab\u0009c`},
		{"reordering", "a\u202eb", `a\u202eb`},
		{"broken UTF-8", "a\xffb", "a\uFFFDb"},
		{"invisible", "a\u200bb", `a\u200bb`},
	} {
		if got := harmless(tt.in); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestStamp(t *testing.T) {
	if got := stamp(time.Time{}); got != "" {
		t.Errorf("got %q for no time", got)
	}
	if got, want := stamp(time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))), "2026-01-02T02:04:05Z"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNullDeviceIsNoTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if isTerminal(f) {
		t.Error("a question would be asked where nobody sits")
	}
}
