package main

import (
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"bridge.example/internal/fault"
)

// exitNo is the exit code of a check that ran and whose answer is no.
const exitNo = 7

// no is such an answer, in words.
type no struct{ error }

func isNo(err error) bool {
	_, ok := errors.AsType[no](err)
	return ok
}

// exitOf is the exit code for err; nil is 0.
func exitOf(err error) int {
	switch {
	case err == nil:
		return 0
	case isNo(err):
		return exitNo
	}
	return fault.KindOf(err).ExitCode()
}

// hinted is an error and what to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

func withHint(err error, hint string) error { return hinted{err, hint} }

func hintOf(err error) string {
	if h, ok := errors.AsType[hinted](err); ok {
		return h.hint
	}
	return ""
}

// fromStatus turns the status of a call to server into an error of the kind
// that the service meant.
func fromStatus(server string, err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	text := s.Message()
	switch s.Code() {
	case codes.OK:
		return nil
	case codes.InvalidArgument, codes.OutOfRange, codes.ResourceExhausted:
		return fault.New(fault.Invalid, "%s", text)
	case codes.NotFound:
		return fault.New(fault.NotFound, "%s", text)
	case codes.Aborted, codes.AlreadyExists, codes.FailedPrecondition:
		return fault.New(fault.Conflict, "%s", text)
	case codes.PermissionDenied, codes.Unauthenticated:
		return fault.New(fault.Denied, "%s", text)
	case codes.DeadlineExceeded:
		return withHint(fault.New(fault.Unavailable, "%s did not answer in time", server),
			"a decision may have been recorded all the same: look before you repeat it, or allow more time with --timeout")
	case codes.Unavailable:
		return unavailable(server, text)
	case codes.Unimplemented:
		return withHint(fault.New(fault.Internal, "%s", text), "the daemon at "+server+" may be older than this program")
	}
	return fault.New(fault.Internal, "%s", text)
}

// unavailable tells apart what gRPC reports as one: no connection, a server or
// an officer that the other side does not trust, and a service that says it
// cannot now. gRPC gives only text to tell them by.
func unavailable(server, text string) error {
	switch {
	case strings.Contains(text, "tls: failed to verify certificate"):
		return withHint(fault.New(fault.Denied, "%s is not the daemon these credentials are for: %s", server, text),
			"check the address, and that ca.pem is the admin CA of this bridge")
	case strings.Contains(text, "remote error: tls:"):
		return withHint(fault.New(fault.Denied, "%s does not accept this officer's certificate: %s", server, text),
			"ask the operator for new credentials")
	case strings.Contains(text, "connection error:"), strings.Contains(text, "error reading from server"):
		return withHint(fault.New(fault.Unavailable, "cannot reach the daemon at %s: %s", server, text),
			"is bridged running there? --server names another address")
	}
	return fault.New(fault.Unavailable, "%s", text)
}
