package signedlist_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/wire/cms"
	"bridge.example/signedlist"
)

// node is an element of DER that can be taken apart, changed and put together.
type node struct {
	tag      asn1.Tag
	content  []byte // when primitive
	children []*node
}

func parse(t *testing.T, der []byte) (nodes []*node) {
	t.Helper()
	for s := cryptobyte.String(der); !s.Empty(); {
		var n node
		var content cryptobyte.String
		if !s.ReadAnyASN1(&content, &n.tag) {
			t.Fatalf("not DER: %x", der)
		}
		if n.tag&0x20 != 0 {
			n.children = parse(t, content)
		} else {
			n.content = content
		}
		nodes = append(nodes, &n)
	}
	return nodes
}

func (n *node) addTo(b *cryptobyte.Builder) {
	b.AddASN1(n.tag, func(b *cryptobyte.Builder) {
		b.AddBytes(n.content)
		for _, c := range n.children {
			c.addTo(b)
		}
	})
}

func (n *node) der() []byte {
	var b cryptobyte.Builder
	n.addTo(&b)
	return b.BytesOrPanic()
}

func primitive(tag asn1.Tag, content string) *node { return &node{tag: tag, content: []byte(content)} }

func constructed(tag asn1.Tag, children ...*node) *node { return &node{tag: tag, children: children} }

// resigner signs changed contents with everything else as in a good list.
type resigner struct {
	*bench
	good *cms.Verified
}

func newResigner(t *testing.T, entries ...signedlist.Entry) resigner {
	t.Helper()
	b := newBench(t)
	_, der := b.publish(t, entries...)
	v, err := cms.Verify(der, b.roots(), noon)
	if err != nil {
		t.Fatal(err)
	}
	return resigner{b, v}
}

func (r resigner) open(t *testing.T, content []byte) (*signedlist.List, error) {
	t.Helper()
	der, err := cms.Sign(content, r.good.ContentType, *r.signer, cms.SignOptions{At: noon, Attributes: r.good.Attributes})
	if err != nil {
		t.Fatal(err)
	}
	return signedlist.Open(der, r.roots(), noon)
}

func TestContent(t *testing.T) {
	r := newResigner(t, entry(t, "alpha"), entry(t, "beta"))
	extension := func(id string, critical bool) *node {
		t.Helper()
		octets, err := oid(t, id).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		n := constructed(asn1.SEQUENCE, primitive(asn1.OBJECT_IDENTIFIER, string(octets)))
		if critical {
			n.children = append(n.children, primitive(asn1.BOOLEAN, "\xff"))
		}
		n.children = append(n.children, primitive(asn1.OCTET_STRING, "\x0c\x05alpha"))
		return n
	}
	add := func(n *node, children ...*node) { n.children = append(n.children, children...) }
	// info, path and exts are those of the first entry.
	for _, tt := range []struct {
		name string
		edit func(list, info, path, exts *node)
		want error
	}{
		{"nothing", func(_, _, _, _ *node) {}, nil},
		{"an extension we do not know", func(_, _, _, exts *node) { add(exts, extension("1.3.6.1.4.1.32473.9", false)) }, nil},
		{"a critical one", func(_, _, _, exts *node) { add(exts, extension("1.3.6.1.4.1.32473.9", true)) }, signedlist.ErrFormat},
		{"a second member", func(_, _, _, exts *node) {
			add(exts, extension("2.25.203099105519607916965137856595848328713.3", false))
		}, signedlist.ErrFormat},
		{"no member", func(_, _, _, exts *node) { exts.children = nil }, signedlist.ErrFormat},
		{"another order", func(list, _, _, _ *node) { slices.Reverse(list.children) }, signedlist.ErrFormat},
		{"an entry twice", func(list, _, _, _ *node) { add(list, list.children[1]) }, signedlist.ErrFormat},
		{"another choice", func(list, _, _, _ *node) { list.children[0].tag = asn1.Tag(0xa1) }, signedlist.ErrFormat},
		{"a language tag", func(_, info, _, _ *node) { add(info, primitive(asn1.Tag(0x82), "en")) }, signedlist.ErrFormat},
		{"another key", func(list, info, _, _ *node) { info.children[0] = list.children[1].children[0].children[0] }, signedlist.ErrFormat},
		{"no path controls", func(_, info, _, _ *node) { info.children = slices.Delete(info.children, 3, 4) }, signedlist.ErrFormat},
		{"another name", func(list, _, path, _ *node) {
			path.children[0] = list.children[1].children[0].children[3].children[0]
		}, signedlist.ErrFormat},
		{"a path length", func(_, _, path, _ *node) { add(path, primitive(asn1.Tag(0x84), "\x00")) }, signedlist.ErrFormat},
		{"other policy flags", func(_, _, path, _ *node) { path.children[3].content = []byte("\x05\xa0") }, signedlist.ErrFormat},
		{"no policies", func(_, _, path, _ *node) { path.children[2].children = nil }, signedlist.ErrFormat},
		{"policies in another order", func(_, _, path, _ *node) { slices.Reverse(path.children[2].children) }, signedlist.ErrFormat},
		{"a policy with a qualifier", func(_, _, path, _ *node) {
			add(path.children[2].children[0], constructed(asn1.SEQUENCE))
		}, signedlist.ErrFormat},
		{"excluded names", func(_, _, path, _ *node) {
			names := path.children[4]
			add(names, constructed(asn1.Tag(0xa1), names.children[0].children[0]))
		}, signedlist.ErrFormat},
		{"a domain without those below", func(_, _, path, _ *node) {
			trees := path.children[4].children[0]
			trees.children = trees.children[:1]
		}, signedlist.ErrFormat},
	} {
		list := parse(t, r.good.Content)[0]
		info := list.children[0].children[0]
		tt.edit(list, info, info.children[3], info.children[4].children[0])
		if _, err := r.open(t, list.der()); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestOneEncoding checks that no byte of a list can be other than what its
// meaning requires: were the signer to sign a changed list and it opened,
// publishing what it says would give the same bytes.
func TestOneEncoding(t *testing.T) {
	alpha := entry(t, "alpha")
	alpha.Policies, alpha.MailDomains = []x509.OID{alpha.Policies[0]}, alpha.MailDomains[:1]
	r := newResigner(t, alpha)
	opened := 0
	for i := range r.good.Content {
		content := bytes.Clone(r.good.Content)
		content[i] ^= 1
		l, err := r.open(t, content)
		if err != nil {
			continue
		}
		opened++
		r.archive = &memory{}
		_, der, err := published(r.with(r.signer).Publish(t.Context(), l.Entries, nil))
		if err != nil {
			t.Fatal(err)
		}
		v, err := cms.Verify(der, r.roots(), noon)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(v.Content, content) {
			t.Errorf("byte %d changed from %#02x to %#02x reads like other bytes", i, r.good.Content[i], content[i])
		}
	}
	if opened == 0 {
		t.Error("no change opened, so nothing was compared")
	}
}
