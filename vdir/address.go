package vdir

import "strings"

// Bounds of RFC 5321 §4.5.3.1.
const (
	maxAddressBytes = 254
	maxLocalBytes   = 64
	maxLabelBytes   = 63
)

// address is a complete mail address: as it was asked for, and folded for
// comparison. Local parts are compared without regard to case: directories
// do so, and a certificate for another spelling is the same person's.
type address struct{ text, folded string }

// domain returns the mail domain, in lower case.
func (a address) domain() string { return a.folded[strings.LastIndexByte(a.folded, '@')+1:] }

// is reports whether s names the same mailbox.
func (a address) is(s string) bool { return len(s) == len(a.folded) && strings.EqualFold(s, a.folded) }

// parseAddress accepts dot-string@domain in ASCII (RFC 5321 §4.1.2), without
// the apostrophe and the asterisk: what a filter could misread is no address
// here.
func parseAddress(s string) (address, bool) {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || len(s) > maxAddressBytes || local == "" || len(local) > maxLocalBytes {
		return address{}, false
	}
	for i := range len(local) {
		if c := local[i]; !isAlnum(c) && strings.IndexByte("!#$%&+-/=?^_`{|}~.", c) < 0 {
			return address{}, false
		}
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > maxLabelBytes || label[0] == '-' || label[len(label)-1] == '-' {
			return address{}, false
		}
		for i := range len(label) {
			if c := label[i]; !isAlnum(c) && c != '-' {
				return address{}, false
			}
		}
	}
	return address{text: s, folded: strings.ToLower(s)}, true
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
