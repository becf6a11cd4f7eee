package ldap

import (
	"math/bits"

	"bridge.example/internal/fault"
)

// encoder appends BER with minimal lengths. The first error stays.
type encoder struct {
	b   []byte
	err error
}

func (e *encoder) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fault.New(fault.Invalid, "encoding LDAP message: "+format, args...)
	}
}

// open starts a constructed element and returns where its content begins, for
// close. One octet is kept for the length; close makes room if it needs more.
func (e *encoder) open(tag byte) (start int) {
	e.b = append(e.b, tag, 0)
	return len(e.b)
}

func (e *encoder) close(start int) {
	n := len(e.b) - start
	if n < 0x80 {
		e.b[start-1] = byte(n)
		return
	}
	octets := lengthOctets(n)
	e.b = append(e.b, make([]byte, octets)...)
	copy(e.b[start+octets:], e.b[start:start+n])
	putLength(e.b[start-1:start-1], n)
}

// lengthOctets is the number of octets that follow the first for a length from
// 128 up.
func lengthOctets(n int) int { return (bits.Len(uint(n)) + 7) / 8 }

func putLength(b []byte, n int) []byte {
	if n < 0x80 {
		return append(b, byte(n))
	}
	octets := lengthOctets(n)
	b = append(b, 0x80|byte(octets))
	for i := octets - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

func (e *encoder) bytes(tag byte, v []byte) {
	e.b = append(putLength(append(e.b, tag), len(v)), v...)
}

func (e *encoder) string(tag byte, v string) {
	e.b = append(putLength(append(e.b, tag), len(v)), v...)
}

func (e *encoder) strings(tag byte, v []string) {
	for _, s := range v {
		e.string(tag, s)
	}
}

func (e *encoder) bool(tag byte, v bool) {
	var o byte
	if v {
		o = 0xff
	}
	e.b = append(e.b, tag, 1, o)
}

// int appends a number from 0 up.
func (e *encoder) int(tag byte, v int64) {
	if v < 0 {
		e.fail("negative number %d", v)
		return
	}
	octets := bits.Len64(uint64(v))/8 + 1 // the first bit is the sign
	e.b = append(e.b, tag, byte(octets))
	for i := octets - 1; i >= 0; i-- {
		e.b = append(e.b, byte(v>>(8*i)))
	}
}
