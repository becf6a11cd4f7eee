package membership

import (
	"encoding/hex"

	"bridge.example/internal/fault"
)

// OnForm are the hex SHA-256 of CA certificates as they stand on the signed form
// of the candidate; nil when whoever submitted it did not say, or the candidate
// changed since.
func (m Member) OnForm() []string {
	var inForce, candidate []string
	for _, d := range m.Decisions {
		switch {
		case d.Verb == Apply:
			inForce, candidate = nil, nil
		case d.Verb == Edit && d.To == Draft:
			candidate = nil
		case d.Verb == Submit:
			candidate = d.Fingerprints
		case d.Verb == Activate:
			inForce = candidate
		case d.To.over(): // of an amendment, or of all
			candidate = inForce
		}
	}
	return candidate
}

// checkForm says what is wrong with fingerprints as they stand on a form.
func checkForm(fingerprints []string) error {
	for _, f := range fingerprints {
		if b, err := hex.DecodeString(f); err != nil || len(b) != 32 {
			return fault.New(fault.Invalid, "fingerprints: %q is no SHA-256; want 64 hexadecimal digits", f)
		}
	}
	return nil
}
