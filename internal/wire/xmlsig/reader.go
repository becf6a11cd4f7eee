package xmlsig

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Kind is the kind of a token.
type Kind int

// The kinds of tokens.
const (
	Start Kind = iota // of an element: Space, Name and Attr
	End               // of an element: Space and Name
	Text              // character data, never empty
)

// Token is one token of a document.
type Token struct {
	Kind  Kind
	Space string // namespace name
	Name  string // local name
	Attr  []Attr // without namespace declarations
	Text  []byte // may refer to the document
}

// Attr is an attribute.
type Attr struct{ Space, Name, Value string }

// Reader reads a document of elements, attributes and text in exclusive
// canonical form (W3C Exclusive XML Canonicalization 1.0), and nothing else: no
// other spelling; no XML declaration, document type, comment, processing
// instruction or CDATA section; no space around the root. Names are ASCII.
type Reader struct {
	rest  []byte
	then  []byte // comes after rest; they part between two tags
	size  int
	begun bool
	open  []element         // outermost first
	scope []binding         // namespace declarations in force, innermost last
	names map[string]string // each that was read, so that it is in memory once
}

type element struct {
	written     string // its name, with the prefix
	space, name string
	outside     int // declarations in force around it
}

type binding struct{ prefix, space string }

// NewReader returns a reader of document.
func NewReader(document []byte) *Reader {
	return newReader(document, nil)
}

func newReader(document, then []byte) *Reader {
	return &Reader{rest: document, then: then, size: len(document) + len(then), names: map[string]string{}}
}

// Next returns the next token, and io.EOF after the end of the root. Errors:
// ErrFormat, with the place.
func (r *Reader) Next() (t Token, err error) {
	if r.size > maxBytes {
		return t, fmt.Errorf("%w: %d bytes are more than the %d allowed", ErrFormat, r.size, maxBytes)
	}
	if len(r.rest) == 0 {
		r.rest, r.then = r.then, nil
	}
	at := r.size - len(r.rest) - len(r.then)
	switch {
	case len(r.rest) == 0 && r.begun && len(r.open) == 0:
		return t, io.EOF
	case r.took("</"):
		t, err = r.end()
	case r.took("<"):
		t, err = r.start()
	default:
		t, err = r.text()
	}
	if err != nil {
		return Token{}, fmt.Errorf("%w: from byte %d: %w", ErrFormat, at, err)
	}
	return t, nil
}

// took skips s if it comes next.
func (r *Reader) took(s string) bool {
	after, ok := bytes.CutPrefix(r.rest, []byte(s))
	r.rest = after
	return ok
}

func (r *Reader) text() (Token, error) {
	i := bytes.IndexByte(r.rest, '<')
	if len(r.open) == 0 || i < 0 {
		return Token{}, errors.New("text outside the root, or no end of it")
	}
	s, err := unescape(r.rest[:i], inText)
	r.rest = r.rest[i:]
	return Token{Kind: Text, Text: s}, err
}

func (r *Reader) end() (Token, error) {
	if len(r.open) == 0 {
		return Token{}, errors.New("an end without a start")
	}
	e := r.open[len(r.open)-1]
	if !r.took(e.written) || !r.took(">") {
		return Token{}, fmt.Errorf("not the end of %s", e.written)
	}
	r.open, r.scope = r.open[:len(r.open)-1], r.scope[:e.outside]
	return Token{Kind: End, Space: e.space, Name: e.name}, nil
}

// written is an attribute as it is written.
type written struct{ prefix, name, value string }

func (r *Reader) start() (Token, error) {
	switch {
	case r.begun && len(r.open) == 0:
		return Token{}, errors.New("a second root")
	case len(r.open) == maxDepth:
		return Token{}, fmt.Errorf("elements more than %d deep", maxDepth)
	}
	r.begun = true
	prefix, name, err := r.name()
	if err != nil {
		return Token{}, err
	}
	e := element{written: join(prefix, name), name: name, outside: len(r.scope)}
	declared, attrs, err := r.attributes()
	if err != nil {
		return Token{}, err
	}
	if err := r.declare(declared, prefix, attrs); err != nil {
		return Token{}, err
	}
	var ok bool
	if e.space, ok = r.lookup(prefix); !ok && prefix != "" {
		return Token{}, fmt.Errorf("the prefix of %s is not declared", e.written)
	}
	t := Token{Kind: Start, Space: e.space, Name: name}
	for _, a := range attrs {
		out := Attr{Name: a.name, Value: a.value}
		if a.prefix != "" {
			if out.Space, ok = r.lookup(a.prefix); !ok {
				return Token{}, fmt.Errorf("the prefix of attribute %s is not declared", join(a.prefix, a.name))
			}
		}
		if n := len(t.Attr); n > 0 && order(t.Attr[n-1], out) >= 0 {
			return Token{}, errors.New("attributes that are out of order, or one twice")
		}
		t.Attr = append(t.Attr, out)
	}
	r.open = append(r.open, e)
	return t, nil
}

// attributes reads the rest of a start tag.
func (r *Reader) attributes() (declared []binding, attrs []written, err error) {
	for r.took(" ") {
		if len(declared)+len(attrs) == maxAttributes {
			return nil, nil, fmt.Errorf("an element with more than %d attributes", maxAttributes)
		}
		prefix, name, err := r.name()
		if err != nil {
			return nil, nil, err
		}
		if !r.took(`="`) {
			return nil, nil, errors.New("an attribute without a value in double quotes")
		}
		i := bytes.IndexByte(r.rest, '"')
		if i < 0 {
			return nil, nil, errors.New("an attribute that does not end")
		}
		value, err := unescape(r.rest[:i], inAttribute)
		if err != nil {
			return nil, nil, err
		}
		r.rest = r.rest[i+1:]
		switch {
		case prefix == "xmlns":
			declared = append(declared, binding{name, string(value)})
		case prefix == "" && name == "xmlns":
			declared = append(declared, binding{"", string(value)})
		default:
			attrs = append(attrs, written{prefix, name, string(value)})
			continue
		}
		if len(attrs) > 0 {
			return nil, nil, errors.New("a namespace declaration after an attribute")
		}
	}
	if !r.took(">") {
		return nil, nil, errors.New("a start tag that does not end as it should")
	}
	return declared, attrs, nil
}

// declare brings declarations into force. In canonical form an element has, in
// order, exactly those that it uses itself and that were not in force already.
func (r *Reader) declare(declared []binding, prefix string, attrs []written) error {
	for i, d := range declared {
		before, _ := r.lookup(d.prefix)
		used := d.prefix == prefix || d.prefix != "" && slices.ContainsFunc(attrs, func(a written) bool { return a.prefix == d.prefix })
		switch {
		case d.space == "" || d.prefix == "xml" || d.prefix == "xmlns" || strings.HasPrefix(d.space, "http://www.w3.org/XML/") || strings.HasPrefix(d.space, "http://www.w3.org/2000/xmlns"):
			return errors.New("a namespace that cannot be declared")
		case i > 0 && declared[i-1].prefix >= d.prefix:
			return errors.New("namespace declarations that are out of order, or one twice")
		case before == d.space || !used:
			return fmt.Errorf("a declaration of %q that is not needed", d.space)
		}
	}
	r.scope = append(r.scope, declared...)
	return nil
}

// lookup returns the namespace that prefix stands for.
func (r *Reader) lookup(prefix string) (space string, ok bool) {
	if prefix == "xml" {
		return "http://www.w3.org/XML/1998/namespace", true
	}
	for _, b := range slices.Backward(r.scope) {
		if b.prefix == prefix {
			return b.space, true
		}
	}
	return "", false
}

// name reads a name, with a prefix or none.
func (r *Reader) name() (prefix, name string, err error) {
	i := slices.IndexFunc(r.rest[:min(len(r.rest), maxName+1)], func(c byte) bool {
		return !letter(c) && (c < '0' || c > '9') && c != '-' && c != '.' && c != ':'
	})
	if i < 0 {
		return "", "", fmt.Errorf("a name longer than %d bytes, or the end", maxName)
	}
	name, known := r.names[string(r.rest[:i])]
	if !known {
		name = string(r.rest[:i])
		r.names[name] = name
	}
	r.rest = r.rest[i:]
	if before, after, ok := strings.Cut(name, ":"); ok {
		prefix, name = before, after
		if prefix == "" || !letter(prefix[0]) {
			return "", "", errors.New("not a name")
		}
	}
	if name == "" || !letter(name[0]) || strings.Contains(name, ":") {
		return "", "", errors.New("not a name")
	}
	return prefix, name, nil
}

// letter reports whether c may begin a name.
func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' }

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + ":" + name
}

// order is that of attributes in canonical form.
func order(a, b Attr) int { return cmp.Or(cmp.Compare(a.Space, b.Space), cmp.Compare(a.Name, b.Name)) }
