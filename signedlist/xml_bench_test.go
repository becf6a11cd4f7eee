package signedlist_test

import (
	"fmt"
	"testing"

	"bridge.example/signedlist"
)

// BenchmarkOpenXML is what it takes a relying party to open a list of 10,000 members.
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
