package boltstore_test

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/notice"
	"bridge.example/internal/people"
	"bridge.example/membership"
)

// swap has this process write to another file where it has path open, and
// returns what puts that right.
func swap(t *testing.T, path, other string, flags int) (undo func()) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if target, _ := os.Readlink("/proc/self/fd/" + e.Name()); target != path {
			continue
		}
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err != nil {
			t.Fatal(err)
		}
		saved, err := syscall.Dup(fd) // holds the lock as well
		if err != nil {
			t.Fatal(err)
		}
		bad, err := syscall.Open(other, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(bad)
		if err := syscall.Dup3(bad, fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		return func() {
			t.Helper()
			if err := syscall.Dup3(saved, fd, syscall.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			syscall.Close(saved)
		}
	}
	t.Fatalf("%s is not open", path)
	return nil
}

// TestBadDisk lets each write find no room, and then a disk that takes nothing:
// it is refused and changes nothing; reading goes on. When there is room again
// it succeeds; after another failure, once the file was opened anew.
func TestBadDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	s, err := boltstore.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	ctx := t.Context()
	round := int64(0) // of writes that succeed
	for name, write := range map[string]func() error{
		"member": func() error {
			_, err := s.Members().Save(ctx, membership.Member{State: membership.Draft, Application: membership.Application{ID: membership.ID(fmt.Sprint("m", round))}})
			return err
		},
		"person": func() error {
			_, err := s.People().Save(ctx, people.Person{ID: people.ID(fmt.Sprint("p", round))})
			return err
		},
		"document": func() error { _, err := s.Documents().Put(ctx, "alpha", fmt.Append(nil, round)); return err },
		"certificate": func() error {
			_, err := s.Ledger().Put(ctx, crosscert.Record{Serial: big.NewInt(round + 1), Stage: crosscert.Intended})
			return err
		},
		"CRL number": func() error { _, err := s.Ledger().NextCRLNumber(ctx); return err },
		"CRL":        func() error { return s.Ledger().PutCRL(ctx, 1, round+1, []byte{1}) },
		"CA state":   func() error { _, err := s.Ledger().PutState(ctx, crosscert.State{Revision: uint64(round)}); return err },
		"list":       func() error { return s.Lists().Append(ctx, round+1, []byte{1}, nil) },
		"event": func() error {
			return s.Audit().Append(ctx, uint64(round)+1, []byte{1}, round, []tlog.Hash{{}}, []byte{1})
		},
		"seen": func() error { return s.Seen().Save(ctx, federation.Seen{}) },
		"sent": func() error { return s.Sent().Save(ctx, notice.Sent{At: time.Unix(round, 0)}) },
	} {
		t.Run(name, func(t *testing.T) {
			round = 0
			before := everything(t, s)
			refused := func(why string) {
				t.Helper()
				if err := write(); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), why) {
					t.Errorf("got %v, want Unavailable: %s", err, why)
				}
				if after := everything(t, s); !reflect.DeepEqual(before, after) {
					t.Errorf("what was refused is there")
				}
			}
			undo := swap(t, path, "/dev/full", os.O_RDWR)
			refused("make room")
			refused("make room")
			undo()
			if err := write(); err != nil {
				t.Errorf("with room: %v", err)
			}
			before, round = everything(t, s), 1
			undo = swap(t, path, path, os.O_RDONLY)
			refused("see to the disk and restart")
			undo()
			refused("see to the disk and restart")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = boltstore.Open(path); err != nil {
				t.Fatal(err)
			}
			if after := everything(t, s); !reflect.DeepEqual(before, after) {
				t.Errorf("what was refused is there after it was opened anew")
			}
			if err := write(); err != nil {
				t.Errorf("opened anew: %v", err)
			}
		})
	}
}

// everything is what can be read of a store.
func everything(t *testing.T, s *boltstore.Store) (out []any) {
	t.Helper()
	for m, err := range s.Members().All(t.Context(), "") {
		out = append(out, m, err)
	}
	for p, err := range s.People().All(t.Context()) {
		out = append(out, p, err)
	}
	for r, err := range s.Ledger().Records(t.Context()) {
		out = append(out, r, err)
	}
	for e, err := range s.Audit().Events(t.Context(), 1) {
		out = append(out, e, err)
	}
	for i := range 2 {
		d, err := s.Documents().Get(t.Context(), "alpha", fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i))))
		out = append(out, d, err == nil)
	}
	n, der, err := s.Ledger().LatestCRL(t.Context(), 1)
	out = append(out, n, der, err == nil)
	state, err := s.Ledger().State(t.Context())
	out = append(out, state, err)
	n, der, err = s.Lists().Latest(t.Context())
	out = append(out, n, der, err == nil)
	sent, err := s.Sent().Load(t.Context())
	return append(out, sent, err == nil)
}
