package ldapback

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

// maxRounds bounds how often one attribute is asked for again. Windows gives
// 1500 values a round.
const maxRounds = 64

// valueRange is the option of an attribute that comes in pieces (MS-ADTS
// §3.1.1.3.1.3.3): values first to last, counted from 0; final on the last.
type valueRange struct {
	first, last int
	final       bool
}

// parseRange splits a description such as "userCertificate;range=0-1499" or
// "…;range=1500-*". ok is false when it has no range option; a malformed one
// has a negative first.
func parseRange(description string) (typ string, r valueRange, ok bool) {
	options := strings.Split(description, ";")
	i := slices.IndexFunc(options, func(s string) bool {
		return len(s) >= len("range=") && strings.EqualFold(s[:len("range=")], "range=")
	})
	if i < 1 {
		return description, valueRange{}, false
	}
	from, to, _ := strings.Cut(options[i][len("range="):], "-")
	typ = strings.Join(slices.Delete(options, i, i+1), ";")
	first, err := strconv.ParseUint(from, 10, 31)
	if err != nil {
		return typ, valueRange{first: -1}, true
	}
	if to == "*" {
		return typ, valueRange{first: int(first), final: true}, true
	}
	last, err := strconv.ParseUint(to, 10, 31)
	if err != nil || last < first {
		return typ, valueRange{first: -1}, true
	}
	return typ, valueRange{first: int(first), last: int(last)}, true
}

func hasRange(e *vdir.Entry) bool {
	return slices.ContainsFunc(e.Attributes, func(a vdir.Attribute) bool {
		_, _, ok := parseRange(a.Type)
		return ok
	})
}

// complete fetches what is missing of e's attributes.
func (c *conn) complete(ctx context.Context, e *vdir.Entry, spent *int) error {
	for i := range e.Attributes {
		a := &e.Attributes[i]
		typ, r, ok := parseRange(a.Type)
		if !ok {
			continue
		}
		a.Type = typ
		if r.first != 0 {
			return errRange
		}
		for round := 0; !r.final; round++ {
			if round == maxRounds {
				return errRange
			}
			next := r.last + 1
			values, got, err := c.more(ctx, e.DN, typ, next, spent)
			switch {
			case err != nil:
				return err
			case got.first != next:
				return errRange
			}
			a.Values = append(a.Values, values...)
			r = got
		}
	}
	return nil
}

var errRange = fault.New(fault.Unavailable, "directory gives ranges of values that do not fit")

// more asks for the values from first on. The range returned has a negative
// first when the attribute did not come.
func (c *conn) more(ctx context.Context, dn, typ string, first int, spent *int) (values [][]byte, r valueRange, err error) {
	r.first = -1
	q := vdir.Query{
		Base:       dn,
		Filter:     ldap.Filter{Op: ldap.Present, Attribute: "objectClass"},
		Attributes: []string{typ + ";range=" + strconv.Itoa(first) + "-*"},
		SizeLimit:  1,
	}
	code, err := c.run(ctx, c.request(ctx, &q), spent, func(m ldap.SearchResultEntry) error {
		for _, a := range m.Attributes {
			if t, got, ok := parseRange(a.Type); ok && strings.EqualFold(t, typ) {
				values, r = a.Values, got
			}
		}
		return nil
	})
	if err == nil {
		_, err = outcomeOf(code)
	}
	return values, r, err
}
