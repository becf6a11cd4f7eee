package auditlog_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
)

// memory is a store whose content tests can bend and whose writes can fail.
type memory struct {
	events     [][]byte
	hashes     []tlog.Hash
	checkpoint []byte

	fail error // of every Append
	kept bool  // though it is reported as failed
}

func (m *memory) clone() *memory {
	return &memory{events: slices.Clone(m.events), hashes: slices.Clone(m.hashes), checkpoint: m.checkpoint}
}

func (m *memory) Tree(context.Context) (uint64, []byte, error) {
	return uint64(len(m.events)), m.checkpoint, nil
}

func (m *memory) Append(_ context.Context, n uint64, event []byte, first int64, hashes []tlog.Hash, checkpoint []byte) error {
	if n != uint64(len(m.events))+1 || first != int64(len(m.hashes)) {
		return fault.New(fault.Conflict, "not the next")
	}
	if m.fail == nil || m.kept {
		m.events, m.hashes, m.checkpoint = append(m.events, event), append(m.hashes, hashes...), checkpoint
	}
	return m.fail
}

func (m *memory) Events(_ context.Context, from uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for i := from - 1; i < uint64(len(m.events)); i++ {
			if !yield(m.events[i], nil) {
				return
			}
		}
	}
}

func (m *memory) Hashes(_ context.Context, indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(m.hashes)) {
			return nil, fault.New(fault.NotFound, "no hash %d", index)
		}
		out[i] = m.hashes[index]
	}
	return out, nil
}

// testKey is the same in every run, so that failures repeat.
var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock returns the instants after noon, a second apart.
func clock() func() time.Time {
	now := noon
	return func() time.Time { now = now.Add(time.Second); return now }
}

func open(t testing.TB, s auditlog.Store, key crypto.Signer) *auditlog.Log {
	t.Helper()
	l, err := auditlog.Open(t.Context(), s, key, auditlog.Options{Now: clock()})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// event is one with every field, different for each i.
func event(i int) auditlog.Event {
	sum := sha256.Sum256([]byte{byte(i)})
	return auditlog.Event{
		Kind: "member.approve", Member: "alpha", Person: fmt.Sprintf("person-%d", i), Credential: hex.EncodeToString(sum[:]),
		Evidence: []auditlog.Evidence{{Name: "record", SHA256: hex.EncodeToString(sum[:])}},
		Details:  map[string]string{"reason": "asked <twice> &\nÜnder oath", "a": "b"},
	}
}

// record appends n events.
func record(t testing.TB, l *auditlog.Log, n int) {
	t.Helper()
	for i := range n {
		if _, err := l.Record(t.Context(), event(i)); err != nil {
			t.Fatal(err)
		}
	}
}

func export(t testing.TB, l *auditlog.Log) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := l.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func expected(t testing.TB, key crypto.Signer) auditlog.Expectation {
	t.Helper()
	f, err := auditlog.Fingerprint(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return auditlog.Expectation{Fingerprint: f}
}
