package pathval

import (
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// nameConstraints is RFC 5280 §4.2.1.10. All forms of names are understood but
// x400Address, ediPartyName, registeredID and otherName: where a constraint
// exists on one of those, no name of it is accepted, as the RFC asks.
type nameConstraints struct {
	permitted, excluded []generalName
}

// parseNameConstraints reads the value of the extension. RFC 5280 has no use
// for minimum and maximum; a subtree with one is refused.
func parseNameConstraints(s cryptobyte.String) (*nameConstraints, bool) {
	var seq cryptobyte.String
	n := &nameConstraints{}
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() || seq.Empty() {
		return nil, false
	}
	for i, trees := range []*[]generalName{&n.permitted, &n.excluded} {
		var list cryptobyte.String
		var present bool
		if !seq.ReadOptionalASN1(&list, &present, cbasn1.Tag(i).ContextSpecific().Constructed()) || present && list.Empty() {
			return nil, false
		}
		for !list.Empty() {
			var tree cryptobyte.String
			if len(*trees) == maxNames || !list.ReadASN1(&tree, cbasn1.SEQUENCE) {
				return nil, false
			}
			base, ok := readBase(&tree)
			if !ok || !tree.Empty() {
				return nil, false
			}
			*trees = append(*trees, base)
		}
	}
	return n, seq.Empty()
}

// readBase reads the base of a subtree, whose syntax is its own.
func readBase(s *cryptobyte.String) (n generalName, ok bool) {
	n, value, ok := readForm(s)
	if !ok {
		return n, false
	}
	n.text = string(value)
	switch n.form {
	case formMail:
		if strings.Contains(n.text, "@") {
			n = mailName(n.text)
			n.broken = n.broken || !isASCII(n.text)
			return n, true
		}
		n.host, n.broken = baseHost(n.text)
	case formDNS, formURI:
		n.host, n.broken = baseHost(n.text)
	case formIP:
		n.ip = value
		n.broken = len(value) != 8 && len(value) != 32
	case formOther:
		if n, ok = readOtherName(value); !ok {
			return n, false
		}
		// RFC 9598 §6 forbids SmtpUTF8Mailbox here.
		n.broken = true
	case formX400, formEDI, formID:
		n.broken = true
	}
	return n, true
}

// baseHost accepts a host, a domain with a dot before it, and nothing.
func baseHost(s string) (host string, broken bool) {
	if s == "" {
		return "", false
	}
	domain, below := strings.CutPrefix(s, ".")
	host, broken = dnsHost(domain)
	if below {
		host = "." + host
	}
	return host, broken
}

// violation is a name outside what a CA above allows.
type violation struct {
	name generalName
	base *generalName // the excluded subtree; nil: in no permitted one
}

func (v *violation) String() string {
	what := v.name.form.String() + " " + v.name.String()
	if v.base == nil {
		return what + " is in no permitted subtree"
	}
	if v.base.broken {
		return what + ": a constraint on this form is not understood"
	}
	return what + " is in the excluded subtree " + v.base.String()
}

// check holds every name against the constraints and returns the first that
// breaks them; comparisons are taken off budget, and when it is used up
// exhausted is true.
func (n *nameConstraints) check(names []generalName, budget *int) (v *violation, exhausted bool) {
	for _, name := range names {
		if *budget -= len(n.permitted) + len(n.excluded); *budget < 0 {
			return nil, true
		}
		for i := range n.excluded {
			if base := &n.excluded[i]; base.concerns(name) && (base.broken || name.broken || base.excludes(name)) {
				return &violation{name, base}, false
			}
		}
		limited, found := false, false
		for i := range n.permitted {
			base := &n.permitted[i]
			if !base.concerns(name) {
				continue
			}
			if base.broken {
				return &violation{name, base}, false
			}
			limited = true
			found = found || !name.broken && base.permits(name)
		}
		if limited && !found {
			return &violation{name, nil}, false
		}
	}
	return nil, false
}

// concerns reports whether the subtree is of the form of name. Constraints on
// one otherName type leave the others alone.
func (base *generalName) concerns(name generalName) bool {
	return base.form == name.form && (base.form != formOther || base.text == name.text)
}

// excludes is permits, but where the RFC leaves a meaning open it takes the
// wider one: an empty host is every host, the dNSName ".x" is x too, and a
// wildcard stands for each name it can.
func (base *generalName) excludes(name generalName) bool {
	if base.permits(name) {
		return true
	}
	if base.form == formMail && base.local != "" {
		return false
	}
	switch base.form {
	case formMail, formURI:
		return base.host == ""
	case formDNS:
		below, wild := strings.CutPrefix(strings.ToLower(name.text), "*.")
		host := strings.TrimPrefix(base.host, ".")
		return host == name.host || wild && strings.HasSuffix(host, "."+below)
	}
	return false
}

// permits reports whether the subtree contains name, to the letter of
// RFC 5280 §4.2.1.10. Neither is broken.
func (base *generalName) permits(name generalName) bool {
	switch base.form {
	case formDirectory:
		return name.dn.within(base.dn)
	case formMail:
		if base.local != "" {
			return base.local == name.local && base.host == name.host
		}
		return hostOrBelow(base.host, name.host)
	case formURI:
		return hostOrBelow(base.host, name.host)
	case formDNS:
		// Labels added to the left satisfy it, none are needed.
		domain, below := strings.CutPrefix(base.host, ".")
		return domain == "" || strings.HasSuffix(name.host, "."+domain) || !below && name.host == domain
	case formIP:
		half := len(base.ip) / 2
		if half != len(name.ip) {
			return false
		}
		for i, b := range name.ip {
			if (b^base.ip[i])&base.ip[half+i] != 0 {
				return false
			}
		}
		return true
	}
	return false
}

// hostOrBelow is the rule of rfc822Name and URI: "x" is that host and no other,
// ".x" whatever lies below it but not x.
func hostOrBelow(base, host string) bool {
	if strings.HasPrefix(base, ".") {
		return strings.HasSuffix(host, base)
	}
	return base != "" && host == base
}
