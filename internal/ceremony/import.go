package ceremony

import (
	"bytes"
	"crypto/x509"
	"path/filepath"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
	"bridge.example/internal/setup/statedir"
)

// ImportCRL makes the CRL in file that of the root of the bridge in dir. A
// running bridge publishes it with its next reconciliation. Errors: Invalid for
// a CRL of somebody else or one that has run out, Conflict for one that is
// older than the one in use.
func ImportCRL(dir, file string, now time.Time) (*x509.RevocationList, error) {
	r, ca, err := above(statedir.Dir(dir))
	if err != nil {
		return nil, err
	}
	l, err := statedir.ReadCRL(file)
	if err != nil {
		return nil, err
	}
	return l, replaceCRL(statedir.Dir(dir), r, l, ca, now)
}

// ImportCertified puts what [Root.Export] wrote for the bridge in dir in the
// place of what is there: a certificate of the bridge CA that lasts longer or
// has other levels, and a CRL. A bridge takes the certificate at its next start.
// Errors: as for ImportCRL; Invalid for another root, name or key.
func ImportCertified(dir, from string, now time.Time) (*x509.Certificate, error) {
	d := statedir.Dir(dir)
	r, old, err := above(d)
	if err != nil {
		return nil, err
	}
	ca, err := statedir.ReadCertificateFile(filepath.Join(from, bridgeCAFile))
	if err != nil {
		return nil, err
	}
	l, err := statedir.ReadCRL(filepath.Join(from, rootCRLFile))
	if err != nil {
		return nil, err
	}
	if err := r.Certifies(ca); err != nil {
		return nil, err
	}
	switch {
	case !bytes.Equal(ca.RawSubject, old.RawSubject) || !bytes.Equal(ca.RawSubjectPublicKeyInfo, old.RawSubjectPublicKeyInfo):
		return nil, fault.New(fault.Invalid, "the certificate in %s is for another name or key than this bridge CA's", from)
	case ca.CRLDistributionPoints[0] != old.CRLDistributionPoints[0]:
		return nil, fault.New(fault.Invalid, "the certificate in %s has another place for the root's CRL", from)
	}
	if err := replaceCRL(d, r, l, ca, now); err != nil {
		return nil, err
	}
	return ca, d.WriteCertificate(statedir.BridgeCA, ca)
}

// above reads the root of the bridge in d as it knows it, and the bridge CA's
// certificate.
func above(d statedir.Dir) (*crosscert.OfflineRoot, *x509.Certificate, error) {
	cert, err := d.ReadCertificate(statedir.Root)
	if err != nil {
		return nil, nil, err
	}
	ca, err := d.ReadCertificate(statedir.BridgeCA)
	if err != nil {
		return nil, nil, err
	}
	// Where no CRL can be read there is nothing to be older than.
	l, _ := statedir.ReadCRL(d.RootCRL())
	return &crosscert.OfflineRoot{Certificate: cert, CRL: l}, ca, nil
}

func replaceCRL(d statedir.Dir, r *crosscert.OfflineRoot, l *x509.RevocationList, ca *x509.Certificate, now time.Time) error {
	if err := r.Replaces(l); err != nil {
		return err
	}
	next := crosscert.OfflineRoot{Certificate: r.Certificate, CRL: l}
	// One that revokes the bridge CA has to be published above all.
	if err := next.Supports(ca, now); err != nil && fault.KindOf(err) != fault.Denied {
		return err
	}
	return statedir.Replace(d.RootCRL(), l.Raw, 0o644)
}
