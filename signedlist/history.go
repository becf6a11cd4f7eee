package signedlist

import (
	"context"
	"slices"

	"bridge.example/internal/fault"
)

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
	case XMLName, SHA2Name:
		document, err := p.archive.Form(ctx, number, XMLName)
		if err != nil {
			return File{}, err
		}
		files := filesXML(document)
		return files[slices.IndexFunc(files, func(f File) bool { return f.Name == name })], nil
	}
	if !slices.ContainsFunc(views, func(v view) bool { return v.name == name }) {
		return File{}, fault.New(fault.NotFound, "lists have no form %q", name)
	}
	// One at a time: asking for old views costs no more than a core, and the
	// memory of one list.
	select {
	case <-ctx.Done():
		return File{}, ctx.Err()
	case p.making <- struct{}{}:
	}
	defer func() { <-p.making }()
	der, err := p.archive.Get(ctx, number)
	if err != nil {
		return File{}, err
	}
	p.mu.Lock()
	signer := p.signer
	p.mu.Unlock()
	l, err := p.reopen(der, signer)
	if err != nil {
		return File{}, fault.New(fault.NotFound, "views of list %d cannot be made again: %w", number, err)
	}
	return l.View(name)
}
