package membership

import (
	"bytes"
	"context"
	"slices"
	"time"

	"bridge.example/internal/fault"
)

// Inbound is a certificate that the member's CA issued to the bridge CA and an
// officer accepted after the application. It is recorded beside the
// application, outside the record hash: it opens the bridge to the member's own
// people and gives the member nothing, so no approval need bind it.
type Inbound struct {
	Certificate []byte    `json:"certificate"` // DER
	By          Actor     `json:"by"`
	At          time.Time `json:"at"`
}

// AcceptInbound records der, which the caller has checked, as one more
// certificate for the bridge; one that the record has already changes nothing.
// Expired ones make room when there are too many. Errors: NotFound; Invalid for
// what is no CA certificate; Conflict when there is no room.
func (r *Register) AcceptInbound(ctx context.Context, id ID, by Actor, der []byte) (Member, error) {
	if _, err := parseCA(der); err != nil {
		return Member{}, fault.New(fault.Invalid, "certificate for the bridge: %w", err)
	}
	if by.Person == "" {
		return Member{}, fault.New(fault.Denied, "accepting a certificate needs a person")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m, err := r.store.Load(ctx, id)
	if err != nil {
		return Member{}, err
	}
	if slices.ContainsFunc(m.CertificatesForBridge(), func(c []byte) bool { return bytes.Equal(c, der) }) {
		return m, nil
	}
	now := r.instant()
	kept := slices.Clone(m.Inbound)
	if len(kept) == maxCAs {
		kept = slices.DeleteFunc(kept, func(i Inbound) bool {
			c, err := parseCA(i.Certificate)
			return err != nil || now.After(c.NotAfter)
		})
	}
	if len(kept) == maxCAs {
		return Member{}, fault.New(fault.Conflict, "%s has %d certificates for the bridge already", id, maxCAs)
	}
	m.Inbound = append(kept, Inbound{Certificate: bytes.Clone(der), By: by, At: now})
	if m, err = r.store.Save(ctx, m); err != nil {
		return Member{}, err
	}
	r.log.Info("certificate for the bridge accepted", "member", id, "person", by.Person)
	return m, nil
}

// CertificatesForBridge are the DER certificates that the member's CA issued to
// the bridge CA: those of the application, then those accepted since.
func (m Member) CertificatesForBridge() [][]byte {
	out := slices.Clone(m.CrossCertificates)
	for _, i := range m.Inbound {
		out = append(out, i.Certificate)
	}
	return out
}
