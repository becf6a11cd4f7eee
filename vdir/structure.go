package vdir

import (
	"strconv"
	"strings"

	"bridge.example/internal/fault"
)

// node is an entry of the tree that is no person: the same for everybody, known
// without asking a member.
type node struct {
	dn    DN
	entry Entry
	// member is set in the part of the tree that belongs to one; people in the
	// entry its people stand below.
	member string
	people bool
	// leaf says that no person stands below.
	leaf bool
}

// structure builds the structural entries, parents first.
func (d *Directory) structure(ms []Mount) ([]node, error) {
	top := d.base[0][0]
	members := node{leaf: true, entry: structural("ou=Members,"+d.suffix, "organizationalUnit", "ou", "Members")}
	nodes := []node{{entry: structural(d.suffix, classOf(top.Type), top.Type, d.suffixValue())}, members}
	for _, m := range ms {
		names := []string{m.Member}
		if m.Name != "" && m.Name != m.Member {
			names = append(names, m.Name)
		}
		rdn, id := "o="+escapeValue(m.Member)+",", foldValue(m.Member)
		nodes = append(nodes,
			node{leaf: true, entry: structural(rdn+members.entry.DN, "organization", "o", names...)},
			node{member: id, entry: structural(rdn+d.suffix, "organization", "o", names...)},
			node{member: id, people: true, entry: structural("ou=People,"+rdn+d.suffix, "organizationalUnit", "ou", "People")},
		)
	}
	for i := range nodes {
		dn, err := ParseDN(nodes[i].entry.DN)
		if err != nil {
			return nil, fault.New(fault.Invalid, "mount: no name can be made for %q: %w", nodes[i].entry.DN, err)
		}
		nodes[i].dn = dn
	}
	return nodes, nil
}

// suffixValue is the value of the suffix's first component as it was written,
// where it was written plainly.
func (d *Directory) suffixValue() string {
	value, _, _ := strings.Cut(d.suffix, ",")
	_, value, _ = strings.Cut(value, "=")
	if value = strings.TrimSpace(value); foldValue(value) == d.base[0][0].Value {
		return value
	}
	return d.base[0][0].Value
}

func structural(dn, class, typ string, values ...string) Entry {
	return Entry{DN: dn, Attributes: []Attribute{
		attribute("objectClass", "top", class),
		attribute(typ, values...),
	}}
}

// classOf is the structural object class an entry named by typ has here; empty
// for other types (RFC 4519 §3, RFC 4524 §3.4).
func classOf(typ string) string {
	switch typ {
	case "o":
		return "organization"
	case "ou":
		return "organizationalUnit"
	case "dc":
		return "domain"
	case "c":
		return "country"
	}
	return ""
}

// rootDSE describes the server (RFC 4512 §5.1).
func (d *Directory) rootDSE() Entry {
	var versions []string
	for _, v := range d.o.SupportedVersions {
		versions = append(versions, strconv.Itoa(v))
	}
	e := Entry{Attributes: []Attribute{
		attribute("objectClass", "top"),
		attribute("namingContexts", d.suffix),
		attribute("subschemaSubentry", subschemaDN),
		attribute("supportedLDAPVersion", versions...),
		// Absolute filters and "+" in attribute lists: RFC 4526, RFC 3673.
		attribute("supportedFeatures", "1.3.6.1.4.1.4203.1.5.3", "1.3.6.1.4.1.4203.1.5.1"),
	}}
	for _, a := range []Attribute{
		attribute("supportedControl", d.o.SupportedControls...),
		attribute("supportedExtension", d.o.SupportedExtensions...),
	} {
		if len(a.Values) > 0 {
			e.Attributes = append(e.Attributes, a)
		}
	}
	if d.o.VendorName != "" {
		e.Attributes = append(e.Attributes, attribute("vendorName", d.o.VendorName))
	}
	return e
}

func attribute(typ string, values ...string) Attribute {
	a := Attribute{Type: typ, Values: make([][]byte, len(values))}
	for i, v := range values {
		a.Values[i] = []byte(v)
	}
	return a
}
