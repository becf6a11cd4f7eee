package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"log/slog"
	"strings"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/adminapi"
	"bridge.example/internal/edge/boltstore"
	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/notice"
	"bridge.example/membership"
)

// notices are one of each sort: wrong now, over, due, and not yet.
func notices(context.Context) ([]notice.Item, error) {
	at := time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC)
	return []notice.Item{
		{Key: "status 1", Member: "alpha", Kind: "status", Text: "nobody answers, \x1b[2J at all; so it is"},
		{Key: "crl 1", Member: "alpha", Kind: "crl", Text: "the CRL of \"CN=Alpha\"", Ends: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Key: "ca 1", Kind: "bridge-ca", Text: strings.Repeat("Brücke ", 20), Ends: at, Ahead: []time.Duration{200 * 365 * 24 * time.Hour}},
		{Key: "audit 1", Member: "beta", Kind: "audit", Text: "the letter", Ends: at.AddDate(1, 0, 0), Ahead: notice.Usual()},
	}, nil
}

var _ adminapi.Federation = fakeFederation{}

// fakeFederation is a true register, whose checks and projections are made up.
type fakeFederation struct {
	*membership.Register
	store     *boltstore.Store
	published []federation.Trusted
}

// now is when everything happens.
func now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func newFederation(path string) (fakeFederation, error) {
	store, err := boltstore.Create(path)
	if err != nil {
		return fakeFederation{}, err
	}
	return fakeFederation{store: store, Register: membership.NewRegister(store.Members(), membership.Options{
		Log: slog.New(slog.DiscardHandler), Now: now, Documents: store.Documents(),
	})}, nil
}

func (f fakeFederation) Apply(ctx context.Context, by membership.Actor, a membership.Application) (federation.Case, error) {
	return caseOf(f.Register.Apply(ctx, by, a))
}

func (f fakeFederation) Edit(ctx context.Context, id membership.ID, by membership.Actor, hash string, a membership.Application) (federation.Case, error) {
	return caseOf(f.Register.Edit(ctx, id, by, hash, a))
}

// Check fails for members whose sector is "broken".
func (f fakeFederation) Check(ctx context.Context, id membership.ID, by membership.Actor) (federation.Case, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return federation.Case{}, err
	}
	r := membership.Report{RecordHash: m.RecordHash(), Passed: true}
	content := `{"findings": [{"id": "C1", "title": "X.509v3", "must": true, "verdict": "ok"},
		{"id": "D3", "title": "TLS", "verdict": "warn", "subject": "ldap://h", "evidence": ["no TLS \u001b[2J"], "fix": "offer StartTLS"}]}`
	if m.Candidate().Sector == "broken" {
		r.Passed, r.Failed = false, []string{"V1"}
		content = `{"findings": [{"id": "V1", "title": "CRL retrieved", "source": "RFC 5280 §6.3", "must": true, "verdict": "fail", "subject": "http://crl", "evidence": ["404"], "fix": "publish it"}]}`
	}
	if r.Document, err = f.PutDocument(ctx, id, []byte(content)); err != nil {
		return federation.Case{}, err
	}
	return caseOf(f.Register.Examined(ctx, id, by, r))
}

// Decide holds an approval against the preview, as the true one does, and
// examines before it activates.
func (f fakeFederation) Decide(ctx context.Context, id membership.ID, d membership.Decision) (federation.Case, error) {
	switch d.Verb {
	case membership.Approve:
		if p, err := f.Preview(ctx, id); err != nil {
			return federation.Case{}, err
		} else if p.Digest() != d.Preview {
			return federation.Case{}, fault.New(fault.Conflict, "approve %s: the preview seen is another", id)
		}
	case membership.Activate:
		if _, err := f.Check(ctx, id, d.By); err != nil {
			return federation.Case{}, err
		}
	}
	return caseOf(f.Register.Decide(ctx, id, d))
}

func (f fakeFederation) PutDocument(ctx context.Context, id membership.ID, content []byte) (string, error) {
	return f.store.Documents().Put(ctx, id, content)
}

func (f fakeFederation) Document(ctx context.Context, id membership.ID, hash string) ([]byte, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return nil, err
	}
	if !m.Names(hash) {
		return nil, fault.New(fault.NotFound, "the record of %s names no document %q", id, hash)
	}
	return f.store.Documents().Get(ctx, id, hash)
}

func (f fakeFederation) Case(ctx context.Context, id membership.ID) (federation.Case, error) {
	return caseOf(f.Register.Member(ctx, id))
}

// Preview has names that neither a terminal nor XML must see as they are.
func (f fakeFederation) Preview(ctx context.Context, id membership.ID) (federation.Preview, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return federation.Preview{}, err
	}
	level, err := x509.ParseOID("1.2.3")
	if err != nil {
		return federation.Preview{}, err
	}
	path := func(c federation.Change, from, to membership.ID, ca string, beyond bool) federation.PreviewPath {
		return federation.PreviewPath{
			Change: c, From: from, To: to, Anchor: "CN=" + string(from), CA: ca, Policies: []x509.OID{level},
			Via: []string{"CN=Bridge <&>", ca}, Beyond: beyond,
		}
	}
	return federation.Preview{
		RecordHash: m.RecordHash(), Bridge: "CN=Bridge <&>", Members: []membership.ID{id, "beta", "gamma"}, Opened: 3, Closed: 1, Kept: 1, Cut: 2, CutOthers: 1,
		Paths: []federation.PreviewPath{
			path(federation.Opens, id, "beta", "CN=Beta \"]]><script>\x1b[2J", false), path(federation.Opens, "beta", id, "CN=Issuing", false),
			path(federation.Opens, "beta", id, "CN=Other Bridge", true),
			path(federation.Closes, "gamma", id, "CN=Old", false), path(federation.Stays, "beta", "gamma", "CN=Gamma", false),
		},
		Overlaps: []federation.Overlap{{Kind: federation.MailDomain, Name: "mail.beta.example", With: "beta", Other: "beta.example"}, {Kind: federation.CAName, Name: "CN=BRIDGE", Other: "CN=Bridge"}},
	}, nil
}

// InboundRequest asks as if the member's first CA were the bridge.
func (f fakeFederation) InboundRequest(ctx context.Context, id membership.ID, compatible bool) (federation.InboundRequest, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return federation.InboundRequest{}, err
	}
	anchors, _ := m.Certificates()
	return federation.InboundRequest{CertificateRequest: []byte("a request"), Inbound: crosscert.Inbound{
		Bridge: anchors[0], Anchors: anchors, MailDomains: m.MailDomains, IssuedBy: "http://repository.example/issued-by-bridge.p7c",
		Compatible: compatible,
	}}, nil
}

func (f fakeFederation) WithdrawInbound(ctx context.Context, id membership.ID, by membership.Actor, name, reason string) (federation.Case, error) {
	return caseOf(f.Register.WithdrawInbound(ctx, id, by, name, reason))
}

// AcceptInbound finds fault with a root.
func (f fakeFederation) AcceptInbound(ctx context.Context, id membership.ID, by membership.Actor, der []byte, trial bool) (v federation.InboundVerdict, err error) {
	v.Findings = []crosscert.Finding{{Rule: "policyConstraints", Source: "RFC 5280 §4.2.1.11", Problem: "not critical", Should: true}}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return v, err
	}
	if _, err := f.Register.Member(ctx, id); err != nil {
		return v, err
	}
	if bytes.Equal(c.RawSubject, c.RawIssuer) {
		v.Findings = append(v.Findings, crosscert.Finding{Rule: "subject", Source: "RFC 5280 §6.1.3", Problem: "not the bridge CA's name"})
	} else if !trial {
		v.Accepted = true
		v.Case, err = caseOf(f.Register.AcceptInbound(ctx, id, by, der))
	}
	return v, err
}

func caseOf(m membership.Member, err error) (federation.Case, error) {
	if err != nil {
		return federation.Case{}, err
	}
	c := federation.Case{Member: m, RecordHash: m.RecordHash(), Next: m.Next(now())}
	if m.ID == "liar" {
		c.RecordHash = strings.Repeat("0", 64)
	}
	if !m.ActiveSince.IsZero() {
		x := federation.CrossCertificate{Serial: "2a", Subject: "CN=Alpha Root", NotAfter: m.Since.AddDate(1, 0, 0)}
		if m.State == membership.Suspended {
			x.RevokedAt, x.Reason = m.Since, "cessationOfOperation"
		}
		c.Projection = federation.Projection{CrossCertificates: []federation.CrossCertificate{x}}
	}
	if m.Served() {
		c.Projection.Listed, c.Projection.ListNumber = true, 7
		c.Projection.DirectoryDomains = m.MailDomains
		c.Projection.ResponderIssuers = []string{"CN=Alpha Root"}
	}
	return c, nil
}

// Status has a problem that a terminal must not see as it is.
func (f fakeFederation) Status(context.Context) (federation.Status, error) {
	return federation.Status{
		Bridge: "CN=Test Bridge", BridgeNotAfter: time.Date(2036, 1, 2, 3, 4, 5, 0, time.UTC),
		ListNumber: 7, CRLNumber: 3, Members: map[membership.State]int{membership.Active: 2},
		Generations: []federation.GenerationStatus{
			{Number: 1, Phase: crosscert.Retiring, NotAfter: time.Date(2036, 1, 2, 3, 4, 5, 0, time.UTC), InForce: 4},
			{Number: 2, Phase: crosscert.Signing, NotAfter: time.Date(2041, 1, 2, 3, 4, 5, 0, time.UTC), InForce: 3},
		},
		Problem: "alpha says \x1b[2J\u009b1m\u202e\nbridgectl: hint: obey",
	}, nil
}

func (f fakeFederation) Artifacts() *federation.Artifacts {
	return &federation.Artifacts{Trusted: f.published, List: []byte("a list\n"), ListNumber: 7, ListNextUpdate: time.Date(2026, 1, 9, 3, 4, 5, 0, time.UTC)}
}
