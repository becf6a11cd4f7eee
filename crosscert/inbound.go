package crosscert

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"slices"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/certext"
)

// IssuedByBridgePath has the certificates that the bridge CA issued, as a
// certs-only CMS message (RFC 5280 §4.2.2.2), below [Options].BaseURL.
const IssuedByBridgePath = "/issued-by-bridge.p7c"

// Inbound says what a certificate must be that a member's CA issues to the
// bridge CA. It is the other direction of [Request]: the bridge cannot sign it,
// only ask for it, and look closely at what comes back.
type Inbound struct {
	Bridge *x509.Certificate // name, key and key identifier to be taken over byte by byte
	// Anchors are the member's CAs, one of which must sign.
	Anchors []*x509.Certificate
	// Mappings are the rows of the member's record; the certificate asserts the
	// member's policies and maps them to the bridge's.
	Mappings []Mapping
	// MailDomains are the member's own: nobody else may speak for them.
	MailDomains []string
	CRLs        []string // URLs of the anchors' CRLs; the first http one is proposed
	// IssuedBy is the URL for subjectInfoAccess: what the bridge CA issued.
	IssuedBy string
	// Compatible makes the limits non-critical, as in [Request]. The member's own
	// people bear the price: their verifiers may pass over the limits.
	Compatible bool
}

// Inbound completes what a member's record says, by what this CA is.
func (a *Authority) Inbound(in Inbound) Inbound {
	a.mu.Lock()
	defer a.mu.Unlock()
	in.Bridge, in.IssuedBy = a.signing.cert, a.o.BaseURL+IssuedByBridgePath
	return in
}

// CertificateRequest returns a DER request for a certificate (RFC 2986) over
// this CA's name and key, signed with that key: the proof of possession that a
// member's CA software asks for. What the certificate must hold besides stands
// in [Inbound]; a request would lose most of it on the way.
func (a *Authority) CertificateRequest() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.signing.key == nil {
		return nil, fault.New(fault.Denied, "the bridge has ended: it asks for no certificate")
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{RawSubject: a.signing.cert.RawSubject}, a.signing.key)
	if err != nil {
		return nil, fault.New(fault.Internal, "signing a request for a certificate: %w", err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err == nil {
		err = r.CheckSignature()
	}
	if err != nil || !bytes.Equal(r.RawSubjectPublicKeyInfo, a.signing.cert.RawSubjectPublicKeyInfo) {
		return nil, fault.New(fault.Internal, "the request just made is not for the bridge CA's key: %w", err)
	}
	return der, nil
}

// Excluded are the names that the certificate keeps out: the member's own mail
// domains, as hosts and as everything below them (RFC 5280 §4.2.1.10).
func (in Inbound) Excluded() []certext.Subtree { return mailSubtrees(in.MailDomains) }

// mailSubtrees names each domain in both forms; each alone leaves the other out.
func mailSubtrees(domains []string) (out []certext.Subtree) {
	for _, d := range domains {
		out = append(out, certext.Subtree{Form: certext.RFC822Name, Value: d}, certext.Subtree{Form: certext.RFC822Name, Value: "." + d})
	}
	return out
}

// CheckInbound holds a certificate that a member's CA issued to the bridge CA
// against in, field by field, at the instant now. A finding that is not
// [Finding].Should means that it may not be published: paths over it would
// fail, or say what the member's record does not. The others are the member's
// own risk, which it should know of.
func CheckInbound(c *x509.Certificate, in Inbound, now time.Time) []Finding {
	var out []Finding
	for _, r := range inboundRules {
		if problem := r.check(c, in); problem != "" {
			out = append(out, Finding{Rule: r.name, Source: r.source, Problem: problem, Should: r.should})
		}
	}
	if now.Before(c.NotBefore) || now.After(c.NotAfter) {
		out = append(out, Finding{Rule: "validity", Source: "RFC 5280 §4.1.2.5", Problem: "it is not valid now"})
	}
	return out
}

// InboundError is one Invalid error with all findings that forbid publishing;
// nil when there are none.
func InboundError(findings []Finding) error {
	musts := slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return f.Should })
	if len(musts) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "certificate for the bridge: %s", join(musts))
}
