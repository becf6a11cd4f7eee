package pathval

const (
	chunkBranches = 256
	keptChunks    = 16 // of an arena for the next search; more is left to the collector
)

// arena holds the branches of one search. A bridge has hundreds of possible
// issuers, and all but a few are never looked at again: collected as garbage
// they would cost more than the search.
type arena struct {
	open   queue
	chunks []*[chunkBranches]branch
	used   int
}

// arena takes one that an earlier search left, or makes one.
func (p *Pool) arena() *arena {
	if a, ok := p.arenas.Get().(*arena); ok {
		return a
	}
	return new(arena)
}

// keep returns a copy of n that lives as long as the search.
func (a *arena) keep(n branch) *branch {
	i := a.used / chunkBranches
	if i == len(a.chunks) {
		a.chunks = append(a.chunks, new([chunkBranches]branch))
	}
	kept := &a.chunks[i][a.used%chunkBranches]
	*kept = n
	a.used++
	return kept
}

// release ends the search: no branch may be used any more.
func (a *arena) release(p *Pool) {
	if len(a.chunks) > keptChunks {
		return
	}
	clear(a.open[:cap(a.open)])
	for i := range min(len(a.chunks), a.used/chunkBranches+1) {
		clear(a.chunks[i][:])
	}
	a.open, a.used = a.open[:0], 0
	p.arenas.Put(a)
}
