package pathval

import (
	"crypto/x509"
	"maps"
	"slices"
)

// policies is the valid_policy_graph of RFC 9618 §5, of which only the last
// level matters for what comes: each node remembers, instead of its parents,
// from which policies of the anchor's domain it descends. That is what the
// wrap-up needs, and it cannot grow beyond policies times levels.
type policies struct {
	nodes map[string]node // by valid_policy; without anyPolicy
	any   bool            // there is an anyPolicy node
}

type node struct {
	expected []string // expected_policy_set
	roots    []string // valid_policy of the ancestors whose parent is anyPolicy; sorted
}

// isEmpty reports a valid_policy_graph of NULL.
func (p *policies) isEmpty() bool { return len(p.nodes) == 0 && !p.any }

// step is RFC 9618 §5.3, parts (d) and (e), for the next certificate.
func (p *policies) step(c *Certificate, anyAllowed bool) {
	if !c.hasPolicies || p.isEmpty() {
		*p = policies{}
		return
	}
	// roots by expected policy: which nodes expect it, merged.
	expected := make(map[string][]string, len(p.nodes))
	for _, n := range p.nodes {
		for _, e := range n.expected {
			expected[e] = merge(expected[e], n.roots)
		}
	}
	next := make(map[string]node, len(c.policies))
	for _, id := range c.policies {
		if roots, ok := expected[id]; ok {
			next[id] = node{[]string{id}, roots}
		} else if p.any {
			next[id] = node{[]string{id}, []string{id}}
		}
	}
	anyAllowed = anyAllowed && c.anyPolicy
	if anyAllowed {
		for id, roots := range expected {
			if _, ok := next[id]; !ok {
				next[id] = node{[]string{id}, roots}
			}
		}
	}
	*p = policies{nodes: next, any: p.any && anyAllowed}
}

// translate is RFC 9618 §5.4 (b): the mappings of a CA, or, where mapping is
// inhibited, the end of what it maps.
func (p *policies) translate(ms []mapping, allowed bool) {
	subjects := make(map[string][]string, len(ms))
	for _, m := range ms {
		subjects[m.issuer] = merge(subjects[m.issuer], []string{m.subject})
	}
	for id, to := range subjects {
		n, ok := p.nodes[id]
		switch {
		case !allowed:
			delete(p.nodes, id)
		case ok:
			p.nodes[id] = node{to, n.roots}
		case p.any:
			p.nodes[id] = node{to, []string{id}}
		}
	}
}

// constrained is the user-constrained-policy-set of RFC 9618 §5.5 (g): those
// policies of the anchor's domain under which the path is valid and which the
// user accepts; none given means all.
func (p *policies) constrained(user []string) []x509.OID {
	valid := map[string]bool{}
	for _, n := range p.nodes {
		for _, r := range n.roots {
			valid[r] = true
		}
	}
	if p.any {
		valid[oidAnyPolicy] = true
	}
	if len(user) > 0 && !slices.Contains(user, oidAnyPolicy) {
		accepted := map[string]bool{}
		for _, u := range user {
			if valid[u] || p.any {
				accepted[u] = true
			}
		}
		valid = accepted
	}
	var out []x509.OID
	for _, id := range slices.Sorted(maps.Keys(valid)) {
		out = append(out, publicOID(id))
	}
	return out
}

// merge returns the union of two sorted sets, changing neither.
func merge(a, b []string) []string {
	if len(a) == 0 {
		return b
	}
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}
