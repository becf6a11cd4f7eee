package federation

import (
	"context"
	"crypto/x509"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// InboundRequest is what a member needs to certify the bridge CA.
type InboundRequest struct {
	Inbound            crosscert.Inbound // what the certificate must be
	CertificateRequest []byte            // PKCS #10, DER
}

// InboundVerdict is what was found about a member's certificate for the bridge.
type InboundVerdict struct {
	Findings []crosscert.Finding
	// Accepted says that the certificate is in the record now, and published
	// while the member is in force.
	Accepted bool
	Case     Case // zero unless Accepted
}

// InboundRequest returns what the member id, in whatever state, needs to
// certify the bridge CA: in the flavour of its record, or compatible all the
// same. Errors: NotFound.
func (f *Federation) InboundRequest(ctx context.Context, id membership.ID, compatible bool) (InboundRequest, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return InboundRequest{}, err
	}
	in, err := f.inbound(m.Candidate())
	if err != nil {
		return InboundRequest{}, err
	}
	in.Compatible = in.Compatible || compatible
	request, err := f.Authority.CertificateRequest()
	return InboundRequest{Inbound: in, CertificateRequest: request}, err
}

// AcceptInbound checks a DER certificate that the member's CA issued to the
// bridge CA and, when nothing forbids it and it is not a trial, records and
// publishes it. Errors: NotFound; Invalid for what is no certificate; those of
// [membership.Register.AcceptInbound]. A bad certificate is no error: the
// verdict says so.
func (f *Federation) AcceptInbound(ctx context.Context, id membership.ID, by membership.Actor, der []byte, trial bool) (v InboundVerdict, err error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return v, err
	}
	if v.Findings, err = f.checkInbound(m.Candidate(), der); err != nil {
		return v, err
	}
	if err := f.alive(ctx); err != nil {
		return v, err
	}
	if trial || crosscert.InboundError(v.Findings) != nil {
		return v, nil
	}
	if m, err = f.Register.AcceptInbound(ctx, id, by, der); err != nil {
		return v, err
	}
	v.Accepted = true
	v.Case, err = f.followInbound(ctx, m)
	return v, err
}

// WithdrawInbound takes back a certificate that the member's CA issued to the
// bridge CA, named as [membership.Register.WithdrawInbound] says: it is no
// longer published when this returns, unless the case is pending. Errors: those
// of the register.
func (f *Federation) WithdrawInbound(ctx context.Context, id membership.ID, by membership.Actor, name, reason string) (Case, error) {
	m, err := f.Register.WithdrawInbound(ctx, id, by, name, reason)
	if err != nil {
		return Case{}, err
	}
	return f.followInbound(ctx, m)
}

// followInbound publishes what the record now says of certificates for the
// bridge. That this failed is no failure of what is recorded.
func (f *Federation) followInbound(ctx context.Context, m membership.Member) (Case, error) {
	if m.Served() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := f.Reconcile(ctx); err != nil {
			f.Log.Error("projections do not follow a certificate for the bridge", "member", m.ID, "err", err)
		}
	}
	return f.caseOf(ctx, m)
}

// inbound is what a certificate for the bridge must be, from an application
// that was validated.
func (f *Federation) inbound(a *membership.Application) (crosscert.Inbound, error) {
	mappings, err := mappingsOf(a)
	if err != nil {
		return crosscert.Inbound{}, err
	}
	in := crosscert.Inbound{Mappings: mappings, MailDomains: a.MailDomains, Compatible: a.CrossProfile == membership.Compatible}
	in.Anchors, _ = a.Certificates()
	for _, anchor := range a.Anchors {
		in.CRLs = append(in.CRLs, anchor.CRL...)
	}
	return f.Authority.Inbound(in), nil
}

func (f *Federation) checkInbound(a *membership.Application, der []byte) ([]crosscert.Finding, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.New(fault.Invalid, "not a certificate: %w", err)
	}
	in, err := f.inbound(a)
	if err != nil {
		return nil, err
	}
	return crosscert.CheckInbound(c, in, f.Now()), nil
}
