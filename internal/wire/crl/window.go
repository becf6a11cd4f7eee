package crl

import (
	"hash"
	"io"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// bufferBytes is how much is read at once. No element but the list itself and
// its parts may be longer.
const bufferBytes = 64 << 10

var errMalformed = fault.New(fault.Invalid, "malformed CRL")

// window is the part of the input that is in memory: a buffer that slides over
// src, or all of it when there is no src. What take and peek return is valid
// until the next call.
type window struct {
	src  io.Reader
	buf  []byte
	pos  int   // the next byte, in buf
	base int64 // offset of buf[0] in the input

	hash   hash.Hash // nil: not hashing
	hashed int       // what is before it in buf was hashed, or is not to be
}

func (w *window) offset() int64 { return w.base + int64(w.pos) }

// peek returns the next n bytes without consuming them.
func (w *window) peek(n int) ([]byte, error) {
	if len(w.buf)-w.pos < n {
		if err := w.fill(n); err != nil {
			return nil, err
		}
	}
	return w.buf[w.pos : w.pos+n], nil
}

func (w *window) take(n int) ([]byte, error) {
	b, err := w.peek(n)
	w.pos += len(b)
	return b, err
}

// fill slides the window so that n bytes are ahead.
func (w *window) fill(n int) error {
	if w.src == nil || n > bufferBytes {
		return errMalformed
	}
	w.flush()
	kept := copy(w.buf[:cap(w.buf)], w.buf[w.pos:])
	w.base += int64(w.pos)
	w.pos, w.hashed = 0, 0
	got, err := io.ReadAtLeast(w.src, w.buf[kept:cap(w.buf)], n-kept)
	w.buf = w.buf[:kept+got]
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errMalformed
	}
	if err != nil {
		return fault.New(fault.Unavailable, "reading CRL: %w", err)
	}
	return nil
}

// flush hashes what was consumed.
func (w *window) flush() {
	if w.hash != nil {
		w.hash.Write(w.buf[w.hashed:w.pos])
	}
	w.hashed = w.pos
}

// header consumes tag and length of the next element, in DER: one byte of tag,
// the shortest length below 2^32.
func (w *window) header() (tag cbasn1.Tag, length int64, err error) {
	b, err := w.take(2)
	if err != nil {
		return 0, 0, err
	}
	tag, length = cbasn1.Tag(b[0]), int64(b[1])
	if tag&0x1f == 0x1f {
		return 0, 0, errMalformed
	}
	if length < 0x80 {
		return tag, length, nil
	}
	n := int(length & 0x7f)
	if n == 0 || n > 4 {
		return 0, 0, errMalformed
	}
	if b, err = w.take(n); err != nil {
		return 0, 0, err
	}
	length = 0
	for _, c := range b {
		length = length<<8 | int64(c)
	}
	if length < 0x80 || length>>(8*(n-1)) == 0 {
		return 0, 0, errMalformed
	}
	return tag, length, nil
}

// enter consumes the header of a constructed element that must end at or
// before limit, and returns where it ends.
func (w *window) enter(want cbasn1.Tag, limit int64) (end int64, err error) {
	tag, length, err := w.header()
	if err != nil {
		return 0, err
	}
	if end = w.offset() + length; tag != want || end > limit {
		return 0, errMalformed
	}
	return end, nil
}

// element consumes one element whole, header included; it must end at or
// before limit.
func (w *window) element(limit int64) ([]byte, error) {
	n, err := w.elementBytes()
	if err != nil {
		return nil, err
	}
	if int64(n) > limit-w.offset() {
		return nil, errMalformed
	}
	return w.take(n)
}

// elementBytes is the length of the next element, header included.
func (w *window) elementBytes() (int, error) {
	b, err := w.peek(2)
	if err != nil {
		return 0, err
	}
	if b[1] < 0x80 {
		return 2 + int(b[1]), nil
	}
	n := int(b[1] & 0x7f)
	if n == 0 || n > 3 {
		return 0, errMalformed
	}
	if b, err = w.peek(2 + n); err != nil {
		return 0, err
	}
	length := 0
	for _, c := range b[2:] {
		length = length<<8 | int(c)
	}
	if length < 0x80 || length>>(8*(n-1)) == 0 {
		return 0, errMalformed
	}
	return 2 + n + length, nil
}

// next is the tag of the next element, 0 at limit.
func (w *window) next(limit int64) (cbasn1.Tag, error) {
	if w.offset() >= limit {
		return 0, nil
	}
	b, err := w.peek(1)
	if err != nil {
		return 0, err
	}
	return cbasn1.Tag(b[0]), nil
}
