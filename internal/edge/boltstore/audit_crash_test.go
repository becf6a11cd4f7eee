package boltstore_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/engine/auditlog"
)

const (
	envCrash = "BRIDGE_CRASH_STORE"
	ack      = "recorded: "
)

var auditKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func openLog(t testing.TB, path string) (*boltstore.Store, *auditlog.Log) {
	t.Helper()
	s, err := boltstore.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := auditlog.Open(t.Context(), s.Audit(), auditKey, auditlog.Options{})
	if err != nil {
		s.Close()
		t.Fatal(err)
	}
	return s, l
}

// TestAuditCrash kills a process that records, again and again, at random
// moments. Every event that it acknowledged must be there, none half, and the
// log must go on and verify.
func TestAuditCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	s, err := boltstore.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want := auditlog.Expectation{}
	if want.Fingerprint, err = auditlog.Fingerprint(auditKey.Public()); err != nil {
		t.Fatal(err)
	}
	for range 15 {
		acked := killed(t, path)
		s, l := openLog(t, path)
		var file bytes.Buffer
		if err := l.Export(t.Context(), &file); err != nil {
			t.Fatal(err)
		}
		checkpoint := l.Checkpoint()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := auditlog.VerifyExport(&file, want)
		if err != nil || r.Checkpoint.Size < acked || r.Checkpoint.Size > acked+1 {
			t.Fatalf("got %d events, %v; %d were acknowledged", r.Checkpoint.Size, err, acked)
		}
		want.Since = checkpoint
	}
}

// killed records in a process of its own, kills that, and returns the number of
// the last event it acknowledged.
func killed(t *testing.T, path string) (acked uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAuditCrashChild$", "-test.v")
	cmd.Env = append(os.Environ(), envCrash+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	left := 1 + rand.IntN(10)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		number, ok := strings.CutPrefix(lines.Text(), ack)
		if !ok {
			continue
		}
		if acked, err = strconv.ParseUint(number, 10, 64); err != nil {
			t.Fatal(err)
		}
		if left--; left == 0 { // what it wrote until the signal came is read on
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || left > 0 {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return acked
}

// TestAuditCrashChild is the process that gets killed.
func TestAuditCrashChild(t *testing.T) {
	path := os.Getenv(envCrash)
	if path == "" {
		t.Skip("run by TestAuditCrash")
	}
	_, l := openLog(t, path)
	for {
		e, err := l.Record(t.Context(), auditlog.Event{Kind: "test", Person: "ada"})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s%d\n", ack, e.Number)
	}
}

// BenchmarkAuditRecord is the price of one durable event.
func BenchmarkAuditRecord(b *testing.B) {
	path := filepath.Join(b.TempDir(), "bridge.db")
	s, err := boltstore.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	s, l := openLog(b, path)
	defer s.Close()
	for b.Loop() {
		if err := l.Act(b.Context(), auditlog.Event{Kind: "test", Person: "ada"}); err != nil {
			b.Fatal(err)
		}
	}
}
