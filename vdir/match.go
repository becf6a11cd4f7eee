package vdir

import (
	"bytes"
	"strings"

	"bridge.example/internal/wire/ldap"
)

// truth is the value of a filter; Undefined is false for the searcher but stays
// itself under Not (RFC 4511 §4.5.1.7).
type truth uint8

const (
	undefined truth = iota
	no
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// match evaluates f against an entry as it is shown. Types that the entry does
// not have are undefined: what is not shown cannot be probed.
func match(f ldap.Filter, e *Entry) truth {
	switch f.Op {
	case ldap.And:
		return matchAll(f.Children, e, yes, no)
	case ldap.Or:
		return matchAll(f.Children, e, no, yes)
	case ldap.Not:
		if len(f.Children) != 1 {
			return undefined
		}
		switch match(f.Children[0], e) {
		case yes:
			return no
		case no:
			return yes
		}
		return undefined
	case ldap.Present:
		return truthOf(find(e, f.Attribute) != nil)
	case ldap.Equality, ldap.Substrings:
		a := find(e, f.Attribute)
		// Certificates are matched by assertions (RFC 4523 §3.1) not known here.
		if a == nil || a.Type == certificateType {
			return undefined
		}
		for _, v := range a.Values {
			if f.Op == ldap.Equality && equalValue(v, f.Value) || f.Op == ldap.Substrings && hasSubstrings(v, f) {
				return yes
			}
		}
		return no
	}
	return undefined
}

// matchAll is And and Or: all children give neutral, or one of them decides.
func matchAll(children []ldap.Filter, e *Entry, neutral, decisive truth) truth {
	result := neutral
	for _, child := range children {
		switch match(child, e) {
		case decisive:
			return decisive
		case undefined:
			result = undefined
		}
	}
	return result
}

// find returns the attribute that a description names, with ";binary" or
// without (RFC 4522 §3).
func find(e *Entry, description string) *Attribute {
	want := baseType(description)
	for i := range e.Attributes {
		if baseType(e.Attributes[i].Type) == want {
			return &e.Attributes[i]
		}
	}
	return nil
}

// baseType returns the canonical type of a description, empty when it carries
// options other than ";binary".
func baseType(description string) string {
	typ, option, tagged := strings.Cut(description, ";")
	if tagged && !strings.EqualFold(option, "binary") {
		return ""
	}
	return canonicalType(typ)
}

func equalValue(v, want []byte) bool {
	return bytes.EqualFold(v, want) || foldValue(string(v)) == foldValue(string(want))
}

func hasSubstrings(v []byte, f ldap.Filter) bool {
	s := strings.ToLower(string(v))
	s, ok := strings.CutPrefix(s, strings.ToLower(string(f.Initial)))
	for _, piece := range f.Any {
		_, rest, found := strings.Cut(s, strings.ToLower(string(piece)))
		s, ok = rest, ok && found
	}
	return ok && strings.HasSuffix(s, strings.ToLower(string(f.Final)))
}
