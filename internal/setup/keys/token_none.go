//go:build !pkcs11

package keys

import (
	"crypto"

	"bridge.example/internal/fault"
)

func (k tokenKey) open() (crypto.Signer, error) {
	return nil, fault.New(fault.Invalid, "this bridged was built without PKCS #11; build it with cgo and -tags pkcs11")
}
