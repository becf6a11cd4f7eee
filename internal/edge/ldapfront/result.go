package ldapfront

import (
	"context"
	"errors"
	"strings"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
	"bridge.example/vdir"
)

// errSizeLimit stops a directory that yields more than it was asked for.
var errSizeLimit = errors.New("size limit exceeded")

// resultOf is the only place where the end of a search becomes a result code.
// Diagnostics are texts of our own and names of mounts, never those of err:
// they could tell about members or show addresses. There is never a matchedDN.
func resultOf(err error, outcome vdir.Outcome) ldap.Result {
	switch {
	case err == nil:
		return complete(outcome)
	case errors.Is(err, errSizeLimit):
		return ldap.Result{Code: ldap.SizeLimitExceeded}
	case errors.Is(err, vdir.ErrUnwilling):
		return ldap.Result{Code: ldap.UnwillingToPerform, Diagnostic: vdir.ErrUnwilling.Error()}
	}
	switch fault.KindOf(err) {
	case fault.Invalid:
		return ldap.Result{Code: ldap.ProtocolError, Diagnostic: "malformed base or filter"}
	case fault.NotFound:
		return ldap.Result{Code: ldap.NoSuchObject}
	case fault.Conflict:
		return ldap.Result{Code: ldap.Busy}
	case fault.Denied:
		return ldap.Result{Code: ldap.InsufficientAccessRights}
	case fault.Unavailable:
		return ldap.Result{Code: ldap.Unavailable, Diagnostic: missing(outcome)}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return ldap.Result{Code: ldap.TimeLimitExceeded, Diagnostic: missing(outcome)}
	case errors.Is(err, context.Canceled): // the service or the connection ends
		return ldap.Result{Code: ldap.Unavailable}
	}
	return ldap.Result{Code: ldap.Other}
}

// complete is the result of a search without an error, which need not mean
// that everything was found.
func complete(outcome vdir.Outcome) ldap.Result {
	r := ldap.Result{Diagnostic: missing(outcome)}
	switch {
	case outcome.SizeLimitExceeded:
		r.Code = ldap.SizeLimitExceeded
	case len(outcome.Unavailable) > 0:
		r.Code = ldap.Unavailable
	}
	return r
}

func missing(outcome vdir.Outcome) string {
	if len(outcome.Unavailable) == 0 {
		return ""
	}
	return "no answer from " + strings.Join(outcome.Unavailable, ", ")
}
