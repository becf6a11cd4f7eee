package ldapfront_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"bridge.example/internal/edge/ldapfront"
	"bridge.example/internal/wire/ldap"
)

// Searches over loopback, without a log. Each operation is a burst of depth
// searches with one entry of 1.5 KB each.
func BenchmarkSearch(b *testing.B) {
	f := start(b, bobOnly, ldapfront.Options{Log: slog.New(slog.DiscardHandler)})
	answer := len(encode(b,
		ldap.Message{ID: 1, Op: ldap.SearchResultEntry{DN: bob.DN, Attributes: []ldap.Attribute{
			ldap.Attribute(bob.Attributes[0]), ldap.Attribute(bob.Attributes[1]),
		}}},
		ldap.Message{ID: 1, Op: ldap.SearchResultDone{}}))
	for name, depth := range map[string]int{"1 deep": 1, "16 deep": 16} {
		b.Run(name, func(b *testing.B) {
			burst := bytes.Repeat(encode(b, search(1)), depth)
			b.SetParallelism(4) // connections for each processor
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				c := f.dial(b)
				c.nc.SetDeadline(time.Time{})
				for pb.Next() {
					c.sendRaw(burst)
					if _, err := c.r.Discard(depth * answer); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
