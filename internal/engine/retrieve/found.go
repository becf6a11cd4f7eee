package retrieve

import (
	"bytes"
	"encoding/pem"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
	"bridge.example/internal/wire/cms"
)

// maxItems bounds the certificates and CRLs of one answer.
const maxItems = 1000

var errBody = fault.New(fault.Invalid, "the answer is neither certificate nor CRL nor a bundle of them")

// add takes a file: PEM blocks, or DER.
func (f *Found) add(body []byte) error {
	if !bytes.HasPrefix(bytes.TrimLeft(body, "\xef\xbb\xbf \t\r\n"), []byte("-----BEGIN ")) {
		return f.addDER(body)
	}
	for block, rest := pem.Decode(body); block != nil; block, rest = pem.Decode(rest) {
		if err := f.addDER(block.Bytes); err != nil {
			return err
		}
	}
	if len(f.Certificates)+len(f.CRLs) == 0 {
		return errBody
	}
	return nil
}

// addDER tells the types apart by how they begin: a bundle with an OID, the
// others with what is signed.
func (f *Found) addDER(der []byte) error {
	certs, crls, err := cms.ParseCertsOnly(der)
	if err != nil {
		certs, crls = nil, nil
		switch isCRL, ok := classify(der); {
		case !ok:
			return errBody
		case isCRL:
			crls = [][]byte{der}
		default:
			certs = [][]byte{der}
		}
	}
	f.Certificates = append(f.Certificates, certs...)
	f.CRLs = append(f.CRLs, crls...)
	return f.bounded()
}

func (f *Found) bounded() error {
	if len(f.Certificates)+len(f.CRLs) > maxItems {
		return fault.New(fault.Invalid, "the answer has more than %d certificates and CRLs", maxItems)
	}
	return nil
}

// classify tells a CertificateList from a Certificate (RFC 5280 §4.1, §5.1):
// after the signature algorithm and the issuer it has an instant, not the two
// of a validity.
func classify(der cryptobyte.String) (isCRL, ok bool) {
	var whole, tbs cryptobyte.String
	if !der.ReadASN1(&whole, cbasn1.SEQUENCE) || !der.Empty() || !whole.ReadASN1(&tbs, cbasn1.SEQUENCE) {
		return false, false
	}
	version := cbasn1.Tag(0).ContextSpecific().Constructed()
	if tbs.PeekASN1Tag(version) {
		return false, true
	}
	if !tbs.SkipOptionalASN1(cbasn1.INTEGER) || !tbs.SkipASN1(cbasn1.SEQUENCE) || !tbs.SkipASN1(cbasn1.SEQUENCE) {
		return false, false
	}
	return tbs.PeekASN1Tag(cbasn1.UTCTime) || tbs.PeekASN1Tag(cbasn1.GeneralizedTime), true
}

// addPair takes a crossCertificatePair (RFC 4523 §2.5).
func (f *Found) addPair(der []byte) error {
	pair, err := certext.ParseCertificatePair(der)
	if err != nil {
		return err
	}
	for _, half := range [][]byte{pair.IssuedToThisCA, pair.IssuedByThisCA} {
		if half != nil {
			f.Certificates = append(f.Certificates, half)
		}
	}
	return f.bounded()
}
