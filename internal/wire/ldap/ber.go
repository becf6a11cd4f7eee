package ldap

import (
	"math"

	"bridge.example/internal/fault"
)

// Tags of X.690 §8 and RFC 4511 §4. All of them fit the one-byte form.
const (
	tagBoolean     = 0x01
	tagInteger     = 0x02
	tagOctetString = 0x04
	tagEnumerated  = 0x0a
	tagSequence    = 0x30
	tagSet         = 0x31

	tagControls = 0xa0

	tagBindRequest           = 0x60
	tagBindResponse          = 0x61
	tagUnbindRequest         = 0x42
	tagSearchRequest         = 0x63
	tagSearchResultEntry     = 0x64
	tagSearchResultDone      = 0x65
	tagSearchResultReference = 0x73
	tagAbandonRequest        = 0x50
	tagExtendedRequest       = 0x77
	tagExtendedResponse      = 0x78
	tagIntermediateResponse  = 0x79
)

// contextPrim is the tag [n], primitive; contextCons the same, constructed.
const (
	contextPrim = 0x80
	contextCons = 0xa0
)

// maxLengthOctets is how many octets of length may follow the first; leading
// zeros are legal BER, so more than the value needs.
const maxLengthOctets = 8

// parseLength reads the length octets at the start of b. used is 0 when b ends
// before they do.
func parseLength(b []byte) (n uint64, used int, err error) {
	if len(b) == 0 {
		return 0, 0, nil
	}
	if b[0] < 0x80 {
		return uint64(b[0]), 1, nil
	}
	octets := int(b[0] & 0x7f)
	if octets == 0 || octets > maxLengthOctets {
		// 0 is the indefinite form, which RFC 4511 §5.1 excludes.
		return 0, 0, fault.New(fault.Invalid, "BER length octet %#02x is not allowed", b[0])
	}
	if len(b) < 1+octets {
		return 0, 0, nil
	}
	for _, o := range b[1 : 1+octets] {
		n = n<<8 | uint64(o)
	}
	return n, 1 + octets, nil
}

// decoder is the state of reading one message: the first error, which ends it,
// and how many elements were seen.
type decoder struct {
	lim      Limits
	elements int
	err      error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fault.New(fault.Invalid, "malformed LDAP message: "+format, args...)
	}
}

// view is the unread part of one constructed element. Its methods take the
// next element off the front; after a failure they return zero values, and
// more is false, so that loops end.
type view struct {
	rest []byte
	d    *decoder
}

func (v *view) more() bool { return len(v.rest) > 0 && v.d.err == nil }

// at reports whether the next element has this tag.
func (v *view) at(tag byte) bool { return v.more() && v.rest[0] == tag }

// any takes the next element, whatever it is.
func (v *view) any() (tag byte, body view) {
	d := v.d
	body.d = d
	if d.err != nil {
		return 0, body
	}
	if d.elements++; d.elements > d.lim.MaxElements {
		d.fail("more than %d elements", d.lim.MaxElements)
		return 0, body
	}
	if len(v.rest) < 2 {
		d.fail("element missing")
		return 0, body
	}
	n, used, err := parseLength(v.rest[1:])
	if err != nil {
		d.fail("%w", err)
		return 0, body
	}
	if used == 0 || n > uint64(len(v.rest)-1-used) {
		d.fail("element is longer than what encloses it")
		return 0, body
	}
	tag = v.rest[0]
	end := 1 + used + int(n)
	body.rest = v.rest[1+used : end : end]
	v.rest = v.rest[end:]
	return tag, body
}

// sub takes the next element, which must have this tag.
func (v *view) sub(tag byte) view {
	got, body := v.any()
	if v.d.err == nil && got != tag {
		v.d.fail("tag %#02x where %#02x belongs", got, tag)
		body.rest = nil
	}
	return body
}

func (v *view) bytes(tag byte) []byte { return v.sub(tag).rest }

func (v *view) string(tag byte) string { return string(v.sub(tag).rest) }

// strings takes all that is left as strings with this tag.
func (v *view) strings(tag byte) []string {
	var s []string
	for v.more() {
		s = append(s, v.string(tag))
	}
	return s
}

func (v *view) bool(tag byte) bool {
	b := v.bytes(tag)
	if len(b) != 1 {
		v.d.fail("boolean of %d bytes", len(b))
		return false
	}
	return b[0] != 0
}

// int takes a number from 0 to limit.
func (v *view) int(tag byte, limit int64) int64 {
	b := v.sub(tag)
	return b.intBody(limit)
}

// intBody reads all of v as a number from 0 to limit. Leading zeros beyond
// those that X.690 §8.3.2 allows are accepted, like long lengths.
func (v *view) intBody(limit int64) int64 {
	if n := len(v.rest); n == 0 || n > 8 {
		v.d.fail("integer of %d bytes", n)
		return 0
	}
	x := int64(int8(v.rest[0]))
	for _, o := range v.rest[1:] {
		x = x<<8 | int64(o)
	}
	if x < 0 || x > limit {
		v.d.fail("number %d is outside 0 to %d", x, limit)
		return 0
	}
	return x
}

// int32 takes a number as RFC 4511 has them: maxInt is 2^31-1 (§4.1.1).
func (v *view) int32(tag byte) int32 {
	b := v.sub(tag)
	return b.int32Body()
}

func (v *view) int32Body() int32 {
	return int32(v.intBody(math.MaxInt32))
}
