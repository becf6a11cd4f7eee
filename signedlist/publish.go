package signedlist

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
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
	// Scheme is who publishes, for the format of TS 119 612; nil when lists are not
	// published in it.
	Scheme *Scheme
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
	next   [][sha256.Size]byte // keys announced beside the signer's
	last   *Publication        // nil when there was none since the start
	listed listed

	making chan struct{} // room for whoever makes a view of an old list
}

// Publication is a list in every form, all from one moment. It is immutable.
type Publication struct {
	*List
	DER   []byte // the list, CMS SignedData
	Files []File // every form, those that are signed first
}

// Names and media types of the signed forms.
const (
	ListName = "list.p7s"
	JSONName = "list.jws"
	XMLName  = "list.xml"
	// SHA2Name has the digest of the one before, which tells whether to fetch it
	// (TS 119 612 §6.1).
	SHA2Name = "list.sha2"

	listType = "application/cms"
	joseType = "application/jose"
	tslType  = "application/vnd.etsi.tsl+xml"
	sha2Type = "text/plain"
)

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
	return &Publisher{signer: s, roots: only(root), others: others, archive: a, o: o, making: make(chan struct{}, 1)}
}

func only(root *x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return pool
}

// everywhere reports whether a list can be opened under the other anchors, too;
// signed is the same as JSON, nil if that needs no look.
func (p *Publisher) everywhere(der, signed []byte, at time.Time) error {
	for _, root := range p.others {
		if at.After(root.NotAfter) {
			continue
		}
		_, _, err := open(der, only(root), at)
		if err == nil && signed != nil {
			_, err = verifyJSON(signed, only(root), at)
		}
		if err != nil {
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

// Announce has later lists say that keys may sign the next one, beside the
// signer's own; subscribers refuse a list by a key that was not announced. Other
// certificates for the same key need no announcement.
func (p *Publisher) Announce(keys ...crypto.PublicKey) error {
	var next [][sha256.Size]byte
	for _, k := range keys {
		h, err := hashOf(k)
		if err != nil {
			return fault.New(fault.Invalid, "announcing a signer of lists: %w", err)
		}
		next = append(next, h)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = next
	return nil
}

// announced are the keys for List.Signers.
func (p *Publisher) announced() [][sha256.Size]byte {
	out := append([][sha256.Size]byte{keyHash(p.signer.Cert)}, p.next...)
	slices.SortFunc(out, compareHashes)
	return slices.Compact(out)
}

// Publish returns a list of entries, in any order. That is the latest list when
// it says the same and is younger than Refresh; otherwise a new one with the
// next number, which is in the archive before it is returned: a number is never
// given to two lists. No entries make an empty list, which takes back all trust.
//
// Trust must not vanish by mistake: why says for an entry of the latest list,
// whose certificate is in none of entries, which decision took it out, and "" if
// none did. Then no list is published, with ErrLost.
//
// Errors: Invalid names an entry that cannot stand in a list; Unavailable means
// that nothing may be signed, because the clock shows a time before the latest
// list or the signer's certificate has expired; Conflict that somebody else
// wrote to the archive; others are those of the archive and the key.
func (p *Publisher) Publish(ctx context.Context, entries []Entry, why func(lost Entry) string) (*Publication, error) {
	entries, err := normalise(entries)
	if err != nil {
		return nil, err
	}
	content, err := encode(entries)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.o.Now().UTC().Truncate(time.Second)
	number, latest, err := p.archive.Latest(ctx)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return nil, fmt.Errorf("reading the latest list: %w", err)
	}
	next := &List{Number: number + 1, IssuedAt: now, NextUpdate: now.Add(p.o.Validity), Entries: entries}
	var gone []string
	if err == nil {
		next.Previous = sha256.Sum256(latest)
		old, oldContent, err := open(latest, p.roots, now)
		switch {
		case errors.Is(err, ErrEarly) || old != nil && now.Before(old.IssuedAt):
			return nil, fault.New(fault.Unavailable, "signing no list: the clock shows %s, before list %d was issued", now.Format(time.RFC3339), number)
		case old == nil:
			// From an earlier signer, or damaged: a list of ours replaces it.
			p.o.Log.Warn("latest list cannot be opened, replacing it", "number", number, "err", err)
		case old.Number != number:
			return nil, fmt.Errorf("the archive holds list %d as number %d", old.Number, number)
		case !bytes.Equal(content, oldContent):
			before, err := p.entriesOf(old, oldContent)
			if err != nil {
				return nil, fmt.Errorf("reading the latest list: %w", err)
			}
			if gone, err = lost(before, entries, why); err != nil {
				return nil, err
			}
		case err == nil && now.Before(old.IssuedAt.Add(p.o.Refresh)) && p.everywhere(latest, nil, now) == nil && slices.Equal(old.Signers, p.announced()):
			old.Entries = entries
			again, err := p.again(ctx, old, latest)
			if err == nil {
				return again, nil
			}
			p.o.Log.Warn("latest list cannot be published again, replacing it", "number", number, "err", err)
		}
		if old != nil && len(old.Signers) > 0 && !slices.Contains(old.Signers, keyHash(p.signer.Cert)) {
			// To sign nothing would keep even those on the list who have to leave it.
			p.o.Log.Error("the signer of the list was not announced: subscribers will ask for consent", "number", number+1)
		}
	}
	return p.issue(ctx, next, content, gone)
}

// entriesOf are those of l, which is encoded as content.
func (p *Publisher) entriesOf(l *List, content []byte) ([]Entry, error) {
	if p.last != nil && p.last.Hash == l.Hash {
		return p.last.Entries, nil
	}
	return decode(content)
}

// lost returns in words which entries of before are gone and why. Errors: ErrLost.
func lost(before, entries []Entry, why func(Entry) string) (gone []string, err error) {
	kept := make(map[string]bool, len(entries))
	for _, e := range entries {
		kept[string(e.Certificate.Raw)] = true
	}
	var errs []error
	for _, e := range before {
		if kept[string(e.Certificate.Raw)] {
			continue
		}
		reason := ""
		if why != nil {
			reason = why(e)
		}
		if reason == "" {
			errs = append(errs, fmt.Errorf("%w: %q of %s", ErrLost, e.Certificate.Subject, e.Member))
		}
		gone = append(gone, e.Member+": "+reason)
	}
	return gone, errors.Join(errs...)
}

// maxTold is how many entries that left an audit event names; the decisions about
// their members are events of their own.
const maxTold = 100

// issue records, signs and archives next, whose content is encoded already.
func (p *Publisher) issue(ctx context.Context, next *List, content []byte, gone []string) (*Publication, error) {
	e := auditlog.Event{
		Kind: "list.publish", Evidence: []auditlog.Evidence{auditlog.Document("content", content)},
		Details: map[string]string{"number": strconv.FormatInt(next.Number, 10), "entries": strconv.Itoa(len(next.Entries))},
	}
	if len(gone) > 0 {
		e.Details["removed"] = strings.Join(gone[:min(len(gone), maxTold)], ", ")
		if more := len(gone) - maxTold; more > 0 {
			e.Details["removed"] += fmt.Sprintf(", and %d more", more)
		}
	}
	if err := p.o.Audit(ctx, e); err != nil {
		return nil, err
	}
	out, err := p.sign(ctx, next, content)
	if err != nil {
		return nil, err
	}
	forms := map[string][]byte{}
	for _, f := range out.Files {
		if f.Name == JSONName || f.Name == XMLName {
			forms[f.Name] = f.Body
		}
	}
	if err := p.archive.Append(ctx, next.Number, out.DER, forms); err != nil {
		return nil, fmt.Errorf("archiving list %d: %w", next.Number, err)
	}
	p.o.Log.Info("list published", "number", next.Number, "entries", len(next.Entries), "removed", len(gone), "next_update", next.NextUpdate)
	p.last = out
	return out, nil
}

// Latest returns the latest list without signing anything, expired or not; views
// that cannot be made again are left out. Errors: NotFound when there is none;
// those of [Open].
func (p *Publisher) Latest(ctx context.Context) (*Publication, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, der, err := p.archive.Latest(ctx)
	if err != nil {
		return nil, err
	}
	l, err := p.reopen(der, p.signer)
	if err != nil {
		return nil, err
	}
	out, err := p.again(ctx, l, der)
	if err != nil {
		p.o.Log.Warn("the latest list is not there in every form", "number", l.Number, "err", err)
	}
	return out, nil
}

// reopen opens a list of ours that may have expired, and its signer with it.
func (p *Publisher) reopen(der []byte, s Signer) (*List, error) {
	at := p.o.Now()
	if end := s.Cert.NotAfter; end.Before(at) {
		at = end
	}
	l, err := Open(der, p.roots, at)
	if errors.Is(err, ErrExpired) {
		err = nil
	}
	return l, err
}

// again brings a list that was archived into every form. With an error it returns
// those that can be had.
func (p *Publisher) again(ctx context.Context, l *List, der []byte) (*Publication, error) {
	if p.last != nil && p.last.Hash == l.Hash {
		return p.last, nil
	}
	out := &Publication{List: l, DER: der, Files: []File{{ListName, listType, der}}}
	signed, err := p.archive.Form(ctx, l.Number, JSONName)
	if err != nil {
		return out, err
	}
	tsl, err := p.archivedXML(ctx, l.Number)
	if err != nil {
		return out, err
	}
	out.Files = append(append(out.Files, File{JSONName, joseType, signed}), tsl...)
	files, err := l.views()
	if err == nil && !slices.Equal(hashes(files), l.Views) {
		err = fault.New(fault.Conflict, "its views were made in another way than this version makes them")
	}
	if err != nil {
		return out, err
	}
	out.Files = append(out.Files, files...)
	p.last = out
	return out, nil
}

// sign makes l final and signs it: the views first, since their hashes stand in
// the list, and JSON last, since the hash of the list stands in it.
func (p *Publisher) sign(ctx context.Context, l *List, content []byte) (*Publication, error) {
	// Nobody could verify the list any longer than its signer.
	if end := p.signer.Cert.NotAfter; end.Before(l.NextUpdate) {
		l.NextUpdate = end
	}
	if !l.NextUpdate.After(l.IssuedAt) {
		return nil, fault.New(fault.Unavailable, "signing no list: the signer's certificate expired at %s", p.signer.Cert.NotAfter.Format(time.RFC3339))
	}
	l.Issuer, l.Signer, l.Signers = p.signer.Cert.Issuer.String(), keyHash(p.signer.Cert), p.announced()
	files, err := l.views()
	if err != nil {
		return nil, err
	}
	l.Views = hashes(files)
	attributes, err := l.attributes()
	if err != nil {
		return nil, err
	}
	der, err := cms.Sign(content, oid(contentType), p.signer, cms.SignOptions{At: l.IssuedAt, Attributes: attributes})
	if err != nil {
		return nil, err
	}
	l.Hash = sha256.Sum256(der)
	signed, err := encodeJSON(l, p.signer)
	if err != nil {
		return nil, err
	}
	// Nothing leaves that relying parties could not open. What JSON says needs no
	// second look: it has one encoding.
	_, err = Open(der, p.roots, l.IssuedAt)
	if err == nil {
		_, err = verifyJSON(signed, p.roots, l.IssuedAt)
	}
	if err == nil {
		err = p.everywhere(der, signed, l.IssuedAt)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the list just signed: %w", err)
	}
	out := &Publication{List: l, DER: der, Files: []File{{ListName, listType, der}, {JSONName, joseType, signed}}}
	tsl, err := p.signXML(ctx, l)
	if err != nil {
		// Whoever has to leave the list leaves the others all the same.
		p.o.Log.Error("the list is not published as "+XMLName, "number", l.Number, "err", err)
	}
	out.Files = slices.Concat(out.Files, tsl, files)
	return out, nil
}
