package people

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// Register is the one place where persons come and go. It is safe for
// concurrent use, by one process per store: what must hold across records is
// checked under its lock.
type Register struct {
	store     Store
	authority Authority
	audit     func(context.Context, Act) error
	now       func() time.Time
	log       *slog.Logger
	mu        sync.Mutex
}

// Options tune a Register; the zero value works.
type Options struct {
	// Audit is told of every act before it is done, and refuses it by an error.
	// The founding is none: no log is open yet.
	Audit func(context.Context, Act) error
	Now   func() time.Time // time.Now when nil
	Log   *slog.Logger     // slog.Default when nil
}

// Act is what is about to be written about one person.
type Act struct {
	Verb   string // propose, confirm, renew, withdraw-credential or withdraw-role
	By     membership.Actor
	Person ID // whom it is about
	Reason string
	Member membership.ID
	Roles  []membership.Role // those the person shall have, or the one withdrawn
	// Proposal is the hash of what is proposed or confirmed, Key that of the key
	// which gets a credential, and Credentials are the SHA-256 of those withdrawn
	// that were in force: each in lower-case hex, or empty.
	Proposal    string
	Key         string
	Credentials []string
}

// NewRegister returns a Register over s whose credentials a issues.
func NewRegister(s Store, a Authority, o Options) *Register {
	r := &Register{store: s, authority: a, audit: o.Audit, now: o.Now, log: o.Log}
	if r.audit == nil {
		r.audit = func(context.Context, Act) error { return nil }
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.Default()
	}
	return r
}

// Identify returns who holds the certificate c, which TLS has proven, and the
// credential it is. What is not in force in a person's record is Denied: a
// certificate of the admin CA alone opens nothing.
func (r *Register) Identify(ctx context.Context, c *x509.Certificate) (Person, Credential, error) {
	id, err := ParseID(c.Subject.CommonName)
	if err != nil {
		return Person{}, Credential{}, fault.New(fault.Denied, "the client certificate's common name %q names no person", c.Subject.CommonName)
	}
	// A second name would let one certificate stand for two persons.
	if len(c.Subject.Names) != 1 {
		return Person{}, Credential{}, fault.New(fault.Denied, "the client certificate's subject is more than one common name")
	}
	p, err := r.store.Load(ctx, id)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return Person{}, Credential{}, fault.New(fault.Denied, "no person %q is known here", id)
	}
	if err != nil {
		return Person{}, Credential{}, err
	}
	i := slices.IndexFunc(p.Credentials, func(k Credential) bool { return k.SHA256 == fingerprint(c.Raw) })
	if i < 0 {
		return Person{}, Credential{}, fault.New(fault.Denied, "this is no credential of %q", id)
	}
	switch k := p.Credentials[i]; {
	case k.Withdrawal != nil:
		return Person{}, Credential{}, fault.New(fault.Denied, "this credential of %q was withdrawn at %s", id, k.Withdrawal.At.UTC().Format(time.RFC3339))
	case !k.InForce(r.now()):
		return Person{}, Credential{}, fault.New(fault.Denied, "this credential of %q is valid from %s to %s, which is not now",
			id, k.NotBefore.UTC().Format(time.RFC3339), k.NotAfter.UTC().Format(time.RFC3339))
	}
	return p, p.Credentials[i], nil
}

// Persons returns all records, ordered by id.
func (r *Register) Persons(ctx context.Context) ([]Person, error) {
	var out []Person
	for p, err := range r.store.All(ctx) {
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// Found records the first persons, each with a credential for the key given, and
// returns these. It is for the founding of a bridge: where a person is known,
// it is a Conflict.
func (r *Register) Found(ctx context.Context, first []Person, key func(ID) (crypto.PublicKey, error)) ([]*x509.Certificate, error) {
	known, err := r.Persons(ctx)
	if err != nil {
		return nil, err
	}
	if len(known) > 0 {
		return nil, fault.New(fault.Conflict, "there are persons already")
	}
	if err := CheckFirst(first); err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for _, p := range first {
		public, err := key(p.ID)
		if err != nil {
			return nil, err
		}
		cert, err := r.authority.Issue(p.ID, public, r.instant())
		if err != nil {
			return nil, err
		}
		p.Credentials = []Credential{NewCredential(cert, r.instant())}
		if _, err := r.store.Save(ctx, p); err != nil {
			return nil, err
		}
		out = append(out, cert)
	}
	return out, nil
}

// Lacking says which duties of an admission these persons cannot do, in words;
// whoever founds a bridge with them has to appoint others first.
func Lacking(persons []Person) (out []string) {
	for _, duty := range []struct {
		role membership.Role
		want int
	}{{membership.Assessor, 1}, {membership.Officer, 2}, {membership.Approver, membership.Quorum}, {membership.Signer, 1}} {
		have := 0
		for _, p := range persons {
			if p.Has(duty.role) {
				have++
			}
		}
		if have < duty.want {
			out = append(out, fmt.Sprintf("%d of %d needed as %s", have, duty.want, duty.role))
		}
	}
	// Officers meet the applicant, and whoever prepared a record approves it not.
	both := 0
	for _, p := range persons {
		if p.Has(membership.Officer, membership.Approver) {
			both++
		}
	}
	if want := 2 + membership.Quorum; both < want {
		out = append(out, fmt.Sprintf("%d persons as officer or approver, where two meet the applicant and two others approve", both))
	}
	return out
}

// CheckFirst brings the roles of the persons who found a bridge into order, and
// refuses a founding after which nobody could be appointed or admitted.
func CheckFirst(first []Person) error {
	seen := map[ID]bool{}
	appoint, approve := 0, 0
	for i := range first {
		p := &first[i]
		if _, err := ParseID(string(p.ID)); err != nil {
			return err
		}
		if seen[p.ID] {
			return fault.New(fault.Invalid, "person %q is named twice", p.ID)
		}
		seen[p.ID] = true
		var err error
		if p.Roles, err = checkRoles(p.Roles, p.Member); err != nil {
			return fault.New(fault.Invalid, "person %q: %w", p.ID, err)
		}
		if p.Has(Appointers()...) {
			appoint++
		}
		if p.Has(membership.Approver) {
			approve++
		}
	}
	if appoint < quorum {
		return fault.New(fault.Invalid, "want at least %d officers or operators: nobody appoints a person alone", quorum)
	}
	if approve < membership.Quorum {
		return fault.New(fault.Invalid, "want at least %d approvers: nobody admits a member alone", membership.Quorum)
	}
	return nil
}

// instant is the time of a record: UTC, whole seconds.
func (r *Register) instant() time.Time { return r.now().UTC().Truncate(time.Second) }
