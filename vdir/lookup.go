package vdir

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"bridge.example/internal/fault"
)

// Bounds on what one answer of a member may hold.
const (
	maxEntries      = 20
	maxCertificates = 64
	maxNames        = 4
	maxNameBytes    = 256
	maxCertBytes    = 64 << 10
	maxPEMBytes     = 96 << 10
)

const certificateType = "userCertificate;binary"

// errUnavailable says that no endpoint of a member answered.
var errUnavailable = fault.New(fault.Unavailable, "the member's directory does not answer")

// errEnough ends a member's answer once a bound is reached.
var errEnough = errors.New("enough")

// lookup asks m for a. It returns nil without error when the member has no
// acceptable certificate for a, errUnavailable when no endpoint answered in
// time, and the context's error when ctx ended first.
func (d *Directory) lookup(ctx context.Context, m *mount, a address) (*Entry, error) {
	member, cancel := context.WithTimeout(ctx, d.o.MemberTimeout)
	defer cancel()
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-member.Done():
		return nil, d.unanswered(ctx, m, "all slots are taken")
	}
	for i := range m.Endpoints {
		ans, err := d.ask(member, m, i, a)
		if err == nil {
			return d.entry(m, a, ans), nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		d.o.Log.Warn("member directory does not answer", "member", m.Member, "endpoint", m.Endpoints[i].Name, "err", anonymous(err))
	}
	if len(m.Endpoints) == 0 {
		return nil, nil
	}
	return nil, d.unanswered(ctx, m, "no endpoint answered")
}

// unanswered tells a member that failed from a caller that gave up.
func (d *Directory) unanswered(ctx context.Context, m *mount, reason string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.o.Log.Warn("member unavailable", "member", m.Member, "reason", reason)
	return errUnavailable
}

// answer is what a member says about one address, all its entries in one.
type answer struct {
	names []string
	certs [][]byte // DER, or what claims to be; each once
}

// ask searches endpoint i. An endpoint that has others after it gets an even
// share of the time left, so that a hanging one does not use up theirs.
func (d *Directory) ask(ctx context.Context, m *mount, i int, a address) (answer, error) {
	e := m.Endpoints[i]
	if deadline, ok := ctx.Deadline(); ok && i < len(m.Endpoints)-1 {
		share := time.Until(deadline) / time.Duration(len(m.Endpoints)-i)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, share)
		defer cancel()
	}
	var ans answer
	entries := 0
	out, err := e.Backend.Search(ctx, e.Dialect.query(e.Base, a), func(entry Entry) error {
		entries++
		ans.add(e.Dialect, &entry, a)
		if entries >= maxEntries || len(ans.certs) >= maxCertificates {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough), fault.KindOf(err) == fault.NotFound:
		return ans, nil
	case err == nil && len(out.Unavailable) > 0:
		return answer{}, errUnavailable
	}
	return ans, err
}

// add takes in one of the member's entries, if it is about a.
func (ans *answer) add(dialect *Dialect, e *Entry, a address) {
	about := slices.ContainsFunc(e.Attributes, func(at Attribute) bool {
		typ := baseType(at.Type)
		return slices.ContainsFunc(at.Values, func(v []byte) bool { return dialect.holds(typ, v, a) })
	})
	if !about {
		return
	}
	for _, at := range e.Attributes {
		switch baseType(at.Type) {
		case "cn":
			for _, v := range at.Values {
				name := dialect.text(v)
				if name != "" && len(ans.names) < maxNames && !slices.Contains(ans.names, name) {
					ans.names = append(ans.names, name)
				}
			}
		case "usercertificate":
			for _, v := range at.Values {
				der := dialect.certificate(v)
				known := slices.ContainsFunc(ans.certs, func(c []byte) bool { return bytes.Equal(c, der) })
				if !known && len(ans.certs) < maxCertificates {
					ans.certs = append(ans.certs, der)
				}
			}
		}
	}
}

// entry makes the one entry that leaves, or nil when no certificate passes.
func (d *Directory) entry(m *mount, a address, ans answer) *Entry {
	certs := d.screen(m, a, ans.certs)
	if len(certs) == 0 {
		return nil
	}
	e := &Entry{DN: "mail=" + escapeValue(a.folded) + m.people, Attributes: make([]Attribute, 0, 4)}
	e.Attributes = append(e.Attributes, d.personClasses, attribute("mail", a.text))
	if len(ans.names) > 0 {
		e.Attributes = append(e.Attributes, attribute("cn", ans.names...))
	}
	e.Attributes = append(e.Attributes, Attribute{Type: certificateType, Values: certs})
	return e
}

// text makes a directory string of a member fit to show: UTF-8 without control
// characters. It returns "" for what is too long or has nothing left.
func (d *Dialect) text(v []byte) string {
	if len(v) > maxNameBytes {
		return ""
	}
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || isBidiControl(r) {
			return -1
		}
		return r
	}, toUTF8(v, d.T61))
	return strings.TrimSpace(s)
}
