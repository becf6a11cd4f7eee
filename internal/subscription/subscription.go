// Package subscription is the relying party's side of the signed list: one
// directory in which a machine keeps the last list that it could trust, and the
// files that other programs read, made from the entries it selected.
//
// # Directory
//
//	subscription.yaml   what is subscribed to
//	anchor.pem          the bridge's certificate, pinned when the subscription began
//	current             symbolic link to the set in use
//	sets/7-…            one set: list.p7s, set.json and the targets
//	seen.json           when and how the last update ended
//
// A set is written and synchronised before the link is swapped by one rename. So
// whoever reads through the link finds all targets of one list or all of another,
// and never a list that the targets do not come from, whenever the power fails.
package subscription

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/outbound"
)

// Options of a [Subscription]; the zero value works.
type Options struct {
	// Timeout bounds a whole fetch, from the first packet to the last byte of the
	// list. Default 30 s.
	Timeout time.Duration
	// Outbound says which addresses may be reached besides public ones, the hosts
	// that the configuration allows, and an address that stands in the URL itself.
	Outbound outbound.Policy
	Now      func() time.Time
	Log      *slog.Logger
}

// Subscription is one directory. Its methods may be called by one goroutine at
// a time; that no two programs write to it at once is made sure by a lock.
type Subscription struct {
	dir    string // absolute
	config Config
	anchor *x509.Certificate
	source source
	o      Options

	step func() // called before each change to the disk; for tests
}

const anchorFile = "anchor.pem"

// Open opens the subscription in dir, which c was read from. Errors: Invalid
// when c cannot be used or the anchor is not the one pinned; NotFound.
func Open(dir string, c Config, o Options) (*Subscription, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, anchorFile))
	if err != nil {
		return nil, diskFault(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fault.New(fault.Invalid, "%s: no certificate", filepath.Join(dir, anchorFile))
	}
	anchor, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", filepath.Join(dir, anchorFile), err)
	}
	return open(dir, c, anchor, o)
}

// Create makes a subscription in dir, which it creates; anchor is pinned. The
// first [Subscription.Update] fetches the list. Errors: Invalid when c cannot be
// used or the fingerprint is not that of anchor; Conflict when dir has a
// subscription already, or something that is not ours lies where a link should.
func Create(dir string, c Config, anchor *x509.Certificate, o Options) (*Subscription, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s, err := open(dir, c, anchor, o)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, anchorFile)); err == nil {
		return nil, fault.New(fault.Conflict, "%s is a subscription already", dir)
	}
	if err := os.MkdirAll(filepath.Join(dir, setsDir), 0o755); err != nil {
		return nil, diskFault(err)
	}
	if err := s.link(); err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: anchor.Raw})
	return s, replaceFile(filepath.Join(dir, anchorFile), text)
}

func open(dir string, c Config, anchor *x509.Certificate, o Options) (*Subscription, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if got := Fingerprint(anchor); got != c.Fingerprint {
		return nil, fault.New(fault.Invalid, "the anchor's SHA-256 is %s, pinned is %s", got, c.Fingerprint)
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	src, err := newSource(c, o)
	return &Subscription{dir: dir, config: c, anchor: anchor, source: src, o: o, step: func() {}}, err
}

// Fingerprint is the SHA-256 of a certificate in lower-case hexadecimal digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// roots is the anchor as a pool.
func (s *Subscription) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.anchor)
	return pool
}

// diskFault gives what the operating system refused its kind.
func diskFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.NotFound, "%w", err)
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Denied, "%w", err)
	}
	return fault.New(fault.Unavailable, "%w", err)
}
