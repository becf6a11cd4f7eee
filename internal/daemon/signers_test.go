package daemon

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/setup/statedir"
	"bridge.example/internal/wire/ocsp"
	"bridge.example/signedlist"
	"bridge.example/vocsp"
)

const day = 24 * time.Hour

// founded is a bridge CA for three years, its signers for one each.
func founded(t *testing.T) (*signers, *boltstore.Store) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		return k
	}
	dir := t.TempDir()
	for _, folder := range statedir.Dir(dir).Folders() {
		must(os.MkdirAll(folder, 0o700))
	}
	store, err := boltstore.Create(filepath.Join(dir, "bridge.db"))
	must(err)
	t.Cleanup(func() { store.Close() })
	caKey := key()
	m := &material{listSigner: pair{key: key()}, ocspSigner: pair{key: key()}}
	m.bridgeCA, err = crosscert.NewRoot(caKey, pkix.Name{CommonName: "Bridge CA"}, "", time.Now(), time.Now().Add(3*365*day))
	must(err)
	level, err := x509.ParseOID("1.3.6.1.4.1.32473.1.1")
	must(err)
	m.levels = []x509.OID{level}
	log := slog.New(slog.DiscardHandler)
	a, err := crosscert.New(m.bridgeCA, caKey, store.Ledger(), crosscert.Options{BaseURL: "http://repository.example", Log: log})
	must(err)
	for profile, p := range map[crosscert.Profile]*pair{crosscert.ListSigner: &m.listSigner, crosscert.OCSPSigner: &m.ocspSigner} {
		p.cert, err = a.IssueSigner(t.Context(), crosscert.SignerRequest{
			Profile: profile, Name: pkix.Name{CommonName: string(profile)}, Key: p.key.Public(), Policies: m.levels,
		})
		must(err)
	}
	s, err := newSigners(t.Context(), a, statedir.Dir(dir), m, log)
	must(err)
	return s, store
}

// TestSignersAreRenewed runs for the whole life of a bridge CA. Whenever somebody
// asks, the answer and the list are signed under certificates that are valid
// then, the answer's announced before.
func TestSignersAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := founded(t)
		first := s.certificates()
		publisher := signedlist.NewPublisher(s.listing(), store.Lists(), signedlist.Options{})
		var mu sync.Mutex
		announced, announcements := s.certificates(), 0
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		wg.Go(func() {
			if err := s.run(ctx, func(context.Context) error {
				publisher.SetSigner(s.listing())
				time.Sleep(3 * day) // answers meanwhile carry what was announced
				mu.Lock()
				defer mu.Unlock()
				announcements++
				announced = append(announced, s.certificates()...)
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
		source := vocsp.Local(s.bridgeCA, s.responding.Load, func(context.Context, *big.Int) (vocsp.LocalStatus, error) {
			return vocsp.LocalStatus{Status: ocsp.Good}, nil
		})
		roots := x509.NewCertPool()
		roots.AddCert(s.bridgeCA)
		id, err := ocsp.NewCertID(crypto.SHA256, s.bridgeCA, big.NewInt(1))
		if err != nil {
			t.Fatal(err)
		}
		var last *x509.Certificate
		for time.Now().Before(s.bridgeCA.NotAfter.Add(-day)) {
			time.Sleep(25 * time.Hour)
			r, err := source.Status(t.Context(), ocsp.NewRequest(id))
			if err != nil {
				t.Fatalf("at %v: %v", time.Now(), err)
			}
			if last, err = x509.ParseCertificate(r.Certificates[0]); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			known := slices.ContainsFunc(announced, last.Equal)
			mu.Unlock()
			if now := time.Now(); !known || now.After(last.NotAfter) || last.CheckSignatureFrom(s.bridgeCA) != nil {
				t.Fatalf("at %v a response is signed under a certificate until %v, announced: %v", now, last.NotAfter, known)
			}
			p, err := publisher.Publish(t.Context(), nil, nil)
			if err != nil {
				t.Fatalf("at %v: %v", time.Now(), err)
			}
			if _, err := signedlist.Open(p.DER, roots, time.Now()); err != nil {
				t.Fatalf("at %v: %v", time.Now(), err)
			}
		}
		cancel()
		wg.Wait()
		// A year less three months each, until there is no more to be had.
		if announcements != 3 || !last.NotAfter.Equal(s.bridgeCA.NotAfter) {
			t.Errorf("announced %d times, the last until %v; want 3 times, until %v", announcements, last.NotAfter, s.bridgeCA.NotAfter)
		}
		for i, name := range []string{statedir.ListSigner, statedir.OCSPSigner} {
			kept, err := s.dir.ReadCertificate(name)
			if err != nil || !kept.Equal(s.certificates()[i]) || kept.Equal(first[i]) || !kept.PublicKey.(*ecdsa.PublicKey).Equal(first[i].PublicKey) {
				t.Errorf("%s: the state directory has %v, %v; want the newest, of the same key", name, kept, err)
			}
		}
	})
}
