package daemon

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
	"bridge.example/internal/setup/statedir"
)

// root is the offline root above the bridge CA. Its CRL is a file that somebody
// replaces, once a month or so.
type root struct {
	dir statedir.Dir

	mu      sync.Mutex
	offline crosscert.OfflineRoot
	warned  time.Time // that the CRL runs out soon
}

// The CRL's end is announced so long before it, and so often.
const (
	crlWarning  = 7 * 24 * time.Hour
	warnedAgain = 24 * time.Hour
)

// readRoot returns the root above ca, or nil when ca signed itself. A root that
// did not certify ca, or not for all levels, is Invalid; what its CRL says is
// another matter, for a bridge goes on serving without.
func readRoot(d statedir.Dir, ca *x509.Certificate, levels []x509.OID) (*root, error) {
	cert, err := d.ReadCertificate(statedir.Root)
	selfSigned := bytes.Equal(ca.RawSubject, ca.RawIssuer)
	switch {
	case fault.KindOf(err) == fault.NotFound && err != nil && selfSigned:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("the bridge CA did not sign itself, so a root did: %w", err)
	}
	r := &root{dir: d, offline: crosscert.OfflineRoot{Certificate: cert}}
	if err := r.offline.Certifies(ca); err != nil {
		return nil, err
	}
	for _, l := range levels {
		if !slices.ContainsFunc(ca.Policies, l.Equal) {
			return nil, fault.New(fault.Invalid, "bridge.policies: the root certified the bridge CA without %s, so no path from the root is valid under it; "+
				"have it certified again, or take the level out", l)
		}
	}
	return r, nil
}

// current returns the root with its newest CRL, nil for no root. A CRL that is
// not the root's, or older than the last, is reported and not used.
func (r *root) current(log *slog.Logger) *crosscert.OfflineRoot {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l, err := statedir.ReadCRL(r.dir.RootCRL())
	if err == nil {
		err = r.offline.Replaces(l)
	}
	if err == nil {
		r.offline.CRL = l
	} else {
		log.Error("the root's CRL cannot be used", "err", err)
	}
	if l := r.offline.CRL; l != nil && time.Until(l.NextUpdate) < crlWarning && time.Since(r.warned) > warnedAgain {
		r.warned = time.Now()
		log.Warn("the root's CRL runs out; have the root make a new one", "next_update", l.NextUpdate)
	}
	now := r.offline
	return &now
}
