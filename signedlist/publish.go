package signedlist

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/cms"
)

// Options of a [Publisher]; the zero value works.
type Options struct {
	Validity time.Duration // from issue to nextUpdate; 7 days when zero
	Refresh  time.Duration // after which a list is issued anew though nothing changed; 24 hours when zero
	// Audit records what is about to be signed; on error it is not signed. Nil
	// where there is no audit log.
	Audit func(context.Context, auditlog.Event) error
	Now   func() time.Time
	Log   *slog.Logger
}

// Publisher signs lists and numbers them. It is safe for concurrent use, but
// must be the only one on its archive.
type Publisher struct {
	roots   *x509.CertPool      // under which its lists can be opened
	others  []*x509.Certificate // further anchors, each alone
	archive Archive
	o       Options

	mu     sync.Mutex // held while a list is made
	signer Signer
}

// NewPublisher returns a publisher that signs with s and keeps lists in a. Its
// lists can be opened under the first certificate of s.Chain, and under each
// other that is self-signed and not expired: what it takes to get there has to
// be in s.Chain.
func NewPublisher(s Signer, a Archive, o Options) *Publisher {
	if o.Validity == 0 {
		o.Validity = 7 * 24 * time.Hour
	}
	if o.Refresh == 0 {
		o.Refresh = 24 * time.Hour
	}
	if o.Audit == nil {
		o.Audit = func(context.Context, auditlog.Event) error { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	root := s.Cert
	var others []*x509.Certificate
	if len(s.Chain) > 0 {
		root = s.Chain[0]
		for _, c := range s.Chain[1:] {
			if !c.Equal(root) && c.CheckSignatureFrom(c) == nil {
				others = append(others, c)
			}
		}
	}
	return &Publisher{signer: s, roots: only(root), others: others, archive: a, o: o}
}

func only(root *x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return pool
}

// everywhere reports whether a list can be opened under the other anchors, too.
func (p *Publisher) everywhere(der []byte, at time.Time) error {
	for _, root := range p.others {
		if at.After(root.NotAfter) {
			continue
		}
		if _, _, err := open(der, only(root), at); err != nil {
			return err
		}
	}
	return nil
}

// SetSigner has later lists signed with s, which has the same root as the signer
// before it. A list that is signed already stays the latest as long as it would.
func (p *Publisher) SetSigner(s Signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signer = s
}

// Publish returns a list of entries, in any order, and its DER. That is the
// latest list when it says the same and is younger than Refresh; otherwise a
// new one with the next number, which is in the archive before it is returned:
// a number is never given to two lists. No entries make an empty list, which
// takes back all trust.
//
// Errors: Invalid names an entry that cannot stand in a list; Unavailable means
// that nothing may be signed, because the clock shows a time before the latest
// list or the signer's certificate has expired; Conflict that somebody else
// wrote to the archive; others are those of the archive and the key.
func (p *Publisher) Publish(ctx context.Context, entries []Entry) (*List, []byte, error) {
	entries, err := normalise(entries)
	if err != nil {
		return nil, nil, err
	}
	content, err := encode(entries)
	if err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.o.Now().UTC().Truncate(time.Second)
	number, latest, err := p.archive.Latest(ctx)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return nil, nil, fmt.Errorf("reading the latest list: %w", err)
	}
	next := &List{Number: number + 1, IssuedAt: now, NextUpdate: now.Add(p.o.Validity), Entries: entries}
	if err == nil {
		next.Previous = sha256.Sum256(latest)
		old, oldContent, err := open(latest, p.roots, now)
		switch {
		case errors.Is(err, ErrEarly) || old != nil && now.Before(old.IssuedAt):
			return nil, nil, fault.New(fault.Unavailable, "signing no list: the clock shows %s, before list %d was issued", now.Format(time.RFC3339), number)
		case old != nil && old.Number != number:
			return nil, nil, fmt.Errorf("the archive holds list %d as number %d", old.Number, number)
		case err == nil && bytes.Equal(content, oldContent) && now.Before(old.IssuedAt.Add(p.o.Refresh)) && p.everywhere(latest, now) == nil:
			old.Entries = entries
			return old, latest, nil
		case old == nil:
			// From an earlier signer, or damaged: a list of ours replaces it.
			p.o.Log.Warn("latest list cannot be opened, replacing it", "number", number, "err", err)
		}
	}
	err = p.o.Audit(ctx, auditlog.Event{
		Kind: "list.publish", Evidence: []auditlog.Evidence{auditlog.Document("content", content)},
		Details: map[string]string{"number": strconv.FormatInt(next.Number, 10), "entries": strconv.Itoa(len(entries))},
	})
	if err != nil {
		return nil, nil, err
	}
	der, err := p.sign(next, content)
	if err != nil {
		return nil, nil, err
	}
	if err := p.archive.Append(ctx, next.Number, der); err != nil {
		return nil, nil, fmt.Errorf("archiving list %d: %w", next.Number, err)
	}
	p.o.Log.Info("list published", "number", next.Number, "entries", len(entries), "next_update", next.NextUpdate)
	return next, der, nil
}

// Latest returns the latest list and its DER without signing anything, expired
// or not. Errors: NotFound when there is none; those of [Open].
func (p *Publisher) Latest(ctx context.Context) (*List, []byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, der, err := p.archive.Latest(ctx)
	if err != nil {
		return nil, nil, err
	}
	// Its signer need not be valid any more for it to be the latest.
	at := p.o.Now()
	if end := p.signer.Cert.NotAfter; end.Before(at) {
		at = end
	}
	l, err := Open(der, p.roots, at)
	if errors.Is(err, ErrExpired) {
		err = nil
	}
	return l, der, err
}

// sign makes l final and signs it.
func (p *Publisher) sign(l *List, content []byte) ([]byte, error) {
	// Nobody could verify the list any longer than its signer.
	if end := p.signer.Cert.NotAfter; end.Before(l.NextUpdate) {
		l.NextUpdate = end
	}
	if !l.NextUpdate.After(l.IssuedAt) {
		return nil, fault.New(fault.Unavailable, "signing no list: the signer's certificate expired at %s", p.signer.Cert.NotAfter.Format(time.RFC3339))
	}
	attributes, err := l.attributes()
	if err != nil {
		return nil, err
	}
	der, err := cms.Sign(content, oid(contentType), p.signer, cms.SignOptions{At: l.IssuedAt, Attributes: attributes})
	if err != nil {
		return nil, err
	}
	// Nothing leaves that relying parties could not open.
	_, err = Open(der, p.roots, l.IssuedAt)
	if err == nil {
		err = p.everywhere(der, l.IssuedAt)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the list just signed: %w", err)
	}
	l.Hash = sha256.Sum256(der)
	return der, nil
}
