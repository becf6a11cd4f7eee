package boltstore_test

import (
	"bytes"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/notice"
	"bridge.example/internal/people"
	"bridge.example/internal/storetest"
	"bridge.example/membership"
	"bridge.example/signedlist"
)

func create(t *testing.T) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Create(filepath.Join(t.TempDir(), "bridge.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestMembers(t *testing.T) {
	storetest.Members(t, func(t *testing.T) membership.Store { return create(t).Members() })
}

func TestPeople(t *testing.T) {
	storetest.People(t, func(t *testing.T) people.Store { return create(t).People() })
}

func TestDocuments(t *testing.T) { storetest.Documents(t, create(t).Documents()) }

func TestLedger(t *testing.T) {
	storetest.Ledger(t, func(t *testing.T) crosscert.Ledger { return create(t).Ledger() })
}

func TestLists(t *testing.T) {
	storetest.Lists(t, func(t *testing.T) signedlist.Archive { return create(t).Lists() })
}

func TestAudit(t *testing.T) {
	storetest.Audit(t, func(t *testing.T) auditlog.Store { return create(t).Audit() })
}

// TestSpoiltFile: a store of another format, or without its audit log, is not
// opened.
func TestSpoiltFile(t *testing.T) {
	for name, spoil := range map[string]func(*bolt.Tx) error{
		"an older format": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte{0, 0, 0, 0, 0, 0, 0, 2})
		},
		"a later format": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte{0, 0, 0, 0, 0, 0, 0, 9})
		},
		"no audit log": func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("audit_events")) },
	} {
		path := filepath.Join(t.TempDir(), "bridge.db")
		s, err := boltstore.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(spoil), db.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := boltstore.Open(path); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
}

// TestReopen checks that what one process wrote, the next one finds.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	s, err := boltstore.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Ledger().NextCRLNumber(t.Context()); n != 1 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if err := s.Lists().Append(t.Context(), 1, []byte("list"), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = boltstore.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := s.Ledger().NextCRLNumber(t.Context()); n != 2 || err != nil {
		t.Errorf("got CRL number %d, %v; want 2", n, err)
	}
	if _, der, err := s.Lists().Latest(t.Context()); string(der) != "list" || err != nil {
		t.Errorf("got list %q, %v", der, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	held := filepath.Join(dir, "held.db")
	s, err := boltstore.Create(held)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("no store "), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		open       func(string) (*boltstore.Store, error)
		want       fault.Kind
	}{
		{"a lost store", filepath.Join(dir, "lost.db"), boltstore.Open, fault.NotFound},
		{"a file that is no store", garbage, boltstore.Open, fault.Invalid},
		{"a store in use", held, boltstore.Open, fault.Unavailable},
		{"creating over a store", held, boltstore.Create, fault.Conflict},
		{"creating in a folder that is not there", filepath.Join(dir, "no", "bridge.db"), boltstore.Create, fault.NotFound},
	} {
		s, err := tt.open(tt.path)
		if err == nil {
			s.Close()
		}
		if err == nil || fault.KindOf(err) != tt.want {
			t.Errorf("%s: got %v, want kind %v", tt.name, err, tt.want)
		}
	}
}

// TestWhatIsRemembered: what watching saw and what was announced is there again
// after the file was closed.
func TestWhatIsRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	s, err := boltstore.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Seen().Load(t.Context()); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v before anything was seen, want NotFound", err)
	}
	if _, err := s.Sent().Load(t.Context()); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v before anything was sent, want NotFound", err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	huge, _ := new(big.Int).SetString("ffffffffffffffffffffffffffffffffffffffff", 16)
	seen := federation.Seen{
		Standings: map[string]federation.Standing{"aa": {Member: "alpha", Unknown: "nobody answers", Since: at, CRLEnds: at}},
		Numbers:   map[string]*big.Int{"k": huge},
		Changes:   map[membership.ID]federation.Difference{"alpha": {At: at, Lines: []string{"a fails now"}}},
	}
	sent := notice.Sent{At: at, Stages: map[string]int{"ca alpha": 3}}
	if err := errors.Join(s.Seen().Save(t.Context(), seen), s.Sent().Save(t.Context(), sent), s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = boltstore.Open(path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	gotSeen, err1 := s.Seen().Load(t.Context())
	gotSent, err2 := s.Sent().Load(t.Context())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(gotSeen.Standings, seen.Standings) || gotSeen.Numbers["k"].Cmp(huge) != 0 || !reflect.DeepEqual(gotSeen.Changes, seen.Changes) || !reflect.DeepEqual(gotSent, sent) {
		t.Errorf("got %+v and %+v", gotSeen, gotSent)
	}
}
