package subscription

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"bridge.example/signedlist"
)

// maxBetween is how many lists in between are followed.
const maxBetween = 50

// beside fetches what the repository has at a path relative to the list.
func (u *update) beside(ctx context.Context, path string) ([]byte, error) {
	base, err := url.Parse(u.config.URL)
	if err != nil {
		return nil, err
	}
	got, err := u.source.get(ctx, base.ResolveReference(&url.URL{Path: path}).String(), "")
	return got.Body, err
}

// announcedBetween reports whether the lists between the one in use and l, which
// a machine misses while it is switched off, announce the signer of l: each
// follows the one before, from the first to l.
func (u *update) announcedBetween(ctx context.Context, l *signedlist.List) bool {
	before := u.inUse.list
	if l.Number-before.Number > maxBetween {
		return false
	}
	for before.Number+1 < l.Number {
		der, err := u.beside(ctx, fmt.Sprintf("lists/%d/%s", before.Number+1, signedlist.ListName))
		if err != nil {
			return false
		}
		next, err := signedlist.Open(der, u.roots(), u.at)
		if err != nil && !errors.Is(err, signedlist.ErrExpired) {
			return false
		}
		if next.Number != before.Number+1 || next.Supersedes(before) != nil {
			return false
		}
		before = next
	}
	return l.Supersedes(before) == nil
}

// checkViews compares the files beside the list with what it says of them.
func (u *update) checkViews(ctx context.Context, l *signedlist.List) error {
	for _, name := range u.config.CheckViews {
		body, err := u.beside(ctx, name)
		if err != nil {
			return err
		}
		if err := l.CheckView(name, body); err != nil {
			return &Refusal{SwappedView, err}
		}
	}
	return nil
}
