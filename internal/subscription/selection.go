package subscription

import (
	"crypto/x509"
	"slices"
	"strings"

	"bridge.example/internal/fault"
	"bridge.example/signedlist"
)

// Selection says which entries of a list a machine trusts. Exclude is stronger
// than Include, and Include than Default.
type Selection struct {
	// Default is all or none; when empty, none if there is something to include,
	// and all otherwise.
	Default string `yaml:"default,omitempty"`
	Include []Rule `yaml:"include,omitempty"`
	Exclude []Rule `yaml:"exclude,omitempty"`
}

// Rule fits entries by one property:
//
//	member=ID       of that member
//	level=OID       of that level of assurance of the bridge's
//	policy=OID      trusted under that policy of the member's own
//	domain=DOMAIN   whose member speaks for mail addresses of that domain, or of
//	                one above or below it
type Rule string

// Choice is what a selection makes of one entry, and why.
type Choice struct {
	signedlist.Entry
	In  bool
	Why string
}

// Apply decides about each entry, in their order.
func (s Selection) Apply(entries []signedlist.Entry) []Choice {
	out := make([]Choice, len(entries))
	for i, e := range entries {
		out[i] = s.choose(e)
	}
	return out
}

func (s Selection) choose(e signedlist.Entry) Choice {
	fits := func(r Rule) bool { return r.fits(e) }
	if i := slices.IndexFunc(s.Exclude, fits); i >= 0 {
		return Choice{e, false, "excluded by " + string(s.Exclude[i])}
	}
	if i := slices.IndexFunc(s.Include, fits); i >= 0 {
		return Choice{e, true, "included by " + string(s.Include[i])}
	}
	if s.Default == "none" || s.Default == "" && len(s.Include) > 0 {
		return Choice{e, false, "not included"}
	}
	return Choice{e, true, "by default"}
}

// Idle are the rules that fit no entry: a slip of the pen, or a member that left.
func (s Selection) Idle(entries []signedlist.Entry) (out []Rule) {
	for _, r := range slices.Concat(s.Include, s.Exclude) {
		if !slices.ContainsFunc(entries, r.fits) {
			out = append(out, r)
		}
	}
	return out
}

// Validate reports the first rule that is none; the error is Invalid.
func (s Selection) Validate() error {
	if s.Default != "" && s.Default != "all" && s.Default != "none" {
		return fault.New(fault.Invalid, "select: default %q is neither all nor none", s.Default)
	}
	for _, r := range slices.Concat(s.Include, s.Exclude) {
		property, value, _ := strings.Cut(string(r), "=")
		_, err := x509.ParseOID(value)
		known := property == "member" || property == "domain" || (property == "level" || property == "policy") && err == nil
		if value == "" || !known || strings.ToLower(value) != value {
			return fault.New(fault.Invalid, "select: %q is not member=ID, level=OID, policy=OID or domain=DOMAIN, in lower case", r)
		}
	}
	return nil
}

func (r Rule) fits(e signedlist.Entry) bool {
	property, value, _ := strings.Cut(string(r), "=")
	switch property {
	case "member":
		return e.Member == value
	case "level":
		return slices.ContainsFunc(e.Levels, func(l x509.OID) bool { return l.String() == value })
	case "policy":
		return slices.ContainsFunc(e.Policies, func(p x509.OID) bool { return p.String() == value })
	case "domain":
		return slices.ContainsFunc(e.MailDomains, func(d string) bool {
			return d == value || strings.HasSuffix(d, "."+value) || strings.HasSuffix(value, "."+d)
		})
	}
	return false
}
