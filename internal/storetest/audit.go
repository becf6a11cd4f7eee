package storetest

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
)

// Audit checks an auditlog.Store. open returns an empty store each time.
func Audit(t *testing.T, open func(*testing.T) auditlog.Store) {
	s := open(t)
	ctx := t.Context()
	if size, checkpoint, err := s.Tree(ctx); size != 0 || checkpoint != nil || err != nil {
		t.Errorf("empty: got %d, %q, %v, want 0 and no checkpoint", size, checkpoint, err)
	}
	hash := func(b byte) tlog.Hash { return tlog.Hash{b} }
	for _, tt := range []struct {
		name   string
		number uint64
		first  int64
		hashes []tlog.Hash
		want   fault.Kind
		ok     bool
	}{
		{"number 0", 0, 0, []tlog.Hash{hash(9)}, fault.Conflict, false},
		{"a gap", 2, 0, []tlog.Hash{hash(9)}, fault.Conflict, false},
		{"the first", 1, 0, []tlog.Hash{hash(0)}, 0, true},
		{"the first again", 1, 1, []tlog.Hash{hash(9)}, fault.Conflict, false},
		{"hashes over others", 2, 0, []tlog.Hash{hash(9)}, fault.Conflict, false},
		{"the second", 2, 1, []tlog.Hash{hash(1), hash(2)}, 0, true},
		{"a gap of hashes", 3, 4, []tlog.Hash{hash(9)}, fault.Conflict, false},
	} {
		err := s.Append(ctx, tt.number, []byte{'e', byte(tt.number)}, tt.first, tt.hashes, []byte{'c', byte(tt.number)})
		if (err == nil) != tt.ok || err != nil && fault.KindOf(err) != tt.want {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	if size, checkpoint, err := s.Tree(ctx); size != 2 || string(checkpoint) != "c\x02" || err != nil {
		t.Errorf("got %d, %q, %v, want 2 and its checkpoint", size, checkpoint, err)
	}
	got, err := s.Hashes(ctx, []int64{2, 0})
	if err != nil || got[0] != hash(2) || got[1] != hash(0) {
		t.Errorf("got hashes %v, %v", got, err)
	}
	_, err = s.Hashes(ctx, []int64{0, 3})
	wantKind(t, err, fault.NotFound)
	for from, want := range map[uint64]string{1: "e\x01e\x02", 2: "e\x02", 3: ""} {
		var all string
		for b, err := range s.Events(ctx, from) {
			if err != nil {
				t.Fatal(err)
			}
			all += string(b)
		}
		if all != want {
			t.Errorf("events from %d: got %q, want %q", from, all, want)
		}
	}
}
