package ldap

import "math"

// Scope is a search scope (RFC 4511 §4.5.1.2). Numbers beyond those named are
// decoded too; whoever answers refuses them.
type Scope uint8

// The scopes of RFC 4511 §4.5.1.2.
const (
	BaseObject   Scope = 0
	SingleLevel  Scope = 1
	WholeSubtree Scope = 2
)

// SearchRequest is RFC 4511 §4.5.1.
type SearchRequest struct {
	Base       string // DN
	Scope      Scope
	Deref      uint8 // derefAliases: 0 never, 1 in searching, 2 finding base, 3 always
	SizeLimit  int32 // entries; 0 means none
	TimeLimit  int32 // seconds; 0 means none
	TypesOnly  bool
	Filter     Filter
	Attributes []string // descriptions; empty means all user attributes
}

// Attribute is a PartialAttribute (RFC 4511 §4.1.7).
type Attribute struct {
	Type   string // description, options included
	Values [][]byte
}

// SearchResultEntry is RFC 4511 §4.5.2.
type SearchResultEntry struct {
	DN         string
	Attributes []Attribute
}

// SearchResultReference is RFC 4511 §4.5.3: LDAP URLs.
type SearchResultReference struct {
	URLs []string
}

// SearchResultDone is RFC 4511 §4.5.2.
type SearchResultDone struct {
	Result
}

// filterDepth is the depth of a search's filter: message, request, filter.
const filterDepth = 3

func (d *decoder) searchRequest(v view) SearchRequest {
	m := SearchRequest{
		Base:      v.string(tagOctetString),
		Scope:     Scope(v.int(tagEnumerated, math.MaxUint8)),
		Deref:     uint8(v.int(tagEnumerated, math.MaxUint8)),
		SizeLimit: v.int32(tagInteger),
		TimeLimit: v.int32(tagInteger),
		TypesOnly: v.bool(tagBoolean),
	}
	tag, body := v.any()
	m.Filter = d.filter(tag, body, filterDepth)
	list := v.sub(tagSequence)
	m.Attributes = list.strings(tagOctetString)
	return m
}

func (m SearchRequest) appendTo(e *encoder) {
	op := e.open(tagSearchRequest)
	e.string(tagOctetString, m.Base)
	e.int(tagEnumerated, int64(m.Scope))
	e.int(tagEnumerated, int64(m.Deref))
	e.int(tagInteger, int64(m.SizeLimit))
	e.int(tagInteger, int64(m.TimeLimit))
	e.bool(tagBoolean, m.TypesOnly)
	e.filter(m.Filter)
	list := e.open(tagSequence)
	e.strings(tagOctetString, m.Attributes)
	e.close(list)
	e.close(op)
}

func (d *decoder) searchResultEntry(v view) SearchResultEntry {
	m := SearchResultEntry{DN: v.string(tagOctetString)}
	list := v.sub(tagSequence)
	for list.more() {
		item := list.sub(tagSequence)
		a := Attribute{Type: item.string(tagOctetString)}
		values := item.sub(tagSet)
		for values.more() {
			a.Values = append(a.Values, values.bytes(tagOctetString))
		}
		m.Attributes = append(m.Attributes, a)
	}
	return m
}

func (m SearchResultEntry) appendTo(e *encoder) {
	op := e.open(tagSearchResultEntry)
	e.string(tagOctetString, m.DN)
	list := e.open(tagSequence)
	for _, a := range m.Attributes {
		item := e.open(tagSequence)
		e.string(tagOctetString, a.Type)
		values := e.open(tagSet)
		for _, value := range a.Values {
			e.bytes(tagOctetString, value)
		}
		e.close(values)
		e.close(item)
	}
	e.close(list)
	e.close(op)
}

func (m SearchResultReference) appendTo(e *encoder) {
	op := e.open(tagSearchResultReference)
	e.strings(tagOctetString, m.URLs)
	e.close(op)
}

func (m SearchResultDone) appendTo(e *encoder) {
	op := e.open(tagSearchResultDone)
	e.result(m.Result)
	e.close(op)
}
