// Package checkup examines an organisation from outside, as its partners will
// meet it: CA certificates, directory, status services, what they make of each
// other. One check is one function with its source and one verdict; the same
// checks serve applicants before they apply, officers, and the nightly run.
//
// Everything asked of the network goes through the functions of [Reach], and
// every answer is bounded in bytes and time: an endpoint that is slow or hostile
// costs its deadline and nothing else. Directories are asked by a client that
// shares no code with the bridge's own.
package checkup

import (
	"cmp"
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bridge.example/internal/fault"
	"bridge.example/internal/outbound"
	"bridge.example/membership"
)

// Bounds on one examination.
const (
	totalTime = 5 * time.Minute
	checkTime = time.Minute
	askTime   = 10 * time.Second // one connection, search or request
	fetchTime = 30 * time.Second // one CRL
	parallel  = 6                // checks at a time
)

// Subject is what is examined.
type Subject struct {
	Application membership.Application
	// Fingerprints are the SHA-256 of the CA certificates, in hex, as they stand
	// on the signed form; nil when there is none yet.
	Fingerprints []string
}

// Resolver answers questions of DNS; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

var _ Resolver = (*net.Resolver)(nil)

// Reach is how far an examination reaches. Dial and Client are needed, the
// checks that need what else is missing are skipped and say so.
type Reach struct {
	Dial     outbound.DialFunc // refuses addresses that are not public
	Client   *http.Client      // likewise, at every redirect
	Resolver Resolver          // nil: the system's
	Roots    *x509.CertPool    // for the TLS of directories; nil: the system's
	Now      func() time.Time  // nil: time.Now

	// Password returns the password that a directory's credential names. It is
	// sent over TLS that verifies, or in clear where the application says so.
	Password func(credential string) ([]byte, error)
	// Others are the members in force, and Blocked the SHA-256, in hex, of public
	// keys (SubjectPublicKeyInfo) that no member may have. Nil: not known here.
	Others  *Others
	Blocked []string
	// Levels are the policies of the bridge, as dotted OIDs.
	Levels []string
	// Paths tells which paths between the subject and consenting members are
	// missing, in either direction, and which would open that lead elsewhere.
	Paths func(ctx context.Context) (missing, unexpected []string, err error)
	// Search asks the bridge's own directory for an address and returns DER.
	Search func(ctx context.Context, address string) ([][]byte, error)
	// Earlier are reports of the same subject, for what only time shows.
	Earlier []Report
	// Progress, if any, is told each finding as it comes; never two at a time.
	Progress func(f Finding, done, total int)
}

// Others is what the members in force own.
type Others struct {
	Certificates []*x509.Certificate // of their CAs
	Domains      []string            // mail domains, lower case
}

// examination is one run.
type examination struct {
	Subject
	Reach
	at            time.Time
	anchors, subs []*authority
	endpoints     []*endpoint
}

// job is one check of one target.
type job struct {
	check  Check
	target target
}

// Examine carries out all [Checks] and returns what they found, in their order.
// Errors: Invalid when the application cannot be examined at all; that of ctx.
func Examine(ctx context.Context, s Subject, r Reach) (Report, error) {
	if r.Dial == nil || r.Client == nil {
		return Report{}, fault.New(fault.Internal, "examining %s: no way out is given", s.Application.ID)
	}
	if err := s.Application.Validate(); err != nil {
		return Report{}, err
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Resolver == nil {
		r.Resolver = net.DefaultResolver
	}
	limited, cancel := context.WithTimeout(ctx, totalTime)
	defer cancel()
	x := &examination{Subject: s, Reach: r, at: r.Now().UTC().Truncate(time.Second)}
	x.prepare(limited)
	var jobs []job
	for _, c := range Checks() {
		for _, t := range c.over(x) {
			jobs = append(jobs, job{c, t})
		}
	}
	findings := make([]Finding, len(jobs))
	var group errgroup.Group
	group.SetLimit(parallel)
	var mu sync.Mutex
	done := 0
	for i, j := range jobs {
		group.Go(func() error {
			f := x.carryOut(limited, j)
			mu.Lock()
			defer mu.Unlock()
			findings[i] = f
			done++
			if r.Progress != nil {
				r.Progress(f, done, len(jobs))
			}
			return nil
		})
	}
	if err := cmp.Or(group.Wait(), ctx.Err()); err != nil {
		return Report{}, err
	}
	return Report{Member: string(s.Application.ID), At: x.at, Findings: findings}, nil
}

// prepare makes what several checks share. Whatever needs the network is asked
// for when the first check needs it, and once.
func (x *examination) prepare(ctx context.Context) {
	anchors, subs := x.Application.Certificates()
	for i, c := range anchors {
		x.anchors = append(x.anchors, newAuthority(c, x.Application.Anchors[i], "anchor"))
	}
	for i, c := range subs {
		x.subs = append(x.subs, newAuthority(c, x.Application.Intermediates[i], "intermediate"))
	}
	for _, d := range x.Application.Directories {
		x.endpoints = append(x.endpoints, x.newEndpoint(ctx, d))
	}
	for _, a := range x.authorities() {
		a.crls = x.newCRLs(ctx, a)
		a.responders = x.newResponders(ctx, a)
	}
}

func (x *examination) authorities() []*authority { return slices.Concat(x.anchors, x.subs) }

// carryOut runs one check. Others' code reads what strangers sent; a panic in
// it is a finding.
func (x *examination) carryOut(ctx context.Context, j job) (f Finding) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	r := &result{must: j.check.Must}
	defer func() {
		if recover() != nil {
			r = &result{must: j.check.Must}
			r.wrong("the check could not be carried out on what was received")
		}
		f = r.finding(j)
		f.Took = time.Since(began).Round(time.Millisecond)
	}()
	j.check.run(ctx, x, j.target, r)
	return f
}
