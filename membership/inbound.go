package membership

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"bridge.example/internal/fault"
)

// Inbound is a certificate that the member's CA issued to the bridge CA and an
// officer accepted after the application, or withdrew since. It is recorded
// beside the application, outside the record hash: it opens the bridge to the
// member's own people and gives the member nothing, so no approval need bind it.
type Inbound struct {
	Certificate []byte      `json:"certificate"` // DER
	By          Actor       `json:"by"`          // the applicant, if it came with the application
	At          time.Time   `json:"at"`
	Withdrawn   *Withdrawal `json:"withdrawn,omitempty"` // nil while it stands
}

// Withdrawal is the end of a certificate for the bridge, for good.
type Withdrawal struct {
	By     Actor     `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// AcceptInbound records der, which the caller has checked, as one more
// certificate for the bridge; one that the record has already changes nothing.
// Expired ones make room when there are too many. Errors: NotFound; Invalid for
// what is no CA certificate; Conflict when there is no room, or when it was
// withdrawn.
func (r *Register) AcceptInbound(ctx context.Context, id ID, by Actor, der []byte) (Member, error) {
	if _, err := parseCA(der); err != nil {
		return Member{}, fault.New(fault.Invalid, "certificate for the bridge: %w", err)
	}
	if by.Person == "" {
		return Member{}, fault.New(fault.Denied, "accepting a certificate needs a person")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m, now, err := r.load(ctx, id)
	if err != nil {
		return Member{}, err
	}
	if w := m.withdrawn(der); w != nil {
		return Member{}, fault.New(fault.Conflict, "%s withdrew this certificate of %s (%q); have the member issue another", w.By.Person, id, w.Reason)
	}
	if slices.ContainsFunc(m.CertificatesForBridge(), func(c []byte) bool { return bytes.Equal(c, der) }) {
		return m, nil
	}
	kept := slices.Clone(m.Inbound)
	if len(kept) >= maxCAs {
		kept = slices.DeleteFunc(kept, func(i Inbound) bool {
			c, err := parseCA(i.Certificate)
			return err != nil || now.After(c.NotAfter)
		})
	}
	if len(kept) >= maxCAs {
		return Member{}, fault.New(fault.Conflict, "%s has %d certificates for the bridge already", id, len(kept))
	}
	m.Inbound = append(kept, Inbound{Certificate: bytes.Clone(der), By: by, At: now})
	return r.save(ctx, m, Decision{Verb: AcceptInbound, By: by, At: now, Fingerprints: []string{hashOf(der)}})
}

// WithdrawInbound takes back a certificate for the bridge, whether it was
// accepted or came with the application. Its name is its serial or its SHA-256
// fingerprint, in hex, colons ignored. The record keeps it, with who, when and
// why, and it is not accepted again. Errors: NotFound; Invalid without a
// reason; Conflict when it was withdrawn before, or when several have that
// serial.
func (r *Register) WithdrawInbound(ctx context.Context, id ID, by Actor, name, reason string) (Member, error) {
	if by.Person == "" {
		return Member{}, fault.New(fault.Denied, "withdrawing a certificate needs a person")
	}
	if strings.TrimSpace(reason) == "" {
		return Member{}, fault.New(fault.Invalid, "withdrawing a certificate of %s: a reason is required", id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m, now, err := r.load(ctx, id)
	if err != nil {
		return Member{}, err
	}
	der, err := m.certificateForBridge(name)
	if err != nil {
		return Member{}, err
	}
	w := &Withdrawal{By: by, Reason: reason, At: now}
	m.Inbound = slices.Clone(m.Inbound)
	if i := slices.IndexFunc(m.Inbound, func(i Inbound) bool { return bytes.Equal(i.Certificate, der) }); i >= 0 {
		m.Inbound[i].Withdrawn = w
	} else {
		m.Inbound = append(m.Inbound, Inbound{Certificate: der, By: m.AppliedBy, At: m.AppliedAt, Withdrawn: w})
	}
	return r.save(ctx, m, Decision{Verb: WithdrawInbound, By: by, Reason: reason, At: now, Fingerprints: []string{hashOf(der)}})
}

// CertificatesForBridge are the DER certificates that the member's CA issued to
// the bridge CA: those of the application, then those accepted since, without
// those withdrawn.
func (m Member) CertificatesForBridge() (out [][]byte) {
	for _, der := range m.CrossCertificates {
		if m.withdrawn(der) == nil {
			out = append(out, der)
		}
	}
	for _, i := range m.Inbound {
		if i.Withdrawn == nil {
			out = append(out, i.Certificate)
		}
	}
	return out
}

// withdrawn is how der ended, or nil.
func (m Member) withdrawn(der []byte) *Withdrawal {
	for _, i := range m.Inbound {
		if i.Withdrawn != nil && bytes.Equal(i.Certificate, der) {
			return i.Withdrawn
		}
	}
	return nil
}

// certificateForBridge is the one that stands and has that serial or
// fingerprint.
func (m Member) certificateForBridge(name string) ([]byte, error) {
	var found [][]byte
	for _, der := range m.CertificatesForBridge() {
		if named(der, name) {
			found = append(found, der)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		for _, i := range m.Inbound {
			if w := i.Withdrawn; w != nil && named(i.Certificate, name) {
				return nil, fault.New(fault.Conflict, "%s withdrew certificate %q of %s at %s", w.By.Person, name, m.ID, w.At.Format(time.RFC3339))
			}
		}
		return nil, fault.New(fault.NotFound, "%s has no certificate for the bridge with serial or SHA-256 fingerprint %q", m.ID, name)
	}
	return nil, fault.New(fault.Conflict, "%d certificates of %s for the bridge have serial %q; name one by its SHA-256 fingerprint", len(found), m.ID, name)
}

func named(der []byte, name string) bool {
	name = strings.ToLower(strings.ReplaceAll(name, ":", ""))
	sum := sha256.Sum256(der)
	if name == hex.EncodeToString(sum[:]) {
		return true
	}
	c, err := x509.ParseCertificate(der)
	return err == nil && name != "" && strings.TrimLeft(name, "0") == c.SerialNumber.Text(16)
}
