package ceremony

import (
	"crypto"

	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

// kinds of keys that can be made.
var kinds = []keys.Kind{keys.RSA3072, keys.P256, keys.P384}

// keyring makes the keys of a bridge or a root, but for those that exist
// already.
type keyring struct {
	dir        statedir.Dir
	passphrase []byte // nil leaves key files plain
	existing   map[string]existingKey
	report     *Report
}

// existingKey is one that was made before, and where it is.
type existingKey struct {
	crypto.Signer
	place string
}

// newPassphrase returns what new keys are sealed under; nil for plain ones.
func newPassphrase(plain bool, ask func() ([]byte, error)) ([]byte, error) {
	if plain {
		return nil, nil
	}
	if ask == nil {
		return nil, fault.New(fault.Invalid, "keys: want a passphrase")
	}
	p, err := ask()
	if err != nil {
		return nil, err
	}
	return p, keys.Strong(p)
}

// openExisting opens the keys at these places, before anything is made.
func openExisting(places map[string]string, passphrase []byte) (map[string]existingKey, error) {
	existing := map[string]existingKey{}
	for name, place := range places {
		if place == "" {
			continue
		}
		key, err := keys.Open(place, passphrase)
		if err != nil {
			return nil, err
		}
		existing[name] = existingKey{key, place}
	}
	return existing, nil
}

// key returns the key called name, new and of kind k unless it exists.
func (r keyring) key(name string, k keys.Kind) (crypto.Signer, error) {
	said := Key{Name: name, Holder: holders[name]}
	if key, ok := r.existing[name]; ok {
		said.Place = key.place
		r.report.Keys = append(r.report.Keys, said)
		return key.Signer, nil
	}
	said.Place, said.New, said.Kind, said.Sealed = r.dir.Key(name), true, k, r.passphrase != nil
	r.report.Keys = append(r.report.Keys, said)
	return keys.Create(said.Place, k, r.passphrase)
}
