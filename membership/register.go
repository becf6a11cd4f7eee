package membership

import (
	"bytes"
	"context"
	"crypto/x509"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"bridge.example/internal/fault"
)

// Options tune a Register; the zero value works.
type Options struct {
	Now func() time.Time // the instant of decisions; time.Now when nil
	Log *slog.Logger     // slog.Default when nil
}

// Register is the one place where members are admitted and stopped. It is safe
// for concurrent use, by one process per store: what must be unique across
// records is checked under its lock.
type Register struct {
	store Store
	now   func() time.Time
	log   *slog.Logger
	mu    sync.Mutex
}

// NewRegister returns a Register over s.
func NewRegister(s Store, o Options) *Register {
	r := &Register{store: s, now: o.Now, log: o.Log}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.Default()
	}
	return r
}

// Apply records an application. Errors: Invalid with everything that is wrong
// with it; Conflict when the id, a mail domain, a CA name or a CA key belongs
// to another member already.
func (r *Register) Apply(ctx context.Context, by Actor, a Application) (Member, error) {
	a.Normalize()
	if err := a.Validate(); err != nil {
		return Member{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for m, err := range r.store.All(ctx) {
		if err != nil {
			return Member{}, err
		}
		if err := clash(&a, &m.Application); err != nil {
			return Member{}, err
		}
	}
	now := r.instant()
	m, err := r.store.Save(ctx, Member{Application: a, AppliedBy: by, AppliedAt: now, State: Applied, Since: now})
	if err != nil {
		return Member{}, err
	}
	r.log.Info("application recorded", "member", m.ID, "person", by.Person, "record_hash", m.RecordHash())
	return m, nil
}

// Decide applies an officer's decision. Errors: NotFound; Conflict when the
// state does not allow it, the record hash is another, or the person has
// approved already; Invalid; Denied.
func (r *Register) Decide(ctx context.Context, id ID, d Decision) (Member, error) {
	d.Reason = strings.TrimSpace(d.Reason)
	if len(d.Reason) > maxText || !utf8.ValidString(d.Reason) {
		return Member{}, fault.New(fault.Invalid, "reason: want at most %d bytes of UTF-8", maxText)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m, err := r.store.Load(ctx, id)
	if err != nil {
		return Member{}, err
	}
	d.At, d.To = r.instant(), ""
	from := m.State
	if m, err = decide(m, d); err != nil {
		return Member{}, err
	}
	if m, err = r.store.Save(ctx, m); err != nil {
		return Member{}, err
	}
	r.log.Info("decision recorded", "member", id, "verb", d.Verb, "person", d.By.Person,
		"from", from, "to", m.State, "approvals", len(m.Approvals))
	return m, nil
}

// Member returns one record, or NotFound.
func (r *Register) Member(ctx context.Context, id ID) (Member, error) {
	return r.store.Load(ctx, id)
}

// Members returns all records, ordered by id.
func (r *Register) Members(ctx context.Context) ([]Member, error) {
	var out []Member
	for m, err := range r.store.All(ctx) {
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// instant is the time of a record: UTC, whole seconds, so that it reads back
// as it was written whatever the store.
func (r *Register) instant() time.Time { return r.now().UTC().Truncate(time.Second) }

// clash reports what an application claims that another record owns.
func clash(a, other *Application) error {
	if a.ID == other.ID {
		return fault.New(fault.Conflict, "id: %q is taken", a.ID)
	}
	for _, d := range a.MailDomains {
		for _, o := range other.MailDomains {
			if d == o {
				return fault.New(fault.Conflict, "mail_domains: %q belongs to member %q", d, other.ID)
			}
		}
	}
	for _, c := range certificates(a) {
		for _, o := range certificates(other) {
			// Two CAs may share a name only by mistake or malice, and a shared
			// key would let one answer for the other (RFC 6960 §4.1.2).
			if bytes.Equal(c.RawSubjectPublicKeyInfo, o.RawSubjectPublicKeyInfo) {
				return fault.New(fault.Conflict, "certificate %q: its key belongs to member %q", c.Subject, other.ID)
			}
			if bytes.Equal(c.RawSubject, o.RawSubject) {
				return fault.New(fault.Conflict, "certificate %q: its name belongs to member %q", c.Subject, other.ID)
			}
		}
	}
	return nil
}

func certificates(a *Application) []*x509.Certificate {
	anchors, intermediates := a.Certificates()
	return append(anchors, intermediates...)
}
