package crosscert

import (
	"encoding/hex"
	"strings"
)

// Field is one extension of the certificate that a member is asked for, in the
// notation of OpenSSL's x509v3_config, which people who run a CA read whatever
// their software is.
type Field struct {
	Name     string // such as policyConstraints
	Critical bool
	Value    string // such as requireExplicitPolicy:0,inhibitPolicyMapping:1
	Why      string // one sentence
}

// Fields is the profile as the member's CA operator needs it: what satisfies
// [CheckInbound], without a finding, when the subject and the key are those of
// the bridge CA and the validity is at most five years.
func (in Inbound) Fields() []Field {
	var policies, mappings, excluded []string
	rows := sortUnique(in.Mappings, func(m Mapping) string { return m.Member.String() + ":" + m.Bridge.String() })
	for _, m := range rows {
		policies = append(policies, m.Member.String())
		mappings = append(mappings, m.Member.String()+":"+m.Bridge.String())
	}
	for _, t := range in.Excluded() {
		excluded = append(excluded, "excluded;email:"+t.Value)
	}
	limit, price := !in.Compatible, ""
	if in.Compatible {
		price = " Non-critical, so that GnuTLS and gpgsm accept the certificate: whoever does not know this limit passes over it."
	}
	out := []Field{
		{"basicConstraints", true, "CA:TRUE", "No path length, or at least 1: the members' CAs follow."},
		{"keyUsage", true, "keyCertSign,cRLSign", "The bridge CA signs certificates and its CRL."},
		{"subjectKeyIdentifier", false, hex.EncodeToString(in.Bridge.SubjectKeyId), "The bridge CA's own, byte for byte."},
		{"authorityKeyIdentifier", false, "keyid:always", "The key identifier alone."},
		{"certificatePolicies", false, strings.Join(sortUnique(policies, strings.Clone), ","), "The member's own policies, of its record."},
		{"policyMappings", false, strings.Join(mappings, ","), "What the record says is equal: the member's to the bridge's."},
		{"policyConstraints", limit, "requireExplicitPolicy:0,inhibitPolicyMapping:1", "Only paths under an agreed policy, and only the bridge maps on." + price},
		{"inhibitAnyPolicy", limit, "0", "anyPolicy stands for nothing below." + price},
		{"nameConstraints", limit, strings.Join(excluded, ","), "Nobody else speaks for the member's own people." + price},
		{"subjectInfoAccess", false, "caRepository;URI:" + in.IssuedBy, "Where verifiers find what the bridge CA issued."},
	}
	for _, u := range in.CRLs {
		if isHTTP(u) && !strings.ContainsAny(u, ",;") {
			return append(out, Field{"crlDistributionPoints", false, "URI:" + u, "The member's CRL, by http."})
		}
	}
	return out
}
