package auditlog_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
)

func TestRecordThenRead(t *testing.T) {
	s := &memory{}
	l := open(t, s, testKey)
	want := make([]auditlog.Event, 5)
	for i := range want {
		got, err := l.Record(t.Context(), event(i))
		if err != nil {
			t.Fatal(err)
		}
		want[i] = event(i)
		want[i].Number, want[i].At = uint64(i+1), noon.Add(time.Duration(i+1)*time.Second)
		if d := cmp.Diff(want[i], got); d != "" {
			t.Error(d)
		}
	}
	l = open(t, s, testKey) // as after a restart
	for _, tt := range []struct{ from, to, first, last uint64 }{
		{0, 99, 1, 5}, {1, 5, 1, 5}, {2, 3, 2, 3}, {5, 5, 5, 5}, {6, 9, 1, 0}, {3, 2, 1, 0},
	} {
		var got []auditlog.Event
		for e, err := range l.Events(t.Context(), tt.from, tt.to) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		if d := cmp.Diff(want[tt.first-1:tt.last], append([]auditlog.Event{}, got...)); d != "" {
			t.Errorf("%d to %d: %s", tt.from, tt.to, d)
		}
	}
	if e, err := l.Record(t.Context(), event(5)); err != nil || e.Number != 6 {
		t.Errorf("got %d, %v, want 6", e.Number, err)
	}
}

func TestConcurrentRecord(t *testing.T) {
	s := &memory{}
	l := open(t, s, testKey)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				if _, err := l.Record(t.Context(), event(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if l = open(t, s, testKey); l.Size() != 80 {
		t.Errorf("got %d events, want 80", l.Size())
	}
}

func TestRecordRefuses(t *testing.T) {
	many := map[string]string{}
	for i := range 33 {
		many[strings.Repeat("x", i)] = ""
	}
	for name, e := range map[string]auditlog.Event{
		"no kind":            {},
		"a kind in capitals": {Kind: "Member.approve"},
		"a long kind":        {Kind: strings.Repeat("a", 65)},
		"no UTF-8":           {Kind: "a", Person: "\xff"},
		"many details":       {Kind: "a", Details: many},
		"a large event":      {Kind: "a", Details: map[string]string{"a": strings.Repeat("a", 16<<10)}},
		"a short hash":       {Kind: "a", Evidence: []auditlog.Evidence{{SHA256: "00"}}},
		"a hash in capitals": {Kind: "a", Evidence: []auditlog.Evidence{{SHA256: strings.Repeat("AA", 32)}}},
	} {
		l := open(t, &memory{}, testKey)
		if _, err := l.Record(t.Context(), e); fault.KindOf(err) != fault.Invalid || l.Size() != 0 {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
		record(t, l, 1) // it harms nothing else
	}
	l := open(t, &memory{}, testKey)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Record(ended, event(0)); fault.KindOf(err) != fault.Unavailable || err == nil {
		t.Errorf("got %v after the caller went away, want Unavailable", err)
	}
	record(t, l, 1)
}

func TestClock(t *testing.T) {
	now := noon
	l, err := auditlog.Open(t.Context(), &memory{}, testKey, auditlog.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		now  time.Time
		want time.Time // zero when refused
	}{
		{"the first", noon, noon},
		{"a little back", noon.Add(-time.Minute), noon},
		{"further back", noon.Add(-time.Minute - time.Millisecond), time.Time{}},
		{"in another zone, finer than a millisecond", noon.Add(time.Second + 1).In(time.FixedZone("", 3600)), noon.Add(time.Second)},
	} {
		now = tt.now
		e, err := l.Record(t.Context(), event(0))
		if !e.At.Equal(tt.want) || (err == nil) == tt.want.IsZero() || err != nil && (fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "set back")) {
			t.Errorf("%s: got %v, %v, want %v", tt.name, e.At, err, tt.want)
		}
	}
}

// TestFailedWrite makes a write fail that did, or did not, reach the disk: the
// log must not go on before it was opened again.
func TestFailedWrite(t *testing.T) {
	for _, kept := range []bool{false, true} {
		s := &memory{}
		l := open(t, s, testKey)
		record(t, l, 3)
		s.fail, s.kept = errors.New("no space left on device"), kept
		for range 2 {
			if _, err := l.Record(t.Context(), event(3)); fault.KindOf(err) != fault.Unavailable || err == nil {
				t.Errorf("kept %t: got %v, want Unavailable", kept, err)
			}
		}
		s.fail = nil
		if _, err := l.Record(t.Context(), event(3)); err == nil {
			t.Errorf("kept %t: it went on after a write of unknown end", kept)
		}
		l = open(t, s, testKey)
		record(t, l, 2)
		if _, err := auditlog.VerifyExport(strings.NewReader(string(export(t, l))), expected(t, testKey)); err != nil {
			t.Errorf("kept %t: %v", kept, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	good := &memory{}
	record(t, open(t, good, testKey), 7)
	shorter := &memory{}
	record(t, open(t, shorter, testKey), 6)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		bend func(*memory)
		key  crypto.Signer
	}{
		{"a lost tail", func(m *memory) { m.events = m.events[:6] }, testKey},
		{"a lost tail with its hashes", func(m *memory) { m.events, m.hashes = shorter.events, shorter.hashes }, testKey},
		{"all events lost", func(m *memory) { m.events, m.hashes = nil, nil }, testKey},
		{"a lost checkpoint", func(m *memory) { m.checkpoint = nil }, testKey},
		{"an earlier checkpoint", func(m *memory) { m.checkpoint = shorter.checkpoint }, testKey},
		{"a changed last event", func(m *memory) { m.events[6] = []byte(strings.Replace(string(m.events[6]), "alpha", "gamma", 1)) }, testKey},
		{"a changed hash of the root", func(m *memory) { m.hashes[6][0] ^= 1 }, testKey},
		{"another key", func(*memory) {}, other},
	} {
		m := good.clone()
		tt.bend(m)
		if _, err := auditlog.Open(t.Context(), m, tt.key, auditlog.Options{}); err == nil || fault.KindOf(err) != fault.Conflict {
			t.Errorf("%s: got %v, want Conflict", tt.name, err)
		}
	}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{weak, curve} {
		if _, err := auditlog.Open(t.Context(), &memory{}, key, auditlog.Options{}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%T: got %v, want Invalid", key, err)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	l := open(b, &memory{}, testKey)
	for i := range b.N {
		if _, err := l.Record(b.Context(), event(i)); err != nil {
			b.Fatal(err)
		}
	}
}
