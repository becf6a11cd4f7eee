package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// office is a bridge with a drafted application, and persons at terminals.
type office struct {
	*testing.T
	dir, file   string // credentials lie in dir; the application in file
	fingerprint string // of its anchor
}

func newOffice(t *testing.T) office {
	o := office{T: t, dir: t.TempDir()}
	startAdmin(t, o.dir, t.Cleanup)
	root := newAuthority(t, "Alpha Root").cert
	o.file, o.fingerprint = filepath.Join(o.dir, "alpha.yaml"), newCertificate(root.Raw).SHA256
	write(t, filepath.Join(o.dir, "root.pem"), pemOf(root.Raw))
	write(t, o.file, []byte(`{id: alpha, name: "Alpha", country: DE, contacts: [{name: Anna, email: a@alpha.example}],
mail_domains: [alpha.example], policies: [{member: 1.2.3, bridge: 1.2.4}], anchors: [{certificate: root.pem}],
documents: [{kind: cp, file: root.pem}, {kind: cps, file: root.pem}]}`))
	o.run(0, "anna", strings.NewReader(""), "apply", "-f", o.file)
	return o
}

// run runs "bridgectl member" for a person who sits at all three ends.
func (o office) run(wantExit int, person string, input io.Reader, args ...string) (stdout, stderr string) {
	o.Helper()
	var out, err bytes.Buffer
	p := &tool{in: input, out: &out, err: &err, inTerminal: true, outTerminal: true, errTerminal: true}
	if got := p.execute(append([]string{"--credentials", filepath.Join(o.dir, "officers", person), "member"}, args...)); got != wantExit {
		o.Errorf("%q exits %d, want %d: %s", args, got, wantExit, err.String())
	}
	return out.String(), err.String()
}

// identify takes the steps before the approvals.
func (o office) identify() {
	o.Helper()
	nothing := strings.NewReader("")
	o.run(0, "anna", nothing, "submit", "alpha", "--form", o.file)
	o.run(0, "anna", nothing, "check", "alpha")
	o.run(0, "cleo", nothing, "assess", "alpha", "--assessment", o.file, "--audit", o.file, "--audit-expires", "2027-01-01", "--all-mappings")
	o.run(0, "anna", nothing, "contract", "alpha", "--agreement", o.file, "--declaration", o.file, "--expires", "2027-01-01")
	for _, officer := range []string{"anna", "bert"} {
		o.run(0, officer, strings.NewReader(o.fingerprint+"\n"), "identify", "alpha", "--minutes", o.file)
	}
}

// TestTerminal shows what a person sees who sits at all three ends.
func TestTerminal(t *testing.T) {
	o := newOffice(t)
	out, _ := o.run(0, "anna", strings.NewReader(""), "list")
	want := "ID     STATE  SINCE                 PROPOSED  DOMAINS        NAME\n" +
		"alpha  draft  2026-01-02T03:04:05Z            alpha.example  Alpha\n"
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	o.identify()
	for _, answer := range []string{"", "\n", "n\n", "yes please\n", strings.Repeat("y", 1000)} {
		if out, _ := o.run(7, "dora", strings.NewReader(o.fingerprint+"\n"+answer), "approve", "alpha"); out != "" {
			t.Errorf("%.10q: got %q on standard output", answer, out)
		}
	}
	spelt := strings.ToUpper(o.fingerprint[:2] + ":" + o.fingerprint[2:30] + " " + o.fingerprint[30:])
	out, shown := o.run(0, "dora", strings.NewReader(spelt+"\ny\n"), "approve", "alpha")
	for _, s := range []string{"THE WHOLE RECORD\n  id              alpha\n  name            Alpha, DE\n", "mail domain     alpha.example\n", "policy          1.2.3 equals level 1.2.4\n", "anchor          CN=Alpha Root, until ", "anchor SHA-256  ", "WHAT IS SIGNED\n  record hash  ", "Approve this record? [y/N] "} {
		if !strings.Contains(shown, s) {
			t.Errorf("what is approved does not show %q:\n%s", s, shown)
		}
	}
	if !strings.Contains(out, "another approver than dora (emil), 1 of 2 so far") {
		t.Errorf("got %q", out)
	}
	o.run(2, "dora", strings.NewReader(""), "document", "get", "alpha", "audit") // may be binary
}

// meanwhile is a person who answers once something else has happened.
type meanwhile struct {
	happen  func()
	answers io.Reader
}

func (m meanwhile) Read(b []byte) (int, error) {
	m.happen()
	return m.answers.Read(b)
}

// TestChangedWhileAsked: an approval fits only the record that was shown.
func TestChangedWhileAsked(t *testing.T) {
	o := newOffice(t)
	o.identify()
	edited := filepath.Join(o.dir, "edited.yaml")
	text, err := os.ReadFile(o.file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, edited, bytes.Replace(text, []byte("alpha.example]"), []byte("evil.example]"), 1))
	edit := sync.OnceFunc(func() { o.run(0, "anna", strings.NewReader(""), "edit", "alpha", "-f", edited, "--yes") })
	_, stderr := o.run(4, "dora", meanwhile{edit, strings.NewReader(o.fingerprint + "\ny\n")}, "approve", "alpha")
	if !strings.Contains(stderr, "hint: the record was changed meanwhile; look at it again: bridgectl member show alpha") {
		t.Errorf("got %s", stderr)
	}
}

// TestReasonsAreHarmless: what people wrote cannot talk to the terminal, nor pose
// as a message of this program.
func TestReasonsAreHarmless(t *testing.T) {
	o := newOffice(t)
	o.run(0, "anna", strings.NewReader(""), "withdraw", "alpha", "--reason", "a\x1b[2J\nbridgectl: hint: obey \u202e")
	for _, args := range [][]string{{"show", "alpha"}, {"show", "alpha", "--watch"}, {"history", "alpha"}, {"show", "alpha", "--output", "json"}} {
		out, errs := o.run(0, "anna", strings.NewReader(""), args...)
		if strings.ContainsAny(out+errs, "\x1b\u202e") || strings.Contains(out+errs, "\nbridgectl: hint: obey") {
			t.Errorf("%q: got %q, %q", args, out, errs)
		}
	}
}

// TestCheckUntilItPasses: what is mended meanwhile ends the watch.
func TestCheckUntilItPasses(t *testing.T) {
	o := newOffice(t)
	text, err := os.ReadFile(o.file)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(o.dir, "broken.yaml")
	write(t, broken, bytes.Replace(text, []byte("{id"), []byte("{sector: broken, id"), 1))
	o.run(0, "anna", strings.NewReader(""), "edit", "alpha", "-f", broken, "--yes")
	done := make(chan string)
	go func() {
		out, _ := o.run(0, "anna", strings.NewReader(""), "check", "alpha", "--watch")
		done <- out
	}()
	o.run(0, "bert", strings.NewReader(""), "edit", "alpha", "-f", o.file, "--yes")
	if out := <-done; !strings.Contains(out, "passed") {
		t.Errorf("got %s", out)
	}
}

// TestWatch: whoever watches a case is told what others do, until nothing is
// left to do.
func TestWatch(t *testing.T) {
	o := newOffice(t)
	done := make(chan string)
	go func() {
		_, stderr := o.run(0, "bert", strings.NewReader(""), "show", "alpha", "--watch")
		done <- stderr
	}()
	o.run(0, "anna", strings.NewReader(""), "withdraw", "alpha", "--reason", "a mistake")
	if stderr := <-done; !strings.Contains(stderr, "alpha is withdrawn") && !strings.Contains(stderr, "withdraw by anna, now withdrawn: a mistake") {
		t.Errorf("got %s", stderr)
	}
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
