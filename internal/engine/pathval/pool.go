package pathval

import (
	"encoding/binary"
	"slices"
	"sync"
)

// Bounds on what a pool remembers.
const (
	cacheEntries = 100_000
	maxDistances = 4096
)

// Pool is a set of certificates from which paths are built: intermediates,
// cross-certificates in both directions, CRL issuers. Nothing in it is trusted.
// It is immutable, and safe for concurrent use; prepare one and share it.
type Pool struct {
	ids       map[string]int32      // of every name that issues or is issued to
	bySubject [][]pooled            // by name
	issued    [][]int32             // by name: the CAs it issued to
	derived   map[namedKey][32]byte // ids of keys whose identifiers prove them
	cache     *Cache
	arenas    sync.Pool // of *arena

	mu        sync.Mutex
	distances map[string][]uint8 // by set of anchors; see distance
}

// pooled is a certificate with its issuer's name by number.
type pooled struct {
	*Certificate
	issuer int32
}

// unreachable is the distance of a name that no chain of names leads to.
const unreachable = 255

// NewPool prepares certs; one that is there twice counts once.
func NewPool(certs ...*Certificate) *Pool {
	p := &Pool{ids: map[string]int32{}, derived: map[namedKey][32]byte{}, cache: NewCache(cacheEntries), distances: map[string][]uint8{}}
	seen := make(map[[32]byte]bool, len(certs))
	for _, c := range certs {
		if seen[c.Fingerprint] {
			continue
		}
		seen[c.Fingerprint] = true
		subject, issuer := p.id(c.Subject), p.id(c.Issuer)
		p.bySubject[subject] = append(p.bySubject[subject], pooled{c, issuer})
		if c.ca && c.derivesKeyID() {
			p.derived[namedKey{subject, string(c.subjectKeyID)}] = c.key.id
		}
		if c.ca && subject != issuer {
			p.issued[issuer] = append(p.issued[issuer], subject)
		}
	}
	for i, to := range p.issued {
		slices.Sort(to)
		p.issued[i] = slices.Compact(to)
	}
	return p
}

func (p *Pool) id(n Name) int32 {
	id, ok := p.ids[n.key]
	if !ok {
		id = int32(len(p.bySubject))
		p.ids[n.key] = id
		p.bySubject = append(p.bySubject, nil)
		p.issued = append(p.issued, nil)
	}
	return id
}

// named are the certificates with this subject.
func (p *Pool) named(n Name) []pooled {
	if id, ok := p.ids[n.key]; ok {
		return p.bySubject[id]
	}
	return nil
}

// issuedBy are the certificates of other CAs with this issuer.
func (p *Pool) issuedBy(n Name) (out []*Certificate) {
	id, ok := p.ids[n.key]
	if !ok {
		return nil
	}
	for _, subject := range p.issued[id] {
		for _, c := range p.bySubject[subject] {
			if c.ca && c.issuer == id {
				out = append(out, c.Certificate)
			}
		}
	}
	return out
}

// distance is how many certificates lie between an anchor and each name, by the
// names alone: never more than there really are, so that what it rules out
// cannot be.
func (p *Pool) distance(anchors []*Certificate) []uint8 {
	var from []int32
	for _, a := range anchors {
		if id, ok := p.ids[a.Subject.key]; ok {
			from = append(from, id)
		}
	}
	slices.Sort(from)
	from = slices.Compact(from)
	var key []byte
	for _, id := range from {
		key = binary.BigEndian.AppendUint32(key, uint32(id))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d, ok := p.distances[string(key)]
	if !ok {
		d = p.spread(from)
		if len(p.distances) == maxDistances {
			clear(p.distances)
		}
		p.distances[string(key)] = d
	}
	return d
}

// spread is a breadth-first search from some names.
func (p *Pool) spread(from []int32) []uint8 {
	d := make([]uint8, len(p.bySubject))
	for i := range d {
		d[i] = unreachable
	}
	for _, id := range from {
		d[id] = 0
	}
	for steps := uint8(1); steps < unreachable && len(from) > 0; steps++ {
		var next []int32
		for _, id := range from {
			for _, to := range p.issued[id] {
				if d[to] == unreachable {
					d[to] = steps
					next = append(next, to)
				}
			}
		}
		from = next
	}
	return d
}
