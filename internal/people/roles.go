package people

import (
	"slices"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// Appointers are the roles whose holders propose and confirm persons. It takes
// two of them, of either role.
func Appointers() []membership.Role {
	return []membership.Role{membership.Officer, membership.Operator}
}

// incompatible are roles that one person cannot hold together.
func incompatible() []struct {
	role membership.Role
	with []membership.Role
	why  string
} {
	const (
		applicant, member, officer, assessor = membership.Applicant, membership.MemberRole, membership.Officer, membership.Assessor
		approver, signer, auditor, operator  = membership.Approver, membership.Signer, membership.Auditor, membership.Operator
	)
	return []struct {
		role membership.Role
		with []membership.Role
		why  string
	}{
		{auditor, []membership.Role{applicant, member, officer, assessor, approver, signer, operator}, "an auditor changes nothing, and judges what others did"},
		{applicant, []membership.Role{officer, assessor, approver, signer, operator}, "nobody decides about the own organisation"},
		{member, []membership.Role{officer, assessor, approver, signer, operator}, "nobody decides about the own organisation"},
		{operator, []membership.Role{assessor, approver, signer}, "whoever holds the machine admits nobody"},
	}
}

// checkRoles brings roles into their order, each once, and refuses what one
// person cannot be.
func checkRoles(roles []membership.Role, member membership.ID) ([]membership.Role, error) {
	var out []membership.Role
	for _, r := range membership.Roles() {
		if slices.Contains(roles, r) {
			out = append(out, r)
		}
	}
	for _, r := range roles {
		if _, err := membership.ParseRole(string(r)); err != nil {
			return nil, err
		}
	}
	for _, i := range incompatible() {
		for _, w := range i.with {
			if slices.Contains(out, i.role) && slices.Contains(out, w) {
				return nil, fault.New(fault.Invalid, "roles: %s and %s do not go together: %s", i.role, w, i.why)
			}
		}
	}
	outside := slices.Contains(out, membership.Applicant) || slices.Contains(out, membership.MemberRole)
	switch {
	case len(out) == 0:
		return nil, fault.New(fault.Invalid, "roles: want at least one")
	case outside && member == "":
		return nil, fault.New(fault.Invalid, "member: an applicant or member acts for one; say which")
	case !outside && member != "":
		return nil, fault.New(fault.Invalid, "member: only an applicant or member acts for one")
	}
	if member != "" {
		if _, err := membership.ParseID(string(member)); err != nil {
			return nil, err
		}
	}
	return out, nil
}
