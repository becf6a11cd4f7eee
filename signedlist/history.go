package signedlist

import (
	"context"
	"slices"

	"bridge.example/internal/fault"
)

// history makes views of old lists. It makes one at a time and remembers one
// list, so that asking for old ones costs at most one core and one list of
// memory.
type history struct {
	turn chan struct{} // holds one token, for list
	list *List
}

func newHistory() history {
	h := history{turn: make(chan struct{}, 1)}
	h.turn <- struct{}{}
	return h
}

// Old returns a form of any list ever published, by the name of its file. Signed
// forms come from the archive; views are made again, which works while the
// certificate of the list's signer is valid and this version makes them as they
// were made then. Errors: NotFound; those of the archive.
func (p *Publisher) Old(ctx context.Context, number int64, name string) (File, error) {
	switch name {
	case ListName:
		der, err := p.archive.Get(ctx, number)
		return File{ListName, listType, der}, err
	case JSONName:
		signed, err := p.archive.Form(ctx, number, name)
		return File{JSONName, joseType, signed}, err
	}
	if !slices.ContainsFunc(views, func(v view) bool { return v.name == name }) {
		return File{}, fault.New(fault.NotFound, "lists have no form %q", name)
	}
	select {
	case <-ctx.Done():
		return File{}, ctx.Err()
	case <-p.old.turn:
	}
	defer func() { p.old.turn <- struct{}{} }()
	if p.old.list == nil || p.old.list.Number != number {
		der, err := p.archive.Get(ctx, number)
		if err != nil {
			return File{}, err
		}
		p.mu.Lock()
		signer := p.signer
		p.mu.Unlock()
		if p.old.list, err = p.reopen(der, signer); err != nil {
			p.old.list = nil
			return File{}, fault.New(fault.NotFound, "views of list %d cannot be made again: %w", number, err)
		}
	}
	return p.old.list.View(name)
}
