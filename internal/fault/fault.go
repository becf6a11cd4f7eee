// Package fault gives every error exactly one kind, so that each edge can turn
// kinds into its protocol's codes in one place.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what went wrong in terms a caller can act on.
type Kind uint8

const (
	// Internal is a fault of the service itself. It is the zero value, so an
	// error nobody classified never looks like the caller's mistake.
	Internal Kind = iota
	// Invalid means that the input can never be accepted as it is.
	Invalid
	// NotFound means that the thing named does not exist here.
	NotFound
	// Conflict means that the state does not allow it; look again, then retry.
	Conflict
	// Denied means that this caller may not.
	Denied
	// Unavailable means that something needed does not answer; retry later.
	Unavailable
)

var names = [...]string{"internal", "invalid", "not found", "conflict", "denied", "unavailable"}

// String returns the kind in words.
func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ExitCode is what a program ends with because of an error of kind k.
func (k Kind) ExitCode() int {
	switch k {
	case Invalid:
		return 2
	case NotFound:
		return 3
	case Conflict:
		return 4
	case Denied:
		return 5
	case Unavailable:
		return 6
	}
	return 1
}

// fault carries a kind beside an ordinary error.
type fault struct {
	kind Kind
	err  error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// New makes an error of kind k; format and args are those of [fmt.Errorf],
// so %w wraps.
func New(k Kind, format string, args ...any) error {
	return &fault{kind: k, err: fmt.Errorf(format, args...)}
}

// KindOf returns the kind of the outermost fault in err's tree: a layer that
// knows better than the one below may reclassify by wrapping. An error without
// one is Internal; so is nil, which callers do not ask about.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.kind
	}
	return Internal
}
