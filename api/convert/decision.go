package convert

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"bridge.example/api/proto"
	"bridge.example/membership"
)

// States and verbs have the same names on both sides of the wire, each side in
// its own spelling: renewal-due is STATE_RENEWAL_DUE.

// FromState is s in the words of bridge.v1; none becomes STATE_UNSPECIFIED.
func FromState(s membership.State) proto.State {
	return proto.State(proto.State_value[constant("STATE_", string(s))])
}

// ToState is s in the words of membership; unspecified becomes none.
func ToState(s proto.State) membership.State {
	return membership.State(word("STATE_", s.String()))
}

// FromVerb is v in the words of bridge.v1.
func FromVerb(v membership.Verb) proto.Verb {
	return proto.Verb(proto.Verb_value[constant("VERB_", string(v))])
}

// ToVerb is v in the words of membership; one that it does not know is refused
// where it is decided.
func ToVerb(v proto.Verb) membership.Verb {
	return membership.Verb(word("VERB_", v.String()))
}

func constant(prefix, s string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(s, "-", "_"))
}

func word(prefix, s string) string {
	s = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(s, prefix), "_", "-"))
	if s == "unspecified" {
		return ""
	}
	return s
}

// FromTime makes the zero time an absent timestamp.
func FromTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// ToTime makes an absent timestamp the zero time.
func ToTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// FromPolicy makes a message of a row of policies.
func FromPolicy(p membership.Policy) *proto.Policy {
	return &proto.Policy{Member: p.Member, Bridge: p.Bridge, Section: p.Section}
}

// ToPolicy reads a message without judging it.
func ToPolicy(p *proto.Policy) membership.Policy {
	return membership.Policy{Member: p.GetMember(), Bridge: p.GetBridge(), Section: p.GetSection()}
}

// FromDocument makes a message of a document.
func FromDocument(d membership.Document) *proto.Document {
	return &proto.Document{
		Kind: string(d.Kind), Hash: d.Hash, Name: d.Name, Title: d.Title, Version: d.Version, Date: d.Date, Oid: d.OID, Link: d.Link,
		Expires: FromTime(d.Expires),
	}
}

// ToDocument reads a message without judging it.
func ToDocument(d *proto.Document) membership.Document {
	return membership.Document{
		Kind: membership.DocumentKind(d.GetKind()), Hash: d.GetHash(), Name: d.GetName(), Title: d.GetTitle(), Version: d.GetVersion(),
		Date: d.GetDate(), OID: d.GetOid(), Link: d.GetLink(), Expires: ToTime(d.GetExpires()),
	}
}
