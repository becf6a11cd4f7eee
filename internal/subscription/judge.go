package subscription

import (
	"crypto/x509"
	"errors"
	"time"

	"bridge.example/internal/wire/cms"
	"bridge.example/signedlist"
)

// skew is how far clocks may differ.
const skew = 5 * time.Minute

// judge opens a list that came and says whether it may take the place of inUse,
// which is nil at first, at the instant at. Errors are a *[Refusal]. With one
// that is Consentable the list is returned too.
func judge(der []byte, inUse *signedlist.List, roots *x509.CertPool, at time.Time, maxSkip int64) (*signedlist.List, error) {
	l, err := signedlist.Open(der, roots, at)
	var refusal *Refusal
	if l != nil && inUse != nil {
		refusal = succession(l, inUse, at, maxSkip)
	}
	switch {
	case refusal != nil && !refusal.Consentable():
		return nil, refusal // also of a list that has expired: it says more than that
	case err != nil:
		return nil, refusalOf(err)
	case refusal != nil:
		return l, refusal
	}
	return l, nil
}

func succession(l, inUse *signedlist.List, at time.Time, maxSkip int64) *Refusal {
	days := 1 + int64(at.Sub(inUse.IssuedAt)/(24*time.Hour))
	err := l.Supersedes(inUse)
	switch {
	case errors.Is(err, signedlist.ErrRollback):
		return &Refusal{Rollback, err}
	case errors.Is(err, signedlist.ErrUnannounced):
		return &Refusal{OtherSigner, err}
	case err != nil && l.Number == inUse.Number:
		return &Refusal{OtherContent, err}
	case err != nil:
		return &Refusal{MixAndMatch, err}
	case l.Number-inUse.Number > maxSkip*days:
		return refuse(FastForward, "number %d is %d ahead of the list in use, and at most %d a day are expected", l.Number, l.Number-inUse.Number, maxSkip)
	}
	return nil
}

// refusalOf names what [signedlist.Open] found.
func refusalOf(err error) *Refusal {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case errors.Is(err, signedlist.ErrExpired):
		return &Refusal{Freeze, err}
	case errors.Is(err, signedlist.ErrEarly):
		return &Refusal{ClockSetBack, err}
	case isInvalid && invalid.Reason == x509.Expired:
		return &Refusal{LateSigner, err}
	case errors.Is(err, cms.ErrSigner):
		return &Refusal{WrongSigner, err}
	case errors.Is(err, signedlist.ErrSignature) && !errors.Is(err, cms.ErrSignature):
		return &Refusal{WrongSigner, err} // a certificate of the bridge's that is not for lists
	}
	return &Refusal{Altered, err}
}

// clock refuses an instant before what is known to have been: the issue of the
// list in use, and the last update.
func clock(at time.Time, inUse *signedlist.List, seen time.Time) *Refusal {
	if inUse != nil && at.Before(inUse.IssuedAt.Add(-skew)) {
		return refuse(ClockSetBack, "this machine's clock shows %s, and the list in use was issued at %s", at.Format(time.RFC3339), inUse.IssuedAt.Format(time.RFC3339))
	}
	if at.Before(seen.Add(-skew)) {
		return refuse(ClockSetBack, "this machine's clock shows %s, and the last update was at %s", at.Format(time.RFC3339), seen.Format(time.RFC3339))
	}
	return nil
}
