package daemon

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/fault"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
	"bridge.example/signedlist"
)

// Stopped is a bridge that is not running, opened for what is done to its own
// key. While it is open, no daemon starts over the same state.
type Stopped struct {
	config    *config.Config
	log       *slog.Logger
	store     *boltstore.Store
	material  *material
	authority *crosscert.Authority
}

// Standing is how one key of the bridge CA stands.
type Standing struct {
	crosscert.Generation
	Parsed  *x509.Certificate
	Key     string    // file of the key, or its URI
	InForce int       // certificates it issued that are neither revoked nor expired, without links
	Until   time.Time // the last of them ends; zero when there are none
}

// OpenStopped opens the bridge of c. Errors: Unavailable while a daemon runs on
// it, and those of [New].
func OpenStopped(ctx context.Context, c *config.Config, log *slog.Logger) (_ *Stopped, err error) {
	s := &Stopped{config: c, log: log}
	if s.store, err = openStore(c); err != nil {
		if fault.KindOf(err) == fault.Unavailable {
			err = fault.New(fault.Unavailable, "%w; stop the daemon first", err)
		}
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	state, err := s.store.Ledger().State(ctx)
	if err != nil {
		return nil, err
	}
	if s.material, err = load(c, &state); err != nil {
		return nil, err
	}
	s.authority, err = crosscert.Open(ctx, s.material.bridgeCA, s.material.bridgeKey, s.store.Ledger(), crosscert.Options{BaseURL: c.Repository.URL, Log: log})
	if err != nil {
		return nil, err
	}
	return s, s.authority.Recover(ctx)
}

// Close lets a daemon start again.
func (s *Stopped) Close() error { return s.store.Close() }

// Announce begins a roll-over, as [crosscert.Authority.Announce], to a key that
// it makes as a file, of the present one's kind and sealed like it. A key that
// an attempt before has left is taken.
func (s *Stopped) Announce(ctx context.Context) error {
	present := s.authority.Certificate()
	_, err := s.authority.Announce(ctx, func() (crypto.Signer, error) {
		state, err := s.store.Ledger().State(ctx)
		if err != nil {
			return nil, err
		}
		next := max(len(state.Generations), 1) + 1
		return s.nextKey(statedir.Dir(s.config.State).Key(statedir.BridgeCAOf(next)), present.PublicKey)
	})
	return err
}

// nextKey opens the key at path, or makes it there, whole or not at all.
func (s *Stopped) nextKey(path string, like crypto.PublicKey) (crypto.Signer, error) {
	passphrase, err := keys.Passphrase(s.config.Keys.PassphraseFile)
	if err != nil {
		return nil, err
	}
	key, err := keys.Open(path, passphrase)
	if err == nil || fault.KindOf(err) != fault.NotFound {
		return key, err
	}
	if passphrase == nil && strings.HasPrefix(s.config.Keys.BridgeCA, "pkcs11:") {
		return nil, fault.New(fault.Invalid, "the new key is made as a file: name what to encrypt it with in keys.passphrase_file")
	}
	kind := keys.RSA3072
	if k, ok := like.(*ecdsa.PublicKey); ok {
		kind = keys.P256
		if k.Curve != elliptic.P256() {
			kind = keys.P384
		}
	}
	temp := path + ".new" // of an attempt that broke off before anything was signed
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if key, err = keys.Create(temp, kind, passphrase); err != nil {
		return nil, err
	}
	if err := os.Rename(temp, path); err != nil {
		return nil, err
	}
	// The ledger must not know a key that a power failure takes back.
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return key, errors.Join(folder.Sync(), folder.Close())
}

// Switch is [crosscert.Authority.Switch]. The next daemon makes signers and
// cross-certificates follow.
func (s *Stopped) Switch(ctx context.Context) error { return s.authority.Switch(ctx) }

// Retire is [crosscert.Authority.Retire].
func (s *Stopped) Retire(ctx context.Context) error { return s.authority.Retire(ctx) }

// End publishes an empty list, which takes back all trust, and ends the bridge
// as [crosscert.Authority.End] does. Doing it again finishes what was begun.
func (s *Stopped) End(ctx context.Context) error {
	ended, err := s.authority.Ended(ctx)
	if err != nil {
		return err
	}
	if ended.IsZero() {
		signers, err := newSigners(ctx, s.authority, statedir.Dir(s.config.State), s.material, s.log)
		if err != nil {
			return err
		}
		publisher := signedlist.NewPublisher(signers.listing(), s.store.Lists(), signedlist.Options{Scheme: s.config.Scheme(), Log: s.log})
		ends := func(signedlist.Entry) string { return "the bridge ends" }
		if _, err := publisher.Publish(ctx, nil, ends); err != nil {
			return err
		}
	}
	return s.authority.End(ctx)
}

// Standing returns how the keys of the bridge CA stand, the oldest first.
func (s *Stopped) Standing(ctx context.Context) (out []Standing, err error) {
	generations, err := s.authority.Generations(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range generations {
		n := Standing{Generation: g, Key: s.config.Keys.BridgeCA}
		if n.Key == "" || g.Number > 1 {
			n.Key = statedir.Dir(s.config.State).Key(statedir.BridgeCAOf(g.Number))
		}
		if n.Parsed, err = x509.ParseCertificate(g.Certificate); err != nil {
			return nil, fault.New(fault.Internal, "generation %d of the bridge CA: %w", g.Number, err)
		}
		if n.InForce, n.Until, err = s.authority.InForce(ctx, g.Number); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}
