package xmlsig

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// escape is a character that is written as a reference.
type escape struct {
	char      byte
	reference string
}

// What canonical form writes as references, and nothing else (W3C Canonical XML
// 1.0 §2.3).
var (
	inText      = []escape{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'\r', "&#xD;"}}
	inAttribute = []escape{{'&', "&amp;"}, {'<', "&lt;"}, {'"', "&quot;"}, {'\t', "&#x9;"}, {'\n', "&#xA;"}, {'\r', "&#xD;"}}
)

// EscapeText returns s as character data in canonical form. U+FFFD takes the
// place of what XML has no way to say.
func EscapeText(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return !allowed(c) || escaped(c) >= 0 }) {
		return s
	}
	var b strings.Builder
	for _, c := range s { // a byte that is not UTF-8 comes as U+FFFD
		i := escaped(c)
		switch {
		case i >= 0:
			b.WriteString(inText[i].reference)
		case allowed(c):
			b.WriteRune(c)
		default:
			b.WriteRune(utf8.RuneError)
		}
	}
	return b.String()
}

// escaped is the index of c in inText, or -1.
func escaped(c rune) int {
	return slices.IndexFunc(inText, func(e escape) bool { return rune(e.char) == c })
}

// allowed reports whether XML documents may have c (XML 1.0 §2.2).
func allowed(c rune) bool {
	return c >= ' ' && c != 0xfffe && c != 0xffff || c == '\t' || c == '\n' || c == '\r'
}

// unescape is the reverse: it takes what is written in canonical form. The result
// may be b itself.
func unescape(b []byte, escapes []escape) ([]byte, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("text that is not UTF-8")
	}
	for _, e := range escapes[1:] { // '&' comes first, and below
		if bytes.IndexByte(b, e.char) >= 0 {
			return nil, errors.New("a character that canonical form writes as " + e.reference)
		}
	}
	if bytes.ContainsFunc(b, func(c rune) bool { return !allowed(c) }) {
		return nil, errors.New("a character that XML does not have")
	}
	if bytes.IndexByte(b, '&') < 0 {
		return b, nil
	}
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		i := bytes.IndexByte(b, '&')
		if i < 0 {
			i = len(b)
		}
		out, b = append(out, b[:i]...), b[i:]
		if len(b) == 0 {
			break
		}
		j := slices.IndexFunc(escapes, func(e escape) bool { return bytes.HasPrefix(b, []byte(e.reference)) })
		if j < 0 {
			return nil, errors.New("a reference that canonical form does not have")
		}
		out, b = append(out, escapes[j].char), b[len(escapes[j].reference):]
	}
	return out, nil
}
