package crosscert_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
)

// TestSecondOpinion: what only others' rules forbid is refused before it is
// intended, except where it is in a member's name.
func TestSecondOpinion(t *testing.T) {
	odd := pkix.Name{CommonName: "Odd CA", ExtraNames: []pkix.AttributeTypeAndValue{
		{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte("DE")}},
	}}
	b := newBridge(t)
	template, key := caTemplate("alpha"), newKey(t)
	template.Subject = odd
	member := certify(t, template, template, key.Public(), key)
	if _, err := b.Issue(t.Context(), request(t, "alpha", member)); err != nil {
		t.Errorf("an odd name of a member: %v", err)
	}

	var err error
	if b.cert, err = crosscert.NewRoot(b.key.Signer, odd, "", b.now, b.now.AddDate(10, 0, 0)); err != nil {
		t.Fatal(err)
	}
	b.restart(t)
	records := len(b.ledger.records)
	root, _ := newCA(t, "beta")
	for name, issue := range map[string]func() (*x509.Certificate, error){
		"member": func() (*x509.Certificate, error) { return b.Issue(t.Context(), request(t, "beta", root)) },
		"signer": func() (*x509.Certificate, error) {
			return b.IssueSigner(t.Context(), crosscert.SignerRequest{
				Profile: crosscert.ListSigner, Name: pkix.Name{CommonName: "x"}, Key: newKey(t).Public(), Policies: []x509.OID{oid(t, bridgePolicy)}})
		},
	} {
		_, err := issue()
		if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "e_issuer_dn_country_not_printable_string") || strings.Contains(err.Error(), ";") {
			t.Errorf("%s of an oddly named bridge: got %v, want only the finding on the issuer", name, err)
		}
	}
	if len(b.ledger.records) != records {
		t.Error("what was refused stands in the ledger")
	}
}
