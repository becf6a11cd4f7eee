package vdir

import (
	"slices"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
)

// ErrUnwilling refuses a question about people that does not name complete
// mail addresses. Its kind is Denied; LDAP calls it unwillingToPerform
// (RFC 4511 appendix A.2).
var ErrUnwilling = fault.New(fault.Denied, "ask for complete mail addresses, such as (mail=name@domain)")

// maxAddresses bounds what one filter may ask for.
const maxAddresses = 50

// addresses returns the mail addresses that f asks for, each once, or
// ErrUnwilling.
//
// Accepted are And and Or over terms of two sorts. Terms that carry data are
// equality and one-piece substrings on mail, cn, sn and givenName; either all
// of them are equality on mail, or all carry the same complete address and one
// is on mail (Outlook and gpgsm wrap the address so). Terms that only test the
// kind of entry, presence and objectClass, may narrow but never widen: an Or
// holds one sort only. What is found is matched against f once more, so f
// keeps its meaning.
func addresses(f ldap.Filter) ([]address, error) {
	var q question
	bearing, ok := q.read(f)
	if !ok || !bearing || len(q.asked) == 0 || q.embedded && len(q.asked) > 1 || !q.mail {
		return nil, ErrUnwilling
	}
	return q.asked, nil
}

// question gathers what the terms of a filter carry.
type question struct {
	asked    []address
	mail     bool // a term on mail is among them
	embedded bool // a term other than equality on mail is among them
}

// read takes one node in. bearing says that every match of f carries an
// address; ok is false when f may not be asked.
func (q *question) read(f ldap.Filter) (bearing, ok bool) {
	switch f.Op {
	case ldap.And, ldap.Or:
		for i, child := range f.Children {
			b, ok := q.read(child)
			if !ok || f.Op == ldap.Or && i > 0 && b != bearing {
				return false, false
			}
			bearing = bearing || b
		}
		// The empty And and Or (RFC 4526) are not questions about anybody.
		return bearing, len(f.Children) > 0
	case ldap.Present:
		return false, true
	case ldap.Equality:
		if canonicalType(f.Attribute) == "objectclass" {
			return false, true
		}
		return true, q.term(f.Attribute, f.Value, false)
	case ldap.Substrings:
		pieces := slices.DeleteFunc(append([][]byte{f.Initial, f.Final}, f.Any...), func(b []byte) bool { return len(b) == 0 })
		return true, len(pieces) == 1 && q.term(f.Attribute, pieces[0], true)
	}
	return false, false
}

// term takes in one term that carries data.
func (q *question) term(attribute string, value []byte, substring bool) bool {
	if len(value) > maxAddressBytes {
		return false
	}
	switch canonicalType(attribute) {
	case "mail":
		q.mail = true
		q.embedded = q.embedded || substring
	case "cn", "sn", "givenname":
		q.embedded = true
	default:
		return false
	}
	a, ok := parseAddress(string(value))
	if !ok {
		return false
	}
	if !slices.ContainsFunc(q.asked, func(b address) bool { return a.folded == b.folded }) {
		q.asked = append(q.asked, a)
	}
	return len(q.asked) <= maxAddresses
}
