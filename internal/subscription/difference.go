package subscription

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"bridge.example/signedlist"
)

// Difference is one certificate of which two sets of entries do not say the same.
type Difference struct {
	Change string // removed, added or changed
	Entry  signedlist.Entry
	Text   string // what people read
}

// Compare returns what must be done to old to make it new, in the order of
// members.
func Compare(old, new []signedlist.Entry) (out []Difference) {
	type pair struct{ old, new *signedlist.Entry }
	both := map[[sha256.Size]byte]*pair{}
	var order [][sha256.Size]byte
	at := func(e signedlist.Entry) *pair {
		key := sha256.Sum256(e.Certificate.Raw)
		if both[key] == nil {
			both[key] = &pair{}
			order = append(order, key)
		}
		return both[key]
	}
	for i := range old {
		at(old[i]).old = &old[i]
	}
	for i := range new {
		at(new[i]).new = &new[i]
	}
	for _, key := range order {
		switch p := both[key]; {
		case p.new == nil:
			out = append(out, Difference{"removed", *p.old, name(*p.old) + " is not trusted any more"})
		case p.old == nil:
			out = append(out, Difference{"added", *p.new, fmt.Sprintf("%s is trusted, for mail of %s", name(*p.new), strings.Join(p.new.MailDomains, ", "))})
		default:
			if text := altered(*p.old, *p.new); text != "" {
				out = append(out, Difference{"changed", *p.new, name(*p.new) + text})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Difference) int { return strings.Compare(a.Entry.Member, b.Entry.Member) })
	return out
}

func name(e signedlist.Entry) string {
	return fmt.Sprintf("%s (%s): the CA %q", e.Title, e.Member, e.Certificate.Subject)
}

func altered(old, new signedlist.Entry) (text string) {
	field := func(what, a, b string) {
		if a != b {
			text += fmt.Sprintf("; %s: %s instead of %s", what, b, a)
		}
	}
	field("member", old.Member, new.Member)
	field("name", old.Title, new.Title)
	field("levels of assurance", dotted(old.Levels), dotted(new.Levels))
	field("policies", dotted(old.Policies), dotted(new.Policies))
	field("mail domains", strings.Join(old.MailDomains, ", "), strings.Join(new.MailDomains, ", "))
	return text
}

func dotted(oids []x509.OID) string {
	all := make([]string, len(oids))
	for i, o := range oids {
		all[i] = o.String()
	}
	return strings.Join(all, ", ")
}

// count says how many certificates come and go.
func count(ds []Difference) (added, removed int) {
	for _, d := range ds {
		switch d.Change {
		case "added":
			added++
		case "removed":
			removed++
		}
	}
	return added, removed
}
