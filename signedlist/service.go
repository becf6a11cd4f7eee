package signedlist

import (
	"slices"
	"time"
)

// Service is a CA certificate of a member as TS 119 612 lists it: one that left
// the list stays in sight, as withdrawn.
type Service struct {
	Entry // as it stands in the list, or stood there last
	// Changes are the instants of the lists that it entered and left, in turn,
	// the oldest first; at least one.
	Changes []time.Time
}

// Granted reports whether the service stands in the list.
func (s Service) Granted() bool { return len(s.Changes)%2 == 1 }

// advance returns the services of a list with entries, issued at an instant,
// after one with the services old. Both are ordered as in a list, and so is what
// it returns.
func advance(old []Service, entries []Entry, at time.Time) []Service {
	out := make([]Service, 0, max(len(old), len(entries)))
	changed := func(s Service, e Entry) Service {
		return Service{Entry: e, Changes: append(slices.Clip(s.Changes), at)}
	}
	for len(old) > 0 || len(entries) > 0 {
		var c int
		switch {
		case len(old) == 0:
			c = 1
		case len(entries) == 0:
			c = -1
		default:
			c = compare(old[0].Entry, entries[0])
		}
		switch {
		case c > 0:
			out = append(out, changed(Service{}, entries[0]))
		case c < 0 && old[0].Granted():
			out = append(out, changed(old[0], old[0].Entry))
		case c < 0:
			out = append(out, old[0])
		case old[0].Granted():
			out = append(out, Service{Entry: entries[0], Changes: old[0].Changes})
		default:
			out = append(out, changed(old[0], entries[0]))
		}
		if c <= 0 {
			old = old[1:]
		}
		if c >= 0 {
			entries = entries[1:]
		}
	}
	return out
}

// granted returns the entries of services that stand in the list.
func granted(services []Service) (out []Entry) {
	for _, s := range services {
		if s.Granted() {
			out = append(out, s.Entry)
		}
	}
	return out
}
