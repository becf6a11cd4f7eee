package signedlist

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"bridge.example/internal/wire/cms"
)

// skew is how far clocks may differ.
const skew = 5 * time.Minute

// Open verifies a list at the instant at. roots holds what the caller has
// obtained safely: the bridge CA or the offline root above it, or the signer's
// certificate itself. The signer's must be made for signing lists and come from
// a root, from a key that the root has rolled over to, or from a bridge CA that
// the root certified without limits; so no member can sign a list with a
// certificate below its cross-certificate.
//
// Whether a list may replace the one in use is for [List.Supersedes] to say.
// With ErrExpired the list is returned too: everything else about it holds, so
// that it still tells which lists are older. Errors: ErrFormat, ErrSignature,
// ErrEarly, ErrExpired.
func Open(der []byte, roots *x509.CertPool, at time.Time) (*List, error) {
	l, content, err := open(der, roots, at)
	if err != nil && !errors.Is(err, ErrExpired) {
		return nil, err
	}
	entries, decodeErr := decode(content)
	if decodeErr != nil {
		return nil, decodeErr
	}
	l.Entries = entries
	return l, err
}

// open is Open without the entries: it returns them encoded.
func open(der []byte, roots *x509.CertPool, at time.Time) (*List, []byte, error) {
	v, err := cms.Verify(der, roots, at)
	switch {
	case errors.Is(err, cms.ErrFormat):
		return nil, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", ErrSignature, err)
	case v.ContentType.String() != contentType:
		return nil, nil, fmt.Errorf("%w: content is of type %v", ErrFormat, v.ContentType)
	case !maySign(v.Chain):
		return nil, nil, fmt.Errorf("%w: %q may not sign lists", ErrSignature, v.Signer.Subject)
	}
	l := &List{IssuedAt: v.SigningTime, Hash: sha256.Sum256(der), Issuer: v.Signer.Issuer.String(), Signer: keyHash(v.Signer)}
	if err := l.readAttributes(v.Attributes); err != nil {
		return nil, nil, err
	}
	if err := l.fresh(at); err != nil {
		if errors.Is(err, ErrExpired) {
			return l, v.Content, err
		}
		return nil, nil, err
	}
	return l, v.Content, nil
}

// fresh checks that l is in force at the instant at. Errors: ErrEarly,
// ErrExpired.
func (l *List) fresh(at time.Time) error {
	switch {
	case at.Before(l.IssuedAt.Add(-skew)):
		return fmt.Errorf("%w: issued at %s", ErrEarly, l.IssuedAt.Format(time.RFC3339))
	case at.After(l.NextUpdate):
		return fmt.Errorf("%w: nextUpdate was %s", ErrExpired, l.NextUpdate.Format(time.RFC3339))
	}
	return nil
}

// maySign reports whether a signer with this chain may sign lists.
func maySign(chain []*x509.Certificate) bool {
	return direct(chain) && slices.ContainsFunc(chain[0].UnknownExtKeyUsage, tslSigning().Equal)
}

// direct reports whether the root issued the signer's certificate, be it with
// another of its keys: link certificates (RFC 4210 §4.4) bear its name on both
// sides, which no member's do. An offline root has one CA below it that issues in
// its place.
func direct(chain []*x509.Certificate) bool {
	root := chain[len(chain)-1]
	if len(chain) == 3 && !limited(chain[1]) {
		return true
	}
	return len(chain) == 1 || !slices.ContainsFunc(chain[1:], func(c *x509.Certificate) bool {
		return !bytes.Equal(c.RawSubject, root.RawSubject) || !bytes.Equal(c.RawIssuer, root.RawSubject) && !c.Equal(root)
	})
}

// limited reports whether a CA certificate sets any limit to policies, names or
// purposes, as all cross-certificates do and no bridge CA's does.
func limited(c *x509.Certificate) bool {
	return slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool {
		switch e.Id.String() {
		case "2.5.29.30", "2.5.29.33", "2.5.29.36", "2.5.29.37", "2.5.29.54":
			return true
		}
		return false
	})
}

// tslSigning is id-tsl-kp-tslSigning (TS 119 612 §5.7.1).
func tslSigning() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{0, 4, 0, 2231, 3, 0} }
