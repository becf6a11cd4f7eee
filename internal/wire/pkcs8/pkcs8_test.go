package pkcs8_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/pkcs8"
)

var passphrase = []byte("correct-horse-battery")

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	return block.Bytes
}

func TestSealThenOpen(t *testing.T) {
	key := read(t, "plain.pem")
	sealed, err := pkcs8.Seal(key, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	der, err := sealed.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(der, key[len(key)-32:]) {
		t.Error("the sealed key shows the key")
	}
	parsed, err := pkcs8.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parsed.Open(passphrase); err != nil || !bytes.Equal(got, key) {
		t.Errorf("got %x, %v, want the key sealed", got, err)
	}
}

// TestOpenSSL opens what OpenSSL 3 sealed, at costs that make tests fast.
func TestOpenSSL(t *testing.T) {
	for _, name := range []string{"pbkdf2.pem", "scrypt.pem"} {
		sealed, err := pkcs8.Parse(read(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := sealed.Open(passphrase); err != nil || !bytes.Equal(got, read(t, "plain.pem")) {
			t.Errorf("%s: got %x, %v, want the key in plain.pem", name, got, err)
		}
		// So many that some of them leave good padding.
		for i := range 2000 {
			if key, err := sealed.Open([]byte{byte(i), byte(i >> 8)}); !errors.Is(err, pkcs8.ErrPassphrase) || fault.KindOf(err) != fault.Denied {
				t.Fatalf("%s: passphrase %d: got %x, %v, want ErrPassphrase", name, i, key, err)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	pbkdf2, scrypt := read(t, "pbkdf2.pem"), read(t, "scrypt.pem")
	// replace swaps DER for other DER of the same length.
	replace := func(der []byte, old, with string) []byte {
		if len(old) != len(with) || bytes.Count(der, []byte(old)) != 1 {
			t.Fatalf("%x is not there once", old)
		}
		return bytes.Replace(der, []byte(old), []byte(with), 1)
	}
	// costing is a sealed key with other numbers after the salt.
	costing := func(der []byte, numbers ...int64) []byte {
		type algorithm struct {
			OID        asn1.ObjectIdentifier
			Parameters []asn1.RawValue
		}
		var outer struct {
			Scheme struct {
				OID        asn1.ObjectIdentifier
				Parameters struct {
					Derivation algorithm
					Encryption asn1.RawValue
				}
			}
			Key []byte
		}
		if _, err := asn1.Unmarshal(der, &outer); err != nil {
			t.Fatal(err)
		}
		for i, n := range numbers {
			b, err := asn1.Marshal(n)
			if err != nil {
				t.Fatal(err)
			}
			outer.Scheme.Parameters.Derivation.Parameters[i+1] = asn1.RawValue{FullBytes: b}
		}
		b, err := asn1.Marshal(outer)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := pkcs8.Parse(costing(scrypt, 1<<14, 8, 5)); err != nil {
		t.Fatalf("at a cost that is fine: %v", err)
	}
	for _, tt := range []struct {
		name string
		der  []byte
	}{
		{"hours of PBKDF2", costing(pbkdf2, 1<<40)},
		{"gigabytes of scrypt", costing(scrypt, 1<<24, 8, 1)},
		{"scrypt blocks without end", costing(scrypt, 2, 1<<62, 1)},
		{"hours of scrypt", costing(scrypt, 1<<14, 8, 1<<24)},
		{"scrypt numbers that overflow when multiplied", costing(scrypt, 1<<62, 1<<62, 1<<62)},
		{"nothing", nil},
		{"a plain key", read(t, "plain.pem")},
		{"a byte after it", append(bytes.Clone(scrypt), 0)},
		{"too much", make([]byte, 65<<10)},
		{"another scheme", replace(scrypt, "\x01\x05\x0d", "\x01\x05\x03")},
		{"another cipher", replace(scrypt, "\x03\x04\x01\x2a", "\x03\x04\x01\x02")},
		{"another derivation", replace(scrypt, "\xda\x47\x04\x0b", "\xda\x47\x04\x0c")},
		{"HMAC with SHA-1", replace(pbkdf2, "\x0d\x02\x09", "\x0d\x02\x07")},
		{"no iterations", replace(pbkdf2, "\x02\x01\x01\x30", "\x02\x01\x00\x30")},
		{"fewer than no iterations", replace(pbkdf2, "\x02\x01\x01\x30", "\x02\x01\xff\x30")},
		{"scrypt with N no power of two", replace(scrypt, "\x02\x01\x10\x02", "\x02\x01\x11\x02")},
		{"scrypt with N 1", replace(scrypt, "\x02\x01\x10\x02", "\x02\x01\x01\x02")},
		{"scrypt with r 0", replace(scrypt, "\x10\x02\x01\x01", "\x10\x02\x01\x00")},
	} {
		if _, err := pkcs8.Parse(tt.der); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, want Invalid", tt.name, err)
		}
	}
}

// FuzzParse checks that what parses re-encodes to the same bytes, and that no
// passphrase is guessed.
func FuzzParse(f *testing.F) {
	f.Add(read(f, "pbkdf2.pem"))
	f.Add(read(f, "scrypt.pem"))
	f.Fuzz(func(t *testing.T, der []byte) {
		sealed, err := pkcs8.Parse(der)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("got %v, want Invalid", err)
			}
			return
		}
		if got, err := sealed.Encode(); err != nil || !bytes.Equal(got, der) {
			t.Errorf("got %x, %v, want %x", got, err, der)
		}
		if _, err := sealed.Open(nil); err == nil {
			t.Error("opened without a passphrase")
		}
	})
}
