package ldap

// FilterOp is the choice of a Filter; its number is the context tag of
// RFC 4511 §4.5.1.7.
type FilterOp uint8

// The choices of RFC 4511 §4.5.1.7.
const (
	And            FilterOp = 0
	Or             FilterOp = 1
	Not            FilterOp = 2
	Equality       FilterOp = 3
	Substrings     FilterOp = 4
	GreaterOrEqual FilterOp = 5
	LessOrEqual    FilterOp = 6
	Present        FilterOp = 7
	Approx         FilterOp = 8
	Extensible     FilterOp = 9
)

// Filter is a node of a search filter (RFC 4511 §4.5.1.7). Which fields are
// used depends on Op.
type Filter struct {
	Op        FilterOp
	Children  []Filter // And, Or: any number, none included (RFC 4526); Not: exactly one
	Attribute string   // attribute description as sent; may be empty in Extensible
	Value     []byte   // Equality, GreaterOrEqual, LessOrEqual, Approx, Extensible: the assertion value

	Initial []byte   // Substrings: nil when absent
	Any     [][]byte // Substrings
	Final   []byte   // Substrings: nil when absent

	Rule         string // Extensible: matching rule, may be empty
	DNAttributes bool   // Extensible
}

const (
	tagInitial = contextPrim
	tagAny     = contextPrim | 1
	tagFinal   = contextPrim | 2

	tagRule         = contextPrim | 1
	tagRuleType     = contextPrim | 2
	tagRuleValue    = contextPrim | 3
	tagDNAttributes = contextPrim | 4
)

// tag is the BER tag of the choice: constructed for all but Present.
func (o FilterOp) tag() byte {
	if o == Present {
		return contextPrim | byte(o)
	}
	return contextCons | byte(o)
}

// filter decodes the node in v. The depth of nested nodes is the only depth
// that a peer chooses, so this is where it is bounded.
func (d *decoder) filter(tag byte, v view, depth int) Filter {
	f := Filter{Op: FilterOp(tag & 0x1f)}
	switch {
	case d.err != nil:
	case depth > d.lim.MaxDepth:
		d.fail("nested deeper than %d", d.lim.MaxDepth)
	case f.Op > Extensible || tag != f.Op.tag():
		d.fail("filter choice %#02x", tag)
	case f.Op <= Not:
		for v.more() {
			tag, body := v.any()
			f.Children = append(f.Children, d.filter(tag, body, depth+1))
		}
		if f.Op == Not && len(f.Children) != 1 {
			d.fail("NOT of %d filters", len(f.Children))
		}
	case f.Op == Present:
		f.Attribute = string(v.rest)
	case f.Op == Substrings:
		f.Attribute = v.string(tagOctetString)
		d.substrings(&f, v.sub(tagSequence))
	case f.Op == Extensible:
		d.extensible(&f, v)
	default:
		f.Attribute = v.string(tagOctetString)
		f.Value = v.bytes(tagOctetString)
	}
	return f
}

func (d *decoder) substrings(f *Filter, v view) {
	if v.at(tagInitial) {
		f.Initial = v.bytes(tagInitial)
	}
	for v.at(tagAny) {
		f.Any = append(f.Any, v.bytes(tagAny))
	}
	if v.at(tagFinal) {
		f.Final = v.bytes(tagFinal)
	}
	if v.more() || f.Initial == nil && f.Any == nil && f.Final == nil {
		d.fail("substrings missing or out of order")
	}
}

func (d *decoder) extensible(f *Filter, v view) {
	if v.at(tagRule) {
		f.Rule = v.string(tagRule)
	}
	if v.at(tagRuleType) {
		f.Attribute = v.string(tagRuleType)
	}
	f.Value = v.bytes(tagRuleValue)
	if v.at(tagDNAttributes) {
		f.DNAttributes = v.bool(tagDNAttributes)
	}
	if f.Rule == "" && f.Attribute == "" {
		d.fail("extensible match names neither rule nor attribute")
	}
}

func (e *encoder) filter(f Filter) {
	switch {
	case f.Op > Extensible:
		e.fail("filter choice %d", f.Op)
		return
	case f.Op == Not && len(f.Children) != 1:
		e.fail("NOT of %d filters", len(f.Children))
		return
	case f.Op == Present:
		e.string(f.Op.tag(), f.Attribute)
		return
	}
	node := e.open(f.Op.tag())
	switch f.Op {
	case And, Or, Not:
		for _, child := range f.Children {
			e.filter(child)
		}
	case Substrings:
		e.string(tagOctetString, f.Attribute)
		e.substrings(f)
	case Extensible:
		e.extensible(f)
	default:
		e.string(tagOctetString, f.Attribute)
		e.bytes(tagOctetString, f.Value)
	}
	e.close(node)
}

func (e *encoder) substrings(f Filter) {
	if f.Initial == nil && len(f.Any) == 0 && f.Final == nil {
		e.fail("substrings without one")
	}
	list := e.open(tagSequence)
	e.optional(tagInitial, f.Initial)
	for _, piece := range f.Any {
		e.bytes(tagAny, piece)
	}
	e.optional(tagFinal, f.Final)
	e.close(list)
}

func (e *encoder) extensible(f Filter) {
	if f.Rule == "" && f.Attribute == "" {
		e.fail("extensible match names neither rule nor attribute")
	}
	if f.Rule != "" {
		e.string(tagRule, f.Rule)
	}
	if f.Attribute != "" {
		e.string(tagRuleType, f.Attribute)
	}
	e.bytes(tagRuleValue, f.Value)
	if f.DNAttributes {
		e.bool(tagDNAttributes, true)
	}
}
