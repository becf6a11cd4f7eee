package crl

import (
	"time"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Reason is a CRLReason of RFC 5280 §5.3.1.
type Reason uint8

// The reasons; 7 is not used.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	CACompromise         Reason = 2
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
	RemoveFromCRL        Reason = 8
	PrivilegeWithdrawn   Reason = 9
	AACompromise         Reason = 10
)

var reasons = [...]string{"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded",
	"cessationOfOperation", "certificateHold", "", "removeFromCRL", "privilegeWithdrawn", "aACompromise"}

// String is the name of the reason in the standard.
func (r Reason) String() string {
	if int(r) < len(reasons) && reasons[r] != "" {
		return reasons[r]
	}
	return "reason unknown"
}

// Entry is one revoked certificate. Its slices are views, valid as long as the
// callback that got it runs.
type Entry struct {
	// Serial is the content of the INTEGER: big-endian two's complement without
	// needless bytes, so equal serials are equal bytes.
	Serial    []byte
	RevokedAt time.Time
	Reason    Reason
	// Issuer is who issued the certificate, as DER GeneralNames: the
	// certificateIssuer of this entry or the last before it that had one
	// (§5.3.3). Nil means the issuer of the list.
	Issuer []byte
	// UnknownCritical is set when a critical extension is not understood.
	UnknownCritical bool
}

// scan is what an entry inherits from those before it.
type scan struct {
	list   *List
	issuer []byte
}

// entry reads one entry, which allocates nothing unless it names an issuer.
func (s *scan) entry(w *window, limit int64) (Entry, error) {
	b, err := w.element(limit)
	if err != nil {
		return Entry{}, err
	}
	e, ok := s.parse(b)
	if !ok {
		return Entry{}, errMalformed
	}
	return e, nil
}

func (s *scan) parse(der []byte) (e Entry, ok bool) {
	seq, ok := content(der, cbasn1.SEQUENCE)
	if !ok {
		return e, false
	}
	serial, seq, ok := cut(seq)
	if !ok {
		return e, false
	}
	if e.Serial, ok = content(serial, cbasn1.INTEGER); !ok || !minimalInteger(e.Serial) {
		return e, false
	}
	at, seq, ok := cut(seq)
	if !ok {
		return e, false
	}
	if e.RevokedAt, ok = parseTime(at); !ok {
		return e, false
	}
	if len(seq) > 0 {
		// Entry extensions exist since version 2.
		if s.list.Version < 2 || !s.extensions(seq, &e) {
			return e, false
		}
	}
	e.Issuer = s.issuer
	return e, true
}

// extensions reads crlEntryExtensions (§5.3).
func (s *scan) extensions(der []byte, e *Entry) bool {
	var seen uint8
	return eachExtension(der, func(id []byte, critical bool, value []byte) bool {
		var bit uint8
		ok := true
		switch string(id) {
		case oidReasonCode:
			var v []byte
			bit = 1
			v, ok = content(value, cbasn1.ENUM)
			ok = ok && len(v) == 1 && int(v[0]) < len(reasons) && reasons[v[0]] != ""
			if ok {
				e.Reason = Reason(v[0])
			}
		case oidInvalidityDate:
			bit = 2
			_, ok = parseTime(value)
		case oidCertificateIssuer:
			bit = 4
			_, ok = content(value, cbasn1.SEQUENCE)
			s.issuer = append([]byte(nil), value...)
		default:
			e.UnknownCritical = e.UnknownCritical || critical
		}
		ok = ok && seen&bit == 0
		seen |= bit
		return ok
	})
}
