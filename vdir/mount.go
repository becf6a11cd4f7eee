package vdir

import (
	"crypto/x509"
	"strings"
	"time"

	"bridge.example/internal/fault"
)

// Mount is one member's place in the tree.
type Mount struct {
	Member    string   // member id
	Name      string   // organisation, shown as o=
	Domains   []string // mail domains, lower case
	Endpoints []Endpoint

	// Check returns nil when c chains to this member and is acceptable at that
	// instant. It is called after the checks of this package, from several
	// goroutines. Required.
	Check func(c *x509.Certificate, at time.Time) error
}

// Endpoint is one directory of a member. A mount's endpoints are asked in
// order until one answers; a mount without any has no people.
type Endpoint struct {
	Backend Backend
	Base    string // RFC 4514 name in the member's own tree; may be empty
	Dialect *Dialect
	Name    string // for logs
}

// mount is a Mount at work.
type mount struct {
	Mount
	people string        // what follows mail=… in the names of its people
	slots  chan struct{} // taken by lookups in progress
}

// table is what one call of SetMounts put in place. It is immutable.
type table struct {
	byMember map[string]*mount // by folded member id
	byDomain map[string]*mount
	entries  []node // the structural entries, parents first
}

// SetMounts replaces all mounts at once; searches under way finish with the
// old ones. Invalid: a mount without Check or member id, or with an incomplete endpoint.
// Conflict: a member or a mail domain twice. After an error the old mounts
// stand.
func (d *Directory) SetMounts(ms []Mount) error {
	t := &table{byMember: map[string]*mount{}, byDomain: map[string]*mount{}}
	for _, m := range ms {
		if err := m.Validate(); err != nil {
			return err
		}
		id := foldValue(m.Member)
		if t.byMember[id] != nil || id == "" {
			return fault.New(fault.Conflict, "mount %q: mounted twice", m.Member)
		}
		at := &mount{
			Mount:  m,
			people: ",ou=People,o=" + escapeValue(m.Member) + "," + d.suffix,
			slots:  make(chan struct{}, d.o.MemberSearches),
		}
		t.byMember[id] = at
		for _, domain := range m.Domains {
			if other := t.byDomain[domain]; other != nil {
				return fault.New(fault.Conflict, "mount %q: mail domain %q belongs to %q", m.Member, domain, other.Member)
			}
			t.byDomain[domain] = at
		}
	}
	entries, err := d.structure(ms)
	if err != nil {
		return err
	}
	t.entries = entries
	d.table.Store(t)
	return nil
}

// Validate reports what SetMounts would refuse of m alone, as Invalid.
func (m Mount) Validate() error {
	if foldValue(m.Member) == "" || m.Check == nil {
		return fault.New(fault.Invalid, "mount %q: member id and Check are required", m.Member)
	}
	for _, domain := range m.Domains {
		if _, ok := parseAddress("a@" + domain); !ok || domain != strings.ToLower(domain) {
			return fault.New(fault.Invalid, "mount %q: %q is not a mail domain in lower case", m.Member, domain)
		}
	}
	for _, e := range m.Endpoints {
		if e.Backend == nil || e.Dialect == nil {
			return fault.New(fault.Invalid, "mount %q: endpoint %q: Backend and Dialect are required", m.Member, e.Name)
		}
		if _, err := ParseDN(e.Base); err != nil {
			return fault.New(fault.Invalid, "mount %q: endpoint %q: base: %w", m.Member, e.Name, err)
		}
	}
	return nil
}
