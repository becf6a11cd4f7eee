package crl

import (
	"bytes"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Content of the OBJECT IDENTIFIERs below id-ce, 2.5.29.
const (
	oidCRLNumber         = "\x55\x1d\x14"
	oidReasonCode        = "\x55\x1d\x15"
	oidInvalidityDate    = "\x55\x1d\x18"
	oidDeltaCRLIndicator = "\x55\x1d\x1b"
	oidIssuingDistPoint  = "\x55\x1d\x1c"
	oidCertificateIssuer = "\x55\x1d\x1d"
	oidAuthorityKeyID    = "\x55\x1d\x23"
	oidFreshestCRL       = "\x55\x1d\x2e"
)

// maxExtensions bounds those of one list; maxNames the GeneralNames of one
// distribution point.
const (
	maxExtensions = 64
	maxNames      = 1000
)

// Reasons is a set of reasons as in ReasonFlags (RFC 5280 §4.2.1.13): bit n,
// counted from 1 as in the ASN.1, stands for keyCompromise to aACompromise.
type Reasons uint16

// AllReasons is what a list covers that is not limited to some.
const AllReasons Reasons = 0x1fe

// DistributionScope is an IssuingDistributionPoint (RFC 5280 §5.2.5): which
// certificates the list answers for.
type DistributionScope struct {
	Point              DistributionPoint // empty when absent
	OnlyUserCerts      bool
	OnlyCACerts        bool
	OnlyAttributeCerts bool
	OnlySomeReasons    Reasons // AllReasons when absent
	Indirect           bool
	Raw                []byte // value of the extension
}

// DistributionPoint is a DistributionPointName: FullName, or RelativeName, or
// neither.
type DistributionPoint struct {
	FullName     [][]byte // GeneralNames, each in DER
	RelativeName []byte   // content of a RelativeDistinguishedName, to be added to the CRL issuer's name
}

// Empty reports whether p names nothing.
func (p DistributionPoint) Empty() bool { return p.FullName == nil && p.RelativeName == nil }

// ParseDistributionPoint reads a DER DistributionPointName, which certificates
// use too.
func ParseDistributionPoint(s cryptobyte.String) (p DistributionPoint, ok bool) {
	var names cryptobyte.String
	var tag cbasn1.Tag
	if !s.ReadAnyASN1(&names, &tag) || !s.Empty() || names.Empty() {
		return p, false
	}
	switch tag {
	case cbasn1.Tag(0).ContextSpecific().Constructed():
		p.FullName, ok = ParseNames(names)
	case cbasn1.Tag(1).ContextSpecific().Constructed():
		p.RelativeName, ok = names, true
	}
	return p, ok
}

// ParseNames splits the content of a GeneralNames into its names, each in DER;
// there must be one to 1000.
func ParseNames(s cryptobyte.String) (names [][]byte, ok bool) {
	for len(names) == 0 || !s.Empty() {
		var n cryptobyte.String
		if len(names) == maxNames || !s.ReadAnyASN1Element(&n, nil) {
			return nil, false
		}
		names = append(names, n)
	}
	return names, true
}

// ParseReasons reads the content of a ReasonFlags.
func ParseReasons(s cryptobyte.String) (Reasons, bool) {
	if len(s) < 1 || len(s) > 3 || s[0] > 7 || len(s) == 1 && s[0] != 0 {
		return 0, false
	}
	var r Reasons
	for i := range 8 * (len(s) - 1) {
		if s[1+i/8]>>(7-i%8)&1 == 1 {
			if i > 8 || i >= 8*(len(s)-1)-int(s[0]) {
				return 0, false
			}
			r |= 1 << i
		}
	}
	return r & AllReasons, true
}

// readExtensions reads crlExtensions (§5.2), der being the whole [0] element.
func (l *List) readExtensions(der []byte) bool {
	exts, ok := content(der, cbasn1.Tag(0).ContextSpecific().Constructed())
	if !ok {
		return false
	}
	var seen [][]byte
	return eachExtension(bytes.Clone(exts), func(id []byte, critical bool, value []byte) bool {
		for _, s := range seen {
			if bytes.Equal(s, id) {
				return false
			}
		}
		if seen = append(seen, id); len(seen) > maxExtensions {
			return false
		}
		ok := true
		switch string(id) {
		case oidCRLNumber:
			l.Number, ok = parseNumber(value)
		case oidDeltaCRLIndicator:
			l.BaseNumber, ok = parseNumber(value)
		case oidIssuingDistPoint:
			l.Scope, ok = parseScope(value)
		case oidAuthorityKeyID:
			l.AuthorityKeyID, ok = parseKeyID(value)
		case oidFreshestCRL:
			l.FreshestCRL = value
		default:
			l.UnknownCritical = l.UnknownCritical || critical
		}
		return ok
	})
}

// parseNumber reads a CRLNumber: not negative and at most 20 bytes (§5.2.3).
func parseNumber(der []byte) (*big.Int, bool) {
	s, n := cryptobyte.String(der), new(big.Int)
	ok := s.ReadASN1Integer(n) && s.Empty() && n.Sign() >= 0 && n.BitLen() <= 160
	return n, ok
}

func parseKeyID(der []byte) ([]byte, bool) {
	var seq, id cryptobyte.String
	var present bool
	s := cryptobyte.String(der)
	ok := s.ReadASN1(&seq, cbasn1.SEQUENCE) && s.Empty() &&
		seq.ReadOptionalASN1(&id, &present, cbasn1.Tag(0).ContextSpecific())
	return id, ok
}

func parseScope(der []byte) (*DistributionScope, bool) {
	var seq, point, some cryptobyte.String
	var hasPoint, hasSome bool
	s := cryptobyte.String(der)
	d := &DistributionScope{OnlySomeReasons: AllReasons, Raw: der}
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() ||
		!seq.ReadOptionalASN1(&point, &hasPoint, cbasn1.Tag(0).ContextSpecific().Constructed()) ||
		!readFlag(&seq, 1, &d.OnlyUserCerts) || !readFlag(&seq, 2, &d.OnlyCACerts) ||
		!seq.ReadOptionalASN1(&some, &hasSome, cbasn1.Tag(3).ContextSpecific()) ||
		!readFlag(&seq, 4, &d.Indirect) || !readFlag(&seq, 5, &d.OnlyAttributeCerts) || !seq.Empty() {
		return nil, false
	}
	ok := true
	if hasPoint {
		d.Point, ok = ParseDistributionPoint(point)
	}
	if hasSome && ok {
		d.OnlySomeReasons, ok = ParseReasons(some)
	}
	return d, ok
}

// readFlag reads [n] IMPLICIT BOOLEAN DEFAULT FALSE; written, it is TRUE.
func readFlag(s *cryptobyte.String, n uint8, out *bool) bool {
	var v cryptobyte.String
	return s.ReadOptionalASN1(&v, out, cbasn1.Tag(n).ContextSpecific()) &&
		(!*out || len(v) == 1 && v[0] == 0xff)
}
