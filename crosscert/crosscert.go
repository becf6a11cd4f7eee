// Package crosscert is the bridge CA: it certifies the CAs of members under the
// bridge's policies, and the bridge's own signers, keeps a ledger of all it
// ever signed, and publishes what it revoked.
//
// Before the key signs, the certificate has been made once with a throwaway key
// and held against the profile (see [Lint]) and the rules of others, and its
// exact to-be-signed bytes are in the ledger. So whatever a crash leaves behind, no signature exists of
// which there is no record, and no serial is used twice.
package crosscert

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"net/url"
	"time"

	"bridge.example/internal/engine/auditlog"
)

// Where the bridge publishes, below [Options].BaseURL. The certificates that
// are issued point there, so these are for ever.
const (
	// CRLPath has the current CRL.
	CRLPath = "/bridge.crl"
	// IssuedToPath has the certificates issued to the bridge CA, as a
	// certs-only CMS message (RFC 5280 §4.2.2.1).
	IssuedToPath = "/issued-to-bridge.p7c"
)

// IssuedByPath is where the certificates issued by a member's CAs are
// published, as a certs-only CMS message (RFC 5280 §4.2.2.2).
func IssuedByPath(member string) string {
	return "/members/" + url.PathEscape(member) + "/issued.p7c"
}

// Options tune an Authority. Only BaseURL has no default.
type Options struct {
	// BaseURL is the repository's, with scheme http and without a trailing
	// slash. Not https: whoever fetches a CRL to check TLS would go in circles
	// (RFC 5280 §8).
	BaseURL string
	// Validity of cross-certificates; 3 years when zero, at most 5. It ends
	// earlier where the bridge CA's certificate or the member CA's does.
	Validity time.Duration
	// CRLValidity is nextUpdate minus thisUpdate; 7 days when zero. A CRL is
	// replaced when it is 24 hours old, or half of CRLValidity if that is less.
	CRLValidity time.Duration
	// Audit records what is about to be done, before the ledger knows of it;
	// on error it is not done. Nil where there is no audit log.
	Audit func(context.Context, auditlog.Event) error
	Now   func() time.Time // the instant of signatures; time.Now when nil
	Log   *slog.Logger     // slog.Default when nil
}

// Mapping says that a policy of a member meets a policy of the bridge.
type Mapping struct {
	Bridge, Member x509.OID
}

// Request asks for a cross-certificate from the bridge to a CA of a member.
type Request struct {
	Member string // the member's id
	// Subject is the member CA's own certificate. Name, key and key identifier
	// are taken over byte by byte.
	Subject *x509.Certificate
	// Mappings has 1 to 50 elements; order and repetition mean nothing.
	Mappings []Mapping
	// MailDomains are the 1 to 100 lower-case host names whose mail addresses,
	// and those of the hosts below them, the member's certificates may carry.
	MailDomains []string
	// ExcludedDomains are up to 100 hosts below MailDomains whose addresses, and
	// those of the hosts below them, it may not carry.
	ExcludedDomains []string
	// DirectoryNames are up to 20 names (RFC 4514) below which the subjects of
	// all certificates under Subject must lie; any when there are none. Verifiers
	// that know no such constraint, crypto/x509 among them, refuse the
	// certificate unless it is Compatible.
	DirectoryNames []string
	// MaxPathLen is how many CAs may stand between Subject and a subscriber:
	// 0 when Subject issues to subscribers only, 1 when its issuing CAs do.
	MaxPathLen int
	// Compatible makes nameConstraints, policyConstraints and inhibitAnyPolicy
	// non-critical, against RFC 5280 §4.2.1.10, §4.2.1.11 and §4.2.1.14: GnuTLS
	// and gpgsm refuse the certificate otherwise. The price is that a verifier
	// which does not know them passes over the limits they set.
	Compatible bool
}

// Profile is what one of the bridge's own signers is for.
type Profile string

const (
	// ListSigner signs the trust list: digitalSignature and contentCommitment,
	// for S/MIME (so that CMS tools accept it) and trust lists (TS 119 612).
	ListSigner Profile = "list signer"
	// OCSPSigner signs OCSP responses about what the bridge CA issued; its own
	// status need not be checked (RFC 6960 §4.2.2.2.1).
	OCSPSigner Profile = "OCSP signer"
)

// SignerRequest asks for a certificate of one of the bridge's own signers.
type SignerRequest struct {
	Profile Profile
	Name    pkix.Name
	Key     crypto.PublicKey
	// Policies are all the bridge's: a member reaches the signer over a
	// cross-certificate that demands one of them.
	Policies []x509.OID
}
