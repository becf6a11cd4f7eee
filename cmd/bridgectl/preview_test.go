package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// star is a preview in which the first of n members opens paths to and from
// every other, which have them among each other.
func star(n int) preview {
	p := preview{Member: "m0", Bridge: "CN=<Bridge>", Opened: 2 * (n - 1)}
	for i := range n {
		p.Members = append(p.Members, fmt.Sprintf("m%d", i))
	}
	for _, from := range p.Members {
		for _, to := range p.Members {
			x := previewPath{Change: "stays", From: from, To: to, CA: "CN=" + to + " & \"<Co>\"", Policies: []string{"1.2.3"}}
			if from == "m0" || to == "m0" {
				x.Change = "opens"
			}
			if from != to {
				p.Paths = append(p.Paths, x)
			}
		}
	}
	p.Summary = p.summary()
	return p
}

func TestPicture(t *testing.T) {
	odd := star(3)
	odd.Paths = append(odd.Paths, previewPath{Change: "closes", From: "m1", To: "m1"}, previewPath{Change: "closes", From: "m1", To: "nobody"})
	odd.Member = "\x00\xff\u202e<m>"
	for _, tt := range []struct {
		name  string
		p     preview
		thick int // lines
		words string
	}{
		{"nobody else", star(1), 0, "opens 0 paths, closes 0"},
		{"two", star(2), 2, "2 opens: m1 to m0; CN=m0 &amp;"},
		{"three", star(3), 4, "4 opens: m2 to m0"},
		{"more than fit", star(200), 2 * (maxDrawnMembers - 1), "140 members not drawn"},
		{"nonsense", odd, 0, "\uFFFD\uFFFD\uFFFD&lt;m&gt;"},
	} {
		var b bytes.Buffer
		if err := tt.p.drawTo(&b); err != nil {
			t.Fatal(err)
		}
		svg := b.String()
		if err := parseXML(b.Bytes()); err != nil {
			t.Errorf("%s: not well-formed: %v", tt.name, err)
		}
		if n := strings.Count(svg, `stroke-width="4"`); tt.name != "nonsense" && n != tt.thick {
			t.Errorf("%s: got %d thick lines, want %d", tt.name, n, tt.thick)
		}
		if !strings.Contains(svg, tt.words) || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: got %.300s… without %q, or with what is no number", tt.name, svg, tt.words)
		}
	}
}

func parseXML(b []byte) error {
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
