package vdir

import "slices"

// selection is which attributes the client wants (RFC 4511 §4.5.1.8).
type selection struct {
	user, operational bool     // all of them
	named             []string // canonical types
	typesOnly         bool
}

func selectionOf(q *Query) selection {
	s := selection{user: len(q.Attributes) == 0, typesOnly: q.TypesOnly}
	for _, a := range q.Attributes {
		switch a {
		case "*":
			s.user = true
		case "+": // RFC 3673
			s.operational = true
		case "1.1": // no attributes
		default:
			if typ := baseType(a); typ != "" {
				s.named = append(s.named, typ)
			}
		}
	}
	return s
}

// apply returns e with the attributes selected. Certificates always come as
// userCertificate;binary, however they were asked for (RFC 4523 §2.1).
func (s selection) apply(e Entry) Entry {
	out := Entry{DN: e.DN, Attributes: make([]Attribute, 0, len(e.Attributes))}
	for _, a := range e.Attributes {
		typ := baseType(a.Type)
		op := operational(typ)
		if !(op && s.operational || !op && s.user || slices.Contains(s.named, typ)) {
			continue
		}
		if s.typesOnly {
			a.Values = nil
		}
		out.Attributes = append(out.Attributes, a)
	}
	return out
}
