package people

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

const (
	// quorum is how many persons appoint another: one proposes, one confirms.
	quorum = 2
	// proposalLife is how long a proposal waits for its confirmation.
	proposalLife = 72 * time.Hour
	// maxCredentials bounds those of one person that are in force.
	maxCredentials = 4
)

// Propose records what the person id shall be, in place of a proposal before;
// By and At of p are set. A person unknown so far needs a Request. Errors:
// Invalid; Conflict when the key is known already.
func (r *Register) Propose(ctx context.Context, by membership.Actor, id ID, p Proposal) (Person, error) {
	_, err := ParseID(string(id))
	if err != nil {
		return Person{}, err
	}
	if p.Roles, err = checkRoles(p.Roles, p.Member); err != nil {
		return Person{}, err
	}
	if p.Name, err = cleanText("name", p.Name, false); err != nil {
		return Person{}, err
	}
	if p.Reason, err = cleanText("reason", p.Reason, true); err != nil {
		return Person{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.mayAppoint(ctx, by, id); err != nil {
		return Person{}, err
	}
	old, err := r.store.Load(ctx, id)
	switch {
	case err != nil && fault.KindOf(err) != fault.NotFound:
		return Person{}, err
	case err != nil && len(p.Request) == 0:
		return Person{}, fault.New(fault.Invalid, "request: %q is new and needs a credential", id)
	}
	p.By, p.At = by, r.instant()
	act := Act{Verb: "propose", By: by, Person: id, Reason: p.Reason, Member: p.Member, Roles: p.Roles, Proposal: p.Hash(id)}
	if len(p.Request) > 0 {
		if _, act.Key, err = r.newKey(ctx, p.Request); err != nil {
			return Person{}, err
		}
	}
	old.ID, old.Proposal = id, &p
	return r.save(ctx, old, act)
}

// Confirm makes the proposal of the person id true, whose hash is given, and
// returns the certificate issued, if any. The person who confirms is neither
// the one who proposed nor the one it is about. Errors: NotFound; Conflict when
// the proposal is another or too old; Denied.
func (r *Register) Confirm(ctx context.Context, by membership.Actor, id ID, hash string) (Person, *x509.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.store.Load(ctx, id)
	if err != nil {
		return Person{}, nil, err
	}
	q := p.Proposal
	now := r.instant()
	switch {
	case q == nil:
		return Person{}, nil, fault.New(fault.NotFound, "nothing is proposed for %q", id)
	case q.Hash(id) != hash:
		return Person{}, nil, fault.New(fault.Conflict, "what is proposed for %q is not what you looked at; look again", id)
	case now.After(q.At.Add(proposalLife)):
		return Person{}, nil, fault.New(fault.Conflict, "the proposal for %q is older than %s; propose it again", id, proposalLife)
	case by.Person == q.By.Person:
		return Person{}, nil, fault.New(fault.Denied, "%s proposed this; another person has to confirm it", by.Person)
	}
	if err := r.mayAppoint(ctx, by, id); err != nil {
		return Person{}, nil, err
	}
	// Whoever proposed may have lost the right since.
	if err := r.mayAppoint(ctx, q.By, id); err != nil {
		return Person{}, nil, fault.New(fault.Conflict, "the proposal no longer counts: %w", err)
	}
	next := p
	next.Name, next.Roles, next.Member, next.Proposal = q.Name, q.Roles, q.Member, nil
	if err := r.keepAppointers(ctx, next); err != nil {
		return Person{}, nil, err
	}
	act := Act{Verb: "confirm", By: by, Person: id, Reason: q.Reason, Member: next.Member, Roles: next.Roles, Proposal: hash}
	if len(q.Request) > 0 {
		return r.issue(ctx, next, q.Request, act, q.By, by)
	}
	next, err = r.save(ctx, next, act)
	return next, nil, err
}

// Renew gives by, and nobody else, another credential for a new key; roles stay
// as they are.
func (r *Register) Renew(ctx context.Context, by membership.Actor, request []byte) (Person, *x509.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.store.Load(ctx, ID(by.Person))
	if err != nil {
		return Person{}, nil, err
	}
	if err := r.stillActs(p, by); err != nil {
		return Person{}, nil, err
	}
	return r.issue(ctx, p, request, Act{Verb: "renew", By: by, Person: p.ID, Member: p.Member, Roles: p.Roles}, by)
}

// save has a audited, and only then stores p.
func (r *Register) save(ctx context.Context, p Person, a Act) (Person, error) {
	if err := r.audit(ctx, a); err != nil {
		return Person{}, err
	}
	return r.saveAudited(ctx, p, a)
}

func (r *Register) saveAudited(ctx context.Context, p Person, a Act) (Person, error) {
	p, err := r.store.Save(ctx, p)
	if err != nil {
		return Person{}, err
	}
	r.log.Info("person written", "person", a.Person, "verb", a.Verb, "roles", p.Roles, "by", a.By.Person)
	return p, nil
}

// issue adds a credential to p, on which by agreed, and saves it: audited
// before the admin CA signs. A certificate whose record is never saved opens
// nothing, so that a crash between the two does no harm.
func (r *Register) issue(ctx context.Context, p Person, request []byte, a Act, by ...membership.Actor) (Person, *x509.Certificate, error) {
	now := r.instant()
	live := 0
	for _, c := range p.Credentials {
		if c.InForce(now) {
			live++
		}
	}
	if live >= maxCredentials {
		return Person{}, nil, fault.New(fault.Conflict, "%q has %d credentials in force; withdraw one first", p.ID, live)
	}
	key, hash, err := r.newKey(ctx, request)
	if err != nil {
		return Person{}, nil, err
	}
	a.Key = hash
	if err := r.audit(ctx, a); err != nil {
		return Person{}, nil, err
	}
	cert, err := r.authority.Issue(p.ID, key, now)
	if err != nil {
		return Person{}, nil, err
	}
	p.Credentials = append(slices.Clone(p.Credentials), NewCredential(cert, now, by...))
	if p, err = r.saveAudited(ctx, p, a); err != nil {
		return Person{}, nil, err
	}
	return p, cert, nil
}

// newKey returns the key of a request. One that anybody has or had is refused:
// two persons with one key could not be told apart, and what was withdrawn
// stays so.
func (r *Register) newKey(ctx context.Context, request []byte) (key any, hash string, err error) {
	if key, hash, err = parseRequest(request); err != nil {
		return nil, "", err
	}
	for p, err := range r.store.All(ctx) {
		if err != nil {
			return nil, "", err
		}
		if slices.ContainsFunc(p.Credentials, func(c Credential) bool { return c.Key == hash }) {
			return nil, "", fault.New(fault.Conflict, "request: its key is that of a credential of %q; make a new one", p.ID)
		}
	}
	return key, hash, nil
}

// mayAppoint wants by to be another person than the one concerned, and in force
// as an appointer at this moment.
func (r *Register) mayAppoint(ctx context.Context, by membership.Actor, about ID) error {
	if by.Person == string(about) {
		return fault.New(fault.Denied, "nobody appoints themselves; \"auth renew\" is for a credential of one's own")
	}
	p, err := r.store.Load(ctx, ID(by.Person))
	if err != nil {
		return fault.New(fault.Denied, "%s is not known here", by.Person)
	}
	if err := r.stillActs(p, by); err != nil {
		return err
	}
	if !p.Has(Appointers()...) {
		return fault.New(fault.Denied, "%s is none of %v", by.Person, Appointers())
	}
	return nil
}

// stillActs wants the credential of by to be in force: it may have been
// withdrawn since the call began.
func (r *Register) stillActs(p Person, by membership.Actor) error {
	now := r.now()
	if !slices.ContainsFunc(p.Credentials, func(c Credential) bool { return c.SHA256 == by.Credential && c.InForce(now) }) {
		return fault.New(fault.Denied, "the credential of %s is not in force", by.Person)
	}
	return nil
}
