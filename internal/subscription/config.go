package subscription

import (
	"net/url"
	"path/filepath"
	"strings"

	"bridge.example/internal/fault"
	"bridge.example/internal/outbound"
)

// Config is what a subscription is told.
type Config struct {
	// URL is where the list lies, http or https. Its signature is what counts, so
	// http is no less safe; it only shows others what is asked for.
	URL string `yaml:"url"`
	// Fingerprint is the SHA-256 of the bridge's certificate, pinned in anchor.pem.
	Fingerprint string `yaml:"fingerprint"`
	// Select says which entries are trusted; all when empty.
	Select Selection `yaml:"select,omitempty"`
	// Targets are the files made; at least one.
	Targets []Target `yaml:"targets"`
	// Command is run, with its arguments and without a shell, after each change;
	// again at the next update when it fails.
	Command []string `yaml:"command,omitempty"`
	// AllowHosts are hosts, HOST or HOST:PORT, that may be reached although their
	// addresses are not public.
	AllowHosts []string `yaml:"allow_hosts,omitempty"`
	// CheckViews are published files, such as anchors.pem, that are fetched from
	// beside the list and compared with what it says of them, for the sake of those
	// who download them. No target is made from one.
	CheckViews []string `yaml:"check_views,omitempty"`
	// MaxChange is how much may change at once without consent.
	MaxChange Limit `yaml:"max_change,omitempty"`
	// MaxSkip is how many numbers of lists may pass in a day; a list further ahead
	// needs consent. Default 1000.
	MaxSkip int64 `yaml:"max_skip,omitempty"`
}

// Limit is exceeded by a change of more than Entries certificates that is also
// one of more than Percent of those in use. Certificates that come and those
// that go are counted apart.
type Limit struct {
	Entries int `yaml:"entries,omitempty"` // default 10
	Percent int `yaml:"percent,omitempty"` // default 20
}

func (l Limit) exceeded(changed, of int) bool {
	if l == (Limit{}) {
		l = Limit{Entries: 10, Percent: 20}
	}
	return changed > l.Entries && changed*100 > l.Percent*of
}

func (c Config) maxSkip() int64 {
	if c.MaxSkip == 0 {
		return 1000
	}
	return c.MaxSkip
}

// Validate reports the first thing in c that cannot be used; the error is
// Invalid and names the field.
func (c Config) Validate() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return fault.New(fault.Invalid, "url: %q is not an http or https address", c.URL)
	}
	if len(c.Fingerprint) != 64 || strings.Trim(c.Fingerprint, "0123456789abcdef") != "" {
		return fault.New(fault.Invalid, "fingerprint: %q is not a SHA-256 of 64 lower-case hexadecimal digits", c.Fingerprint)
	}
	if err := c.Select.Validate(); err != nil {
		return err
	}
	if len(c.Targets) == 0 {
		return fault.New(fault.Invalid, "targets: none; name at least one of %s", strings.Join(TargetKinds(), ", "))
	}
	for i, t := range c.Targets {
		if kinds()[t.Kind] == "" {
			return fault.New(fault.Invalid, "targets: %q is not one of %s", t.Kind, strings.Join(TargetKinds(), ", "))
		}
		if t.Link != "" && !filepath.IsAbs(t.Link) {
			return fault.New(fault.Invalid, "targets: link %q of %s is not an absolute path", t.Link, t.Kind)
		}
		for _, other := range c.Targets[:i] {
			if other == t || t.Link != "" && other.Link == t.Link {
				return fault.New(fault.Invalid, "targets: %s stands there twice", t)
			}
		}
	}
	if len(c.Command) > 0 && c.Command[0] == "" {
		return fault.New(fault.Invalid, "command: no program named")
	}
	for _, h := range c.AllowHosts {
		if _, err := outbound.ParseHost(h); err != nil {
			return fault.New(fault.Invalid, "allow_hosts: %w", err)
		}
	}
	for _, v := range c.CheckViews {
		if v == "" || strings.Trim(v, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" {
			return fault.New(fault.Invalid, "check_views: %q is not the name of a file", v)
		}
	}
	if c.MaxChange.Entries < 0 || c.MaxChange.Percent < 0 || c.MaxSkip < 0 {
		return fault.New(fault.Invalid, "max_change, max_skip: want no negative number")
	}
	return nil
}
