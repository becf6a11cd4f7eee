package signedlist

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/wire/cms"
)

// Bounds on the signed attributes.
const (
	maxSigners  = 16
	maxViews    = 64
	maxViewName = 64 // bytes
)

// attributes writes what readAttributes reads.
func (l *List) attributes() ([]cms.Attribute, error) {
	var out []cms.Attribute
	var errs []error
	add := func(id string, f func(*cryptobyte.Builder)) {
		var b cryptobyte.Builder
		f(&b)
		der, err := b.Bytes()
		errs = append(errs, err)
		out = append(out, cms.Attribute{Type: oid(id), Values: [][]byte{der}})
	}
	add(attrNumber, func(b *cryptobyte.Builder) { b.AddASN1Int64(l.Number) })
	add(attrNextUpdate, func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(l.NextUpdate) })
	if l.Number > 1 {
		add(attrPrevious, func(b *cryptobyte.Builder) { b.AddASN1OctetString(l.Previous[:]) })
	}
	add(attrViews, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, v := range l.Views {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					addUTF8(b, v.Name)
					b.AddASN1OctetString(v.Hash[:])
				})
			}
		})
	})
	add(attrSigners, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, h := range l.Signers {
				b.AddASN1OctetString(h[:])
			}
		})
	})
	return out, errors.Join(errs...)
}

// readAttributes takes what the list says of itself from the signed attributes;
// later versions may add others.
func (l *List) readAttributes(as []cms.Attribute) error {
	var previous cryptobyte.String
	for _, a := range as {
		value, ok := cryptobyte.String(a.Values[0]), len(a.Values) == 1
		switch a.Type.String() {
		case attrNumber:
			ok = ok && value.ReadASN1Integer(&l.Number)
		case attrNextUpdate:
			ok = ok && value.ReadASN1GeneralizedTime(&l.NextUpdate)
		case attrPrevious:
			ok = ok && value.ReadASN1(&previous, asn1.OCTET_STRING) && len(previous) == sha256.Size
		case attrViews:
			ok = ok && l.readViews(&value)
		case attrSigners:
			ok = ok && l.readSigners(&value)
		default:
			continue
		}
		if !ok || !value.Empty() {
			return fmt.Errorf("%w: attribute %v", ErrFormat, a.Type)
		}
	}
	l.NextUpdate = l.NextUpdate.UTC()
	copy(l.Previous[:], previous)
	if l.Number == 1 && previous != nil {
		return fmt.Errorf("%w: a first list with one before", ErrFormat)
	}
	return l.check()
}

func (l *List) readViews(value *cryptobyte.String) bool {
	var list, view, name, hash cryptobyte.String
	if !value.ReadASN1(&list, asn1.SEQUENCE) {
		return false
	}
	for !list.Empty() {
		if !list.ReadASN1(&view, asn1.SEQUENCE) || !view.ReadASN1(&name, asn1.UTF8String) ||
			!view.ReadASN1(&hash, asn1.OCTET_STRING) || len(hash) != sha256.Size || !view.Empty() || len(l.Views) == maxViews {
			return false
		}
		l.Views = append(l.Views, View{string(name), [sha256.Size]byte(hash)})
	}
	return true
}

func (l *List) readSigners(value *cryptobyte.String) bool {
	var list, hash cryptobyte.String
	if !value.ReadASN1(&list, asn1.SEQUENCE) {
		return false
	}
	for !list.Empty() {
		if !list.ReadASN1(&hash, asn1.OCTET_STRING) || len(hash) != sha256.Size || len(l.Signers) == maxSigners {
			return false
		}
		l.Signers = append(l.Signers, [sha256.Size]byte(hash))
	}
	return true
}

// check checks what does not depend on the encoding. A view's name is one that
// may become a file's. Errors: ErrFormat.
func (l *List) check() error {
	if l.Number < 1 || !l.NextUpdate.After(l.IssuedAt) || (l.Number == 1) != (l.Previous == [sha256.Size]byte{}) {
		return fmt.Errorf("%w: number, nextUpdate or predecessor missing or impossible", ErrFormat)
	}
	for i, v := range l.Views {
		if v.Name == "" || len(v.Name) > maxViewName || v.Name[0] == '.' ||
			strings.Trim(v.Name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || i > 0 && compareViews(l.Views[i-1], v) >= 0 {
			return fmt.Errorf("%w: view %q is no file, or out of order", ErrFormat, v.Name)
		}
	}
	if !slices.IsSortedFunc(l.Signers, compareHashes) {
		return fmt.Errorf("%w: signers out of order", ErrFormat)
	}
	return nil
}

func compareViews(a, b View) int { return cmp.Compare(a.Name, b.Name) }

func compareHashes(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) }

// Announces reports whether key may sign the list after l.
func (l *List) Announces(key crypto.PublicKey) bool {
	h, err := hashOf(key)
	return err == nil && slices.Contains(l.Signers, h)
}

// hashOf is how a list names a key.
func hashOf(key crypto.PublicKey) (h [sha256.Size]byte, err error) {
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return h, err
	}
	return sha256.Sum256(spki), nil
}

// keyHash is how a list names the key of c.
func keyHash(c *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }
