package crosscert

import (
	"fmt"

	"bridge.example/internal/fault"
)

// Reason is why a certificate was revoked: a CRLReason of RFC 5280 §5.3.1,
// by its number there.
//
// Three of that list are missing. Unspecified says nothing, and certificateHold
// would let a CA come back whose keys nobody watched meanwhile: neither may be
// given for a CA certificate (CA/Browser Forum S/MIME BR §7.2.2).
// RemoveFromCRL belongs to delta CRLs, which this CA does not issue.
type Reason int

const (
	KeyCompromise        Reason = 1
	CACompromise         Reason = 2
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	PrivilegeWithdrawn   Reason = 9
	AACompromise         Reason = 10
)

var reasons = map[Reason]string{
	KeyCompromise:        "keyCompromise",
	CACompromise:         "cACompromise",
	AffiliationChanged:   "affiliationChanged",
	Superseded:           "superseded",
	CessationOfOperation: "cessationOfOperation",
	PrivilegeWithdrawn:   "privilegeWithdrawn",
	AACompromise:         "aACompromise",
}

// String returns the name RFC 5280 gives r.
func (r Reason) String() string {
	if s, ok := reasons[r]; ok {
		return s
	}
	return fmt.Sprintf("reason %d", int(r))
}

// ParseReason reads a name as String writes it. The error is Invalid.
func ParseReason(s string) (Reason, error) {
	for r, name := range reasons {
		if name == s {
			return r, nil
		}
	}
	return 0, fault.New(fault.Invalid, "%q is not a reason for which this CA revokes", s)
}
