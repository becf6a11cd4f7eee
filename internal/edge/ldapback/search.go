package ldapback

import (
	"context"
	"math"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

// search runs q on c.
func (c *conn) search(ctx context.Context, q vdir.Query, yield func(vdir.Entry) error) (vdir.Outcome, error) {
	spent := 0
	var ranged []vdir.Entry
	code, err := c.run(ctx, c.request(ctx, &q), &spent, func(m ldap.SearchResultEntry) error {
		e := entryOf(m)
		if hasRange(&e) {
			ranged = append(ranged, e) // fetched later, so that one search is in flight at a time
			return nil
		}
		return yield(e)
	})
	if err != nil {
		return vdir.Outcome{}, err
	}
	for _, e := range ranged {
		if err := c.complete(ctx, &e, &spent); err != nil {
			return vdir.Outcome{}, err
		}
		if err := yield(e); err != nil {
			return vdir.Outcome{}, err
		}
	}
	return outcomeOf(code)
}

func (c *conn) request(ctx context.Context, q *vdir.Query) ldap.SearchRequest {
	size := c.o.MaxEntries
	if q.SizeLimit > 0 {
		size = min(size, q.SizeLimit)
	}
	limit := q.TimeLimit
	if deadline, ok := ctx.Deadline(); ok && (limit <= 0 || time.Until(deadline) < limit) {
		limit = max(time.Until(deadline), 1)
	}
	return ldap.SearchRequest{
		Base:       q.Base,
		Scope:      ldap.Scope(q.Scope),
		SizeLimit:  int32(size),
		TimeLimit:  int32(min((limit+time.Second-1)/time.Second, math.MaxInt32)),
		TypesOnly:  q.TypesOnly,
		Filter:     q.Filter,
		Attributes: q.Attributes,
	}
}

func entryOf(m ldap.SearchResultEntry) vdir.Entry {
	e := vdir.Entry{DN: m.DN, Attributes: make([]vdir.Attribute, len(m.Attributes))}
	for i, a := range m.Attributes {
		e.Attributes[i] = vdir.Attribute(a)
	}
	return e
}

// partialResults ends LDAPv2 searches that met a referral: code 9, reserved in
// RFC 4511.
const partialResults ldap.ResultCode = 9

// outcomeOf is the one place where a member's result codes become kinds.
// Diagnostic text and matched name are the member's own business.
func outcomeOf(code ldap.ResultCode) (vdir.Outcome, error) {
	switch code {
	case ldap.Success, partialResults:
		return vdir.Outcome{}, nil
	case ldap.SizeLimitExceeded:
		return vdir.Outcome{SizeLimitExceeded: true}, nil
	case ldap.NoSuchObject:
		return vdir.Outcome{}, fault.New(fault.NotFound, "directory answers %v", code)
	case ldap.OperationsError, // Active Directory's word for "bind first"
		ldap.InappropriateAuthentication, ldap.InvalidCredentials, ldap.InsufficientAccessRights,
		ldap.StrongerAuthRequired, ldap.ConfidentialityRequired, ldap.UnwillingToPerform:
		return vdir.Outcome{}, fault.New(fault.Denied, "directory answers %v", code)
	}
	return vdir.Outcome{}, fault.New(fault.Unavailable, "directory answers %v", code)
}
