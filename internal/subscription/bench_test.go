package subscription_test

import (
	"crypto/x509"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"bridge.example/internal/subscription"
	"bridge.example/signedlist"
)

// BenchmarkUpdate is an update of a machine that trusts 10,000 members, of which
// one has left: fetching, checking, and making all targets.
func BenchmarkUpdate(b *testing.B) {
	const members = 10_000
	br := newBridge(b)
	entries := make([]signedlist.Entry, members)
	like := entry(b, "alpha")
	for i := range entries {
		e := like
		e.Member = fmt.Sprintf("m%05d", i)
		e.Certificate = issue(b, e.Member, nil, func(c *x509.Certificate) { ca(c) }).Cert
		entries[i] = e
	}
	br.publish(b, entries...)
	s := create(b, filepath.Join(b.TempDir(), "subscription"), br, br.config(), subscription.Options{Timeout: time.Minute})
	update(b, s)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		br.publish(b, entries[:members-1-i%2]...)
		b.StartTimer()
		if r := update(b, s); r.State != subscription.Changed {
			b.Fatalf("got %+v", r)
		}
	}
}
