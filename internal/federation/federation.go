// Package federation is where the register of members meets what is derived
// from it: cross-certificates, the signed list, the virtual directory and the
// virtual responder. Its Reconcile makes those four agree with the register,
// from whatever state a crash or an outage left them in.
package federation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
	"bridge.example/membership"
	"bridge.example/signedlist"
	"bridge.example/vdir"
	"bridge.example/vocsp"
)

// Parts is what a Federation joins. All fields but Root, Now and Log are
// required.
type Parts struct {
	Register  *membership.Register
	Authority *crosscert.Authority
	Publisher *signedlist.Publisher
	Directory *vdir.Directory
	Responder *vocsp.Proxy
	Documents membership.Documents

	// Examine runs every check of a member as its candidate stands. An error
	// means that there is no result.
	Examine func(ctx context.Context, m membership.Member) (Examination, error)
	// Changes is the Watch of the register's store.
	Changes func(ctx context.Context, from membership.Revision) iter.Seq2[membership.Change, error]
	// Open connects a member's directory endpoint. A backend that is an
	// io.Closer is closed when no member needs it any more.
	Open func(membership.Directory) (vdir.Backend, error)
	// Ask returns the source of status for what issuer issued.
	Ask func(issuer *x509.Certificate, urls []string) vocsp.Source
	// Own answers for the bridge CA's own certificates.
	Own vocsp.Route

	BridgeCA *x509.Certificate
	// Root returns the root above the bridge CA with its newest CRL, nil when
	// there is none. While that CRL does not vouch for the bridge CA, nobody gets
	// a new certificate or enters the list; what takes trust away goes on.
	Root    func() *crosscert.OfflineRoot
	Signers []*x509.Certificate // of the list and of OCSP responses
	Levels  []x509.OID          // the bridge's assurance levels
	// Every is the longest time between two reconciliations.
	Every time.Duration
	// Watching is how members in force are watched.
	Watching Watching
	// Nightly is how often each member is examined again, which needs
	// Watching.Memory; 0 for never. Compare says in words how one report differs
	// from the one before; when nil, the checks that fail are compared.
	Nightly time.Duration
	Compare func(before, after []byte) []string

	Now func() time.Time // time.Now when nil
	Log *slog.Logger     // slog.Default when nil
}

// Federation keeps the projections true. It is safe for concurrent use.
type Federation struct {
	Parts
	artifacts atomic.Pointer[Artifacts]

	mu sync.Mutex // held by one reconciliation at a time
	// routed names what the directory and the responder were last told, so
	// that they are left alone while nothing changed.
	routed  string
	tables  tables
	outcome atomic.Pointer[outcome]

	watching sync.Mutex // held by one round of watching at a time
}

// outcome is how the last reconciliation ended.
type outcome struct {
	at   time.Time
	err  error
	turn turn
}

// New returns a Federation over p. It does nothing until Reconcile or Run.
func New(p Parts) *Federation {
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Log == nil {
		p.Log = slog.Default()
	}
	if p.Root == nil {
		p.Root = func() *crosscert.OfflineRoot { return nil }
	}
	f := &Federation{Parts: p, tables: newTables()}
	f.artifacts.Store(&Artifacts{BridgeCA: p.BridgeCA, Root: p.Root(), Signers: p.Signers})
	f.outcome.Store(&outcome{})
	return f
}

// SetSigners has the next reconciliation publish certs as those of the bridge's
// own signers.
func (f *Federation) SetSigners(certs []*x509.Certificate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Signers = certs
}

// Artifacts returns what is published now.
func (f *Federation) Artifacts() *Artifacts { return f.artifacts.Load() }

// patience is how soon a reconciliation that failed is tried again; it doubles
// with each failure, up to Parts.Every.
const patience = time.Second

// Run reconciles after every change of the register, at the instant when the
// calendar changes what is served, and at least every Parts.Every, sooner after
// a failure, until ctx ends. It returns nil then. What fails is only reported: a
// member's fault must not keep the others from being served. The first
// reconciliation, before anybody is answered, is the caller's.
func (f *Federation) Run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.listen(ctx, changed) })
	wg.Go(func() { f.runWatch(ctx) })
	wg.Go(func() { f.runNightly(ctx) })
	retry := patience
	var swept time.Time
	for err := errors.Join(f.sweep(ctx, &swept), f.outcome.Load().err); ; err = errors.Join(f.sweep(ctx, &swept), f.Reconcile(ctx)) {
		wait := f.untilTurn()
		if err != nil && ctx.Err() == nil {
			f.Log.Error("reconciliation incomplete", "err", err)
			wait, retry = min(retry, wait), min(2*retry, f.Every)
		} else {
			retry = patience
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			f.tables.close()
			return nil
		case <-changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// listen signals changed after every change of the register.
func (f *Federation) listen(ctx context.Context, changed chan<- struct{}) {
	var seen membership.Revision
	for ctx.Err() == nil {
		for c, err := range f.Changes(ctx, seen) {
			if err != nil {
				if ctx.Err() == nil {
					f.Log.Error("watching the register", "err", err)
				}
				break
			}
			seen = c.Revision
			select {
			case changed <- struct{}{}:
			default: // one signal is enough
			}
		}
		select { // a watch that broke is taken up again, not hammered
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// Reconcile makes every projection agree with the register. It takes away
// before it gives: directory and responder first, which need no signature,
// then revocations, then what is new. It is idempotent, and does all it can:
// what one member or one projection prevents is in the error, the rest is done.
func (f *Federation) Reconcile(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	next, err := f.reconcile(ctx)
	f.outcome.Store(&outcome{at: f.Now(), err: err, turn: next})
	return err
}

func (f *Federation) reconcile(ctx context.Context) (turn, error) {
	switch ended, err := f.Authority.Ended(ctx); {
	case err != nil:
		return turn{}, fmt.Errorf("reading the ledger: %w", err)
	case !ended.IsZero():
		return turn{}, f.afterTheEnd(ctx)
	}
	now := f.Now() // before anything is judged by it, so that no turn is missed
	members, err := f.Register.Live(ctx)
	if err != nil {
		return turn{}, fmt.Errorf("reading the register: %w", err)
	}
	trusted := f.trusted(members)
	errs := []error{f.route(members, trusted)}
	root := f.Root()
	var halt error
	if root != nil {
		if halt = root.Supports(f.BridgeCA, f.Now()); halt != nil {
			errs = append(errs, fmt.Errorf("nothing new is signed: %w", halt))
		}
	}
	errs = append(errs, f.certify(ctx, members, trusted, halt))
	next := &Artifacts{BridgeCA: f.BridgeCA, Root: root, Signers: f.Signers, Trusted: trusted}
	if halt != nil {
		next.Trusted = slices.DeleteFunc(trusted, func(t Trusted) bool { return len(t.CrossTo) == 0 })
	}
	errs = append(errs, f.publish(ctx, next))
	f.artifacts.Store(next)
	return nextTurn(members, trusted, now), errors.Join(errs...)
}

// publish obtains CRL and list for next. What cannot be renewed stays as it
// was: an older signed artifact carries its own end of validity.
func (f *Federation) publish(ctx context.Context, next *Artifacts) error {
	old := f.artifacts.Load()
	crlErr := f.generations(ctx, next)
	listed := entries(next.Trusted)
	p, listErr := f.Publisher.Publish(ctx, listed, func(lost signedlist.Entry) string { return f.whyLost(ctx, lost) })
	if listErr != nil {
		listErr = fmt.Errorf("publishing the list: %w", listErr)
		p = old.Publication
	}
	if p == nil { // nothing yet since the start
		var err error
		if p, err = f.Publisher.Latest(ctx); err != nil && fault.KindOf(err) != fault.NotFound {
			listErr = errors.Join(listErr, fmt.Errorf("reading the last list: %w", err))
		}
	}
	next.show(p)
	return errors.Join(crlErr, listErr)
}

// Status tells how the federation stands.
func (f *Federation) Status(ctx context.Context) (Status, error) {
	members, err := f.Register.Count(ctx)
	if err != nil {
		return Status{}, err
	}
	a, o := f.Artifacts(), f.outcome.Load()
	s := Status{
		Bridge: f.BridgeCA.Subject.String(), BridgeNotAfter: f.BridgeCA.NotAfter,
		ListNumber: a.ListNumber, ListNextUpdate: a.ListNextUpdate,
		CRLNumber: a.CRLNumber, CRLNextUpdate: a.CRLNextUpdate,
		Members: members, ReconciledAt: o.at,
	}
	if o.err != nil {
		s.Problem = o.err.Error()
	}
	if s.EndedAt, err = f.Authority.Ended(ctx); err != nil {
		return Status{}, err
	}
	if s.Generations, err = f.generationStatus(ctx, a); err != nil {
		return Status{}, err
	}
	return s, nil
}

// Page returns at most limit records with an id above after, ordered by id.
func (f *Federation) Page(ctx context.Context, after membership.ID, limit int) ([]membership.Member, error) {
	return f.Register.Page(ctx, after, limit)
}

// Case returns everything known about one member, or NotFound.
func (f *Federation) Case(ctx context.Context, id membership.ID) (Case, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return Case{}, err
	}
	return f.caseOf(ctx, m)
}

func (f *Federation) caseOf(ctx context.Context, m membership.Member) (Case, error) {
	c := Case{Member: m, RecordHash: m.RecordHash(), Next: m.Next(f.Now())}
	records, err := f.Authority.Records(ctx, string(m.ID))
	if err != nil {
		return Case{}, fmt.Errorf("reading the ledger: %w", err)
	}
	for _, r := range records {
		c.Projection.CrossCertificates = append(c.Projection.CrossCertificates, crossCertificate(r))
	}
	a := f.Artifacts()
	if slices.Contains(a.Listed, m.ID) {
		c.Projection.Listed, c.Projection.ListNumber = true, a.ListNumber
	}
	for _, t := range a.Trusted {
		if t.ID != m.ID {
			continue
		}
		c.Projection.DirectoryDomains = t.MailDomains
		for _, ca := range append(t.Anchors[:len(t.Anchors):len(t.Anchors)], t.Intermediates...) {
			c.Projection.ResponderIssuers = append(c.Projection.ResponderIssuers, ca.Subject.String())
		}
	}
	c.Projection.Untrusted = untrusted(m, f.Now())
	if o := f.outcome.Load(); o.err != nil {
		c.Pending = o.err.Error()
	} else if m.Served() && len(trust(m, &m.Application, f.Now()).Anchors) == 0 {
		c.Pending = "the member is not served, for it has no valid anchor: " + strings.Join(c.Projection.Untrusted, "; ")
	} else if !a.Ended && c.Projection.Listed != (m.Served() && m.Wants(membership.OnList)) {
		c.Pending = "the projections do not show the newest decision yet"
	}
	return c, nil
}

func crossCertificate(r crosscert.Record) CrossCertificate {
	out := CrossCertificate{Serial: fmt.Sprintf("%x", r.Serial)}
	if cert, err := x509.ParseCertificate(r.Certificate); err == nil {
		out.Subject, out.NotAfter = cert.Subject.String(), cert.NotAfter
	}
	if r.Stage == crosscert.Revoked {
		out.RevokedAt, out.Reason = r.RevokedAt, r.Reason.String()
	}
	return out
}

// fits brings a into its one spelling and reports what of it does not fit this
// bridge, as far as it is written: levels it does not have, dialects it does not speak, chains that do not reach an
// anchor, certificates for the bridge that are not as they must be.
func (f *Federation) fits(a *membership.Application) error {
	a.Normalize()
	if err := a.ValidateDraft(); err != nil {
		return err
	}
	var errs []error
	for i, p := range a.Policies {
		if !f.offers(p.Bridge) {
			errs = append(errs, fmt.Errorf("policies[%d].bridge: %s is no level of this bridge", i, p.Bridge))
		}
	}
	for i, d := range a.Directories {
		if _, ok := vdir.LookupDialect(d.Dialect); !ok {
			errs = append(errs, fmt.Errorf("directories[%d].dialect: %q is not known", i, d.Dialect))
		}
		if _, err := vdir.ParseDN(d.Base); err != nil {
			errs = append(errs, fmt.Errorf("directories[%d].base: %w", i, err))
		}
	}
	anchors, intermediates := a.Certificates()
	for i, c := range intermediates {
		if depth(c, anchors, intermediates) == 0 {
			errs = append(errs, fmt.Errorf("intermediates[%d]: %q was issued by none of the anchors, directly or through other intermediates", i, c.Subject))
		}
	}
	for i, der := range a.CrossCertificates {
		findings, err := f.checkInbound(a, der)
		if err := errors.Join(err, crosscert.InboundError(findings)); err != nil {
			errs = append(errs, fmt.Errorf("cross_certificates[%d]: %w", i, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fault.New(fault.Invalid, "application: %w", err)
	}
	return nil
}

func (f *Federation) offers(level string) bool {
	oid, err := x509.ParseOID(level)
	if err != nil {
		return false
	}
	for _, l := range f.Levels {
		if l.Equal(oid) {
			return true
		}
	}
	return false
}
