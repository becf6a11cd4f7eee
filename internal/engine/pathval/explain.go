package pathval

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Explain tells people what Validate or Build found: the path from the anchor
// down and its policies, or every reason against one. It has no control
// characters, whatever stands in the certificates.
func Explain(out io.Writer, r *Result, err error) error {
	var b strings.Builder
	var none *NoPathError
	var rejection *Rejection
	switch {
	case err == nil:
		explainPath(&b, r)
	case errors.As(err, &none):
		fmt.Fprintf(&b, "%s\n", none.cause)
		for _, r := range none.Rejections {
			explainRejection(&b, r)
		}
		if none.Omitted > 0 {
			fmt.Fprintf(&b, "and %d more\n", none.Omitted)
		}
		explainWork(&b, none.Work)
	case errors.As(err, &rejection):
		b.WriteString("not valid\n")
		explainRejection(&b, rejection)
	default:
		fmt.Fprintf(&b, "not decided: %s\n", printable(err.Error()))
	}
	_, err = io.WriteString(out, b.String())
	return err
}

func explainPath(b *strings.Builder, r *Result) {
	b.WriteString("valid")
	switch {
	case len(r.Policies) == 0:
		b.WriteString(", under no policy")
	default:
		b.WriteString(" under the policies")
		for _, p := range r.Policies {
			if p.Equal(AnyPolicy()) {
				b.WriteString(" any")
			} else {
				b.WriteString(" " + p.String())
			}
		}
	}
	fmt.Fprintf(b, "\n  anchor %s\n", r.Anchor)
	for i, c := range r.Path {
		fmt.Fprintf(b, "  %6d %s, until %s\n", i+1, c, c.NotAfter.UTC().Format("2006-01-02"))
	}
	explainWork(b, r.Work)
}

func explainRejection(b *strings.Builder, r *Rejection) {
	fmt.Fprintf(b, "- %s\n", printable(r.Error()))
	for i, c := range r.Path {
		mark := ' '
		if i == r.Index {
			mark = '>'
		}
		fmt.Fprintf(b, "  %c %s\n", mark, c)
	}
}

func explainWork(b *strings.Builder, w Work) {
	fmt.Fprintf(b, "work: %d signatures verified, %d steps, %d candidates, %d names compared, %d questions about revocation\n",
		w.Signatures, w.Steps, w.Candidates, w.Names, w.Statuses)
}

// printable replaces what a terminal might act upon.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
