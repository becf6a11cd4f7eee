package checkup

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// Bounds on what a finding carries, whatever was answered.
const (
	maxEvidence     = 24
	maxEvidenceText = 300 // bytes
)

// target is what a check looks at: one of these, or nothing.
type target struct {
	name      string
	authority *authority
	endpoint  *endpoint
	crl       *crlSource
	responder *responder
	domain    string
}

// result gathers what one check finds. Until something else is said, it is ok.
type result struct {
	must     bool
	verdict  Verdict
	evidence []string
	fix      string
}

// saw notes what was asked and answered.
func (r *result) saw(format string, args ...any) {
	if len(r.evidence) >= maxEvidence {
		return
	}
	for i, a := range args {
		if err, ok := a.(error); ok {
			args[i] = plain(err)
		}
	}
	s := fmt.Sprintf(format, args...)
	if len(s) > maxEvidenceText {
		s = s[:maxEvidenceText] + "…"
	}
	r.evidence = append(r.evidence, strings.ToValidUTF8(s, "?"))
}

// plain is the text of an error without what belongs to the examiner: its own
// address and its name server.
func plain(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return dns.Name + " is not in DNS"
		case dns.IsTimeout:
			return "DNS did not answer for " + dns.Name + " in time"
		}
		return "DNS gave no answer for " + dns.Name
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// wrong notes what does not hold: a failure of a check that must, else a warning.
func (r *result) wrong(format string, args ...any) {
	r.verdict = Warn
	if r.must {
		r.verdict = Fail
	}
	r.saw(format, args...)
}

// unwise notes what is advised against and does no harm.
func (r *result) unwise(format string, args ...any) {
	if r.verdict != Fail {
		r.verdict = Warn
	}
	r.saw(format, args...)
}

// skip gives the reason why nothing was looked at.
func (r *result) skip(format string, args ...any) {
	r.verdict = Skipped
	r.saw(format, args...)
}

// advise says what to do, where that is more than the check's usual advice.
func (r *result) advise(format string, args ...any) { r.fix = fmt.Sprintf(format, args...) }

func (r *result) finding(j job) Finding {
	f := Finding{
		ID: j.check.ID, Title: j.check.Title, Source: j.check.Source, Must: j.check.Must,
		Verdict: r.verdict, Subject: j.target.name, Evidence: r.evidence,
	}
	switch f.Verdict {
	case "":
		f.Verdict = OK
	case Warn, Fail:
		if f.Fix = r.fix; f.Fix == "" {
			f.Fix = j.check.Fix
		}
	}
	if f.Evidence == nil {
		f.Evidence = []string{}
	}
	return f
}

// once returns a function that carries f out at its first call and has the same
// answer for every call, whoever calls meanwhile. Should f panic, that answer is
// empty.
func once[T any](f func() T) func() T {
	var v T
	first, done := make(chan struct{}, 1), make(chan struct{})
	return func() T {
		select {
		case first <- struct{}{}:
			defer close(done)
			v = f()
		default:
			<-done
		}
		return v
	}
}
