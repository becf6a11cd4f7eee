package crl

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The functions here do in place what cryptobyte does with allocations: a list
// can have millions of entries.

// cut splits the first element, header included, off s.
func cut(s []byte) (element, rest []byte, ok bool) {
	in := cryptobyte.String(s)
	var e cryptobyte.String
	if !in.ReadAnyASN1Element(&e, nil) {
		return nil, nil, false
	}
	return e, in, true
}

// content is that of the one element der, which must have the tag.
func content(der []byte, tag cbasn1.Tag) ([]byte, bool) {
	s := cryptobyte.String(der)
	var c cryptobyte.String
	return c, s.ReadASN1(&c, tag) && s.Empty()
}

// minimalInteger reports whether b is the shortest two's complement (X.690
// §8.3.2).
func minimalInteger(b []byte) bool {
	return len(b) == 1 || len(b) > 1 && !(b[0] == 0 && b[1] < 0x80) && !(b[0] == 0xff && b[1] >= 0x80)
}

// eachExtension passes every extension of a DER Extensions to f, until f says
// no.
func eachExtension(der []byte, f func(id []byte, critical bool, value []byte) bool) bool {
	exts, ok := content(der, cbasn1.SEQUENCE)
	if !ok || len(exts) == 0 {
		return false
	}
	for len(exts) > 0 {
		var ext, id, flag, value cryptobyte.String
		var critical bool
		s := cryptobyte.String(exts)
		if !s.ReadASN1(&ext, cbasn1.SEQUENCE) || !ext.ReadASN1(&id, cbasn1.OBJECT_IDENTIFIER) ||
			!ext.ReadOptionalASN1(&flag, &critical, cbasn1.BOOLEAN) ||
			critical && (len(flag) != 1 || flag[0] != 0xff) ||
			!ext.ReadASN1(&value, cbasn1.OCTET_STRING) || !ext.Empty() || !f(id, critical, value) {
			return false
		}
		exts = s
	}
	return true
}

func readTime(w *window, end int64) (time.Time, error) {
	b, err := w.element(end)
	if err != nil {
		return time.Time{}, err
	}
	t, ok := parseTime(b)
	if !ok {
		return time.Time{}, errMalformed
	}
	return t, nil
}

// parseTime reads a DER UTCTime or GeneralizedTime with seconds and Z
// (RFC 5280 §4.1.2.5).
func parseTime(der []byte) (time.Time, bool) {
	if len(der) < 2 || int(der[1]) != len(der)-2 {
		return time.Time{}, false
	}
	digits, yearDigits := der[2:], 4
	switch {
	case der[0] == byte(cbasn1.UTCTime) && len(digits) == 13:
		yearDigits = 2
	case der[0] == byte(cbasn1.GeneralizedTime) && len(digits) == 15:
	default:
		return time.Time{}, false
	}
	var v [6]int // year, month, day, hour, minute, second
	for i := range len(digits) - 1 {
		c := digits[i]
		if c < '0' || c > '9' {
			return time.Time{}, false
		}
		field := 0
		if i >= yearDigits {
			field = 1 + (i-yearDigits)/2
		}
		v[field] = v[field]*10 + int(c-'0')
	}
	if yearDigits == 2 {
		v[0] += 1900
		if v[0] < 1950 {
			v[0] += 100
		}
	}
	t := time.Date(v[0], time.Month(v[1]), v[2], v[3], v[4], v[5], 0, time.UTC)
	// Date carries overflow into the next field, days into the month: whatever
	// it changed was wrong.
	return t, digits[len(digits)-1] == 'Z' && t.Month() == time.Month(v[1]) &&
		t.Hour() == v[3] && t.Minute() == v[4] && t.Second() == v[5]
}
