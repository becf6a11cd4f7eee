package config_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/setup/config"
)

const minimal = `
state: /var/lib/bridged
bridge:
  name: Test Bridge
  policies:
    - {oid: 1.3.6.1.4.1.32473.1.1, name: medium}
repository:
  url: http://bridge.example
  responder_url: http://ocsp.bridge.example
`

func TestDefaults(t *testing.T) {
	c, err := config.Load(strings.NewReader(minimal), "/etc/bridged")
	if err != nil {
		t.Fatal(err)
	}
	if c.Directory.Suffix != "o=bridge" || c.Reconcile != 30*time.Second || c.Admin.Listen != "127.0.0.1:7443" {
		t.Errorf("got %+v, want the documented defaults", c)
	}
}

func TestRelativePaths(t *testing.T) {
	yaml := strings.Replace(minimal, "/var/lib/bridged", "state", 1) + "keys: {passphrase_file: passphrase, bridge_ca: ca.pem, list_signer: \"pkcs11:token=a\"}\n"
	c, err := config.Load(strings.NewReader(yaml), "/etc/bridged")
	if err != nil {
		t.Fatal(err)
	}
	if want := "/etc/bridged/state"; c.State != want {
		t.Errorf("got %q, want %q", c.State, want)
	}
	want := config.Keys{PassphraseFile: "/etc/bridged/passphrase", BridgeCA: "/etc/bridged/ca.pem", ListSigner: "pkcs11:token=a"}
	if c.Keys != want {
		t.Errorf("got %+v, want %+v", c.Keys, want)
	}
}

// TestExample keeps the example file that people start from true.
func TestExample(t *testing.T) {
	f, err := os.Open("../../../bridged.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := config.Load(f, "."); err != nil {
		t.Error(err)
	}
}

func TestComplaints(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		want       []string // each must be named
	}{
		{"an empty file", "", []string{"state: missing", "bridge.name", "bridge.policies", "repository.url"}},
		{"unknown keys, all of them", minimal + "stat: x\nadmin:\n  lisen: y\n", []string{"line 10: stat: unknown key", "line 12: admin.lisen: unknown key"}},
		{"wrong types, all of them", minimal + "drain: 10\ndirectory:\n  ldapv2: perhaps\n  max_connections: many\n",
			[]string{"drain: want a duration with its unit", "directory.ldapv2: want true or false", "directory.max_connections: want a whole number"}},
		{"a scalar for a section", minimal + "admin: 127.0.0.1:1\n", []string{"admin: want keys and values"}},
		{"a scalar for a list", minimal + "outgoing:\n  allow: 10.0.0.0/8\n", []string{"outgoing.allow: want a list"}},
		{"a key twice", minimal + "drain: 1s\ndrain: 2s\n", []string{"drain"}},
		{"bad values, all of them", minimal + "admin: {listen: here}\noutgoing: {allow: [10.0.0.0]}\nlog: {level: loud}\ndirectory: {certificate: a.pem}\n",
			[]string{"admin.listen", "outgoing.allow[0]", "log.level", "certificate and key go together"}},
		{"a negative duration", minimal + "drain: -1s\n", []string{"drain: -1s"}},
		{"a hasty watch", minimal + "watch: {status: 1s, crl_grace: -1h, checks: 1m}\n", []string{"watch.status", "watch.crl_grace", "watch.checks"}},
		{"notices without a relay", minimal + "notices: {at: 6am, to: [a@b.example]}\n", []string{"notices.at", "notices.smtp: missing"}},
		{"notices to nobody", minimal + "notices: {smtp: relay, from: nobody}\n", []string{"notices.smtp", "notices.from", "notices.to"}},
		{"an operator without an address", minimal + "operator: {name: Tests, country: DE}\n", []string{"operator: ", "street is missing"}},
		{"an https repository", strings.Replace(minimal, "http://bridge", "https://bridge", 1), []string{"repository.url"}},
		{"broken YAML", "state: [", []string{"configuration"}},
		{"two documents", minimal + "---\nstate: x\n", []string{"want one document"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Load(strings.NewReader(tt.yaml), ".")
			if err == nil || fault.KindOf(err) != fault.Invalid {
				t.Fatalf("got %v, want an Invalid error", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got\n%v\nwhich does not name %q", err, want)
				}
			}
		})
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(minimal)
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := config.Load(strings.NewReader(s), ".")
		if (c == nil) == (err == nil) {
			t.Errorf("got %v and %v, want one of them", c, err)
		}
	})
}
