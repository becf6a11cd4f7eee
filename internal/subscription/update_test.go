package subscription_test

import (
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/subscription"
	"bridge.example/signedlist"
)

// bound is a subscription to a bridge, with a list in use.
func bound(t *testing.T, b *bridge, edit func(*subscription.Config)) (*subscription.Subscription, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "subscription")
	c := b.config("pem", "directory")
	edit(&c)
	s := create(t, dir, b, c, subscription.Options{})
	if r := update(t, s); !r.OK() {
		t.Fatalf("got %+v", r)
	}
	return s, dir
}

func wants(t *testing.T, r *subscription.Report, state subscription.State, attack subscription.Attack) {
	t.Helper()
	if r.State != state || r.Attack != attack {
		t.Errorf("got %s, %q: %s; want %s, %q", r.State, r.Attack, r.Problem, state, attack)
	}
}

func asIs(*subscription.Config) {}

func TestUnchangedListIsNotFetched(t *testing.T) {
	b := newBridge(t)
	b.publish(t, entry(t, "alpha"))
	s, dir := bound(t, b, asIs)
	before, err := os.Readlink(filepath.Join(dir, "current"))
	if err != nil {
		t.Fatal(err)
	}
	wants(t, update(t, s), subscription.UpToDate, "")
	if after, _ := os.Readlink(filepath.Join(dir, "current")); b.bodies.Load() != 1 || after != before {
		t.Errorf("got %d bodies and %s, want one and %s", b.bodies.Load(), after, before)
	}
}

// A member that leaves is gone with the next update, and said to be.
func TestSuspended(t *testing.T) {
	b := newBridge(t)
	alpha, beta := entry(t, "alpha"), entry(t, "beta")
	b.publish(t, alpha, beta)
	s, dir := bound(t, b, asIs)
	b.publish(t, beta)
	r := update(t, s)
	wants(t, r, subscription.Changed, "")
	if len(r.Changes) != 1 || r.Changes[0].Text != `Organisation alpha (alpha): the CA "CN=alpha root" is not trusted any more` {
		t.Errorf("got %+v", r.Changes)
	}
	text, err := os.ReadFile(filepath.Join(dir, "current", "anchors.pem"))
	if err != nil || strings.Contains(string(text), "alpha") || !strings.Contains(string(text), "beta") {
		t.Errorf("got %s, %v", text, err)
	}
}

// A list that trusts nobody is taken, and is no green light.
func TestNobody(t *testing.T) {
	b := newBridge(t)
	b.publish(t, entry(t, "alpha"))
	s, _ := bound(t, b, asIs)
	b.publish(t)
	wants(t, update(t, s), subscription.Empty, "")
	r, err := s.Status()
	if err != nil || r.OK() || r.Selected != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestNothingSelectedAtFirst(t *testing.T) {
	b := newBridge(t)
	b.publish(t, entry(t, "alpha"))
	c := b.config()
	c.Select.Include = []subscription.Rule{"member=alhpa"}
	r := update(t, create(t, filepath.Join(t.TempDir(), "s"), b, c, subscription.Options{}))
	wants(t, r, subscription.Empty, "")
	if len(r.Idle) != 1 {
		t.Errorf("got %v idle, want the rule", r.Idle)
	}
}

func TestLargeChangeNeedsConsent(t *testing.T) {
	b := newBridge(t)
	var entries []signedlist.Entry
	for i := range 12 {
		entries = append(entries, entry(t, "m"+strings.Repeat("x", i)))
	}
	b.publish(t, entries...)
	s, dir := bound(t, b, asIs)
	b.publish(t, entries[11:]...)
	before := snapshot(t, dir)
	r := update(t, s)
	wants(t, r, subscription.Refused, subscription.Change)
	if !r.Consentable || len(r.Changes) != 11 {
		t.Errorf("got %+v", r)
	}
	if after := snapshot(t, dir); len(after) != len(before) {
		t.Error("it was made all the same")
	}
	for number, want := range map[int64]subscription.State{1: subscription.Refused, 3: subscription.Refused} {
		r, err := s.Update(t.Context(), number)
		if err != nil || r.State != want {
			t.Errorf("consent to %d: got %+v, %v", number, r, err)
		}
	}
	r, err := s.Update(t.Context(), 2)
	if err != nil || r.State != subscription.Changed || r.Selected != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

// What somebody changed in the files, or in the configuration, is made anew from
// the list that is in use.
func TestMadeAnew(t *testing.T) {
	b := newBridge(t)
	b.publish(t, entry(t, "alpha"), entry(t, "beta"))
	s, dir := bound(t, b, asIs)
	whole := snapshot(t, dir)
	for name, damage := range map[string]func(current string) error{
		"changed": func(c string) error { return os.WriteFile(filepath.Join(c, "anchors.pem"), nil, 0o644) },
		"added":   func(c string) error { return os.WriteFile(filepath.Join(c, "certs", "12345678.0"), nil, 0o644) },
		"removed": func(c string) error { return os.RemoveAll(filepath.Join(c, "certs")) },
		"no set":  func(c string) error { return os.Remove(filepath.Join(c, "set.json")) },
	} {
		if err := damage(filepath.Join(dir, "current")); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Status(); err != nil || r.OK() {
			t.Errorf("%s: status says %+v, %v", name, r, err)
		}
		if r := update(t, s); !r.OK() {
			t.Errorf("%s: got %+v", name, r)
		}
		for file, sum := range snapshot(t, dir) {
			if whole[file] != sum {
				t.Errorf("%s: %s was not made anew", name, file)
			}
		}
	}
	b.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	if err := os.Remove(filepath.Join(dir, "current", "anchors.pem")); err != nil {
		t.Fatal(err)
	}
	wants(t, update(t, s), subscription.Unreachable, "")
	if len(snapshot(t, dir)) != len(whole) {
		t.Error("without the repository nothing was made anew")
	}
	b.serve.Store(nil)
	c := b.config("p7b")
	c.Select.Exclude = []subscription.Rule{"domain=mail.beta.example"}
	s, err := subscription.Open(dir, c, subscription.Options{Now: b.clock})
	if err != nil {
		t.Fatal(err)
	}
	if r := update(t, s); r.State != subscription.Changed || r.Selected != 1 || len(snapshot(t, dir)) != 2 {
		t.Errorf("got %+v, %v", r, snapshot(t, dir))
	}
}

// A list in use that is lost is an error: not a first use once more.
func TestLostState(t *testing.T) {
	b := newBridge(t)
	b.publish(t, entry(t, "alpha"))
	s, dir := bound(t, b, asIs)
	if err := os.RemoveAll(filepath.Join(dir, "sets")); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Update(t.Context(), 0); err == nil {
		t.Errorf("got %+v", r)
	}
}

func TestUnreachable(t *testing.T) {
	b := newBridge(t)
	b.publish(t, entry(t, "alpha"))
	s, _ := bound(t, b, asIs)
	b.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	r := update(t, s)
	wants(t, r, subscription.Unreachable, "")
	if !r.InForce || r.Number != 1 || len(r.Targets) != 2 {
		t.Errorf("got %+v", r)
	}
	b.now = b.now.AddDate(0, 0, 8)
	wants(t, update(t, s), subscription.Expired, "")
	r, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	wants(t, r, subscription.Expired, "")

	c := b.config()
	fresh := create(t, filepath.Join(t.TempDir(), "s"), b, c, subscription.Options{})
	wants(t, update(t, fresh), subscription.Expired, "")
}

// The command runs once for each change, and again until it succeeds.
func TestCommand(t *testing.T) {
	b := newBridge(t)
	b.publish(t, entry(t, "alpha"))
	note := filepath.Join(t.TempDir(), "note")
	s, _ := bound(t, b, func(c *subscription.Config) {
		c.Command = []string{"/bin/sh", "-c", `echo "$BRIDGE_LIST_DIR" >> "$0"; test -e "$0.ok"`, note}
	})
	runs := func() int {
		text, err := os.ReadFile(note)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "/current\n")
	}
	if r := update(t, s); r.Command == "" || runs() != 2 {
		t.Errorf("got %+v after %d runs, want it to fail a second time", r, runs())
	}
	if err := os.WriteFile(note+".ok", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r := update(t, s); r.Command != "" || runs() != 3 {
			t.Errorf("got %+v after %d runs, want 3", r, runs())
		}
	}
	b.publish(t, entry(t, "beta"))
	if update(t, s); runs() != 4 {
		t.Errorf("got %d runs, want 4", runs())
	}
}

// Nothing that is not ours is replaced by a link.
func TestForeignFileStays(t *testing.T) {
	b := newBridge(t)
	b.publish(t, entry(t, "alpha"))
	link := filepath.Join(t.TempDir(), "anchors.pem")
	if err := os.WriteFile(link, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := b.config()
	c.Targets = []subscription.Target{{Kind: "pem", Link: link}}
	dir := filepath.Join(t.TempDir(), "s")
	if _, err := subscription.Create(dir, c, b.ca.Cert, subscription.Options{}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("beginning: got %v, want a conflict", err)
	}
	create(t, dir, b, b.config(), subscription.Options{})
	s, err := subscription.Open(dir, c, subscription.Options{Now: b.clock})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), 0); fault.KindOf(err) != fault.Conflict || len(snapshot(t, dir)) != 0 {
		t.Errorf("got %v, want a conflict before anything changes", err)
	}
	if text, _ := os.ReadFile(link); string(text) != "mine" {
		t.Errorf("got %q", text)
	}
}

func TestTwoSubscriptions(t *testing.T) {
	b, other := newBridge(t), newBridge(t)
	b.publish(t, entry(t, "alpha"))
	other.publish(t, entry(t, "beta"))
	s, dir := bound(t, b, asIs)
	bound(t, other, asIs)
	wants(t, update(t, s), subscription.UpToDate, "")
	if _, err := subscription.Create(dir, b.config(), b.ca.Cert, subscription.Options{}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("beginning twice: got %v, want a conflict", err)
	}
	if _, err := subscription.Open(dir, other.config(), subscription.Options{}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("another bridge's fingerprint: got %v, want invalid", err)
	}
}

// A clock that was wrong for once does not lock the machine out.
func TestClockSeen(t *testing.T) {
	b := newBridge(t)
	b.publish(t, entry(t, "alpha"))
	s, _ := bound(t, b, asIs)
	b.now = noon.AddDate(1, 0, 0)
	wants(t, update(t, s), subscription.Refused, subscription.Freeze)
	b.now = noon.Add(time.Hour)
	wants(t, update(t, s), subscription.UpToDate, "")
}

// The list in use alone tells a clock that is behind it.
func TestClockBehindList(t *testing.T) {
	b := newBridge(t)
	b.publish(t, entry(t, "alpha"))
	s, dir := bound(t, b, asIs)
	if err := os.Remove(filepath.Join(dir, "seen.json")); err != nil {
		t.Fatal(err)
	}
	b.now = noon.Add(-time.Hour)
	r, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	wants(t, r, subscription.Refused, subscription.ClockSetBack)
}

// A signer that was announced is taken, also by a machine that was switched off
// in between; unless the lists that say so are not there.
func TestNextSigner(t *testing.T) {
	alpha := entry(t, "alpha")
	for name, c := range map[string]struct {
		lost   bool // a list in between
		misses bool // them all
		want   subscription.State
	}{
		"seen":                    {false, false, subscription.Changed},
		"missed":                  {false, true, subscription.Changed},
		"missed, and one is lost": {true, true, subscription.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBridge(t)
			b.publish(t, alpha)
			s, _ := bound(t, b, asIs)
			b.next = issue(t, "Next signer", b.ca, signsLists)
			for range 3 {
				b.now = b.now.AddDate(0, 0, 2)
				b.publish(t, alpha)
				if !c.misses {
					wants(t, update(t, s), subscription.Changed, "")
				}
			}
			b.Signer, b.next = b.next, nil
			b.publish(t, alpha, entry(t, "beta"))
			if c.lost {
				b.archive.lists[2] = nil
			}
			if r := update(t, s); r.State != c.want || (c.want == subscription.Refused) != (r.Attack == subscription.OtherSigner) {
				t.Errorf("got %+v, want %s", r, c.want)
			}
		})
	}
}

func TestSelection(t *testing.T) {
	e := entry(t, "alpha")
	e.MailDomains = []string{"alpha.example", "sales.example.org"}
	level, err := x509.ParseOID("1.3.6.1.4.1.32473.2.1")
	if err != nil {
		t.Fatal(err)
	}
	e.Levels = []x509.OID{level}
	for _, c := range []struct {
		name string
		s    subscription.Selection
		in   bool
		why  string
	}{
		{"all by default", subscription.Selection{}, true, "by default"},
		{"none by default", subscription.Selection{Default: "none"}, false, "not included"},
		{"others included", subscription.Selection{Include: []subscription.Rule{"member=beta"}}, false, "not included"},
		{"others included beside all", subscription.Selection{Default: "all", Include: []subscription.Rule{"member=beta"}}, true, "by default"},
		{"by member", subscription.Selection{Include: []subscription.Rule{"member=alpha"}}, true, "included by member=alpha"},
		{"by policy", subscription.Selection{Include: []subscription.Rule{"policy=1.3.6.1.4.1.32473.1.1"}}, true, "included by policy=1.3.6.1.4.1.32473.1.1"},
		{"by level", subscription.Selection{Include: []subscription.Rule{"level=1.3.6.1.4.1.32473.2.1"}}, true, "included by level=1.3.6.1.4.1.32473.2.1"},
		{"by another level", subscription.Selection{Include: []subscription.Rule{"level=1.3.6.1.4.1.32473.1.1"}}, false, "not included"},
		{"by another policy", subscription.Selection{Include: []subscription.Rule{"policy=1.3.6.1.4.1.32473.1"}}, false, "not included"},
		{"a domain above", subscription.Selection{Include: []subscription.Rule{"domain=example.org"}}, true, "included by domain=example.org"},
		{"a domain below", subscription.Selection{Include: []subscription.Rule{"domain=mail.alpha.example"}}, true, "included by domain=mail.alpha.example"},
		{"a domain beside", subscription.Selection{Include: []subscription.Rule{"domain=pha.example"}}, false, "not included"},
		{"exclude is stronger", subscription.Selection{Include: []subscription.Rule{"member=alpha"}, Exclude: []subscription.Rule{"domain=alpha.example"}}, false, "excluded by domain=alpha.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.s.Validate(); err != nil {
				t.Fatal(err)
			}
			if got := c.s.Apply([]signedlist.Entry{e})[0]; got.In != c.in || got.Why != c.why {
				t.Errorf("got %v, %q; want %v, %q", got.In, got.Why, c.in, c.why)
			}
		})
	}
}

func TestConfigRefusals(t *testing.T) {
	b := newBridge(t)
	for name, edit := range map[string]func(*subscription.Config){
		"url: \"ftp":              func(c *subscription.Config) { c.URL = "ftp://bridge.example/list" },
		"url: \"http://ann:":      func(c *subscription.Config) { c.URL = "http://ann:pw@bridge.example/list" },
		"fingerprint: ":           func(c *subscription.Config) { c.Fingerprint = c.Fingerprint[:40] },
		"default \"some\"":        func(c *subscription.Config) { c.Select.Default = "some" },
		"\"member=\"":             func(c *subscription.Config) { c.Select.Exclude = []subscription.Rule{"member="} },
		"\"policy=high\"":         func(c *subscription.Config) { c.Select.Include = []subscription.Rule{"policy=high"} },
		"targets: none":           func(c *subscription.Config) { c.Targets = nil },
		"\"jks\" is not one of":   func(c *subscription.Config) { c.Targets[0].Kind = "jks" },
		"not an absolute path":    func(c *subscription.Config) { c.Targets[0].Link = "a/b" },
		"stands there twice":      func(c *subscription.Config) { c.Targets[1] = c.Targets[0] },
		"command: no program":     func(c *subscription.Config) { c.Command = []string{""} },
		"check_views: ":           func(c *subscription.Config) { c.CheckViews = []string{"../list"} },
		"allow_hosts: ":           func(c *subscription.Config) { c.AllowHosts = []string{"a b"} },
		"want no negative number": func(c *subscription.Config) { c.MaxChange.Percent = -1 },
	} {
		c := b.config()
		edit(&c)
		if err := c.Validate(); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}
