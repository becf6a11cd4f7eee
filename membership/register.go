package membership

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"bridge.example/internal/fault"
)

// Options tune a Register; the zero value works.
type Options struct {
	// Documents keeps every record that was decided upon, by its hash; none when
	// nil.
	Documents Documents
	// Audit is told of every act before it is done, and refuses it by an error.
	Audit func(context.Context, Act) error
	Now   func() time.Time // the instant of decisions; time.Now when nil
	Log   *slog.Logger     // slog.Default when nil
}

// Act is what is about to be written into the register. Its decision is the
// next of the history, unless it is a check that found nothing new or its verb
// is AcceptInbound or WithdrawInbound.
type Act struct {
	Member   ID
	Decision Decision
}

// Register is the one place where members are admitted and stopped. It is safe
// for concurrent use, by one process per store.
type Register struct {
	store Store
	o     Options
	mu    sync.Mutex
}

// NewRegister returns a Register over s.
func NewRegister(s Store, o Options) *Register {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Audit == nil {
		o.Audit = func(context.Context, Act) error { return nil }
	}
	return &Register{store: s, o: o}
}

// Apply opens a record with a first draft, or opens one again that is over.
// Errors: Denied unless by is an officer or the applicant; Invalid with
// everything that is wrong with the draft; Conflict when the id is taken, or a
// mail domain, a CA name or a CA key belongs to another member.
func (r *Register) Apply(ctx context.Context, by Actor, a Application) (Member, error) {
	a.Normalize()
	if err := a.ValidateDraft(); err != nil {
		return Member{}, err
	}
	if err := mayWrite(by, a.ID); err != nil {
		return Member{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m, err := r.store.Load(ctx, a.ID)
	switch {
	case fault.KindOf(err) == fault.NotFound && err != nil:
		m = Member{}
	case err != nil:
		return Member{}, err
	case m.State == Revoked:
		return Member{}, fault.New(fault.Conflict, "%s was revoked, and does not come back", a.ID)
	case !m.State.over():
		return Member{}, fault.New(fault.Conflict, "id: %q is taken", a.ID)
	}
	now, err := r.instant(&m)
	if err != nil {
		return Member{}, err
	}
	m.Application, m.AppliedBy, m.AppliedAt = a, by, now
	m.State, m.Since, m.Reason, m.Report, m.Polls, m.Prepared = Draft, now, "", nil, nil, []string{by.Person}
	m.ActiveSince, m.RenewBy, m.ExitAt, m.Halted = time.Time{}, time.Time{}, time.Time{}, false
	m.Round++
	return r.write(ctx, m, Decision{Verb: Apply, By: by, To: Draft})
}

// Edit replaces the candidate of id by a. hash is that of the record which the
// editor looked at. A change of anything bound sends an application back to
// Draft, and starts an amendment where the member is in force; approvals given
// before are void. Errors: NotFound; Denied; Invalid; Conflict.
func (r *Register) Edit(ctx context.Context, id ID, by Actor, hash string, a Application) (Member, error) {
	a.Normalize()
	if err := a.ValidateDraft(); err != nil {
		return Member{}, err
	}
	if a.ID != id {
		return Member{}, fault.New(fault.Invalid, "id: %q is %q for ever", a.ID, id)
	}
	if err := mayWrite(by, id); err != nil {
		return Member{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m, now, err := r.load(ctx, id)
	if err != nil {
		return Member{}, err
	}
	switch {
	case m.State.over():
		return Member{}, fault.New(fault.Conflict, "%s is %s; apply again", id, m.State)
	case hash != m.RecordHash():
		return Member{}, fault.New(fault.Conflict, "the record hash is %s, not %q; look at the record again", m.RecordHash(), hash)
	}
	d := Decision{Verb: Edit, By: by, To: m.State}
	switch before := m.Candidate().Bound(); {
	case reflect.DeepEqual(before, a.Bound()):
		// Only free fields: what is in force has them too, at once.
		m.Contacts, m.Website, m.Languages = a.Contacts, a.Website, a.Languages
		if m.Amendment != nil {
			copied := *m.Amendment
			copied.Application, m.Amendment = a, &copied
		}
	case m.State.live():
		m.amend(Draft, a, m.Amendment != nil && m.Amendment.Renewal, now)
		m.prepare(by.Person)
		d.To = Draft
	default:
		m.Application, m.State, m.Since, m.Approvals, d.To = a, Draft, now, nil, Draft
		m.prepare(by.Person)
		m.Round++
	}
	return r.write(ctx, m, d)
}

// mayWrite reports whether a may write the application of id.
func mayWrite(a Actor, id ID) error {
	if a.Person == "" || !a.acts(Applicant, id) && !a.acts(MemberRole, id) && !a.acts(Officer, id) {
		return fault.New(fault.Denied, "the application of %s is written by its applicant, the member or an officer, and %q is none of them", id, a.Person)
	}
	return nil
}

// Decide applies a person's decision. Errors: NotFound; Conflict when the state
// does not allow it, the record hash is another, evidence is too old, or the
// person has decided so already; Invalid for what is missing; Denied.
func (r *Register) Decide(ctx context.Context, id ID, d Decision) (Member, error) {
	if err := d.normalize(); err != nil {
		return Member{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m, now, err := r.load(ctx, id)
	if err != nil {
		return Member{}, err
	}
	d.At, d.To = now, ""
	record := m.Record()
	if m, err = decide(m, d); err != nil {
		return Member{}, err
	}
	d = m.Decisions[len(m.Decisions)-1]
	m.Decisions = m.Decisions[:len(m.Decisions)-1]
	if d.RecordHash != "" && r.o.Documents != nil {
		if _, err := r.o.Documents.Put(ctx, id, record); err != nil {
			return Member{}, err
		}
	}
	return r.write(ctx, m, d)
}

// examiners may have a member examined.
var examiners = []Role{Officer, Assessor, Approver, Signer, Operator}

// Examined records an examination, and takes what was submitted one step
// further when it passed. Every one is remembered among the member's Polls; it
// is a line of the history when it says something new. Report.At is set here. Errors: NotFound; Denied;
// Conflict when the record is another than the one examined.
func (r *Register) Examined(ctx context.Context, id ID, by Actor, report Report) (Member, error) {
	if !slices.ContainsFunc(slices.Concat(examiners, []Role{System}), func(role Role) bool { return by.acts(role, id) }) {
		return Member{}, fault.New(fault.Denied, "check %s: %s is none of those who examine", id, by.Person)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m, now, err := r.load(ctx, id)
	if err != nil {
		return Member{}, err
	}
	if m.State.over() || report.RecordHash != m.RecordHash() {
		return Member{}, fault.New(fault.Conflict, "check %s: the record is another than the one examined; check again", id)
	}
	report.At = now
	old := m.Report
	m.Report = &report
	m.poll(&report)
	d := Decision{
		Verb: Check, By: by, At: now, RecordHash: report.RecordHash, To: m.Stage(), Reason: strings.Join(report.Failed, " "),
		Documents: []Document{{Kind: Other, Hash: report.Document, Name: "check report"}},
	}
	if m.Stage() == Submitted && report.Passed {
		if m.Amendment != nil {
			copied := *m.Amendment
			m.Amendment = &copied
			m.Amendment.Stage, m.Amendment.Since = Checked, now
			m.skip()
		} else {
			m.State, m.Since = Checked, now
		}
	} else if old != nil && old.RecordHash == report.RecordHash && slices.Equal(old.Failed, report.Failed) {
		return r.save(ctx, m, d) // nothing new: no line in the history
	}
	d.To = m.Stage()
	return r.write(ctx, m, d)
}

// Bar takes trust from one CA certificate, hex SHA-256, of a member; it is for
// ever. Doing so again changes nothing. Errors: NotFound; Invalid when the
// member declares no such certificate.
func (r *Register) Bar(ctx context.Context, id ID, certificate, reason string) (Member, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, now, err := r.load(ctx, id)
	if err != nil {
		return Member{}, err
	}
	declares := func(c CA) bool { return hashOf(c.Certificate) == certificate }
	switch {
	case slices.ContainsFunc(m.Barred, func(b Barred) bool { return b.Certificate == certificate }):
		return m, nil
	case !slices.ContainsFunc(slices.Concat(m.Anchors, m.Intermediates), declares):
		return Member{}, fault.New(fault.Invalid, "%s declares no CA certificate %s", id, certificate)
	}
	m.Barred = append(slices.Clip(m.Barred), Barred{Certificate: certificate, Reason: reason, At: now})
	return r.write(ctx, m, Decision{Verb: Bar, By: Bridge(), Reason: reason, Fingerprints: []string{certificate}, To: m.State})
}

// Sweep decides what is due by the calendar alone: renewals that fall due,
// members whose day of exit has come, applications nobody touched for long. It
// returns the records that changed; what one record prevents does not keep the
// others waiting.
func (r *Register) Sweep(ctx context.Context) ([]Member, error) {
	var out []Member
	var errs []error
	for m, err := range r.store.In(ctx, slices.Concat(openStates, liveStates)...) {
		if err != nil {
			return out, errors.Join(append(errs, err)...)
		}
		verb, at := m.Due()
		if verb == "" || r.o.Now().Before(at) {
			continue
		}
		m, err := r.Decide(ctx, m.ID, Decision{Verb: verb, By: Bridge()})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, m)
	}
	return out, errors.Join(errs...)
}

// Due is what the calendar decides about m next, and when; empty for nothing.
func (m *Member) Due() (verb Verb, at time.Time) {
	sooner := func(v Verb, t time.Time) {
		if verb == "" || t.Before(at) {
			verb, at = v, t
		}
	}
	if m.Stage().open() {
		sooner(Lapse, m.touched().Add(idleTime))
	}
	switch {
	case m.State == Exiting:
		sooner(Leave, m.ExitAt)
	case m.State == Active && !m.RenewBy.IsZero():
		sooner(FallDue, m.RenewBy.Add(-noticeTime))
	}
	return verb, at
}

// touched is when a person last did something about the record.
func (m *Member) touched() time.Time {
	for _, d := range slices.Backward(m.Decisions) {
		if !slices.Contains(d.By.Roles, System) {
			return d.At
		}
	}
	return m.AppliedAt
}

// Member returns one record, or NotFound.
func (r *Register) Member(ctx context.Context, id ID) (Member, error) {
	return r.store.Load(ctx, id)
}

// Page returns at most limit records with an id above after, ordered by id.
func (r *Register) Page(ctx context.Context, after ID, limit int) ([]Member, error) {
	var out []Member
	for m, err := range r.store.All(ctx, after) {
		if err != nil {
			return nil, err
		}
		if len(out) == limit {
			break
		}
		out = append(out, m)
	}
	return out, nil
}

// Live returns the members in force, suspended or leaving, ordered by id within
// each state. The others cost nothing.
func (r *Register) Live(ctx context.Context) ([]Member, error) {
	var out []Member
	for m, err := range r.store.In(ctx, liveStates...) {
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Member) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	return out, nil
}

// Blocked are the SHA-256, in hex, of the keys (SubjectPublicKeyInfo) that are
// nobody's for ever: those of members that were revoked.
func (r *Register) Blocked(ctx context.Context) ([]string, error) {
	var out []string
	for m, err := range r.store.In(ctx, Revoked) {
		if err != nil {
			return nil, err
		}
		for _, c := range m.Claims() {
			if key, ok := strings.CutPrefix(string(c), "key "); ok {
				out = append(out, key)
			}
		}
	}
	return out, nil
}

// Open yields the applications that are on their way, ordered by id within each
// state.
func (r *Register) Open(ctx context.Context) iter.Seq2[Member, error] {
	return r.store.In(ctx, openStates...)
}

// Count returns how many records are in each state.
func (r *Register) Count(ctx context.Context) (map[State]int, error) { return r.store.Count(ctx) }

// load returns the record of id and the instant of what is done to it.
func (r *Register) load(ctx context.Context, id ID) (Member, time.Time, error) {
	m, err := r.store.Load(ctx, id)
	if err != nil {
		return Member{}, time.Time{}, err
	}
	now, err := r.instant(&m)
	return m, now, err
}

// instant is the time of a record: UTC, whole seconds, so that it reads back
// as it was written whatever the store. It is Unavailable when the clock stands
// before what the record knows.
func (r *Register) instant(m *Member) (time.Time, error) {
	now := r.o.Now().UTC().Truncate(time.Second)
	if n := len(m.Decisions); n > 0 && now.Before(m.Decisions[n-1].At) {
		return now, fault.New(fault.Unavailable, "the clock says %s, and the last decision about %s is of %s; set the clock right",
			now.Format(time.RFC3339), m.ID, m.Decisions[n-1].At.Format(time.RFC3339))
	}
	return now, nil
}

// write adds d to the history of m, and saves both.
func (r *Register) write(ctx context.Context, m Member, d Decision) (Member, error) {
	if d.At.IsZero() {
		var err error
		if d.At, err = r.instant(&m); err != nil {
			return Member{}, err
		}
	}
	m.Decisions = append(slices.Clip(m.Decisions), d)
	for _, c := range m.claims() {
		if owner, err := r.store.Owner(ctx, c); err == nil && owner != m.ID {
			return Member{}, c.Conflict(owner)
		} else if err != nil && fault.KindOf(err) != fault.NotFound {
			return Member{}, err
		}
	}
	return r.save(ctx, m, d)
}

// save has d audited, and only then stores m.
func (r *Register) save(ctx context.Context, m Member, d Decision) (Member, error) {
	if err := r.o.Audit(ctx, Act{Member: m.ID, Decision: d}); err != nil {
		return Member{}, err
	}
	m, err := r.store.Save(ctx, m)
	if err != nil {
		return Member{}, err
	}
	r.o.Log.Info("register written", "member", m.ID, "verb", d.Verb, "person", d.By.Person, "to", d.To, "approvals", len(m.Approvals))
	return m, nil
}
