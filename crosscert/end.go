package crosscert

import (
	"context"
	"errors"
	"time"
)

// forever is the nextUpdate of a last CRL: the value that RFC 5280 §4.1.2.5 has
// for what has no well-defined end. Relying parties learn that no other follows,
// and a signature can be checked however late.
func forever() time.Time { return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) }

// End ends the bridge for ever: every certificate in force is revoked with
// cessationOfOperation, and each key signs a last CRL that never expires. It is
// in the ledger before anything else happens, so nothing is issued from then
// on, in this life or any other over this ledger. Doing it again, or
// [Authority.Recover], finishes what was begun.
func (a *Authority) End(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.state(ctx)
	if err != nil {
		return err
	}
	if s.EndedAt.IsZero() {
		s = a.full(s)
		s.EndedAt = a.instant()
		if err := a.change(ctx, s); err != nil {
			return err
		}
		a.o.Log.Warn("the bridge ends")
	}
	return a.finish(ctx)
}

// finish does what follows from the end: revocations, then the last CRLs.
func (a *Authority) finish(ctx context.Context) error {
	if err := a.recover(ctx); err != nil {
		return err
	}
	var live []Record
	for r, err := range a.ledger.Records(ctx) {
		if err != nil {
			return err
		}
		if r.Stage == Issued && !a.closed(r) {
			live = append(live, r)
		}
	}
	var errs []error
	for _, r := range live {
		errs = append(errs, a.revoke(ctx, r, CessationOfOperation))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s, err := a.state(ctx)
	if err != nil {
		return err
	}
	var changed bool
	for i, g := range s.Generations {
		if g.Phase != Closed && g.Phase != Closing {
			s.Generations[i].Phase, s.Generations[i].Since, changed = Closing, a.instant(), true
		}
	}
	if changed {
		if err := a.change(ctx, s); err != nil {
			return err
		}
	}
	return a.close(ctx)
}
