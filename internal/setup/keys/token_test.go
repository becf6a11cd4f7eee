package keys_test

import (
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
)

// TestTokenURIs refuses what does not name exactly one key, and repeats no PIN.
func TestTokenURIs(t *testing.T) {
	const query = "?module-path=/none.so&pin-source=file:/none"
	for _, tt := range []struct {
		name, uri, want string
	}{
		{"nothing", "pkcs11:", "want token"},
		{"no token", "pkcs11:object=ca" + query, "want token"},
		{"a token by label and by serial", "pkcs11:token=bridge;serial=1;object=ca" + query, "not both"},
		{"no key", "pkcs11:token=bridge" + query, "want object"},
		{"no library", "pkcs11:token=bridge;object=ca?pin-source=file:/none", "module-path"},
		{"a library somewhere", "pkcs11:token=bridge;object=ca?module-path=hsm.so&pin-source=/none", "module-path"},
		{"no PIN", "pkcs11:token=bridge;object=ca?module-path=/none.so", "pin-source"},
		{"a PIN from a program", "pkcs11:token=bridge;object=ca?module-path=/none.so&pin-source=%7Ccat", "pin-source"},
		{"a PIN in the open", "pkcs11:token=bridge;object=ca?module-path=/none.so&pin-value=4711", "does not belong here"},
		{"a PIN in the open, early", "pkcs11:token=bridge;object=ca;pin-value=4711" + query, "does not belong here"},
		{"a public key", "pkcs11:token=bridge;object=ca;type=public" + query, "type"},
		{"an attribute not known", "pkcs11:token=bridge;object=ca;slot-id=1" + query, "slot-id"},
		{"an attribute twice", "pkcs11:token=bridge;object=ca;object=cb" + query, "object"},
		{"an empty attribute", "pkcs11:token=;object=ca" + query, "token"},
		{"a broken escape", "pkcs11:token=%zz;object=ca" + query, "token"},
	} {
		_, err := keys.Open(tt.uri, nil)
		if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "4711") {
			t.Errorf("%s: got %v, want Invalid naming %q", tt.name, err, tt.want)
		}
	}
}
