package signedlist_test

import (
	"fmt"
	"testing"
	"time"

	"bridge.example/signedlist"
)

// BenchmarkPublishXML is what the format of TS 119 612 takes for 10,000 members,
// history and signature included: the difference between with and without it.
func BenchmarkPublish(b *testing.B) {
	const members = 10_000
	entries := make([]signedlist.Entry, members)
	for i := range entries {
		entries[i] = entry(b, fmt.Sprintf("m%05d", i))
	}
	for _, scheme := range []*signedlist.Scheme{nil, newScheme()} {
		b.Run(fmt.Sprintf("xml=%t", scheme != nil), func(b *testing.B) {
			s := newBench(b)
			s.scheme = scheme
			s.Publisher = s.with(s.signer)
			b.ReportAllocs()
			var bytes int
			for i := 0; b.Loop(); i++ {
				s.now = s.now.Add(time.Minute)
				p, err := s.Publisher.Publish(b.Context(), entries[i%2:], left)
				if err != nil {
					b.Fatal(err)
				}
				if scheme != nil {
					bytes = len(file(b, p, signedlist.XMLName))
				}
			}
			b.ReportMetric(float64(bytes)/members, "bytes/member")
		})
	}
}

// BenchmarkOpenXML is what it takes a relying party to open the same.
func BenchmarkOpenXML(b *testing.B) {
	s := newXMLBench(b)
	entries := make([]signedlist.Entry, 10_000)
	for i := range entries {
		entries[i] = entry(b, fmt.Sprintf("m%05d", i))
	}
	p, err := s.Publisher.Publish(b.Context(), entries, left)
	if err != nil {
		b.Fatal(err)
	}
	document, roots := file(b, p, signedlist.XMLName), s.roots()
	b.SetBytes(int64(len(document)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := signedlist.OpenXML(document, roots, s.now); err != nil {
			b.Fatal(err)
		}
	}
}
