package membership

import "bridge.example/internal/fault"

// Role is what a person may be trusted with. Which act needs which role is said
// where the act is defined; a person may hold several.
type Role string

const (
	Applicant  Role = "applicant" // prepares the application of one organisation
	MemberRole Role = "member"    // acts for one organisation that is admitted
	Officer    Role = "officer"   // registration authority: prepares, meets in person, stops
	Assessor   Role = "assessor"  // judges policies and practice statements
	Approver   Role = "approver"  // admits, with another approver
	Signer     Role = "signer"    // puts what was approved into force
	Auditor    Role = "auditor"   // reads everything, and changes nothing
	Operator   Role = "operator"  // runs the service
)

// Roles returns every role, in the order in which they are shown.
func Roles() []Role {
	return []Role{Applicant, MemberRole, Officer, Assessor, Approver, Signer, Auditor, Operator}
}

// ParseRole checks s. The error is Invalid.
func ParseRole(s string) (Role, error) {
	for _, r := range Roles() {
		if s == string(r) {
			return r, nil
		}
	}
	return "", fault.New(fault.Invalid, "role %q: want one of %v", s, Roles())
}
