package certext

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// Form is the choice of a GeneralName; its number is the context tag of
// RFC 5280 §4.2.1.6.
type Form uint8

const (
	OtherName     Form = 0
	RFC822Name    Form = 1
	DNSName       Form = 2
	X400Address   Form = 3
	DirectoryName Form = 4
	EDIPartyName  Form = 5
	URI           Form = 6
	IPAddress     Form = 7
	RegisteredID  Form = 8
)

// Name is a GeneralName of RFC 5280 §4.2.1.6.
type Name struct {
	Form Form
	// Value is ASCII text for RFC822Name, DNSName and URI; a DER Name for
	// DirectoryName; an address, in a constraint followed by its mask, for
	// IPAddress; the undecoded content of the choice for the others.
	Value string
}

// Subtree is the base of a GeneralSubtree, which is all of it: minimum is
// always 0 and maximum absent (RFC 5280 §4.2.1.10).
type Subtree = Name

// NameConstraints is RFC 5280 §4.2.1.10. What the bases of each form mean is
// described there; for RFC822Name, "x.example" is that host only and
// ".x.example" everything below it.
type NameConstraints struct {
	Permitted, Excluded []Subtree
}

// Extension encodes n, critical as the RFC demands. It must have a subtree.
func (n NameConstraints) Extension() (pkix.Extension, error) {
	const name = "nameConstraints"
	if err := checkCount(len(n.Permitted) + len(n.Excluded)); err != nil {
		return pkix.Extension{}, fault.New(fault.Invalid, "encoding %s: %w", name, err)
	}
	return write(OIDNameConstraints(), true, name, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for tag, trees := range [][]Subtree{n.Permitted, n.Excluded} {
				if len(trees) == 0 {
					continue
				}
				b.AddASN1(cbasn1.Tag(tag).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
					for _, t := range trees {
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addName(b, t, true) })
					}
				})
			}
		})
	})
}

// ParseNameConstraints returns the name constraints of c, none when it has no
// such extension. A minimum or maximum is an error.
func ParseNameConstraints(c *x509.Certificate) (n NameConstraints, err error) {
	err = read(c, OIDNameConstraints(), "nameConstraints", func(s *cryptobyte.String) bool {
		var seq cryptobyte.String
		if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || seq.Empty() {
			return false
		}
		for i, trees := range []*[]Subtree{&n.Permitted, &n.Excluded} {
			tag := cbasn1.Tag(i).ContextSpecific().Constructed()
			if !seq.PeekASN1Tag(tag) {
				continue
			}
			var ok bool
			*trees, ok = sequence(&seq, tag, func(s *cryptobyte.String) (t Subtree, ok bool) {
				var tree cryptobyte.String
				if !s.ReadASN1(&tree, cbasn1.SEQUENCE) {
					return t, false
				}
				t, ok = readName(&tree, true)
				return t, ok && tree.Empty()
			})
			if !ok {
				return false
			}
		}
		return seq.Empty() && len(n.Permitted)+len(n.Excluded) <= maxItems
	})
	if err != nil {
		return NameConstraints{}, err
	}
	return n, nil
}

// tag returns how a name of form f is tagged, and whether f is known.
func (f Form) tag() (cbasn1.Tag, bool) {
	t := cbasn1.Tag(f).ContextSpecific()
	switch f {
	case OtherName, X400Address, DirectoryName, EDIPartyName:
		return t.Constructed(), true
	}
	return t, f <= RegisteredID
}

// wellFormed reports whether the content fits the form; as a constraint an
// address comes with its mask.
func (n Name) wellFormed(constraint bool) bool {
	switch n.Form {
	case RFC822Name, DNSName, URI:
		for i := range len(n.Value) {
			if n.Value[i] >= 0x80 {
				return false
			}
		}
	case IPAddress:
		l := len(n.Value)
		if constraint {
			return l == 8 || l == 32
		}
		return l == 4 || l == 16
	case DirectoryName:
		// The strict reader also refuses what is not DER, so that the name can
		// be compared with others.
		var rdns pkix.RDNSequence
		rest, err := asn1.Unmarshal([]byte(n.Value), &rdns)
		return err == nil && len(rest) == 0
	}
	return true
}

func addName(b *cryptobyte.Builder, n Name, constraint bool) {
	tag, ok := n.Form.tag()
	if !ok || !n.wellFormed(constraint) {
		b.SetError(fault.New(fault.Invalid, "a name of form %d has the value %q", n.Form, n.Value))
		return
	}
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(n.Value)) })
}

func readName(s *cryptobyte.String, constraint bool) (Name, bool) {
	var content cryptobyte.String
	var got cbasn1.Tag
	if !s.ReadAnyASN1(&content, &got) {
		return Name{}, false
	}
	n := Name{Form: Form(got & 0x1f), Value: string(content)}
	want, ok := n.Form.tag()
	return n, ok && got == want && n.wellFormed(constraint)
}
