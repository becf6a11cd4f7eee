package daemon

import (
	"testing"
	"time"

	"bridge.example/membership"
)

// TestEarlier: what is long past is left out, and what failed says that it must
// not have.
func TestEarlier(t *testing.T) {
	now := time.Now()
	got := earlier([]membership.Poll{
		{At: now.Add(-37 * time.Hour), Failed: []string{"V1"}}, {At: now.Add(-30 * time.Hour), Failed: []string{"V2"}}, {At: now.Add(-6 * time.Hour)},
	}, now)
	if len(got) != 2 || got[0].Passed() || got[0].Findings[0].ID != "V2" || !got[1].Passed() {
		t.Errorf("got %+v", got)
	}
}
