package membership

import (
	"crypto/x509"
	"slices"
	"strings"

	"bridge.example/internal/fault"
)

// Claim is something that one member at most can own: a mail domain, the key of
// a CA, the name of a CA. It is a short string, the same for the same thing.
type Claim string

// Conflict is the error of whoever claims what owner has.
func (c Claim) Conflict(owner ID) error {
	kind, what, _ := strings.Cut(string(c), " ")
	switch kind {
	case "domain":
		return fault.New(fault.Conflict, "mail_domains: %q belongs to member %q", what, owner)
	case "key":
		return fault.New(fault.Conflict, "certificates: the key with SHA-256 %s belongs to member %q", what, owner)
	default:
		return fault.New(fault.Conflict, "certificates: the CA name with SHA-256 %s belongs to member %q", what, owner)
	}
}

// Claims are what m owns, each once: nobody else's record may have them. A draft,
// of an amendment too, owns nothing yet, so that nobody takes names by writing them down; who was
// revoked keeps its keys and names for ever, so that they do not come back.
func (m Member) Claims() []Claim {
	if m.State == Draft || m.State.over() && m.State != Revoked {
		return nil
	}
	if m.Amendment != nil && m.Amendment.Stage == Draft {
		m.Amendment = nil
	}
	out := m.claims()
	if m.State == Revoked {
		out = slices.DeleteFunc(out, func(c Claim) bool { return strings.HasPrefix(string(c), "domain ") })
	}
	return out
}

// claims are those of all that m declares, whatever its state.
func (m *Member) claims() []Claim {
	out := m.Application.claims()
	if m.Amendment != nil {
		out = append(out, m.Amendment.Application.claims()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (a *Application) claims() (out []Claim) {
	for _, d := range a.MailDomains {
		out = append(out, Claim("domain "+d))
	}
	anchors, intermediates := a.Certificates()
	for _, c := range append(anchors, intermediates...) {
		out = append(out, claimsOf(c)...)
	}
	return out
}

// claimsOf: two CAs may share a name only by mistake or malice, and a shared key
// would let one answer for the other (RFC 6960 §4.1.2).
func claimsOf(c *x509.Certificate) []Claim {
	return []Claim{Claim("key " + hashOf(c.RawSubjectPublicKeyInfo)), Claim("name " + hashOf(c.RawSubject))}
}
