package ceremony_test

import (
	"crypto/ecdsa"
	"path/filepath"
	"testing"

	"bridge.example/internal/ceremony"
	"bridge.example/internal/setup/config"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

// TestExistingKey founds a bridge on a key made before.
func TestExistingKey(t *testing.T) {
	o := options()
	o.Keys.BridgeCA = filepath.Join(t.TempDir(), "ca.pem")
	key, err := keys.Create(o.Keys.BridgeCA, keys.P384, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := statedir.Dir(filepath.Join(t.TempDir(), "state"))
	r, err := ceremony.Found(t.Context(), string(d), o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.BridgeCA.PublicKey.(*ecdsa.PublicKey).Equal(key.Public()) {
		t.Error("the bridge CA has another key")
	}
	for _, k := range r.Keys {
		if k.New != (k.Name != statedir.BridgeCA) || k.Holder == "" {
			t.Errorf("got %+v, want every key but the bridge CA's to be new, and somebody to hold it", k)
		}
	}
	if c, err := config.LoadFile(r.Config); err != nil || c.Keys != o.Keys {
		t.Errorf("got %v, %v, want the key's place in the configuration", c, err)
	}
}
