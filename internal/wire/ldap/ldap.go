// Package ldap is the LDAP message layer (RFC 4511) for both sides of the wire:
// the bridge as a server towards clients and as a client towards members. It
// turns bytes into values and back; it opens no connection and keeps no state.
//
// It reads any definite-length BER, not only DER: Windows sends four-byte
// lengths throughout. It writes minimal lengths. Size, depth and number of
// elements are bounded before anything is allocated for them.
package ldap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"bridge.example/internal/fault"
)

// Limits bounds one message. A zero field takes its default.
type Limits struct {
	MaxPDUBytes int // of the whole message without its outer header; default 262144
	MaxDepth    int // of nested BER elements, the message itself being 1; default 64
	MaxElements int // BER elements in one message; default 4096
}

const (
	defaultPDUBytes = 256 << 10
	defaultDepth    = 64
	defaultElements = 4096
)

func (l Limits) withDefaults() Limits {
	if l.MaxPDUBytes == 0 {
		l.MaxPDUBytes = defaultPDUBytes
	}
	if l.MaxDepth == 0 {
		l.MaxDepth = defaultDepth
	}
	if l.MaxElements == 0 {
		l.MaxElements = defaultElements
	}
	return l
}

// Message is one LDAPMessage (RFC 4511 §4.1.1).
type Message struct {
	ID       int32 // 0 to 2^31-1; 0 only in unsolicited notifications
	Op       Op
	Controls []Control
}

// Op is a protocol operation: one of the request and response types of this
// package, as a value and not a pointer.
type Op interface {
	appendTo(e *encoder)
}

// ReadMessage reads one whole message. Byte slices in the result share one
// buffer that belongs to the message alone; strings are copies.
//
// The error is io.EOF when r ends before the first byte, of kind fault.Invalid
// when the bytes are malformed or beyond lim, and otherwise wraps what r
// returned (io.ErrUnexpectedEOF for an end inside a message). After any error
// the position of r is undefined.
func ReadMessage(r *bufio.Reader, lim Limits) (Message, error) {
	lim = lim.withDefaults()
	n, err := readHeader(r, lim.MaxPDUBytes)
	if err != nil {
		return Message{}, err
	}
	buf, err := readBody(r, n)
	if err != nil {
		return Message{}, fmt.Errorf("reading LDAP message: %w", err)
	}
	d := decoder{lim: lim}
	m := d.message(view{rest: buf, d: &d})
	if d.err != nil {
		return Message{}, d.err
	}
	return m, nil
}

// readHeader reads the header of the outer SEQUENCE and returns its length.
func readHeader(r *bufio.Reader, limit int) (int, error) {
	tag, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	if tag != tagSequence {
		return 0, fault.New(fault.Invalid, "not an LDAP message: first byte %#02x", tag)
	}
	// At most one octet saying how many follow, and those.
	var header [1 + maxLengthOctets]byte
	for i := range header {
		if header[i], err = r.ReadByte(); err != nil {
			return 0, fmt.Errorf("reading LDAP message: %w", unexpected(err))
		}
		n, used, err := parseLength(header[:i+1])
		switch {
		case err != nil:
			return 0, err
		case used == 0: // more octets to come
		case n > uint64(limit):
			return 0, fault.New(fault.Invalid, "LDAP message of %d bytes; the limit is %d", n, limit)
		default:
			return int(n), nil
		}
	}
	return 0, fault.New(fault.Invalid, "malformed BER length")
}

// readBody reads n bytes. It allocates as they arrive, so that a peer pays for
// memory with bytes and not with a header.
func readBody(r io.Reader, n int) ([]byte, error) {
	const firstChunk = 16 << 10
	buf := make([]byte, 0, min(n, firstChunk))
	for len(buf) < n {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, min(len(buf), n-len(buf)))
		}
		got, err := io.ReadFull(r, buf[len(buf):min(cap(buf), n)])
		if err != nil {
			return nil, unexpected(err)
		}
		buf = buf[:len(buf)+got]
	}
	return buf, nil
}

// unexpected turns the end of input inside a message into its own error.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (d *decoder) message(v view) Message {
	m := Message{ID: v.int32(tagInteger)}
	tag, body := v.any()
	m.Op = d.op(tag, body)
	if v.at(tagControls) {
		m.Controls = d.controls(v.sub(tagControls))
	}
	return m // trailing elements are for later versions: RFC 4511 §4
}

// op decodes a protocolOp by its tag.
func (d *decoder) op(tag byte, v view) Op {
	switch tag {
	case tagBindRequest:
		return d.bindRequest(v)
	case tagBindResponse:
		return d.bindResponse(v)
	case tagUnbindRequest:
		return UnbindRequest{}
	case tagSearchRequest:
		return d.searchRequest(v)
	case tagSearchResultEntry:
		return d.searchResultEntry(v)
	case tagSearchResultReference:
		return SearchResultReference{URLs: v.strings(tagOctetString)}
	case tagSearchResultDone:
		return SearchResultDone{Result: d.result(&v)}
	case byte(Modify), byte(Add), byte(Delete), byte(ModifyDN), byte(Compare):
		return UpdateRequest{Op: UpdateOp(tag), Body: v.rest}
	case Modify.responseTag(), Add.responseTag(), Delete.responseTag(), ModifyDN.responseTag(), Compare.responseTag():
		return UpdateResponse{Op: updateOpOf(tag), Result: d.result(&v)}
	case tagAbandonRequest:
		return AbandonRequest{ID: v.int32Body()}
	case tagExtendedRequest:
		return d.extendedRequest(v)
	case tagExtendedResponse:
		return d.extendedResponse(v)
	case tagIntermediateResponse:
		return d.intermediateResponse(v)
	}
	d.fail("unknown protocolOp %#02x", tag)
	return nil
}

// AppendTo appends the encoded message to dst. Errors are of kind
// fault.Invalid: a negative ID, no operation, or a filter that has no encoding.
func (m Message) AppendTo(dst []byte) ([]byte, error) {
	if m.ID < 0 || m.Op == nil {
		return dst, fault.New(fault.Invalid, "encoding LDAP message: id %d, operation %T", m.ID, m.Op)
	}
	e := encoder{b: dst}
	outer := e.open(tagSequence)
	e.int(tagInteger, int64(m.ID))
	m.Op.appendTo(&e)
	e.controls(m.Controls)
	e.close(outer)
	if e.err != nil {
		return dst, e.err
	}
	return e.b, nil
}
