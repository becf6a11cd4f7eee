package crosscert

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"io"
	"math/big"
	"slices"
	"time"

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
	t, err := a.crossTemplate(r)
	if err != nil {
		return nil, err
	}
	return a.issue(ctx, r.Member, t, r.Subject.PublicKey)
}

// Draft returns the certificate that Issue would now make for r, linted, but
// signed by a key that exists nowhere else, in place of the bridge CA's: no
// verifier takes it for real. Serial and validity will be others. Nothing is
// recorded. The error is Invalid, as for Issue.
func (a *Authority) Draft(r Request) (*x509.Certificate, error) {
	t, err := a.crossTemplate(r)
	if err != nil {
		return nil, err
	}
	draft, err := a.draft(t, r.Subject.PublicKey)
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
	t, err := a.signerTemplate(r)
	if err != nil {
		return nil, err
	}
	return a.issue(ctx, "", t, r.Key)
}

// Covers reports whether live, a certificate of this CA that is neither revoked
// nor expired, says exactly what Issue would now say for r, and for long
// enough: a third of the configured validity, or as long as any new one could.
func (a *Authority) Covers(live *x509.Certificate, r Request) bool {
	t, err := a.crossTemplate(r)
	if err != nil {
		return false
	}
	want, err := a.draft(t, r.Subject.PublicKey)
	if err != nil {
		return false
	}
	enough := a.instant().Add(a.o.Validity / 3)
	if enough.After(want.NotAfter) {
		enough = want.NotAfter
	}
	return bytes.Equal(live.RawIssuer, want.RawIssuer) &&
		bytes.Equal(live.RawSubject, want.RawSubject) &&
		bytes.Equal(live.RawSubjectPublicKeyInfo, want.RawSubjectPublicKeyInfo) &&
		sameExtensions(live, want) &&
		!live.NotAfter.Before(enough) &&
		live.CheckSignatureFrom(a.cert) == nil
}

func sameExtensions(a, b *x509.Certificate) bool {
	if len(a.Extensions) != len(b.Extensions) {
		return false
	}
	for i, e := range a.Extensions {
		f := b.Extensions[i]
		if !e.Id.Equal(f.Id) || e.Critical != f.Critical || !bytes.Equal(e.Value, f.Value) {
			return false
		}
	}
	return true
}

// issue is the one way to the key for certificates: draft, lint, intent,
// signature, and a look at what came out.
func (a *Authority) issue(ctx context.Context, member string, t *x509.Certificate, pub crypto.PublicKey) (*x509.Certificate, error) {
	draft, err := a.draft(t, pub)
	if err != nil {
		return nil, err
	}
	if err := lintError(draft); err != nil {
		return nil, err
	}
	if err := lintAgain(a.others, draft); err != nil {
		return nil, err
	}
	tbs := draft.RawTBSCertificate
	record, err := a.ledger.Put(ctx, Record{
		Serial: draft.SerialNumber, Member: member, Stage: Intended, At: a.instant(), ToBeSigned: slices.Clone(tbs),
	})
	if err != nil {
		return nil, err
	}
	cert, err := sign(t, a.cert, pub, intended{a.key, tbs})
	if err != nil {
		return nil, err
	}
	if err := cert.CheckSignatureFrom(a.cert); err != nil {
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
	a.o.Log.Info("certificate issued", "member", member, "serial", cert.SerialNumber.Text(16),
		"subject", cert.Subject.String(), "not_after", cert.NotAfter)
	return cert, nil
}

// draft makes the certificate of t with the throwaway key. All but the
// signature is as it will be.
func (a *Authority) draft(t *x509.Certificate, pub crypto.PublicKey) (*x509.Certificate, error) {
	return sign(t, a.draftCA, pub, a.throwaway)
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
