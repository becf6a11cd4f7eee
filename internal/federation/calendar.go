package federation

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"bridge.example/membership"
)

// turn is when the calendar alone changes something next; zero for never.
type turn struct {
	served  time.Time // what the world sees
	decided time.Time // what the register says of a live member
}

// sooner makes at the earlier of two instants.
func sooner(at *time.Time, t time.Time) {
	if at.IsZero() || t.Before(*at) {
		*at = t
	}
}

// nextTurn finds the first instant after now at which a certificate of the
// members begins or ends, and the first, be it past, at which one of them leaves
// or is to renew.
func nextTurn(members []membership.Member, trusted []Trusted, now time.Time) (next turn) {
	serves := func(t time.Time) {
		if t.After(now) {
			sooner(&next.served, t)
		}
	}
	// The second of notAfter still belongs to the validity (RFC 5280 §4.1.2.5).
	ends := func(c *x509.Certificate) { serves(c.NotAfter.Add(time.Second)) }
	for _, m := range members {
		if verb, at := m.Due(); verb != "" {
			sooner(&next.decided, at)
		}
		if !m.Served() {
			continue
		}
		anchors, intermediates := m.Certificates()
		for _, c := range slices.Concat(anchors, intermediates) {
			serves(c.NotBefore)
			ends(c)
		}
	}
	for _, t := range trusted {
		for _, c := range slices.Concat(t.CrossTo, t.CrossFrom) {
			ends(c)
		}
	}
	return next
}

// sweepEvery is how often applications are looked through for those that nobody
// touches; live members are swept when their time has come.
const sweepEvery = time.Hour

// untilTurn is how long nothing needs to be done. What should have been done
// already is done again a moment later, not at once: it may fail again.
func (f *Federation) untilTurn() time.Duration {
	now, next := f.Now(), f.outcome.Load().turn
	at := now.Add(f.Every)
	for _, t := range []time.Time{next.served, next.decided} {
		if !t.IsZero() {
			sooner(&at, t)
		}
	}
	if !at.After(now) {
		return patience
	}
	return at.Sub(now)
}

// sweep has the register decide what is due by the calendar, when something may
// be; swept is when it last did.
func (f *Federation) sweep(ctx context.Context, swept *time.Time) error {
	now, due := f.Now(), f.outcome.Load().turn.decided
	if now.Before(swept.Add(sweepEvery)) && (due.IsZero() || now.Before(due)) {
		return nil
	}
	*swept = now
	if _, err := f.Register.Sweep(ctx); err != nil {
		*swept = time.Time{}
		return fmt.Errorf("sweeping the register: %w", err)
	}
	return nil
}

// untrusted says why CA certificates that m declares are not served.
func untrusted(m membership.Member, now time.Time) (out []string) {
	anchors, intermediates := m.Certificates()
	for _, c := range slices.Concat(anchors, intermediates) {
		why := ""
		hash := fingerprint(c.Raw)
		bar := slices.IndexFunc(m.Barred, func(b membership.Barred) bool { return b.Certificate == hash })
		switch {
		case bar >= 0:
			why = fmt.Sprintf("barred since %s: %s", m.Barred[bar].At.Format(time.RFC3339), m.Barred[bar].Reason)
		case now.After(c.NotAfter):
			why = "expired at " + c.NotAfter.Format(time.RFC3339)
		case now.Before(c.NotBefore):
			why = "not valid before " + c.NotBefore.Format(time.RFC3339)
		default:
			continue
		}
		out = append(out, fmt.Sprintf("CA certificate %q, serial %x: %s", c.Subject, c.SerialNumber, why))
	}
	return out
}
