package ldap

// Object identifiers of controls.
const (
	OIDManageDsaIT  = "2.16.840.1.113730.3.4.2" // RFC 3296
	OIDPagedResults = "1.2.840.113556.1.4.319"  // RFC 2696
)

// Control is RFC 4511 §4.1.11.
type Control struct {
	OID      string
	Critical bool
	Value    []byte // nil when absent
}

// PagedResults is the value of the simple paged results control (RFC 2696 §2).
type PagedResults struct {
	// Size is the page wanted in a request, in entries; in a response the
	// server's estimate of the whole result, 0 when unknown.
	Size   int32
	Cookie []byte // empty at the start, and in the response that ends the result
}

// ParsePagedResults reads a control value. Errors are of kind fault.Invalid.
func ParsePagedResults(value []byte) (PagedResults, error) {
	d := decoder{lim: Limits{}.withDefaults()}
	v := view{rest: value, d: &d}
	seq := v.sub(tagSequence)
	p := PagedResults{Size: seq.int32(tagInteger), Cookie: seq.bytes(tagOctetString)}
	return p, d.err
}

// Control returns p as a control; a negative size is taken as 0.
func (p PagedResults) Control(critical bool) Control {
	var e encoder
	seq := e.open(tagSequence)
	e.int(tagInteger, int64(max(p.Size, 0)))
	e.bytes(tagOctetString, p.Cookie)
	e.close(seq)
	return Control{OID: OIDPagedResults, Critical: critical, Value: e.b}
}

func (d *decoder) controls(v view) []Control {
	var list []Control
	for v.more() {
		item := v.sub(tagSequence)
		c := Control{OID: item.string(tagOctetString)}
		if item.at(tagBoolean) {
			c.Critical = item.bool(tagBoolean)
		}
		if item.at(tagOctetString) {
			c.Value = item.bytes(tagOctetString)
		}
		list = append(list, c)
	}
	return list
}

func (e *encoder) controls(list []Control) {
	if len(list) == 0 {
		return
	}
	outer := e.open(tagControls)
	for _, c := range list {
		item := e.open(tagSequence)
		e.string(tagOctetString, c.OID)
		if c.Critical { // FALSE is the default, left out like in DER
			e.bool(tagBoolean, true)
		}
		e.optional(tagOctetString, c.Value)
		e.close(item)
	}
	e.close(outer)
}
