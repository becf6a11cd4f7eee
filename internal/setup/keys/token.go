package keys

import (
	"crypto"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"bridge.example/internal/fault"
)

// tokenScheme starts the URI of a key on a PKCS #11 token.
const tokenScheme = "pkcs11:"

// tokenKey is a key on a PKCS #11 token.
type tokenKey struct {
	token, serial string // label or serial number of the token
	object, id    string // CKA_LABEL and CKA_ID of the key; at least one
	module        string // path of the token's library
	pinFile       string
}

func openToken(uri string) (crypto.Signer, error) {
	k, err := parseToken(uri)
	if err != nil {
		// What was refused may hold a PIN: it is not repeated.
		return nil, fmt.Errorf("opening key on a token: %w", err)
	}
	key, err := k.open()
	if err != nil {
		name, _, _ := strings.Cut(uri, "?")
		return nil, fmt.Errorf("opening key %s: %w", name, err)
	}
	return key, nil
}

// parseToken reads the part of RFC 7512 §2.3 that names one key: token or
// serial, object or id, and the queries module-path and pin-source, both with
// absolute paths. Everything else is Invalid: an attribute passed over could
// mean another key.
func parseToken(uri string) (k tokenKey, err error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(uri, tokenScheme), "?")
	var kind, pin string
	err = attributes(path, ";", map[string]*string{
		"token": &k.token, "serial": &k.serial, "object": &k.object, "id": &k.id, "type": &kind,
	})
	if err != nil {
		return tokenKey{}, err
	}
	if err := attributes(query, "&", map[string]*string{"module-path": &k.module, "pin-source": &pin}); err != nil {
		return tokenKey{}, err
	}
	k.pinFile = strings.TrimPrefix(pin, "file:")
	switch {
	case kind != "" && kind != "private":
		err = fault.New(fault.Invalid, "type is %q, want private", kind)
	case (k.token == "") == (k.serial == ""):
		err = fault.New(fault.Invalid, "want token or serial, and not both")
	case k.object == "" && k.id == "":
		err = fault.New(fault.Invalid, "want object or id")
	case !filepath.IsAbs(k.module):
		err = fault.New(fault.Invalid, "want module-path, the absolute path of the token's library")
	case !filepath.IsAbs(k.pinFile):
		err = fault.New(fault.Invalid, "want pin-source, the absolute path of a file with the PIN")
	}
	return k, err
}

// attributes fills in the values of name=value pairs, percent-decoded. No name
// comes twice.
func attributes(s, separator string, into map[string]*string) error {
	if s == "" {
		return nil
	}
	for pair := range strings.SplitSeq(s, separator) {
		name, value, _ := strings.Cut(pair, "=")
		if name == "pin-value" {
			return fault.New(fault.Invalid, "pin-value: a PIN does not belong here; put it into a file and name that by pin-source")
		}
		field, known := into[name]
		if !known || *field != "" {
			return fault.New(fault.Invalid, "attribute %q is not known here, or there twice", name)
		}
		v, err := url.PathUnescape(value)
		if err != nil || v == "" {
			return fault.New(fault.Invalid, "attribute %s has no value that can be read", name)
		}
		*field = v
	}
	return nil
}
