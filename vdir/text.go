package vdir

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// toUTF8 returns v as it is when it is UTF-8, and otherwise as T.61 or Latin-1
// text. T.61 (RFC 1345, "T.61-8bit") writes an accent before its letter.
func toUTF8(v []byte, t61 bool) string {
	if utf8.Valid(v) {
		return string(v)
	}
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		c := v[i]
		if t61 && c >= 0xc1 && c <= 0xcf && i+1 < len(v) {
			if accent := t61Accents[c-0xc1]; accent != 0 {
				composed := norm.NFC.String(string(v[i+1]) + string(accent))
				if utf8.RuneCountInString(composed) == 1 && v[i+1] < 0x80 {
					b.WriteString(composed)
					i++
					continue
				}
			}
		}
		if t61 && c >= 0xe0 && t61Letters[c-0xe0] != 0 {
			b.WriteRune(t61Letters[c-0xe0])
			continue
		}
		b.WriteRune(rune(c))
	}
	return b.String()
}

// t61Accents are the combining characters for 0xC1 to 0xCF.
var t61Accents = [...]rune{
	0x300, 0x301, 0x302, 0x303, 0x304, 0x306, 0x307, 0x308, // grave to diaeresis
	0x308, 0x30a, 0x327, 0x332, 0x30b, 0x328, 0x30c, // ring, cedilla, double acute, ogonek, caron
}

// t61Letters are the letters at 0xE0 to 0xFF.
var t61Letters = [32]rune{
	'Ω', 'Æ', 'Ð', 'ª', 'Ħ', 0, 'Ĳ', 'Ŀ', 'Ł', 'Ø', 'Œ', 'º', 'Þ', 'Ŧ', 'Ŋ', 'ŉ',
	'ĸ', 'æ', 'đ', 'ð', 'ħ', 'ı', 'ĳ', 'ŀ', 'ł', 'ø', 'œ', 'ß', 'þ', 'ŧ', 'ŋ', 0,
}

// isBidiControl reports characters that reorder the text around them and so
// could make a name look like another.
func isBidiControl(r rune) bool {
	return r == 0x061c || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
