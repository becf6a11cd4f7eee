package signedlist

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/xmlsig"
)

// listed are the services of a list that was signed, so that the next one need
// not read them again.
type listed struct {
	number   int64
	services []Service
}

// filesXML are a list in the format of TS 119 612 and its digest: in hex, which
// the standard does not say but software expects.
func filesXML(document []byte) []File {
	sum := sha256.Sum256(document)
	return []File{{XMLName, tslType, document}, {SHA2Name, sha2Type, []byte(hex.EncodeToString(sum[:]))}}
}

// signXML signs l, which has its Hash, in the format of TS 119 612. There are no
// files when there is no scheme.
func (p *Publisher) signXML(ctx context.Context, l *List) ([]File, error) {
	if p.o.Scheme == nil {
		return nil, nil
	}
	if p.listed.number != l.Number-1 {
		services, err := p.services(ctx, l.Number-1)
		if err != nil {
			return nil, err
		}
		p.listed.services = services
	}
	p.listed = listed{l.Number, advance(p.listed.services, l.Entries, l.IssuedAt)}
	document, err := xmlsig.Sign(encodeXML(l, p.listed.services, p.o.Scheme), xmlsig.Signer(p.signer), l.IssuedAt)
	if err != nil {
		return nil, err
	}
	if err := p.checkXML(document, l.IssuedAt); err != nil {
		return nil, fmt.Errorf("opening the list just signed: %w", err)
	}
	return filesXML(document), nil
}

// checkXML sees to it that nothing leaves that relying parties could not open,
// whichever anchor they have.
func (p *Publisher) checkXML(document []byte, at time.Time) error {
	v, err := xmlsig.Verify(document)
	if err != nil {
		return err
	}
	if _, _, err := decodeXML(v); err != nil {
		return err
	}
	errs := []error{mayHaveSigned(v, p.roots, at)}
	for _, root := range p.others {
		if !at.After(root.NotAfter) {
			errs = append(errs, mayHaveSigned(v, only(root), at))
		}
	}
	return errors.Join(errs...)
}

// services are those of list number, or of the latest before it that was
// published in this format. The archive is ours: whether its signer could sign
// today does not matter, only that it is as it was.
func (p *Publisher) services(ctx context.Context, number int64) ([]Service, error) {
	for ; number > 0; number-- {
		document, err := p.archive.Form(ctx, number, XMLName)
		if fault.KindOf(err) == fault.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		v, err := xmlsig.Verify(document)
		if err != nil {
			return nil, fmt.Errorf("reading %s of list %d: %w", XMLName, number, err)
		}
		_, services, err := decodeXML(v)
		if err != nil {
			return nil, fmt.Errorf("reading %s of list %d: %w", XMLName, number, err)
		}
		return services, nil
	}
	return nil, nil
}

// archivedXML are the files of a list that was published.
func (p *Publisher) archivedXML(ctx context.Context, number int64) ([]File, error) {
	if p.o.Scheme == nil {
		return nil, nil
	}
	document, err := p.archive.Form(ctx, number, XMLName)
	if err != nil {
		return nil, err
	}
	return filesXML(document), nil
}
