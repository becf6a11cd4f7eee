package federation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"bridge.example/internal/engine/pathval"
	"bridge.example/membership"
	"bridge.example/vdir"
	"bridge.example/vocsp"
)

// tables keeps what mounts and routes stand on, so that a change at one member
// costs the others neither their connections nor what was learnt.
type tables struct {
	backends map[membership.Directory]vdir.Backend
	sources  map[string]vocsp.Source
}

func newTables() tables {
	return tables{backends: map[membership.Directory]vdir.Backend{}, sources: map[string]vocsp.Source{}}
}

// close ends every connection to members.
func (t *tables) close() {
	for _, b := range t.backends {
		closeBackend(b)
	}
	*t = newTables()
}

func closeBackend(b vdir.Backend) {
	if c, ok := b.(io.Closer); ok {
		_ = c.Close() // what was in flight ends with an error of its own
	}
}

// route tells directory and responder which members to ask. When a table is
// refused, it is emptied: better no answer than one for a member that left.
func (f *Federation) route(members []membership.Member, trusted []Trusted) error {
	var key strings.Builder
	key.WriteString("own\n") // so that it is told once even where nobody is a member
	records := map[membership.ID]membership.Member{}
	for _, m := range members {
		records[m.ID] = m
	}
	for _, t := range trusted {
		// Which certificates, not how many: one may begin as another ends.
		fmt.Fprintf(&key, "%s %d", t.ID, records[t.ID].Revision)
		for _, c := range slices.Concat(t.Anchors, t.Intermediates) {
			fmt.Fprintf(&key, " %x", sha256.Sum256(c.Raw))
		}
		key.WriteByte('\n')
	}
	if key.String() == f.routed {
		return nil
	}
	next := newTables()
	var mounts []vdir.Mount
	routes := []vocsp.Route{f.Own}
	var errs []error
	for _, t := range trusted {
		m := records[t.ID]
		if t.wants(membership.InDirectory) {
			mount, err := f.mount(t, m.Directories, next)
			errs = append(errs, err)
			// A table is refused whole: what one member has wrong must not empty
			// it for the others.
			if err := mount.Validate(); err == nil {
				mounts = append(mounts, mount)
			} else {
				errs = append(errs, err)
			}
		}
		if t.wants(membership.ByResponder) {
			routes = append(routes, f.routes(t, m.Application, next)...)
		}
	}
	if err := f.Directory.SetMounts(mounts); err != nil {
		errs = append(errs, fmt.Errorf("mounting directories: %w", err), f.Directory.SetMounts(nil))
	}
	if err := f.Responder.SetRoutes(routes); err != nil {
		errs = append(errs, fmt.Errorf("routing status requests: %w", err), f.Responder.SetRoutes([]vocsp.Route{f.Own}))
	}
	for d, b := range f.tables.backends {
		if next.backends[d] != b {
			closeBackend(b)
		}
	}
	f.tables = next
	err := errors.Join(errs...)
	if err == nil {
		f.routed = key.String() // otherwise the next reconciliation tries again
	}
	return err
}

// mount is one member's place in the virtual directory. An endpoint that
// cannot be opened is left out and reported.
func (f *Federation) mount(t Trusted, directories []membership.Directory, next tables) (vdir.Mount, error) {
	check, err := chain(t)
	if err != nil {
		return vdir.Mount{Member: string(t.ID)}, fmt.Errorf("mounting %s: %w", t.ID, err)
	}
	mount := vdir.Mount{Member: string(t.ID), Name: t.Name, Domains: t.MailDomains, Check: check}
	var errs []error
	for _, d := range directories {
		dialect, ok := vdir.LookupDialect(d.Dialect)
		if !ok {
			errs = append(errs, fmt.Errorf("directory %s of %s: dialect %q is not known", d.URL, t.ID, d.Dialect))
			continue
		}
		b := f.tables.backends[d]
		if b == nil {
			var err error
			if b, err = f.Open(d); err != nil {
				errs = append(errs, fmt.Errorf("directory %s of %s: %w", d.URL, t.ID, err))
				continue
			}
		}
		next.backends[d] = b
		mount.Endpoints = append(mount.Endpoints, vdir.Endpoint{Backend: b, Base: d.Base, Dialect: dialect, Name: d.URL})
	}
	return mount, errors.Join(errs...)
}

// chain returns the check that a subscriber's certificate leads to this
// member's anchors and no other's.
func chain(t Trusted) (func(*x509.Certificate, time.Time) error, error) {
	anchors, err := parseAll(t.Anchors)
	if err != nil {
		return nil, err
	}
	intermediates, err := parseAll(t.Intermediates)
	if err != nil {
		return nil, err
	}
	pool := pathval.NewPool(intermediates...)
	return func(c *x509.Certificate, at time.Time) error {
		leaf, err := pathval.ParseCertificate(c.Raw)
		if err != nil {
			return err
		}
		// The work is bounded by the budget of pathval; there is no waiting.
		_, err = pathval.Build(context.Background(), leaf, pool, pathval.Inputs{
			Anchors: anchors, At: at, Purpose: pathval.EmailProtection(),
		})
		return err
	}, nil
}

func parseAll(in []*x509.Certificate) (out []*pathval.Certificate, err error) {
	for _, c := range in {
		p, err := pathval.ParseCertificate(c.Raw)
		if err != nil {
			return nil, fmt.Errorf("CA certificate %q: %w", c.Subject, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// routes are the CAs of one member that the responder answers for. A CA that
// renewed its certificate and kept its key is one CA: the first certificate
// declared stands for it.
func (f *Federation) routes(t Trusted, a membership.Application, next tables) (out []vocsp.Route) {
	urls := map[string][]string{}
	for _, ca := range append(a.Anchors[:len(a.Anchors):len(a.Anchors)], a.Intermediates...) {
		urls[string(ca.Certificate)] = ca.OCSP
	}
	keys := map[string]bool{}
	for _, ca := range append(t.Anchors[:len(t.Anchors):len(t.Anchors)], t.Intermediates...) {
		u := urls[string(ca.Raw)]
		if len(u) == 0 || keys[string(ca.RawSubjectPublicKeyInfo)] {
			continue
		}
		keys[string(ca.RawSubjectPublicKeyInfo)] = true
		key := fmt.Sprintf("%x %q", sha256.Sum256(ca.Raw), u)
		s := f.tables.sources[key]
		if s == nil {
			s = f.Ask(ca, u)
		}
		next.sources[key] = s
		out = append(out, vocsp.Route{Member: string(t.ID), Issuer: ca, Source: s})
	}
	return out
}
