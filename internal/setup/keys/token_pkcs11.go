//go:build pkcs11

package keys

import (
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"

	"bridge.example/internal/fault"
)

// A token is slow and has few sessions; who waits longer than this for one is
// told so.
const (
	maxSessions = 16
	sessionWait = 10 * time.Second
)

// open logs in to the token. The session lasts as long as the process, like a
// key read from a file.
func (k tokenKey) open() (crypto.Signer, error) {
	pin, err := readLine(k.pinFile)
	if err != nil {
		return nil, fmt.Errorf("reading PIN: %w", err)
	}
	token, err := crypto11.Configure(&crypto11.Config{
		Path: k.module, TokenLabel: k.token, TokenSerial: k.serial, Pin: string(pin),
		MaxSessions: maxSessions, PoolWaitTimeout: sessionWait,
	})
	if err != nil {
		return nil, fault.New(kindOfToken(err), "opening token: %w", err)
	}
	found, err := token.FindKeyPairs(bytesOrNil(k.id), bytesOrNil(k.object))
	if err == nil && len(found) != 1 {
		err = fault.New(fault.NotFound, "the token has %d such key pairs, want one, with its public key", len(found))
	}
	if err != nil {
		return nil, errors.Join(err, token.Close())
	}
	return found[0], nil
}

func kindOfToken(err error) fault.Kind {
	switch e, _ := errors.AsType[pkcs11.Error](err); e {
	case pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_LOCKED, pkcs11.CKR_PIN_EXPIRED:
		return fault.Denied
	}
	return fault.Unavailable
}

// bytesOrNil tells crypto11 not to look at an attribute that was not given.
func bytesOrNil(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}
