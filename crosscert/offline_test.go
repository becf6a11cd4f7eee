package crosscert_test

import (
	"crypto/x509"
	"testing"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
)

func TestOfflineRoot(t *testing.T) {
	b := newBridge(t)
	ca := subordinate(t, b, newKey(t))
	list := func() *x509.RevocationList {
		l, err := b.CRL(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	r := crosscert.OfflineRoot{Certificate: b.cert, CRL: list()}
	if err := r.Certifies(ca); err != nil {
		t.Error(err)
	}
	other := newBridge(t)
	member, _ := newCA(t, "alpha")
	cross, err := b.Issue(t.Context(), request(t, "alpha", member))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*x509.Certificate{"another root's": subordinate(t, other, newKey(t)), "a cross-certificate": cross, "its own": b.cert} {
		if err := r.Certifies(c); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
	if err := (&crosscert.OfflineRoot{Certificate: ca}).Certifies(cross); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a root that did not sign itself: got %v, want Invalid", err)
	}
	first := r.CRL
	if err := b.Revoke(t.Context(), ca.SerialNumber, crosscert.CACompromise); err != nil {
		t.Fatal(err)
	}
	revoked := crosscert.OfflineRoot{Certificate: b.cert, CRL: list()}
	foreign, err := other.CRL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		root crosscert.OfflineRoot
		at   time.Time
		want fault.Kind
	}{
		{"no CRL", crosscert.OfflineRoot{Certificate: b.cert}, b.now, fault.Unavailable},
		{"one that ran out", r, first.NextUpdate.Add(time.Second), fault.Unavailable},
		{"one of the future", r, b.now.Add(-time.Hour), fault.Unavailable},
		{"another CA's", crosscert.OfflineRoot{Certificate: b.cert, CRL: foreign}, b.now, fault.Invalid},
		{"a revocation", revoked, b.now, fault.Denied},
		{"a revocation, in a CRL that ran out", revoked, first.NextUpdate.Add(time.Hour), fault.Denied},
	} {
		if err := tt.root.Supports(ca, tt.at); err == nil || fault.KindOf(err) != tt.want {
			t.Errorf("%s: got %v, want kind %v", tt.name, err, tt.want)
		}
	}
	if err := r.Supports(ca, first.NextUpdate); err != nil {
		t.Error(err)
	}
	if err := revoked.Replaces(first); fault.KindOf(err) != fault.Conflict {
		t.Errorf("the CRL from before the revocation: got %v, want Conflict", err)
	}
}
