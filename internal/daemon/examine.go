package daemon

import (
	"context"
	"crypto/x509"
	"net"
	"slices"
	"time"

	"bridge.example/internal/checkup"
	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/outbound"
	"bridge.example/internal/setup/statedir"
	"bridge.example/internal/wire/ldap"
	"bridge.example/membership"
	"bridge.example/vdir"
)

// examiner returns what examines a member, as its candidate stands, with all
// that only the bridge knows.
func (d *Daemon) examiner(m *material, dial outbound.DialFunc) func(context.Context, membership.Member) (federation.Examination, error) {
	reach := checkup.Reach{
		Dial: dial, Client: d.client,
		// The name is one that membership takes for a file name.
		Password: statedir.Dir(d.config.State).ReadCredential,
	}
	for _, l := range m.levels {
		reach.Levels = append(reach.Levels, l.String())
	}
	if server := d.config.Checks.Resolver; server != "" {
		reach.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server)
		}}
	}
	return func(ctx context.Context, who membership.Member) (federation.Examination, error) {
		reach := reach // what follows is of this examination
		var err error
		if reach.Others, err = d.others(ctx, who.ID, m.bridgeCA); err != nil {
			return federation.Examination{}, err
		}
		if reach.Blocked, err = d.federation.Register.Blocked(ctx); err != nil {
			return federation.Examination{}, err
		}
		reach.Paths = func(ctx context.Context) (missing, unexpected []string, err error) {
			return d.federation.Connections(ctx, who)
		}
		reach.Earlier = earlier(who.Polls, time.Now())
		// What is in force only: the bridge shows nobody else's people.
		if who.Served() && who.Amendment == nil && who.Wants(membership.InDirectory) {
			reach.Search = d.find
		}
		report, err := checkup.Examine(ctx, checkup.Subject{Application: *who.Candidate(), Fingerprints: who.OnForm()}, reach)
		if err != nil {
			return federation.Examination{}, err
		}
		out := federation.Examination{Report: report.Encode(), Passed: report.Passed()}
		for _, f := range report.Findings {
			if f.Must && f.Verdict == checkup.Fail && !slices.Contains(out.Failed, f.ID) {
				out.Failed = append(out.Failed, f.ID)
			}
		}
		return out, nil
	}
}

// steadyTime is how far back it matters that a member's services were steady.
const steadyTime = 36 * time.Hour

// earlier are the examinations of the last time, as far as they are remembered.
func earlier(polls []membership.Poll, now time.Time) (out []checkup.Report) {
	for _, p := range polls {
		if now.Sub(p.At) > steadyTime {
			continue
		}
		r := checkup.Report{At: p.At}
		for _, id := range p.Failed {
			r.Findings = append(r.Findings, checkup.Finding{ID: id, Must: true, Verdict: checkup.Fail})
		}
		out = append(out, r)
	}
	return out
}

// others is what the members in force but one own, and the bridge CA, whose
// name and key are nobody's.
func (d *Daemon) others(ctx context.Context, but membership.ID, bridgeCA *x509.Certificate) (*checkup.Others, error) {
	members, err := d.federation.Register.Live(ctx)
	if err != nil {
		return nil, err
	}
	out := &checkup.Others{Certificates: []*x509.Certificate{bridgeCA}}
	for _, m := range members {
		if m.ID == but {
			continue
		}
		anchors, intermediates := m.Certificates()
		out.Certificates = append(append(out.Certificates, anchors...), intermediates...)
		out.Domains = append(out.Domains, m.MailDomains...)
	}
	return out, nil
}

// find asks the virtual directory for an address, and returns what it shows of
// certificates, DER.
func (d *Daemon) find(ctx context.Context, address string) (certificates [][]byte, err error) {
	outcome, err := d.directory.Search(ctx, vdir.Query{
		Base: d.config.Directory.Suffix, Scope: vdir.WholeSubtree, Attributes: []string{"userCertificate;binary"},
		Filter: ldap.Filter{Op: ldap.Equality, Attribute: "mail", Value: []byte(address)},
	}, func(e vdir.Entry) error {
		for _, a := range e.Attributes {
			certificates = append(certificates, a.Values...)
		}
		return nil
	})
	if err == nil && len(outcome.Unavailable) > 0 {
		err = fault.New(fault.Unavailable, "the member's directory did not answer the bridge")
	}
	return certificates, err
}
