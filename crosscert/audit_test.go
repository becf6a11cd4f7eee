package crosscert_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"bridge.example/crosscert"
	"bridge.example/internal/engine/auditlog"
)

// TestNoRecordNoAct lets the audit log fail at each act in turn: neither the
// ledger nor the key may have seen it. Then it lets it be written.
func TestNoRecordNoAct(t *testing.T) {
	b := newBridge(t)
	subject, _ := newCA(t, "alpha")
	var full error
	var kinds []string
	b.o.Audit = func(_ context.Context, e auditlog.Event) error {
		if full == nil {
			kinds = append(kinds, e.Kind)
		}
		return full
	}
	b.restart(t)
	ctx := t.Context()
	for _, act := range []struct {
		kind string
		do   func() error
	}{
		{"certificate.issue", func() error { _, err := b.Issue(ctx, request(t, "alpha", subject)); return err }},
		{"crl.issue", func() error { _, err := b.CRL(ctx); return err }},
		{"certificate.revoke", func() error { return b.Revoke(ctx, b.ledger.records[0].Serial, crosscert.KeyCompromise) }},
	} {
		full = errors.New("no space left on device")
		records, crls, last, signed := slices.Clone(b.ledger.records), len(b.ledger.crls), b.ledger.number, len(b.key.serials)
		if err := act.do(); !errors.Is(err, full) {
			t.Errorf("%s: got %v, want the error of the log", act.kind, err)
		}
		same := slices.EqualFunc(records, b.ledger.records, func(x, y crosscert.Record) bool { return x.Stage == y.Stage && x.Revision == y.Revision })
		if !same || crls != len(b.ledger.crls) || last != b.ledger.number || signed != len(b.key.serials) {
			t.Errorf("%s: something was done without a record", act.kind)
		}
		full = nil
		if err := act.do(); err != nil || kinds[len(kinds)-1] != act.kind {
			t.Errorf("%s: got %v and the events %q", act.kind, err, kinds)
		}
	}
	b.check(t)
}
