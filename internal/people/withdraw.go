package people

import (
	"context"
	"slices"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// WithdrawCredential ends one credential of the person id, named by its SHA-256
// in lower-case hex, or with "" all of them and a waiting proposal. One person
// is enough. Errors: NotFound; Invalid without a reason; Conflict when fewer
// than two persons would be left who can appoint others.
func (r *Register) WithdrawCredential(ctx context.Context, by membership.Actor, id ID, sha256, reason string) (Person, error) {
	act := Act{Verb: "withdraw-credential", By: by, Person: id, Reason: reason}
	return r.withdraw(ctx, &act, func(p *Person, w Withdrawal) error {
		found := false
		for i := range p.Credentials {
			c := &p.Credentials[i]
			if (sha256 == "" || c.SHA256 == sha256) && c.Withdrawal == nil {
				if c.InForce(w.At) {
					act.Credentials = append(act.Credentials, c.SHA256)
				}
				c.Withdrawal, found = &w, true
			}
		}
		if sha256 == "" {
			found = found || p.Proposal != nil
			p.Proposal = nil
		}
		if !found {
			return fault.New(fault.NotFound, "%q has no such credential to withdraw", id)
		}
		return nil
	})
}

// WithdrawRole takes one role from the person id. Errors as for
// [Register.WithdrawCredential].
func (r *Register) WithdrawRole(ctx context.Context, by membership.Actor, id ID, role membership.Role, reason string) (Person, error) {
	act := Act{Verb: "withdraw-role", By: by, Person: id, Reason: reason, Roles: []membership.Role{role}}
	return r.withdraw(ctx, &act, func(p *Person, _ Withdrawal) error {
		i := slices.Index(p.Roles, role)
		if i < 0 {
			return fault.New(fault.NotFound, "%q is no %s", id, role)
		}
		p.Roles = slices.Delete(p.Roles, i, i+1)
		if len(p.Roles) == 0 {
			p.Member = ""
		}
		return nil
	})
}

// withdraw carries out change, which may add to a what is only known then.
func (r *Register) withdraw(ctx context.Context, a *Act, change func(*Person, Withdrawal) error) (p Person, err error) {
	if a.Reason, err = cleanText("reason", a.Reason, true); err != nil {
		return Person{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, err = r.store.Load(ctx, a.Person); err != nil {
		return Person{}, err
	}
	actor, err := r.store.Load(ctx, ID(a.By.Person))
	if err != nil {
		return Person{}, err
	}
	if err := r.stillActs(actor, a.By); err != nil {
		return Person{}, err
	}
	if err := change(&p, Withdrawal{At: r.instant(), By: a.By, Reason: a.Reason}); err != nil {
		return Person{}, err
	}
	if err := r.keepAppointers(ctx, p); err != nil {
		return Person{}, err
	}
	a.Member = p.Member
	return r.save(ctx, p, *a)
}

// keepAppointers refuses a change of next that takes away one of the last two
// who can appoint others: from there, no way leads back.
func (r *Register) keepAppointers(ctx context.Context, next Person) error {
	now := r.now()
	can := func(p Person) bool { return p.Has(Appointers()...) && p.Reachable(now) }
	left, lost := 0, false
	for p, err := range r.store.All(ctx) {
		if err != nil {
			return err
		}
		if p.ID == next.ID {
			lost = can(p) && !can(next)
			p = next
		}
		if can(p) {
			left++
		}
	}
	if lost && left < quorum {
		return fault.New(fault.Conflict, "only %d officer or operator would be left, who could appoint nobody: appoint another first, "+
			"or renew the credential and withdraw the old one", left)
	}
	return nil
}
