package ldap

import (
	"bytes"
	"encoding/hex"
	"strings"

	"bridge.example/internal/fault"
)

// ParseFilter reads the text form of a filter (RFC 4515), nested no deeper than
// the default of [Limits]. It is strict: parentheses are required, spaces
// between them are not skipped, and a substring may not be empty. Errors are of
// kind fault.Invalid.
func ParseFilter(s string) (Filter, error) {
	p := filterParser{rest: s}
	f := p.filter(filterDepth)
	if p.err == nil && p.rest != "" {
		p.fail("text after the filter")
	}
	return f, p.err
}

// filterParser takes a filter off the front of rest. The first error stays.
type filterParser struct {
	rest string
	err  error
}

func (p *filterParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fault.New(fault.Invalid, "parsing filter: "+format, args...)
	}
}

// take removes prefix from the front, or says that it is not there.
func (p *filterParser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *filterParser) filter(depth int) (f Filter) {
	if depth > defaultDepth {
		p.fail("nested deeper than %d", defaultDepth)
		return f
	}
	if !p.take("(") {
		p.fail(`"(" missing`)
		return f
	}
	switch {
	case p.take("&"):
		f = Filter{Op: And, Children: p.list(depth + 1)}
	case p.take("|"):
		f = Filter{Op: Or, Children: p.list(depth + 1)}
	case p.take("!"):
		f = Filter{Op: Not, Children: []Filter{p.filter(depth + 1)}}
	default:
		f = p.item()
	}
	if !p.take(")") {
		p.fail(`")" missing`)
	}
	return f
}

func (p *filterParser) list(depth int) []Filter {
	var children []Filter
	for p.err == nil && strings.HasPrefix(p.rest, "(") {
		children = append(children, p.filter(depth))
	}
	return children
}

// item parses everything between the parentheses of a leaf.
func (p *filterParser) item() (f Filter) {
	end := strings.IndexAny(p.rest, "()")
	if end < 0 {
		end = len(p.rest)
	}
	left, right, ok := strings.Cut(p.rest[:end], "=")
	p.rest = p.rest[end:]
	if !ok || left == "" {
		p.fail(`attribute and "=" missing`)
		return f
	}
	switch left[len(left)-1] {
	case '~':
		f.Op = Approx
	case '>':
		f.Op = GreaterOrEqual
	case '<':
		f.Op = LessOrEqual
	case ':':
		f.Op = Extensible
	default:
		if right == "*" {
			return Filter{Op: Present, Attribute: p.description(left)}
		}
		if strings.Contains(right, "*") {
			return p.substrings(p.description(left), strings.Split(right, "*"))
		}
		return Filter{Op: Equality, Attribute: p.description(left), Value: p.value(right)}
	}
	left = left[:len(left)-1]
	if f.Op == Extensible {
		left = p.rule(&f, left)
	}
	if left != "" || f.Op != Extensible {
		f.Attribute = p.description(left)
	}
	f.Value = p.value(right)
	return f
}

// rule parses [attr][":dn"][":" rule], what stands before ":=" in an extensible
// match, and returns the attribute.
func (p *filterParser) rule(f *Filter, s string) (attribute string) {
	parts := strings.Split(s, ":")
	attribute, parts = parts[0], parts[1:]
	if len(parts) > 0 && strings.EqualFold(parts[0], "dn") {
		f.DNAttributes, parts = true, parts[1:]
	}
	if len(parts) > 0 {
		f.Rule, parts = p.description(parts[0]), parts[1:]
	}
	if len(parts) > 0 || attribute == "" && f.Rule == "" {
		p.fail("malformed extensible match")
	}
	return attribute
}

func (p *filterParser) substrings(attribute string, pieces []string) Filter {
	f := Filter{Op: Substrings, Attribute: attribute}
	last := len(pieces) - 1
	for i, piece := range pieces {
		value := p.value(piece)
		switch {
		case piece == "" && (i == 0 || i == last): // no initial, no final
		case piece == "":
			p.fail("empty substring")
		case i == 0:
			f.Initial = value
		case i == last:
			f.Final = value
		default:
			f.Any = append(f.Any, value)
		}
	}
	return f
}

// description checks an attribute description or a matching rule (RFC 4512
// §2.5); underscores occur in the field.
func (p *filterParser) description(s string) string {
	for _, c := range []byte(s) {
		if !isDescription(c) {
			p.fail("character %q in an attribute description", c)
			return ""
		}
	}
	if s == "" {
		p.fail("empty attribute description")
	}
	return s
}

func isDescription(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == ';' || c == '_'
}

// value undoes the escapes of RFC 4515 §3.
func (p *filterParser) value(s string) []byte {
	v := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '*', 0:
			p.fail("character %q must be escaped", s[i])
		case '\\':
			if i+2 >= len(s) {
				p.fail("escape cut off")
				return nil
			}
			octet, err := hex.DecodeString(s[i+1 : i+3])
			if err != nil {
				p.fail("escape without two hexadecimal digits")
				return nil
			}
			v = append(v, octet...)
			i += 2
		default:
			v = append(v, s[i])
		}
	}
	return v
}

// String returns the text form (RFC 4515). Everything but printable ASCII is
// escaped, so it is safe in logs and terminals; mind that it holds the values.
func (f Filter) String() string {
	return string(f.appendText(nil))
}

func (f Filter) appendText(b []byte) []byte {
	b = append(b, '(')
	switch f.Op {
	case And, Or, Not:
		b = append(b, "&|!"[f.Op])
		for _, child := range f.Children {
			b = child.appendText(b)
		}
	case Extensible:
		b = escape(b, []byte(f.Attribute))
		if f.DNAttributes {
			b = append(b, ":dn"...)
		}
		if f.Rule != "" {
			b = escape(append(b, ':'), []byte(f.Rule))
		}
		b = escape(append(b, ":="...), f.Value)
	case Substrings:
		b = append(escape(b, []byte(f.Attribute)), '=')
		b = append(escape(b, f.Initial), '*')
		for _, piece := range f.Any {
			b = append(escape(b, piece), '*')
		}
		b = escape(b, f.Final)
	case Present:
		b = append(escape(b, []byte(f.Attribute)), "=*"...)
	default:
		b = append(escape(b, []byte(f.Attribute)), f.Op.text()...)
		b = escape(b, f.Value)
	}
	return append(b, ')')
}

// text is what stands between attribute and value.
func (o FilterOp) text() string {
	switch o {
	case Equality:
		return "="
	case GreaterOrEqual:
		return ">="
	case LessOrEqual:
		return "<="
	case Approx:
		return "~="
	}
	return "?="
}

func escape(b, value []byte) []byte {
	const special = `*()\`
	for _, c := range value {
		if c < 0x20 || c > 0x7e || bytes.IndexByte([]byte(special), c) >= 0 {
			b = append(b, '\\', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&0xf])
		} else {
			b = append(b, c)
		}
	}
	return b
}
