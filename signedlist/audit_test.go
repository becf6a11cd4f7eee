package signedlist_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
	"bridge.example/signedlist"
)

// TestNoRecordNoList lets the audit log fail: no list is made, and none is
// recorded that is not.
func TestNoRecordNoList(t *testing.T) {
	b := newBench(t)
	full := errors.New("no space left on device")
	var kinds []string
	p := signedlist.NewPublisher(*b.signer, b.archive, signedlist.Options{
		Now: func() time.Time { return b.now },
		Audit: func(_ context.Context, e auditlog.Event) error {
			kinds = append(kinds, e.Kind+" "+e.Details["number"]+e.Details["removed"])
			return full
		},
	})
	if _, _, err := published(p.Publish(t.Context(), nil, nil)); !errors.Is(err, full) {
		t.Errorf("got %v, want the error of the log", err)
	}
	if _, _, err := b.archive.Latest(t.Context()); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v, want no list", err)
	}
	full, kinds = nil, nil
	for range 2 { // the second time there is nothing to do
		if _, _, err := published(p.Publish(t.Context(), nil, nil)); err != nil {
			t.Error(err)
		}
	}
	if len(kinds) != 1 || kinds[0] != "list.publish 1" {
		t.Errorf("got events %q", kinds)
	}
	// Who left, and why, is told.
	for _, entries := range [][]signedlist.Entry{{entry(t, "alpha"), entry(t, "beta")}, nil} {
		if _, err := p.Publish(t.Context(), entries, left); err != nil {
			t.Error(err)
		}
	}
	if len(kinds) != 3 || kinds[2] != "list.publish 3alpha: left, beta: left" {
		t.Errorf("got events %q", kinds)
	}
}
