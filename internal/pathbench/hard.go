package main

import (
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"slices"
)

// deadEnds is a chain whose every CA also has certificates straight from the
// anchor, under policies nobody asked for: the short ways are all wrong.
func (d *drawing) deadEnds(length, each int) graph {
	root, policy := d.party("Chain", "Root"), d.oid(1)
	g := graph{name: fmt.Sprintf("chain of %d, %d dead ends", length, (length-1)*each)}
	above := root
	for i := range length {
		ca := d.party("Chain", fmt.Sprintf("CA %d", i))
		g.pool = append(g.pool, d.issue(above, ca, authority(policy)))
		for j := range each {
			if i > 0 {
				g.pool = append(g.pool, d.issue(root, ca, authority(d.oid(3, uint64(j)))))
			}
		}
		above = ca
	}
	return d.ask(g, root, above, policy)
}

// loops is a ring of CAs, each certified by both neighbours; anchor and leaf
// are hops apart.
func (d *drawing) loops(size, hops int) graph {
	root, policy := d.party("Ring", "Root"), d.oid(1)
	g := graph{name: fmt.Sprintf("ring of %d", size)}
	ring := make([]*party, size)
	for i := range ring {
		ring[i] = d.party("Ring", fmt.Sprintf("CA %d", i))
	}
	for i, ca := range ring {
		next := ring[(i+1)%size]
		g.pool = append(g.pool, d.issue(ca, next, authority(policy)), d.issue(next, ca, authority(policy)))
	}
	g.pool = append(g.pool, d.issue(root, ring[0], authority(policy)))
	return d.ask(g, root, ring[hops], policy)
}

// decoys is two CAs and many forgeries of the lower one: its name, other keys.
// With claimed, each also claims the key identifier of the true one, so that
// only signatures tell them apart.
func (d *drawing) decoys(n int, claimed bool) graph {
	root, ca, policy := d.party("Decoys", "Root"), d.party("Decoys", "CA"), d.oid(1)
	g := graph{name: fmt.Sprintf("%d decoys", n)}
	forger := d.party("Decoys", "Root")
	for range n {
		fake := d.party("Decoys", "CA")
		if claimed {
			fake.keyID = ca.keyID
		}
		g.pool = append(g.pool, d.issue(forger, fake, authority(policy)))
	}
	if claimed {
		g.name += ", key identifier claimed"
	}
	g.pool = append(g.pool, d.issue(root, ca, authority(policy)))
	return d.ask(g, root, ca, policy)
}

// explosion is layers of CAs of one name, each certified by every one above:
// width to the power of depth paths, and no policy that any of them keeps.
func (d *drawing) explosion(depth, width int, curve elliptic.Curve) graph {
	d.curve = curve
	root := d.party("Layers", "Root")
	g := graph{name: fmt.Sprintf("explosion of %d^%d paths, %s", width, depth, curve.Params().Name)}
	above := []*party{root}
	for i := range depth {
		layer := make([]*party, width)
		for j := range layer {
			layer[j] = d.party("Layers", fmt.Sprintf("CA %d", i))
			for _, by := range above {
				g.pool = append(g.pool, d.issue(by, layer[j], authority(d.oid(3, uint64(i*width+j)))))
			}
		}
		above = layer
	}
	return d.ask(g, root, above[0], d.oid(1))
}

// repetitions is how often the one question of a hard graph is asked.
const repetitions = 10

// ask adds the question whether a user of ca chains to root.
func (d *drawing) ask(g graph, root, ca *party, policy x509.OID) graph {
	leaf := d.issue(ca, d.party("Users", "User"), user("user@x.example", policy))
	g.pairs = slices.Repeat([]pair{{d.issue(root, root, authority()), leaf, policy}}, repetitions)
	return g
}
