package daemon

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
	"bridge.example/internal/setup/statedir"
	"bridge.example/internal/wire/cms"
	"bridge.example/internal/wire/ocsp"
	"bridge.example/signedlist"
)

const (
	// renewAhead is how long before its end a signer's certificate is renewed.
	renewAhead = 90 * 24 * time.Hour
	// renewEvery is how often a running daemon looks whether it is time. A renewal
	// that fails is tried again as often.
	renewEvery = 24 * time.Hour
)

// signers are the bridge's own. Their keys stay, unless the operator names
// another for lists, which they announce before; their certificates, of a year, are
// renewed. Relying parties check signatures up to the bridge CA, so no one needs to
// know.
type signers struct {
	authority *crosscert.Authority
	dir       statedir.Dir
	bridgeCA  *x509.Certificate   // of the key that signs
	chain     []*x509.Certificate // what lists carry, for whoever has any of the bridge CA's keys as anchor
	root      *root               // nil when the bridge CA signed itself
	levels    []x509.OID
	log       *slog.Logger

	list, ocsp pair // the newest; only renew changes them
	// responding signs OCSP responses, each with what it is at that instant.
	responding atomic.Pointer[ocsp.Signer]
}

func newSigners(ctx context.Context, a *crosscert.Authority, dir statedir.Dir, m *material, log *slog.Logger) (*signers, error) {
	s := &signers{authority: a, dir: dir, bridgeCA: a.Certificate(), root: m.root, levels: m.levels, log: log, list: m.listSigner, ocsp: m.ocspSigner}
	generations, err := a.Generations(ctx)
	if err != nil {
		return nil, err
	}
	s.chain = []*x509.Certificate{s.bridgeCA}
	for _, g := range generations {
		for _, der := range [][]byte{g.Certificate, g.OldWithNew, g.NewWithOld} {
			if cert, err := x509.ParseCertificate(der); err == nil && !cert.Equal(s.bridgeCA) && time.Now().Before(cert.NotAfter) {
				s.chain = append(s.chain, cert)
			}
		}
	}
	if s.root != nil {
		s.chain = append(s.chain, s.root.offline.Certificate)
	}
	s.respond()
	return s, nil
}

// mayFollow checks a key of the list signer's that is not in its certificate: the
// latest list has to announce it. Where the key before is lost, and no list can,
// the operator names the new one as the next, too. A wrong key, named by mistake,
// is neither.
func (s *signers) mayFollow(ctx context.Context, lists signedlist.Archive, next crypto.PublicKey) error {
	if s.list.key == nil || samePublicKey(s.list.key.Public(), s.list.cert.PublicKey) {
		return nil
	}
	if samePublicKey(s.list.key.Public(), next) {
		s.log.Warn("the key of the list signer is replaced without notice")
		return nil
	}
	latest, err := signedlist.NewPublisher(s.listing(), lists, signedlist.Options{Log: s.log}).Latest(ctx)
	if err == nil && !latest.Announces(s.list.key.Public()) {
		err = fault.New(fault.Invalid, "list %d does not announce it", latest.Number)
	}
	if err != nil {
		return fault.New(fault.Invalid, "keys.list_signer is not the key in the certificate of the list signer, and may not follow it: %w; name it as keys.next_list_signer first", err)
	}
	return nil
}

// respond has OCSP responses signed under the newest certificate; nothing signs
// them once the bridge has ended.
func (s *signers) respond() {
	if s.ocsp.key != nil {
		s.responding.Store(&ocsp.Signer{Cert: s.ocsp.cert, Key: s.ocsp.key})
	}
}

// responder is for [vocsp.Options]: nil when nothing signs responses.
func (s *signers) responder() func() *ocsp.Signer {
	if s.responding.Load() == nil {
		return nil
	}
	return s.responding.Load
}

// listing is what signs lists, under the newest certificate.
func (s *signers) listing() cms.Signer {
	return cms.Signer{Cert: s.list.cert, Chain: s.chain, Key: s.list.key}
}

func (s *signers) certificates() []*x509.Certificate {
	return []*x509.Certificate{s.list.cert, s.ocsp.cert}
}

// run renews what ends soon, until ctx ends. What is new is announced, and only
// then do responses carry it.
func (s *signers) run(ctx context.Context, announce func(context.Context) error) error {
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		renewed, err := s.renew(ctx)
		if err != nil {
			s.log.Error("the bridge's own signers are not renewed", "err", err)
		}
		if !renewed {
			continue
		}
		if err := announce(ctx); err != nil {
			s.log.Error("projections do not follow a renewed signer", "err", err)
		}
		s.respond()
	}
}

// renew obtains new certificates, for the same keys, in place of those that end
// soon, come from a key of the bridge CA that has rolled over, or are for a list
// signer's key that another has followed, and keeps them
// in the state directory. It reports whether there is a new one, even if the
// error says that another could not be had, or kept.
func (s *signers) renew(ctx context.Context) (renewed bool, err error) {
	if ended, err := s.authority.Ended(ctx); err != nil || !ended.IsZero() {
		return false, err
	}
	if r := s.root.current(s.log); r != nil {
		if err := r.Supports(s.bridgeCA, time.Now()); err != nil {
			s.log.Error("signers are not renewed", "err", err)
			return false, nil
		}
	}
	var errs []error
	for _, r := range []struct {
		name    string
		profile crosscert.Profile
		pair    *pair
	}{
		{statedir.ListSigner, crosscert.ListSigner, &s.list},
		{statedir.OCSPSigner, crosscert.OCSPSigner, &s.ocsp},
	} {
		// One that ends with the bridge CA cannot be had for longer.
		lasts := time.Now().Add(renewAhead).Before(r.pair.cert.NotAfter) || !r.pair.cert.NotAfter.Before(s.bridgeCA.NotAfter)
		if lasts && samePublicKey(r.pair.key.Public(), r.pair.cert.PublicKey) && r.pair.cert.CheckSignatureFrom(s.bridgeCA) == nil {
			continue
		}
		cert, err := s.authority.IssueSigner(ctx, crosscert.SignerRequest{
			Profile: r.profile, Name: r.pair.cert.Subject, Key: r.pair.key.Public(), Policies: s.levels,
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("renewing the certificate of the %s: %w", r.profile, err))
			continue
		}
		r.pair.cert, renewed = cert, true
		// Even one that is not kept serves until a restart, which asks for another.
		if err := s.dir.WriteCertificate(r.name, cert); err != nil {
			errs = append(errs, fmt.Errorf("keeping the certificate of the %s: %w", r.profile, err))
		}
	}
	return renewed, errors.Join(errs...)
}
