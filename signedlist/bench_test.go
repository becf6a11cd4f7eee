package signedlist_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"

	"bridge.example/signedlist"
)

// BenchmarkPublish publishes every format of a list of 10,000 members, on one
// core. heap-MB is what the process holds at most: the list before, and all else
// the test made, included.
func BenchmarkPublish(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(250 << 20))
	w := newXMLBench(b)
	entries := make([]signedlist.Entry, 10_000)
	key := newKey(b)
	for i := range entries {
		member := fmt.Sprintf("member-%d", i)
		entries[i] = entry(b, "template")
		entries[i].Member, entries[i].Title, entries[i].MailDomains = member, "Organisation "+member, []string{member + ".example"}
		entries[i].Certificate = issueFor(b, key, member, nil, func(c *x509.Certificate) {
			ca(c)
			c.Subject = pkix.Name{Country: []string{"DE"}, Organization: []string{"Organisation " + member}, CommonName: "Root CA 1 of " + member}
		}).Cert
	}
	var peak uint64
	var bytes int
	for i := 0; b.Loop(); i++ {
		for n := range w.archive.lists { // as if they were on a disk
			if n < len(w.archive.lists)-1 {
				w.archive.lists[n], w.archive.forms[n] = nil, nil
			}
		}
		p, err := w.Publisher.Publish(b.Context(), entries[i%2:], left)
		if err != nil {
			b.Fatal(err)
		}
		bytes = 0
		for _, f := range p.Files {
			bytes += len(f.Body)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapSys-m.HeapReleased)
	}
	b.ReportMetric(float64(peak)/1e6, "heap-MB")
	b.ReportMetric(float64(bytes)/1e6, "published-MB")
}
