package lab

import (
	"strings"

	"github.com/lor00x/goldap/message"
)

// truth is what a filter says of an entry (RFC 4511 §4.5.1.7): so ordered, "and"
// is the least, "or" the greatest, and "not" the negative.
type truth int

const (
	no truth = iota - 1
	undefined
	yes
)

// match evaluates f on e, every comparison without regard to case.
func (d *directory) match(e entry, f message.Filter) truth {
	switch f := f.(type) {
	case message.FilterAnd:
		t := yes
		for _, c := range f {
			t = min(t, d.match(e, c))
		}
		return t
	case message.FilterOr:
		t := no
		for _, c := range f {
			t = max(t, d.match(e, c))
		}
		return t
	case message.FilterNot:
		return -d.match(e, f.Filter)
	case message.FilterPresent:
		return d.any(e, string(f), func(string) bool { return true })
	case message.FilterEqualityMatch:
		want := string(f.AssertionValue())
		return d.any(e, string(f.AttributeDesc()), func(v string) bool { return strings.EqualFold(v, want) })
	case message.FilterSubstrings:
		return d.any(e, string(f.Type_()), func(v string) bool { return hasParts(strings.ToLower(v), f.Substrings()) })
	}
	return undefined // no ordering, approximation or extensible matching here
}

// any reports whether ok holds for a value of an attribute that desc names.
func (d *directory) any(e entry, desc string, ok func(string) bool) truth {
	typ, _, _ := strings.Cut(strings.ToLower(desc), ";")
	if !d.known[typ] {
		return undefined
	}
	for _, a := range e.attributes {
		if !describes(desc, a.description) {
			continue
		}
		for _, v := range a.values {
			if ok(v) {
				return yes
			}
		}
	}
	return no
}

// hasParts reports whether v, in lower case, consists of these parts in order.
func hasParts(v string, parts []message.Substring) bool {
	for _, p := range parts {
		ok := false
		switch p := p.(type) {
		case message.SubstringInitial:
			v, ok = strings.CutPrefix(v, strings.ToLower(string(p)))
		case message.SubstringAny:
			_, v, ok = strings.Cut(v, strings.ToLower(string(p)))
		case message.SubstringFinal:
			ok = strings.HasSuffix(v, strings.ToLower(string(p)))
		}
		if !ok {
			return false
		}
	}
	return true
}
