package pathval

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// form is the kind of a GeneralName; the numbers are the tags of RFC 5280
// §4.2.1.6.
type form uint8

const (
	formOther     form = 0
	formMail      form = 1 // rfc822Name, SmtpUTF8Mailbox and emailAddress
	formDNS       form = 2
	formX400      form = 3
	formDirectory form = 4
	formEDI       form = 5
	formURI       form = 6
	formIP        form = 7
	formID        form = 8
)

var formNames = [...]string{"otherName", "mail address", "dNSName", "x400Address", "directoryName", "ediPartyName", "URI", "iPAddress", "registeredID"}

func (f form) String() string { return formNames[f] }

// generalName is a name of a subject, or the base of a subtree.
type generalName struct {
	form form
	// text is what was written: of the text forms, and for otherName its type.
	text string
	// local and host are the two sides of a mail address; host alone is that of
	// a URI or a dNSName. Hosts are in lower case.
	local, host string
	dn          Name
	ip          []byte // four or sixteen bytes; twice as many in a base
	// broken is set when the text is not what its form demands: such a name fits
	// no constraint, and such a constraint no name.
	broken bool
}

// String is the name for people.
func (n generalName) String() string {
	switch n.form {
	case formDirectory:
		return n.dn.String()
	case formIP:
		return net.IP(n.ip).String()
	case formOther:
		return dotted(n.text)
	}
	return printable(n.text)
}

// readGeneralName reads a GeneralName of a subject.
func readGeneralName(s *cryptobyte.String) (n generalName, ok bool) {
	n, value, ok := readForm(s)
	if !ok {
		return n, false
	}
	switch n.form {
	case formMail:
		n = mailName(string(value))
		n.broken = n.broken || !isASCII(n.text)
	case formDNS:
		n.text = string(value)
		n.host, n.broken = dnsHost(strings.TrimPrefix(n.text, "*."))
	case formURI:
		n.text = string(value)
		n.host, n.broken = uriHost(n.text)
	case formIP:
		n.ip = value
		n.broken = len(value) != 4 && len(value) != 16
	case formOther:
		return readOtherName(value)
	}
	return n, true
}

// readForm reads a GeneralName as far as bases and names are alike.
func readForm(s *cryptobyte.String) (n generalName, value cryptobyte.String, ok bool) {
	var tag cbasn1.Tag
	if !s.ReadAnyASN1(&value, &tag) || tag&0xc0 != 0x80 || tag&0x1f > cbasn1.Tag(formID) {
		return n, nil, false
	}
	n.form = form(tag & 0x1f)
	constructed := n.form == formOther || n.form == formX400 || n.form == formDirectory || n.form == formEDI
	if (tag&0x20 != 0) != constructed {
		return n, nil, false
	}
	if n.form == formDirectory {
		n.dn, ok = parseName(value)
		return n, value, ok
	}
	return n, value, true
}

// readOtherName reads the content of an OtherName. SmtpUTF8Mailbox (RFC 9598
// §3) is a mail address, and bound by the constraints on such (§6).
func readOtherName(s cryptobyte.String) (n generalName, ok bool) {
	var value, text cryptobyte.String
	if !readOID(&s, &n.text) || !s.ReadASN1(&value, cbasn1.Tag(0).ContextSpecific().Constructed()) || !s.Empty() {
		return n, false
	}
	if n.text != oidSmtpUTF8Mailbox {
		return n, true
	}
	if !value.ReadASN1(&text, cbasn1.UTF8String) || !value.Empty() || !utf8.Valid(text) {
		return n, false
	}
	return mailName(string(text)), true
}

// mailName takes an address apart. The host is always ASCII: RFC 9598 §3 has
// A-labels where RFC 8398 had not.
func mailName(address string) generalName {
	n := generalName{form: formMail, text: address}
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		n.broken = true
		return n
	}
	n.local = address[:at]
	if n.host, n.broken = dnsHost(address[at+1:]); n.broken {
		// An address literal is no host, so it fits no constraint; but it is
		// well formed, and so not excluded by one.
		n.host = strings.ToLower(address[at+1:])
		literal, closed := strings.CutSuffix(strings.TrimPrefix(n.host, "["), "]")
		n.broken = !closed || !strings.HasPrefix(n.host, "[") || strings.ContainsAny(literal, "[]@ ")
	}
	n.broken = n.broken || !validLocal(n.local)
	return n
}

// validLocal accepts a dot-string or a quoted string (RFC 5321 §4.1.2,
// RFC 6531 §3.3).
func validLocal(s string) bool {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		inner := s[1 : len(s)-1]
		for i := 0; i < len(inner); i++ {
			if inner[i] == '\\' {
				i++
				if i == len(inner) {
					return false
				}
			} else if inner[i] == '"' || inner[i] < ' ' || inner[i] == 0x7f {
				return false
			}
		}
		return true
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool {
			return r <= ' ' || r == 0x7f || r < 0x80 && strings.ContainsRune(`()<>[]:;@\,"`, r)
		}) {
			return false
		}
	}
	return true
}

// dnsHost returns s in lower case, and whether it is no host name in the
// preferred syntax (RFC 1123 §2.1; underscores are in use). A dot at the end
// would make two spellings of one host, so it is refused.
func dnsHost(s string) (host string, broken bool) {
	if s == "" || len(s) > 253 {
		return "", true
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return "", true
		}
		for i := range len(label) {
			c := label[i]
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return "", true
			}
		}
	}
	return strings.ToLower(s), false
}

// uriHost returns the host of a URI with an authority. One without, or with an
// address in its place, must not pass a constraint (RFC 5280 §4.2.1.10).
func uriHost(s string) (host string, broken bool) {
	u, err := url.Parse(s)
	if err != nil || !isASCII(s) {
		return "", true
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return "", true
	}
	return dnsHost(u.Hostname())
}
