package daemon_test

import (
	"bufio"
	"encoding/asn1"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// ber writes requests as clients do, apart from the service's own codec. With
// long set, lengths of constructed values take four octets, as Windows sends
// them: legal in BER, though not in DER.
type ber struct{ long bool }

// The tags of RFC 4511 that requests below are made of.
const (
	tagInteger, tagOctets, tagEnum, tagBool, tagSequence = 0x02, 0x04, 0x0a, 0x01, 0x30
	tagBind, tagSearch, tagAbandon                       = 0x60, 0x63, 0x50
	tagAnd, tagOr, tagEqual, tagSub, tagPresent          = 0xa0, 0xa1, 0xa3, 0xa4, 0x87
	tagControls                                          = 0xa0
)

func (w ber) tlv(tag byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	n := len(body)
	out := []byte{tag, byte(n)}
	switch constructed := tag&0x20 != 0; {
	case w.long && constructed:
		out = []byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	case n > 0xff:
		out = []byte{tag, 0x82, byte(n >> 8), byte(n)}
	case n > 0x7f:
		out = []byte{tag, 0x81, byte(n)}
	}
	return append(out, body...)
}

func (w ber) text(s string) []byte { return w.tlv(tagOctets, []byte(s)) }

// number is an INTEGER below 2^15.
func (w ber) number(tag byte, n int) []byte {
	if n > 0x7f {
		return w.tlv(tag, []byte{byte(n >> 8), byte(n)})
	}
	return w.tlv(tag, []byte{byte(n)})
}

func (w ber) message(id int, op []byte, controls ...[]byte) []byte {
	parts := [][]byte{w.number(tagInteger, id), op}
	if len(controls) > 0 {
		parts = append(parts, w.tlv(tagControls, controls...))
	}
	return w.tlv(tagSequence, parts...)
}

// bind is an anonymous simple bind.
func (w ber) bind(version int) []byte {
	return w.tlv(tagBind, w.number(tagInteger, version), w.text(""), w.tlv(0x80))
}

// query is what a search asks; scope is the whole subtree unless base is set.
type query struct {
	dn                   string
	base                 bool
	deref                int
	sizeLimit, timeLimit int
	filter               []byte
	attributes           []string
}

func (w ber) search(q query) []byte {
	scope := 2
	if q.base {
		scope = 0
	}
	var attributes [][]byte
	for _, a := range q.attributes {
		attributes = append(attributes, w.text(a))
	}
	return w.tlv(tagSearch, w.text(q.dn), w.number(tagEnum, scope), w.number(tagEnum, q.deref),
		w.number(tagInteger, q.sizeLimit), w.number(tagInteger, q.timeLimit), w.tlv(tagBool, []byte{0}),
		q.filter, w.tlv(tagSequence, attributes...))
}

func (w ber) equal(attribute, value string) []byte {
	return w.tlv(tagEqual, w.text(attribute), w.text(value))
}

func (w ber) present(attribute string) []byte { return w.tlv(tagPresent, []byte(attribute)) }

// Kinds of substrings, by their tags.
const (
	initial  byte = 0x80 // value*
	anywhere byte = 0x81 // *value*
)

func (w ber) sub(kind byte, attribute, value string) []byte {
	return w.tlv(tagSub, w.text(attribute), w.tlv(tagSequence, w.tlv(kind, []byte(value))))
}

// entry is a SearchResultEntry.
type entry struct {
	DN         []byte
	Attributes []struct {
		Type   []byte
		Values [][]byte `asn1:"set"`
	}
}

// values returns the values of an attribute, and whether it is there.
func (e entry) values(typ string) ([][]byte, bool) {
	for _, a := range e.Attributes {
		if string(a.Type) == typ {
			return a.Values, true
		}
	}
	return nil, false
}

// result is an LDAPResult.
type result struct {
	Code                  asn1.Enumerated
	MatchedDN, Diagnostic []byte
	Referral              asn1.RawValue `asn1:"optional"`
}

// The result codes that matter here: RFC 4511 §4.1.9.
const success, unwilling = 0, 53

// answer is everything that came back for one request.
type answer struct {
	entries []entry
	result  result
	raw     []byte // as it came over the wire
}

// ldapClient speaks LDAP over TCP, byte by byte.
type ldapClient struct {
	conn net.Conn
	r    *bufio.Reader
}

func dialLDAP(t *testing.T, addr string) *ldapClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &ldapClient{conn, bufio.NewReader(conn)}
}

// ask sends a request and reads up to the response that ends the operation.
func (c *ldapClient) ask(request []byte) (a answer, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return a, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return a, err
	}
	for {
		raw, tag, op, err := c.read()
		if err != nil {
			return a, err
		}
		a.raw = append(a.raw, raw...)
		switch tag {
		case 4:
			var e entry
			if _, err := asn1.UnmarshalWithParams(op, &e, "application,tag:4"); err != nil {
				return a, err
			}
			a.entries = append(a.entries, e)
		case 1, 5: // BindResponse, SearchResultDone
			_, err := asn1.UnmarshalWithParams(op, &a.result, map[int]string{1: "application,tag:1", 5: "application,tag:5"}[tag])
			return a, err
		case 24: // an unsolicited notification, or an extended response
			return a, errNotice
		default:
			return a, errors.New("neither an entry nor the end of a search")
		}
	}
}

var errNotice = errors.New("notice of disconnection")

// read returns the next message, and the tag and bytes of its operation.
func (c *ldapClient) read() (raw []byte, tag int, op []byte, err error) {
	header, err := c.r.Peek(6)
	if err != nil {
		return nil, 0, nil, err
	}
	length := 2 + int(header[1])
	if n := int(header[1] & 0x7f); header[1] > 0x7f {
		length = 2 + n
		size := 0
		for _, b := range header[2 : 2+min(n, 4)] {
			size = size<<8 | int(b)
		}
		length += size
	}
	raw = make([]byte, length)
	if _, err := io.ReadFull(c.r, raw); err != nil {
		return nil, 0, nil, err
	}
	var m struct {
		ID int
		Op asn1.RawValue
	}
	_, err = asn1.Unmarshal(raw, &m)
	return raw, m.Op.Tag, m.Op.FullBytes, err
}
