package convert

import (
	"strings"

	"bridge.example/api/proto"
	"bridge.example/membership"
)

// FromRole is r in the words of bridge.v1, where each role has the same name.
func FromRole(r membership.Role) proto.Role {
	return proto.Role(proto.Role_value["ROLE_"+strings.ToUpper(string(r))])
}

// ToRole is r in the words of membership; one that it does not know is refused
// where roles are checked.
func ToRole(r proto.Role) membership.Role {
	return membership.Role(strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_")))
}
