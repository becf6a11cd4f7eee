package checkup

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"bridge.example/internal/fault"
	"bridge.example/membership"
	"bridge.example/vdir"
)

// endpoint is one directory of the subject.
type endpoint struct {
	membership.Directory
	url     *url.URL
	dialect *vdir.Dialect // nil when not known
	mailbox string        // to ask for; may be empty
	probe   func() probe  // of its addresses; carried out once
	lookup  func() lookup // of mailbox; carried out once
}

// probe is what became of connecting to each address of an endpoint.
type probe struct {
	err       error // of resolving
	addresses []string
	errs      []error // beside addresses
}

// lookup is what became of asking for the test mailbox.
type lookup struct {
	err       error
	link      *link // closed; for what it was
	entries   []*goldap.Entry
	referrals []string
}

func (x *examination) newEndpoint(ctx context.Context, d membership.Directory) *endpoint {
	e := &endpoint{Directory: d, mailbox: d.TestMailbox}
	for _, o := range x.Application.Directories {
		e.mailbox = cmp.Or(e.mailbox, o.TestMailbox)
	}
	e.url, _ = url.Parse(d.URL) // a valid application has one
	e.dialect, _ = vdir.LookupDialect(d.Dialect)
	e.probe = once(func() probe { return x.reachAll(ctx, e) })
	e.lookup = once(func() lookup { return x.lookUp(ctx, e) })
	return e
}

// maxAddresses bounds how many addresses of a name are tried.
const maxAddresses = 8

func (x *examination) reachAll(ctx context.Context, e *endpoint) (p probe) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	host, port := hostPort(e.url)
	addrs, err := x.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		p.err = fault.New(fault.Unavailable, "resolving %s: %w", host, err)
		return p
	}
	for _, a := range addrs[:min(len(addrs), maxAddresses)] {
		address := net.JoinHostPort(a.Unmap().String(), port)
		nc, err := x.Dial(ctx, "tcp", address)
		if err == nil {
			err = nc.Close()
		}
		p.addresses, p.errs = append(p.addresses, address), append(p.errs, outside(err))
	}
	return p
}

// reached reports whether any address answers.
func (p probe) reached() bool {
	for _, err := range p.errs {
		if err == nil {
			return true
		}
	}
	return false
}

func (x *examination) open(ctx context.Context, e *endpoint) (*link, error) {
	version := 3
	if e.dialect != nil {
		version = e.dialect.Version
	}
	return x.connect(ctx, e.url, e.StartTLS, x.account(e, version))
}

func (x *examination) account(e *endpoint, version int) account {
	return account{version, e.BindDN, func() ([]byte, error) {
		if x.Password == nil {
			return nil, errNoPassword
		}
		password, err := x.Password(e.Credential)
		if err != nil { // where it lies is nobody's business
			return nil, fault.New(fault.NotFound, "the bridge cannot read the password %q", e.Credential)
		}
		return password, nil
	}}
}

func (x *examination) lookUp(ctx context.Context, e *endpoint) (out lookup) {
	ctx, cancel := context.WithTimeout(ctx, 2*askTime)
	defer cancel()
	if out.link, out.err = x.open(ctx, e); out.err != nil {
		return out
	}
	defer out.link.Close()
	var res *goldap.SearchResult
	res, _, out.err = out.link.search(ctx, e.Base, goldap.ScopeWholeSubtree, 20, e.filter(e.mailbox), e.attributes()...)
	if res != nil {
		out.entries, out.referrals = res.Entries, res.Referrals
	}
	return out
}

// filter asks for one complete address in the words of the endpoint's dialect.
func (e *endpoint) filter(address string) string {
	var terms strings.Builder
	for _, f := range e.dialect.Addresses {
		terms.WriteString("(" + f.Attribute + "=" + goldap.EscapeFilter(f.Prefix+address) + ")")
	}
	if len(e.dialect.Addresses) == 1 {
		return terms.String()
	}
	return "(|" + terms.String() + ")"
}

func (e *endpoint) attributes() []string {
	out := []string{"cn", "mail"}
	return append(out, e.dialect.Certificates...)
}

// ready reports whether an endpoint can be asked, and gives r the reason if not.
func (e *endpoint) ready(r *result, mailbox bool) bool {
	switch {
	case !e.probe().reached():
		r.skip("the endpoint cannot be reached; see D1 and D10")
	case e.dialect == nil:
		r.skip("its dialect is not known; see D2")
	case mailbox && e.mailbox == "":
		r.skip("no test mailbox is declared; see D4")
	default:
		return true
	}
	return false
}

// found is ready, and the mailbox was looked up without an error.
func (e *endpoint) found(r *result) (lookup, bool) {
	if !e.ready(r, true) {
		return lookup{}, false
	}
	l := e.lookup()
	if l.err != nil {
		r.skip("the test mailbox could not be looked up; see D4")
	}
	return l, l.err == nil
}

func checkReachable(_ context.Context, _ *examination, t target, r *result) {
	p := t.endpoint.probe()
	if p.err != nil {
		r.wrong("%v", p.err)
		return
	}
	if len(p.addresses) == 0 {
		r.wrong("its name has no address")
	}
	denied := 0
	for i, a := range p.addresses {
		switch err := p.errs[i]; {
		case err == nil:
			r.saw("%s accepts connections", a)
		case fault.KindOf(err) == fault.Denied:
			denied++
			r.saw("%s was not tried: %v", a, err)
		default:
			r.wrong("%s: %v", a, err)
		}
	}
	if denied > 0 && denied == len(p.addresses) {
		r.skip("no address is public; see D10")
	}
}

func checkProtocol(ctx context.Context, x *examination, t target, r *result) {
	e := t.endpoint
	if e.dialect == nil {
		r.wrong("the dialect %q is not known", e.Dialect)
		r.advise("Set dialect to inetOrgPerson, 389, activeDirectory, eDirectory or ldapv2.")
		return
	}
	if !e.ready(r, false) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	l, err := x.connect(ctx, e.url, e.StartTLS, x.account(e, 3))
	if err == nil {
		defer l.Close()
		r.saw("bind with LDAPv3 as %q: accepted", e.BindDN)
		return
	}
	switch code := resultCode(err); {
	case errors.Is(err, errNoPassword):
		r.skip("%v", err)
	case errors.Is(err, errKeepPassword):
		r.wrong("%v; see D3", err)
		r.advise("Give the directory a TLS certificate that verifies.")
	case e.dialect.Version == 2 && code == goldap.LDAPResultProtocolError:
		r.unwise("the directory speaks LDAPv2 only; the bridge adapts to it")
	case code == goldap.LDAPResultInvalidCredentials:
		r.wrong("bind as %q: the password is wrong", e.BindDN)
		r.advise("Give the bridge's operator the password of %s.", e.BindDN)
	default:
		r.wrong("bind with LDAPv3 as %q: %v", e.BindDN, err)
	}
}

// resultCode is the LDAP result code in err; 0 when there is none.
func resultCode(err error) uint16 {
	for code := uint16(1); code < 90; code++ {
		if goldap.IsErrorWithCode(err, code) {
			return code
		}
	}
	return 0
}

func checkTLS(ctx context.Context, x *examination, t target, r *result) {
	e := t.endpoint
	if e.url.Scheme != "ldaps" && !e.StartTLS {
		if r.wrong("neither ldaps nor StartTLS is declared: what people are asked for travels in clear"); e.BindDN != "" {
			r.saw("so does the password of %q", e.BindDN)
		}
		return
	}
	if !e.ready(r, false) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	l, err := x.connect(ctx, e.url, e.StartTLS, account{version: 3})
	if l != nil {
		defer l.Close()
	}
	switch {
	case err != nil && strings.HasPrefix(err.Error(), "starting TLS"):
		r.wrong("%v", err)
	case err != nil:
		r.skip("%v; see D2", err)
	default:
		c := l.tls.PeerCertificates[0]
		r.saw("certificate of %s, until %s", c.Subject, c.NotAfter.UTC().Format(time.RFC3339))
		if l.tlsErr != nil {
			r.wrong("the certificate does not verify: %v", l.tlsErr)
		}
	}
}

func checkInside(_ context.Context, _ *examination, t target, r *result) {
	e := t.endpoint
	p := e.probe()
	for i, a := range p.addresses {
		if fault.KindOf(p.errs[i]) == fault.Denied && p.errs[i] != nil {
			r.wrong("%s: %v", a, p.errs[i])
		}
	}
	if r.verdict != "" || !p.reached() || e.dialect == nil || e.mailbox == "" {
		if r.verdict == "" {
			r.skip("nothing could be looked up; see D1, D2 and D4")
		}
		return
	}
	l := e.lookup()
	for _, u := range l.referrals {
		// A domain controller adds references to every search of the whole domain
		// ([MS-ADTS]); the bridge leaves them out.
		if e.dialect.Name == "activeDirectory" {
			r.unwise("the answer refers to %s", u)
			r.advise("Declare a base below the domain, such as CN=Users,…, so that no references are added.")
		} else {
			r.wrong("the answer refers to %s", u)
		}
	}
	if resultCode(l.err) == goldap.LDAPResultReferral {
		r.wrong("the directory only refers to another: %v", l.err)
	}
}
