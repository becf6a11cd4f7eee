package membership

import (
	"slices"
	"strings"

	"bridge.example/internal/fault"
)

// Role is what a person may be trusted with. A person may hold several.
type Role string

const (
	// Applicant and MemberRole act for one member and see nothing of others.
	Applicant  Role = "applicant"
	MemberRole Role = "member"

	Officer  Role = "officer"  // runs the case: contracts, identity, suspension
	Assessor Role = "assessor" // examines policies and practice statements
	Approver Role = "approver" // admits, together with another
	Signer   Role = "signer"   // puts into force what was approved
	Auditor  Role = "auditor"  // sees everything, changes nothing
	Operator Role = "operator" // runs the machine

	// System is the service itself, where a rule decides. It is granted to
	// nobody.
	System Role = "system"
)

// Roles are those that can be granted.
func Roles() []Role {
	return []Role{Applicant, MemberRole, Officer, Assessor, Approver, Signer, Auditor, Operator}
}

// ParseRole returns the role of this name. The error is Invalid.
func ParseRole(s string) (Role, error) {
	if r := Role(s); slices.Contains(Roles(), r) {
		return r, nil
	}
	var names []string
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return "", fault.New(fault.Invalid, "role %q: want one of %s", s, strings.Join(names, ", "))
}
