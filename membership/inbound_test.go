package membership_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/internal/lab"
	"bridge.example/membership"
)

// TestWithdrawInbound: what is withdrawn stands no longer, is remembered, and
// does not come back.
func TestWithdrawInbound(t *testing.T) {
	r := register(t)
	serial := func(n int64) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.SerialNumber = big.NewInt(n) }
	}
	declared := ca(t, "declared", serial(0xd))
	a := application(t, "alpha")
	a.CrossCertificates = [][]byte{declared}
	if _, err := r.Apply(t.Context(), lab.Ada, a); err != nil {
		t.Fatal(err)
	}
	grace := membership.Actor{Person: "grace", Credential: "ff"}
	accepted, twin, stays := ca(t, "accepted", serial(0xab12)), ca(t, "twin", serial(0xab12)), ca(t, "stays", serial(5))
	var m membership.Member
	var err error
	for _, der := range [][]byte{accepted, twin, stays} {
		if m, err = r.AcceptInbound(t.Context(), "alpha", grace, der); err != nil {
			t.Fatal(err)
		}
	}
	hash := m.RecordHash()
	print := func(der []byte) string {
		sum := sha256.Sum256(der)
		return hex.EncodeToString(sum[:])
	}
	ada := membership.Actor{Person: "ada", Credential: "aa"}
	for _, tt := range []struct {
		what, name, reason string
		by                 membership.Actor
		want               fault.Kind
		stand              int
	}{
		{"two have the serial", "ab12", "why", ada, fault.Conflict, 4},
		{"no reason", print(twin), " ", ada, fault.Invalid, 4},
		{"nobody", print(twin), "why", membership.Actor{}, fault.Denied, 4},
		{"no name", "", "why", ada, fault.NotFound, 4},
		{"unknown", "77", "why", ada, fault.NotFound, 4},
		{"by fingerprint, in capitals with colons", colons(print(twin)), "why", ada, 0, 3},
		{"the serial is unique now", "00:AB:12", "key lost", ada, 0, 2},
		{"again", print(accepted), "why", ada, fault.Conflict, 2},
		{"what the application declared", "0d", "replaced", ada, 0, 1},
	} {
		got, err := r.WithdrawInbound(t.Context(), "alpha", tt.by, tt.name, tt.reason)
		if (err != nil) != (tt.want != 0) || err != nil && fault.KindOf(err) != tt.want {
			t.Errorf("%s: got %v, want %v", tt.what, err, tt.want)
		}
		if err == nil {
			m = got
		}
		if n := len(m.CertificatesForBridge()); n != tt.stand || m.RecordHash() != hash {
			t.Errorf("%s: %d stand under record %s, want %d under %s", tt.what, n, m.RecordHash(), tt.stand, hash)
		}
	}
	if got := m.CertificatesForBridge(); !bytes.Equal(got[0], stays) {
		t.Error("another one stands")
	}
	if _, err := r.WithdrawInbound(t.Context(), "beta", ada, "1", "why"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("of nobody known: got %v", err)
	}
	if m, err = r.Member(t.Context(), "alpha"); err != nil {
		t.Fatal(err)
	}
	ended := map[string]string{}
	for _, i := range m.Inbound {
		if w := i.Withdrawn; w != nil {
			ended[print(i.Certificate)] = i.By.Person + ", " + w.By.Person + ": " + w.Reason
			if w.At.IsZero() {
				t.Error("withdrawn at no time")
			}
		}
	}
	want := map[string]string{print(twin): "grace, ada: why", print(accepted): "grace, ada: key lost", print(declared): "ada, ada: replaced"}
	for k, v := range want {
		if ended[k] != v {
			t.Errorf("the record has %q, want %q", ended[k], v)
		}
	}
	for _, der := range [][]byte{accepted, declared} {
		if _, err := r.AcceptInbound(t.Context(), "alpha", grace, der); fault.KindOf(err) != fault.Conflict {
			t.Errorf("accepted after it was withdrawn: got %v", err)
		}
	}
}

// colons writes a fingerprint as OpenSSL does.
func colons(s string) string {
	var out []string
	for i := 0; i < len(s); i += 2 {
		out = append(out, s[i:i+2])
	}
	return strings.ToUpper(strings.Join(out, ":"))
}
