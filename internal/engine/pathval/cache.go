package pathval

import "sync"

// Cache remembers which signatures verified under which keys. It is bounded,
// and safe for concurrent use; one serves any number of pools.
type Cache struct {
	mu       sync.RWMutex
	capacity int
	// Two generations: when the young one is full it becomes the old one, which
	// is forgotten. What is used in between moves to the young.
	young, old map[signatureKey]bool
	// supposed never changes, and is never forgotten.
	supposed map[signatureKey]bool
}

// signatureKey is the SHA-256 of what is signed with its signature, and that of
// the key.
type signatureKey struct{ signed, key [32]byte }

// NewCache makes one that remembers the last entries results, and up to twice
// as many; each takes some 100 bytes.
func NewCache(entries int) *Cache {
	return &Cache{capacity: max(entries, 1), young: map[signatureKey]bool{}}
}

// Supposition is a certificate of which it is supposed that Issuer's key signed
// it.
type Supposition struct{ Certificate, Issuer *Certificate }

// Suppose makes a cache that takes the signatures of s to be good without
// looking at them, to ask what a certificate would open before it is signed. It
// is for that one question: no certificate that was found anywhere belongs in s,
// and the cache is thrown away with the answer.
//
// What is supposed can be given only at birth, and a pool makes its own cache.
// So none that serves real validation can be taught a signature it did not
// verify. Only the very bytes supposed are believed, and only in this cache.
func Suppose(s ...Supposition) *Cache {
	c := NewCache(cacheEntries)
	c.supposed = make(map[signatureKey]bool, len(s))
	for _, x := range s {
		c.supposed[signatureKey{x.Certificate.Fingerprint, x.Issuer.key.id}] = true
	}
	return c
}

// get reports whether the signature is known, and whether it is good.
func (c *Cache) get(k signatureKey) (good, known bool) {
	if c == nil {
		return false, false
	}
	if c.supposed[k] {
		return true, true
	}
	c.mu.RLock()
	good, known = c.young[k]
	aged := false
	if !known {
		good, aged = c.old[k]
	}
	c.mu.RUnlock()
	if aged {
		c.put(k, good)
	}
	return good, known || aged
}

func (c *Cache) put(k signatureKey, good bool) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.capacity {
		c.young, c.old = map[signatureKey]bool{}, c.young
	}
	c.young[k] = good
}
