package federation_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/lab"
	"bridge.example/internal/wire/certext"
	"bridge.example/membership"
)

// organisation is a member with a root, an issuing CA and a policy of its own.
type organisation struct {
	id     string
	root   *ca
	policy x509.OID
	membership.Application
}

// newOrganisation has certified the bridge if mutual.
func newOrganisation(t *testing.T, b *bridge, id string, arc uint64, mutual bool) *organisation {
	t.Helper()
	policy, err := x509.OIDFromInts([]uint64{1, 3, 6, 1, 4, 1, 32473, 9, arc})
	if err != nil {
		t.Fatal(err)
	}
	o := &organisation{id: id, root: newCA(t, id, nil), policy: policy}
	o.Application = application(id, o.root.cert.Raw)
	o.Policies = []membership.Policy{{Member: policy.String(), Bridge: level}}
	below := newCA(t, id, nil) // for its key; the organisation's name
	below.cert.RawSubject, below.cert.Subject.CommonName = nil, id+" issuing"
	o.Intermediates = []membership.CA{{Certificate: o.certify(t, below.cert, nil)}}
	if mutual {
		bridgePolicy, err := x509.ParseOID(level)
		if err != nil {
			t.Fatal(err)
		}
		o.CrossCertificates = [][]byte{o.certify(t, b.Artifacts().BridgeCA, []certext.Mapping{{Issuer: policy, Subject: bridgePolicy}})}
	}
	return o
}

// certify makes a certificate of the root for another CA, under the policy.
func (o *organisation) certify(t *testing.T, to *x509.Certificate, mappings []certext.Mapping) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: to.Subject, RawSubject: to.RawSubject, SubjectKeyId: to.SubjectKeyId,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(2, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, Policies: []x509.OID{o.policy},
	}
	if mappings != nil {
		e, err := certext.PolicyMappings(mappings)
		if err != nil {
			t.Fatal(err)
		}
		template.ExtraExtensions = []pkix.Extension{e}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, o.root.cert, to.PublicKey, o.root.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// lines are the paths of a preview.
func lines(p federation.Preview) (out []string) {
	for _, x := range p.Paths {
		beyond := ""
		if x.Beyond {
			beyond = " beyond"
		}
		out = append(out, fmt.Sprintf("%s %s>%s %v%s", x.Change, x.From, x.To, x.Policies, beyond))
	}
	return out
}

// preview previews, and checks what holds for every preview.
func (b *bridge) preview(t *testing.T, id membership.ID) federation.Preview {
	t.Helper()
	before := b.records(t)
	p, err := b.Preview(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if after := b.records(t); after != before {
		t.Errorf("a preview left %d records in the ledger, %d before", after, before)
	}
	if n := p.Opened + p.Closed + p.Kept; n != len(p.Paths) || p.Cut+p.CutOthers != 0 {
		t.Errorf("got %d paths, counted %d, cut %d and %d", len(p.Paths), n, p.Cut, p.CutOthers)
	}
	for _, x := range p.Paths {
		if len(x.Policies) == 0 || len(x.Via) == 0 || x.Via[len(x.Via)-1] != x.CA || x.From == x.To {
			t.Errorf("got a path without policy, way or two ends: %+v", x)
		}
	}
	return p
}

func (b *bridge) records(t *testing.T) (n int) {
	t.Helper()
	for _, err := range b.ledger.Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

const (
	policyA = "[1.3.6.1.4.1.32473.9.1]"
	policyB = "[1.3.6.1.4.1.32473.9.2]"
)

// TestPreviewAdmissions: what is promised before an admission is there after it.
func TestPreviewAdmissions(t *testing.T) {
	b := open(t, found(t), nil)
	for _, tt := range []struct {
		name  string
		who   *organisation
		paths []string // before it is admitted
		then  []string // after
	}{
		{"the first opens nothing", newOrganisation(t, b, "alpha", 1, true), nil, nil},
		{"the second opens both directions", newOrganisation(t, b, "beta", 2, true),
			[]string{"opens alpha>beta " + policyA, "opens beta>alpha " + policyB},
			[]string{"stays alpha>beta " + policyA, "stays beta>alpha " + policyB}},
		{"who did not certify the bridge is reached and reaches nobody", newOrganisation(t, b, "gamma", 3, false),
			[]string{"opens alpha>gamma " + policyA, "opens beta>gamma " + policyB, "stays alpha>beta " + policyA, "stays beta>alpha " + policyB},
			[]string{"stays alpha>gamma " + policyA, "stays beta>gamma " + policyB, "stays alpha>beta " + policyA, "stays beta>alpha " + policyB}},
	} {
		if _, err := b.apply(t.Context(), tt.who.Application); err != nil {
			t.Fatal(err)
		}
		if got := lines(b.preview(t, tt.who.ID)); !slices.Equal(got, tt.paths) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.paths)
		}
		if err := b.desk().Admit(t.Context(), tt.who.ID); err != nil {
			t.Fatal(err)
		}
		if got := lines(b.preview(t, tt.who.ID)); !slices.Equal(got, tt.then) {
			t.Errorf("%s, admitted: got %q, want %q", tt.name, got, tt.then)
		}
	}
}

// TestPreviewBeyond: a member that certified another bridge would open it too,
// unless it mapped policies: the bridge's certificate inhibits that.
func TestPreviewBeyond(t *testing.T) {
	b := open(t, found(t), nil)
	b.admit(t, newOrganisation(t, b, "alpha", 1, true).Application)
	beta := newOrganisation(t, b, "beta", 2, true)
	other := newCA(t, "Other Bridge", nil)
	beta.Intermediates = append(beta.Intermediates, membership.CA{Certificate: beta.certify(t, other.cert, nil)})
	mapped := newCA(t, "Third Bridge", nil)
	beta.Intermediates = append(beta.Intermediates, membership.CA{
		Certificate: beta.certify(t, mapped.cert, []certext.Mapping{{Issuer: beta.policy, Subject: mustOID(t, "2.999.7")}}),
	})
	if _, err := b.apply(t.Context(), beta.Application); err != nil {
		t.Fatal(err)
	}
	p := b.preview(t, "beta")
	want := []string{"opens alpha>beta " + policyA, "opens alpha>beta " + policyA + " beyond", "opens beta>alpha " + policyB}
	if got := lines(p); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	if got := p.Paths[1].CA; got != "CN=Other Bridge,O=Other Bridge" {
		t.Errorf("got %q beyond", got)
	}
}

// TestPreviewOfChange: a member in force whose record names another policy than
// what was signed for it.
func TestPreviewOfChange(t *testing.T) {
	b := open(t, found(t), nil)
	b.admit(t, newOrganisation(t, b, "alpha", 1, true).Application)
	b.admit(t, newOrganisation(t, b, "beta", 2, true).Application)
	c, err := b.Case(t.Context(), "beta")
	if err != nil {
		t.Fatal(err)
	}
	a := c.Member.Application
	a.Policies = []membership.Policy{{Member: "1.3.6.1.4.1.32473.9.3", Bridge: level}}
	a.CrossCertificates = nil // they name the old policy
	if _, err := b.Edit(t.Context(), "beta", lab.Ada, c.RecordHash, a); err != nil {
		t.Fatal(err)
	}
	want := []string{"closes alpha>beta " + policyA, "closes beta>alpha " + policyB}
	if got := lines(b.preview(t, "beta")); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: its issuing CA is not under the new policy", got, want)
	}
}

func TestPreviewOverlaps(t *testing.T) {
	b := open(t, found(t), nil)
	alpha := newOrganisation(t, b, "alpha", 1, true)
	b.admit(t, alpha.Application)
	beta := newOrganisation(t, b, "beta", 2, true)
	beta.MailDomains = []string{"mail.alpha.example", "notalpha.example", "example.net"}
	shouting := newCA(t, "ALPHA", nil) // alpha's root, for RFC 5280 §7.1
	beta.Anchors = append(beta.Anchors, membership.CA{Certificate: shouting.cert.Raw})
	if _, err := b.apply(t.Context(), beta.Application); err != nil {
		t.Fatal(err)
	}
	want := []federation.Overlap{
		{Kind: federation.CAName, Name: "CN=ALPHA,O=ALPHA", With: "alpha", Other: "CN=alpha,O=alpha"},
		{Kind: federation.MailDomain, Name: "mail.alpha.example", With: "alpha", Other: "alpha.example"},
	}
	if got := b.preview(t, "beta").Overlaps; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPreviewRefusals(t *testing.T) {
	b := open(t, found(t), nil)
	if _, err := b.Preview(t.Context(), "nobody"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an unknown member: got %v", err)
	}
	a := newOrganisation(t, b, "alpha", 1, true)
	a.root.cert.MaxPathLen, a.root.cert.MaxPathLenZero = 0, true
	a.Anchors[0].Certificate = reissue(t, a.root).Raw
	if _, err := b.apply(t.Context(), a.Application); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Preview(t.Context(), "alpha"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a CA that allows none below it, and has one: got %v, want Invalid", err)
	}
}

func mustOID(t *testing.T, s string) x509.OID {
	t.Helper()
	o, err := x509.ParseOID(s)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
