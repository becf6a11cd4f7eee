// Package crl reads certificate revocation lists (RFC 5280 §5) of any size as
// a stream: entries pass through a callback and are not kept, extensions come
// with their criticality, and what the signature covers is hashed on the way.
//
// It tells what a list says; whether the list answers for a certificate is for
// its callers. Complete, delta, partitioned and indirect lists are understood,
// version 1 is tolerated, anything but DER is not.
package crl

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"io"
	"iter"
	"math"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
)

// DefaultMaxBytes bounds a list when Limits leaves it open: some ten million
// entries.
const DefaultMaxBytes = 512 << 20

// maxAlgorithmBytes bounds an AlgorithmIdentifier; PSS has some seventy bytes.
const maxAlgorithmBytes = 512

// List is what a CRL says apart from its entries.
type List struct {
	Version   int    // 1 or 2
	Issuer    []byte // DER Name
	Algorithm x509.SignatureAlgorithm

	ThisUpdate time.Time
	NextUpdate time.Time // zero when absent: such a list never ends, RFC 5280 §5.1.2.5 forbids it

	Number         *big.Int           // nil when absent; §5.2.3
	BaseNumber     *big.Int           // nil unless this is a delta CRL; §5.2.4
	AuthorityKeyID []byte             // keyIdentifier, nil when absent; §5.2.1
	Scope          *DistributionScope // nil when absent; §5.2.5
	FreshestCRL    []byte             // value of the extension, undecoded; §5.2.6

	// UnknownCritical is set when the list or one of its entries has a critical
	// extension not understood here. Such a list must not be used to say that a
	// certificate is good (§5.2, §5.3).
	UnknownCritical bool

	// Entries is how many were read.
	Entries int

	raw       []byte // the whole list; nil when it was streamed
	signed    []byte // tbsCertList; nil when it was streamed
	digest    []byte // of tbsCertList, when it was streamed
	signature []byte
	entries   []byte // content of revokedCertificates
}

// Limits bound what Read takes in. The zero value is DefaultMaxBytes.
type Limits struct {
	MaxBytes   int64
	MaxEntries int // 0: as many as fit
}

// Parse reads the list der, which the caller bounded in size and leaves
// unchanged: the List keeps it, so that its entries can be walked again. The
// error is Invalid.
func Parse(der []byte) (*List, error) {
	w := &window{buf: der}
	l, err := read(w, Limits{MaxBytes: int64(len(der))}, func(Entry) error { return nil })
	if err != nil {
		return nil, err
	}
	if w.pos != len(der) {
		return nil, errMalformed
	}
	l.raw = der
	return l, nil
}

// Read reads one list from r, to its last byte and perhaps beyond, and passes
// each entry to yield as it comes: before the signature can have been checked,
// so what is learnt must not be used until CheckSignature says so. Entries are
// views into a buffer, valid during the call. An error of yield ends it.
//
// A list that breaks the standard or the limits is Invalid; when r fails, the
// error is Unavailable. A list signed with Ed25519, which signs no hash, can
// be read this way but not be checked; use Parse.
func Read(r io.Reader, lim Limits, yield func(Entry) error) (*List, error) {
	if lim.MaxBytes <= 0 {
		lim.MaxBytes = DefaultMaxBytes
	}
	return read(&window{src: r, buf: make([]byte, 0, bufferBytes)}, lim, yield)
}

// All yields the entries of a list made by Parse again; none of one that was
// streamed.
func (l *List) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		w := &window{buf: l.entries}
		s := scan{list: l}
		for w.pos < len(w.buf) {
			// The list was parsed before, so this cannot fail.
			e, err := s.entry(w, int64(len(w.buf)))
			if err != nil || !yield(e) {
				return
			}
		}
	}
}

// Raw is the list made by Parse; nil of one that was streamed.
func (l *List) Raw() []byte { return l.raw }

// CheckSignature verifies the list under pub, a key that the caller found to
// be the CRL issuer's and good for signing CRLs. Errors: ErrSignature,
// ErrAlgorithm.
func (l *List) CheckSignature(pub crypto.PublicKey, accepted Acceptance) error {
	if l.signed != nil {
		return CheckSignature(l.Algorithm, pub, l.signed, l.signature, accepted)
	}
	s, _ := schemeOf(l.Algorithm)
	if l.digest == nil || !accepted.Accepts(l.Algorithm, pub) {
		return fault.New(fault.Denied, "%w: %s", ErrAlgorithm, l.Algorithm)
	}
	return s.checkDigest(pub, l.digest, l.signature)
}

func read(w *window, lim Limits, yield func(Entry) error) (*List, error) {
	end, err := w.enter(cbasn1.SEQUENCE, math.MaxInt64)
	switch {
	case err != nil:
		return nil, err
	case end > lim.MaxBytes && w.src != nil:
		return nil, fault.New(fault.Invalid, "a CRL of %d bytes, longer than %d", end, lim.MaxBytes)
	case end > lim.MaxBytes:
		return nil, errMalformed
	}
	l := &List{Version: 1}
	// The hash is known only after the algorithm identifier: until then nothing
	// may slide out of the buffer.
	if _, err := w.peek(int(min(end-w.offset(), 2*maxAlgorithmBytes))); err != nil {
		return nil, err
	}
	w.flush()
	start := w.pos
	algorithm, err := l.readSigned(w, end, lim, yield)
	if err != nil {
		return nil, err
	}
	if w.hash != nil {
		w.flush()
		l.digest = w.hash.Sum(nil)
		w.hash = nil
	} else if w.src == nil {
		l.signed = w.buf[start:w.pos]
	}
	outer, err := w.element(end)
	if err != nil {
		return nil, err
	}
	// §5.1.1.2: both identifiers are the same, or the signature covers neither.
	if !bytes.Equal(outer, algorithm) {
		return nil, errMalformed
	}
	if l.signature, err = readBits(w, end); err != nil {
		return nil, err
	}
	if w.offset() != end {
		return nil, errMalformed
	}
	return l, nil
}

// readSigned reads tbsCertList and returns its algorithm identifier.
func (l *List) readSigned(w *window, limit int64, lim Limits, yield func(Entry) error) ([]byte, error) {
	end, err := w.enter(cbasn1.SEQUENCE, limit)
	if err != nil {
		return nil, err
	}
	algorithm, err := l.readHead(w, end)
	if err != nil {
		return nil, err
	}
	tag, err := w.next(end)
	if err != nil {
		return nil, err
	}
	if tag == cbasn1.SEQUENCE {
		if err := l.readEntries(w, end, lim, yield); err != nil {
			return nil, err
		}
		if tag, err = w.next(end); err != nil {
			return nil, err
		}
	}
	if tag == cbasn1.Tag(0).ContextSpecific().Constructed() {
		der, err := w.element(end)
		if err != nil {
			return nil, err
		}
		if l.Version < 2 || !l.readExtensions(der) {
			return nil, errMalformed
		}
	}
	if w.offset() != end {
		return nil, errMalformed
	}
	return algorithm, nil
}

// readHead reads what stands before the entries.
func (l *List) readHead(w *window, end int64) (algorithm []byte, err error) {
	tag, err := w.next(end)
	if err != nil {
		return nil, err
	}
	if tag == cbasn1.INTEGER {
		v, err := w.element(end)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(v, []byte{2, 1, 1}) {
			return nil, errMalformed
		}
		l.Version = 2
	}
	if algorithm, err = w.element(end); err != nil {
		return nil, err
	}
	if len(algorithm) > maxAlgorithmBytes {
		return nil, errMalformed
	}
	algorithm = bytes.Clone(algorithm)
	if l.Algorithm, err = ParseAlgorithm(algorithm); err != nil {
		return nil, err
	}
	if s, ok := schemeOf(l.Algorithm); ok && s.hash != 0 && w.src != nil {
		w.hash = s.hash.New()
	}
	if l.Issuer, err = w.element(end); err != nil {
		return nil, err
	}
	if l.Issuer[0] != byte(cbasn1.SEQUENCE) {
		return nil, errMalformed
	}
	l.Issuer = bytes.Clone(l.Issuer)
	if l.ThisUpdate, err = readTime(w, end); err != nil {
		return nil, err
	}
	if tag, err = w.next(end); err != nil {
		return nil, err
	}
	if tag == cbasn1.UTCTime || tag == cbasn1.GeneralizedTime {
		l.NextUpdate, err = readTime(w, end)
	}
	return algorithm, err
}

func (l *List) readEntries(w *window, limit int64, lim Limits, yield func(Entry) error) error {
	end, err := w.enter(cbasn1.SEQUENCE, limit)
	if err != nil {
		return err
	}
	start := w.pos
	s := scan{list: l}
	for w.offset() < end {
		e, err := s.entry(w, end)
		if err != nil {
			return err
		}
		l.Entries++
		if lim.MaxEntries > 0 && l.Entries > lim.MaxEntries {
			return fault.New(fault.Invalid, "CRL has more than %d entries", lim.MaxEntries)
		}
		l.UnknownCritical = l.UnknownCritical || e.UnknownCritical
		if err := yield(e); err != nil {
			return err
		}
	}
	if w.src == nil {
		l.entries = w.buf[start:w.pos]
	}
	return nil
}

// readBits reads the BIT STRING of a signature. One that is not whole bytes
// is none of any algorithm here: it reads as empty and verifies under no key.
func readBits(w *window, end int64) ([]byte, error) {
	b, err := w.element(end)
	if err != nil {
		return nil, err
	}
	s := cryptobyte.String(b)
	var bits asn1.BitString
	if !s.ReadASN1BitString(&bits) || !s.Empty() {
		return nil, errMalformed
	}
	if bits.BitLength%8 != 0 {
		return nil, nil
	}
	return bytes.Clone(bits.Bytes), nil
}
