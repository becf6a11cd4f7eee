package membership_test

import (
	"strings"
	"testing"

	"bridge.example/membership"
)

// TestProbes holds what the examination asks for to what it can mean.
func TestProbes(t *testing.T) {
	for _, tt := range []struct {
		name    string
		mailbox string
		serials membership.TestSerials
		want    string // of the error; empty: none
	}{
		{"none", "", membership.TestSerials{}, ""},
		{"as tools write them", " Test@Alpha.Example ", membership.TestSerials{Valid: "0A:1B", Revoked: "0x2C", Unused: "3d"}, ""},
		{"another's mailbox", "test@beta.example", membership.TestSerials{}, "test_mailbox: \"test@beta.example\" belongs to none"},
		{"no mailbox", "alpha.example", membership.TestSerials{}, "not a mail address"},
		{"a display name", "T <t@alpha.example>", membership.TestSerials{}, "not a mail address"},
		{"decimal words", "", membership.TestSerials{Valid: "twelve"}, "test_serials: valid"},
		{"too long", "", membership.TestSerials{Unused: strings.Repeat("f", 41)}, "test_serials: unused"},
		{"one for two", "", membership.TestSerials{Valid: "01", Revoked: "1"}, "the same serial number as valid"},
	} {
		a := application(t, "alpha")
		a.Directories[0].TestMailbox, a.Anchors[0].TestSerials = tt.mailbox, tt.serials
		a.Normalize()
		switch err := a.Validate(); {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		if got := a.Anchors[0].TestSerials; tt.serials.Revoked == "0x2C" && got != (membership.TestSerials{Valid: "a1b", Revoked: "2c", Unused: "3d"}) {
			t.Errorf("%s: normalised to %+v", tt.name, got)
		}
	}
}
