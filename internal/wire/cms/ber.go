package cms

import "golang.org/x/crypto/cryptobyte/asn1"

// maxDepth bounds elements of indefinite length inside each other.
const maxDepth = 32

// ber is elements one after another by X.690 §8.1, of indefinite or
// needlessly long length too: some write bundles so. Content is not looked
// into, so that certificates keep the bytes that were signed.
type ber []byte

// peek is the tag of the next element; 0 at the end.
func (s ber) peek() asn1.Tag {
	if len(s) == 0 {
		return 0
	}
	return asn1.Tag(s[0])
}

// read takes the next element, which must have the tag.
func (s *ber) read(tag asn1.Tag) (content ber, ok bool) {
	if s.peek() != tag {
		return nil, false
	}
	content, _, ok = s.next()
	return content, ok
}

// next takes the next element, whatever it is; whole is its header too.
func (s *ber) next() (content ber, whole []byte, ok bool) {
	from, to, end, ok := s.measure(maxDepth)
	if ok {
		content, whole, *s = (*s)[from:to], (*s)[:end], (*s)[end:]
	}
	return content, whole, ok
}

// measure says where the content of the first element begins and ends, and
// where the next element begins.
func (s ber) measure(depth int) (from, to, end int, ok bool) {
	const highTag, constructed, indefinite = 0x1f, 0x20, 0x80
	if len(s) < 2 || s[0]&highTag == highTag || depth == 0 {
		return 0, 0, 0, false
	}
	if s[1] == indefinite {
		at := 2
		for {
			rest := s[at:]
			if s[0]&constructed == 0 || len(rest) < 2 {
				return 0, 0, 0, false
			}
			if rest[0] == 0 && rest[1] == 0 { // §8.1.5
				return 2, at, at + 2, true
			}
			_, _, n, ok := rest.measure(depth - 1)
			if !ok {
				return 0, 0, 0, false
			}
			at += n
		}
	}
	from, n := 2, uint64(s[1])
	if s[1] > indefinite {
		from += int(s[1] &^ indefinite)
		if from > 2+4 || from > len(s) {
			return 0, 0, 0, false
		}
		n = 0
		for _, b := range s[2:from] {
			n = n<<8 | uint64(b)
		}
	}
	if n > uint64(len(s)-from) {
		return 0, 0, 0, false
	}
	end = from + int(n)
	return from, end, end, true
}
