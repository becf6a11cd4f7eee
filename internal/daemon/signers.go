package daemon

import (
	"context"
	"fmt"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/setup/statedir"
)

// renewAhead is how long before its end a signer's certificate is renewed.
const renewAhead = 90 * 24 * time.Hour

// renewSigners gives the bridge's own signers new certificates, for the keys
// they have, when the old ones end soon or are by a key of the bridge CA that has
// rolled over. It happens at start; relying parties
// check signatures up to the bridge CA, so no one needs to know.
func (d *Daemon) renewSigners(ctx context.Context, m *material) error {
	if ended, err := d.authority.Ended(ctx); err != nil || !ended.IsZero() {
		return err
	}
	bridgeCA := d.authority.Certificate()
	for _, s := range []struct {
		name    string
		profile crosscert.Profile
		pair    *pair
	}{
		{statedir.ListSigner, crosscert.ListSigner, &m.listSigner},
		{statedir.OCSPSigner, crosscert.OCSPSigner, &m.ocspSigner},
	} {
		lasts := time.Now().Add(renewAhead).Before(s.pair.cert.NotAfter) || !s.pair.cert.NotAfter.Before(bridgeCA.NotAfter)
		if lasts && s.pair.cert.CheckSignatureFrom(bridgeCA) == nil {
			continue
		}
		cert, err := d.authority.IssueSigner(ctx, crosscert.SignerRequest{
			Profile: s.profile, Name: s.pair.cert.Subject, Key: s.pair.key.Public(), Policies: m.levels,
		})
		if err != nil {
			return fmt.Errorf("renewing the certificate of the %s: %w", s.profile, err)
		}
		if err := statedir.Dir(d.config.State).WriteCertificate(s.name, cert); err != nil {
			return fmt.Errorf("keeping the certificate of the %s: %w", s.profile, err)
		}
		s.pair.cert = cert
	}
	return nil
}
