package daemon_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bridge.example/api/proto"
	"bridge.example/internal/ceremony"
	"bridge.example/internal/daemon"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

// TestAuditKey starts bridges whose audit log or its key is not as they were
// founded with.
func TestAuditKey(t *testing.T) {
	for _, tt := range []struct {
		name string
		bend func(statedir.Dir) error
		want fault.Kind
		ok   bool
	}{
		{"as founded", func(statedir.Dir) error { return nil }, 0, true},
		{"founded before there was an audit log", func(d statedir.Dir) error {
			if err := os.Remove(d.Key(statedir.AuditLog)); err != nil {
				return err
			}
			return newStore(d)
		}, 0, true},
		{"a lost key", func(d statedir.Dir) error { return os.Remove(d.Key(statedir.AuditLog)) }, fault.NotFound, false},
		{"another key", func(d statedir.Dir) error {
			if err := os.Remove(d.Key(statedir.AuditLog)); err != nil {
				return err
			}
			_, err := keys.Create(d.Key(statedir.AuditLog), keys.Ed25519, nil)
			return err
		}, fault.Conflict, false},
		{"a key of another kind", func(d statedir.Dir) error {
			if err := os.Remove(d.Key(statedir.AuditLog)); err != nil {
				return err
			}
			_, err := keys.Create(d.Key(statedir.AuditLog), keys.P384, nil)
			return err
		}, fault.Invalid, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := statedir.Dir(filepath.Join(t.TempDir(), "state"))
			r, err := ceremony.Found(t.Context(), string(d), ceremony.Options{
				Name: "Test Bridge", Level: "1.3.6.1.4.1.32473.1.1", Officers: []string{"ada", "grace"},
				URL: "http://127.0.0.1:1", ResponderURL: "http://127.0.0.1:2", Key: keys.P256, PlainKeys: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.bend(d); err != nil {
				t.Fatal(err)
			}
			c, err := config.LoadFile(r.Config)
			if err != nil {
				t.Fatal(err)
			}
			const free = "127.0.0.1:0"
			c.Admin.Listen, c.Directory.Listen, c.Responder.Listen, c.Repository.Listen = free, free, free, free
			b, err := daemon.New(t.Context(), c, "test", slog.New(slog.DiscardHandler))
			if (err == nil) != tt.ok || err != nil && fault.KindOf(err) != tt.want {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				ended, cancel := context.WithCancel(t.Context())
				go func() { <-b.Ready(); cancel() }()
				if err := b.Run(ended); err != nil {
					t.Fatal(err)
				}
				if got := kinds(t, d); !slices.Contains(got, "bridge.start") || got[len(got)-1] != "bridge.stop" {
					t.Errorf("got events %q", got)
				}
			}
		})
	}
}

func newStore(d statedir.Dir) error {
	if err := os.Remove(d.Store()); err != nil {
		return err
	}
	s, err := boltstore.Create(d.Store())
	if err != nil {
		return err
	}
	return s.Close()
}

// kinds is what the log of a bridge that does not run says.
func kinds(t *testing.T, d statedir.Dir) (out []string) {
	t.Helper()
	key, err := keys.Open(d.Key(statedir.AuditLog), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := boltstore.Open(d.Store())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	log, err := auditlog.Open(t.Context(), s.Audit(), key, auditlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range log.Events(t.Context(), 1, log.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e.Kind)
	}
	return out
}

// TestAdmissionIsRecorded: the audit log tells an admission step by step, each
// before what follows from it, and who took it.
func TestAdmissionIsRecorded(t *testing.T) {
	alpha := organisation(t, alphaSpec())
	b := start(t, "o=bridge", func(*config.Config) {}, alpha)
	b.admit(t, b.application(t, alpha))
	var got []string
	for from := uint64(1); from != 0; {
		page, err := b.as(t, lab.Ada.Person).ListAuditEvents(t.Context(), &proto.ListAuditEventsRequest{From: from, PageSize: 500})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range page.GetEvents() {
			e, err := auditlog.DecodeEvent([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if e.Member == "alpha" && !strings.HasPrefix(e.Kind, "call") {
				got = append(got, strings.TrimSpace(e.Kind+" "+e.Person+" "+e.Details["to"]))
			}
		}
		from = page.GetNext()
	}
	want := []string{
		"member.apply ada draft", "member.submit ada submitted", "member.check ada checked", "member.assess cleo assessed",
		"member.contract ada contracted", "member.identify ada", "member.identify bob identified",
		"member.approve dora", "member.approve emil approved", "member.check finn approved", "member.check finn approved", "member.activate finn active", "certificate.issue",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("recorded (-got +want):\n%s", diff)
	}
}
