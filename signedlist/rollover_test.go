package signedlist_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"testing"

	"bridge.example/signedlist"
)

// TestListsFollowARollOver opens lists under the bridge's old anchor and its new
// one, whichever of its keys certified the signer.
func TestListsFollowARollOver(t *testing.T) {
	old, next, stranger := issue(t, "Bridge", nil, ca), issue(t, "Bridge", nil, ca), issue(t, "Bridge", nil, ca)
	key := func(s *signedlist.Signer) *ecdsa.PrivateKey { return s.Key.(*ecdsa.PrivateKey) }
	newWithOld, oldWithNew := issueFor(t, key(next), "Bridge", old, ca).Cert, issueFor(t, key(old), "Bridge", next, ca).Cert
	member := issue(t, "Member", old, ca)
	links := []*x509.Certificate{newWithOld, oldWithNew}
	for _, tt := range []struct {
		name  string
		by    *signedlist.Signer
		links []*x509.Certificate
		good  []*signedlist.Signer
		bad   []*signedlist.Signer
	}{
		{"before", old, nil, []*signedlist.Signer{old}, []*signedlist.Signer{next, stranger}},
		{"announced", old, links, []*signedlist.Signer{old, next}, []*signedlist.Signer{stranger, member}},
		{"switched", next, links, []*signedlist.Signer{old, next}, []*signedlist.Signer{stranger, member}},
		{"switched, without links", next, nil, []*signedlist.Signer{next}, []*signedlist.Signer{old}},
		{"a link by a stranger", next, []*x509.Certificate{issueFor(t, key(next), "Bridge", stranger, ca).Cert}, nil, []*signedlist.Signer{old, next}},
	} {
		b := &bench{bridge: tt.by, archive: &memory{}, now: noon, scheme: newScheme()}
		signer := issue(t, "List signer", tt.by, signsLists)
		signer.Chain = append(signer.Chain[:1:1], tt.links...)
		p, err := b.with(signer).Publish(t.Context(), nil, nil)
		if err != nil {
			if tt.good != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue // nothing leaves that nobody could open
		}
		for _, root := range tt.good {
			_, err := signedlist.Open(p.DER, pool(root.Cert), noon)
			_, jsonErr := signedlist.OpenJSON(p.Files[1].Body, pool(root.Cert), noon)
			_, _, xmlErr := signedlist.OpenXML(file(t, p, signedlist.XMLName), pool(root.Cert), noon)
			if err := errors.Join(err, jsonErr, xmlErr); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		for _, root := range tt.bad {
			_, err := signedlist.Open(p.DER, pool(root.Cert), noon)
			_, jsonErr := signedlist.OpenJSON(p.Files[1].Body, pool(root.Cert), noon)
			_, _, xmlErr := signedlist.OpenXML(file(t, p, signedlist.XMLName), pool(root.Cert), noon)
			if !errors.Is(err, signedlist.ErrSignature) || !errors.Is(jsonErr, signedlist.ErrSignature) || !errors.Is(xmlErr, signedlist.ErrSignature) {
				t.Errorf("%s: opened with the wrong anchor: %v, %v, %v", tt.name, err, jsonErr, xmlErr)
			}
		}
	}
}
