package adminapi

import (
	"cmp"
	"path"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"bridge.example/api/convert"
	bridgev1 "bridge.example/api/proto"
	"bridge.example/membership"
)

// rules are those of every RPC, by its full method name. What has none is
// called by nobody.
func rules() map[string]*bridgev1.Rule {
	out := map[string]*bridgev1.Rule{}
	services := bridgev1.File_bridge_proto.Services()
	for i := range services.Len() {
		methods := services.Get(i).Methods()
		for j := range methods.Len() {
			m := methods.Get(j)
			if r, ok := proto.GetExtension(m.Options(), bridgev1.E_Rule).(*bridgev1.Rule); ok && r != nil {
				out[fullMethod(m)] = r
			}
		}
	}
	return out
}

func fullMethod(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

// scope is about what rule lets a person with these roles call.
func scope(rule *bridgev1.Rule, roles []membership.Role) bridgev1.Scope {
	holds := func(of []bridgev1.Role) bool {
		return slices.ContainsFunc(roles, func(r membership.Role) bool { return slices.Contains(of, convert.FromRole(r)) })
	}
	switch {
	case rule.GetAnyone():
		return bridgev1.Scope_SCOPE_ALL
	case len(roles) == 0:
		return bridgev1.Scope_SCOPE_UNSPECIFIED
	case rule.GetPerson(), holds(rule.GetRoles()):
		return bridgev1.Scope_SCOPE_ALL
	case holds(rule.GetOwn()):
		return bridgev1.Scope_SCOPE_OWN
	case rule.GetSelf():
		return bridgev1.Scope_SCOPE_SELF
	}
	return bridgev1.Scope_SCOPE_UNSPECIFIED
}

// resolve replaces a rule about decisions by that of one verb. What the table of
// decisions says more, about states and persons, the register holds.
func resolve(rule *bridgev1.Rule, v bridgev1.Verb) *bridgev1.Rule {
	if !rule.GetDecides() {
		return rule
	}
	out := &bridgev1.Rule{}
	for _, role := range membership.Deciders(convert.ToVerb(v)) {
		if role == membership.Applicant || role == membership.MemberRole {
			out.Own = append(out.Own, convert.FromRole(role))
		} else {
			out.Roles = append(out.Roles, convert.FromRole(role))
		}
	}
	return out
}

// permissions are what a person with these roles may call and decide, ordered.
func permissions(rules map[string]*bridgev1.Rule, roles []membership.Role) (out []*bridgev1.Permission) {
	for method, rule := range rules {
		verbs := []membership.Verb{""}
		if rule.GetDecides() {
			verbs = membership.Verbs()
		}
		for _, v := range verbs {
			p := &bridgev1.Permission{Rpc: path.Base(method), Verb: convert.FromVerb(v)}
			if p.Scope = scope(resolve(rule, p.Verb), roles); p.Scope != bridgev1.Scope_SCOPE_UNSPECIFIED {
				out = append(out, p)
			}
		}
	}
	slices.SortFunc(out, func(a, b *bridgev1.Permission) int {
		return cmp.Or(cmp.Compare(a.Rpc, b.Rpc), cmp.Compare(a.Verb, b.Verb))
	})
	return out
}

// allows reports whether rule lets by make the request.
func allows(rule *bridgev1.Rule, by membership.Actor, request any) bool {
	var verb bridgev1.Verb
	if r, ok := request.(interface{ GetVerb() bridgev1.Verb }); ok {
		verb = r.GetVerb()
	}
	switch scope(resolve(rule, verb), by.Roles) {
	case bridgev1.Scope_SCOPE_ALL:
		return true
	case bridgev1.Scope_SCOPE_OWN:
		return by.Member != "" && memberOf(request) == string(by.Member)
	case bridgev1.Scope_SCOPE_SELF:
		r, ok := request.(interface{ GetPerson() string })
		return ok && by.Person != "" && r.GetPerson() == by.Person
	}
	return false
}

// memberOf is the member that a request is about; empty when it names none.
func memberOf(request any) string {
	switch r := request.(type) {
	case interface{ GetId() string }:
		return r.GetId()
	case interface {
		GetApplication() *bridgev1.Application
	}:
		return r.GetApplication().GetId()
	}
	return ""
}
