package ceremony

import (
	"crypto"

	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

// keyring makes the keys of a bridge, but for those that exist already.
type keyring struct {
	dir        statedir.Dir
	passphrase []byte // nil leaves key files plain
	existing   map[string]crypto.Signer
	report     *Report
}

// openExisting opens the keys that c names, before anything is made.
func openExisting(c config.Keys, passphrase []byte) (map[string]crypto.Signer, error) {
	existing := map[string]crypto.Signer{}
	for name, locator := range map[string]string{
		statedir.BridgeCA: c.BridgeCA, statedir.ListSigner: c.ListSigner, statedir.OCSPSigner: c.OCSPSigner,
	} {
		if locator == "" {
			continue
		}
		key, err := keys.Open(locator, passphrase)
		if err != nil {
			return nil, err
		}
		existing[name] = key
	}
	return existing, nil
}

// key returns the key called name, new and of kind k unless it exists.
func (r keyring) key(name string, k keys.Kind) (crypto.Signer, error) {
	if key, ok := r.existing[name]; ok {
		return key, nil
	}
	path := r.dir.Key(name)
	r.report.Keys = append(r.report.Keys, path)
	return keys.Create(path, k, r.passphrase)
}
