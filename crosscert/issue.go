package crosscert

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"slices"
	"time"

	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/fault"
)

// backdate is how far notBefore lies in the past, for verifiers whose clocks
// are slow.
const backdate = 5 * time.Minute

// Issue certifies a member's CA. It always makes a new certificate; whether one
// is needed, [Authority.Covers] tells. Errors: Invalid with everything that is
// wrong with r or, by [Lint] and then by zlint, with the certificate; those of
// the ledger. After an error the intent may stand in the ledger, until
// [Authority.Recover].
func (a *Authority) Issue(ctx context.Context, r Request) (*x509.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.permit(ctx); err != nil {
		return nil, err
	}
	t, err := a.crossTemplate(r)
	if err != nil {
		return nil, err
	}
	return a.issue(ctx, a.signing, r.Member, t, r.Subject.PublicKey)
}

// Draft returns the certificate that Issue would now make for r, linted, but
// signed by a key that exists nowhere else, in place of the bridge CA's: no
// verifier takes it for real. Serial and validity will be others. Nothing is
// recorded. The error is Invalid, as for Issue.
func (a *Authority) Draft(r Request) (*x509.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, err := a.crossTemplate(r)
	if err != nil {
		return nil, err
	}
	draft, err := a.signing.draft(t, r.Subject.PublicKey)
	if err != nil {
		return nil, err
	}
	return draft, lintError(draft)
}

// IssueSigner certifies one of the bridge's own signers for a year, through the
// same ledger, with an empty member. Errors as for Issue.
func (a *Authority) IssueSigner(ctx context.Context, r SignerRequest) (*x509.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.permit(ctx); err != nil {
		return nil, err
	}
	t, err := a.signerTemplate(r)
	if err != nil {
		return nil, err
	}
	return a.issue(ctx, a.signing, "", t, r.Key)
}

// Covers reports whether live, a certificate of this CA that is neither revoked
// nor expired, says exactly what Issue would now say for r, and for long
// enough: a third of the configured validity, or as long as any new one could.
func (a *Authority) Covers(live *x509.Certificate, r Request) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	want := a.wanted(r)
	if want == nil {
		return false
	}
	enough := earliest(a.instant().Add(a.o.Validity/3), want.NotAfter)
	return says(live, want, nil) && !live.NotAfter.Before(enough) && live.CheckSignatureFrom(a.signing.cert) == nil
}

// Remains reports whether live, issued with a key that retires and neither
// revoked nor expired, says what Issue would now say for r but for what depends
// on the key. It may stay in force beside its successor, for relying parties
// that do not know the new key yet.
func (a *Authority) Remains(live *x509.Certificate, r Request) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	want := a.wanted(r)
	return want != nil && says(live, want, ofTheKey) && slices.ContainsFunc(a.gens, func(g *generation) bool {
		return g.Phase == Retiring && live.CheckSignatureFrom(g.cert) == nil
	})
}

// wanted is what Issue would now make for r, or nil when it would refuse.
func (a *Authority) wanted(r Request) *x509.Certificate {
	t, err := a.crossTemplate(r)
	if err != nil {
		return nil
	}
	want, err := a.signing.draft(t, r.Subject.PublicKey)
	if err != nil {
		return nil
	}
	return want
}

// ofTheKey reports whether an extension says which key signed.
func ofTheKey(e pkix.Extension) bool {
	return e.Id.Equal(oidAuthorityKeyID) || e.Id.Equal(oidCRLDistributionPoints) || e.Id.Equal(oidAuthorityInfoAccess)
}

// says compares all but serial number, validity and signature, and the
// extensions that are passed over.
func says(a, b *x509.Certificate, over func(pkix.Extension) bool) bool {
	extensions := func(c *x509.Certificate) []pkix.Extension {
		if over == nil {
			return c.Extensions
		}
		return slices.DeleteFunc(slices.Clone(c.Extensions), over)
	}
	return bytes.Equal(a.RawIssuer, b.RawIssuer) &&
		bytes.Equal(a.RawSubject, b.RawSubject) &&
		bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo) &&
		slices.EqualFunc(extensions(a), extensions(b), func(e, f pkix.Extension) bool {
			return e.Id.Equal(f.Id) && e.Critical == f.Critical && bytes.Equal(e.Value, f.Value)
		})
}

// issue is the one way to the key for certificates: draft, lint, intent,
// signature, and a look at what came out.
func (a *Authority) issue(ctx context.Context, g *generation, member string, t *x509.Certificate, pub crypto.PublicKey) (*x509.Certificate, error) {
	draft, err := g.draft(t, pub)
	if err != nil {
		return nil, err
	}
	if err := lintError(draft); err != nil {
		return nil, err
	}
	selfSigned := g.cert == t
	if !selfSigned { // zlint tells by the signature, which is not its own in a draft
		if err := lintAgain(a.others, draft); err != nil {
			return nil, err
		}
	}
	tbs := draft.RawTBSCertificate
	err = a.o.Audit(ctx, auditlog.Event{
		Kind: "certificate.issue", Member: member, Evidence: []auditlog.Evidence{auditlog.Document("to-be-signed", tbs)},
		Details: map[string]string{
			"serial": draft.SerialNumber.Text(16), "subject": draft.Subject.String(), "not_after": draft.NotAfter.Format(time.RFC3339),
		},
	})
	if err != nil {
		return nil, err
	}
	record, err := a.ledger.Put(ctx, Record{
		Serial: draft.SerialNumber, Generation: g.Number, Member: member, Stage: Intended, At: a.instant(), ToBeSigned: slices.Clone(tbs),
	})
	if err != nil {
		return nil, err
	}
	cert, err := sign(t, g.cert, pub, intended{g.key, tbs})
	if err != nil {
		return nil, err
	}
	issuer := g.cert
	if selfSigned {
		issuer = cert
	}
	if err := cert.CheckSignatureFrom(issuer); err != nil {
		return nil, fault.New(fault.Internal, "checking the new certificate: %w", err)
	}
	if err := lintError(cert); err != nil {
		return nil, err
	}
	record.Stage, record.Certificate = Issued, slices.Clone(cert.Raw)
	// The signature exists: giving up now would only make one to revoke.
	if _, err := a.ledger.Put(context.WithoutCancel(ctx), record); err != nil {
		return nil, err
	}
	a.o.Log.Info("certificate issued", "generation", g.Number, "member", member, "serial", cert.SerialNumber.Text(16),
		"subject", cert.Subject.String(), "not_after", cert.NotAfter)
	return cert, nil
}

// draft makes the certificate of t with the throwaway key. All but the
// signature is as it will be.
func (g *generation) draft(t *x509.Certificate, pub crypto.PublicKey) (*x509.Certificate, error) {
	return sign(t, g.draftCA, pub, g.throwaway)
}

// sign makes a certificate and parses what came out.
func sign(t, ca *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, ca, pub, key)
	if err != nil {
		return nil, fault.New(fault.Invalid, "signing a certificate for %q: %w", t.Subject, err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.New(fault.Internal, "parsing the certificate just made: %w", err)
	}
	return c, nil
}

// intended is a key that signs only the bytes that stand in the ledger.
type intended struct {
	crypto.Signer
	tbs []byte
}

var _ crypto.MessageSigner = intended{}

// SignMessage implements [crypto.MessageSigner], which crypto/x509 prefers
// because it has the whole message.
func (s intended) SignMessage(rand io.Reader, msg []byte, o crypto.SignerOpts) ([]byte, error) {
	if !bytes.Equal(msg, s.tbs) {
		return nil, fault.New(fault.Internal, "the bytes to be signed are not those that were intended")
	}
	return crypto.SignMessage(s.Signer, rand, msg, o)
}

// Sign implements [crypto.Signer]. A digest does not show what is signed.
func (s intended) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, fault.New(fault.Internal, "a digest is not what was intended")
}

// newSerial returns 128 random bits, more than anyone could guess or repeat.
func newSerial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b) // never fails, by its documentation
	return new(big.Int).SetBytes(b)
}
