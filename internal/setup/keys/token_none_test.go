//go:build !pkcs11

package keys_test

import (
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
)

const tokenURI = "pkcs11:token=bridge;object=ca?module-path=/none.so&pin-source=file:/none"

func TestTokenWithoutPKCS11(t *testing.T) {
	_, err := keys.Open(tokenURI, nil)
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "-tags pkcs11") {
		t.Errorf("got %v, want Invalid saying how to build", err)
	}
}

func FuzzTokenURI(f *testing.F) {
	f.Add(tokenURI)
	f.Add("pkcs11:serial=1;id=%01;type=private?pin-value=4711")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := keys.Open("pkcs11:"+s, nil); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("got %v, want Invalid", err)
		}
	})
}
