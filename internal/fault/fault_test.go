package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"bridge.example/internal/fault"
)

func TestKindOf(t *testing.T) {
	missing := fault.New(fault.NotFound, "no member %q", "alpha")
	for _, tt := range []struct {
		name string
		err  error
		want fault.Kind
	}{
		{"unclassified", io.EOF, fault.Internal},
		{"direct", missing, fault.NotFound},
		{"with context", fmt.Errorf("loading: %w", missing), fault.NotFound},
		{"outermost wins", fault.New(fault.Unavailable, "asking: %w", missing), fault.Unavailable},
		{"inside a join", errors.Join(io.EOF, missing), fault.NotFound},
	} {
		if got := fault.KindOf(tt.err); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestNewWraps(t *testing.T) {
	err := fault.New(fault.Unavailable, "reading: %w", io.EOF)
	if !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want it to wrap io.EOF", err)
	}
	if got, want := err.Error(), "reading: EOF"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestExitCode(t *testing.T) {
	for kind, want := range map[fault.Kind]int{
		fault.Internal: 1, fault.Invalid: 2, fault.NotFound: 3, fault.Conflict: 4, fault.Denied: 5, fault.Unavailable: 6, fault.Kind(99): 1,
	} {
		if got := kind.ExitCode(); got != want {
			t.Errorf("%v: got %d, want %d", kind, got, want)
		}
	}
}
