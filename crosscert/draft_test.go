package crosscert_test

import (
	"bytes"
	"testing"

	"bridge.example/internal/fault"
)

// TestDraft: it is what would be issued, and nobody takes it for that.
func TestDraft(t *testing.T) {
	b := newBridge(t)
	root, _ := newCA(t, "alpha")
	r := request(t, "alpha", root)
	draft, err := b.Draft(r)
	if err != nil {
		t.Fatal(err)
	}
	if draft.CheckSignatureFrom(b.cert) == nil {
		t.Error("the bridge CA's key verifies the draft")
	}
	if len(b.ledger.records) != 0 {
		t.Errorf("got %d records, want none", len(b.ledger.records))
	}
	c, err := b.Issue(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if draft.SerialNumber.Cmp(c.SerialNumber) == 0 || !bytes.Equal(draft.RawIssuer, c.RawIssuer) ||
		!bytes.Equal(draft.RawSubject, c.RawSubject) || !bytes.Equal(draft.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo) ||
		len(draft.Extensions) != len(c.Extensions) {
		t.Errorf("got %v, issued was %v", draft, c)
	}
	for i, e := range draft.Extensions {
		if f := c.Extensions[i]; !e.Id.Equal(f.Id) || e.Critical != f.Critical || !bytes.Equal(e.Value, f.Value) {
			t.Errorf("extension %v is another in what is issued", e.Id)
		}
	}
	r.Mappings = nil
	if _, err := b.Draft(r); fault.KindOf(err) != fault.Invalid {
		t.Errorf("without a policy: got %v, want Invalid", err)
	}
}
