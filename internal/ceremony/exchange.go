package ceremony

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bridge.example/internal/fault"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

// The files that come back from the root.
const (
	rootFile     = "root.pem"
	rootCRLFile  = "root.crl"
	bridgeCAFile = "bridge-ca.pem"
)

// maxRequestBytes is far above any request for a certificate.
const maxRequestBytes = 64 << 10

// RequestOptions say for what bridge CA a root is asked. Name has no default.
type RequestOptions struct {
	Name, Country string
	Kind          keys.Kind
	Key           string // a file or pkcs11: URI of a key that exists already
	Passphrase    func() ([]byte, error)
	PlainKeys     bool
}

// Request begins the state directory dir, which must not exist or be empty
// (Conflict), with the key of the bridge CA, and a request that a root can
// certify. [Found] goes on from there.
func Request(dir string, o RequestOptions) (*Report, error) {
	if o.Kind == "" {
		o.Kind = keys.RSA3072
	}
	switch {
	case strings.TrimSpace(o.Name) == "":
		return nil, fault.New(fault.Invalid, "name: a bridge needs one")
	case !slices.Contains(kinds, o.Kind):
		return nil, fault.New(fault.Invalid, "%q is not a kind of key", o.Kind)
	}
	d := statedir.Dir(dir)
	if err := vacant(d, d.Config()); err != nil {
		return nil, err
	}
	passphrase, err := newPassphrase(o.PlainKeys, o.Passphrase)
	if err != nil {
		return nil, err
	}
	existing, err := openExisting(map[string]string{statedir.BridgeCA: o.Key}, passphrase)
	if err != nil {
		return nil, err
	}
	if err := begin(d, d.Folders()); err != nil {
		return nil, err
	}
	r := &Report{Made: "request", Directory: dir, Request: d.Request()}
	key, err := keyring{d, passphrase, existing, r}.key(statedir.BridgeCA, o.Kind)
	if err != nil {
		return nil, err
	}
	if err := writeRequest(d, key, o.Name, o.Country); err != nil {
		return nil, err
	}
	if r.RequestKey, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		return nil, err
	}
	return r, finish(d)
}

// writeRequest signs a request over the bridge CA's name and key (RFC 2986). It
// stays for when the root is asked again.
func writeRequest(d statedir.Dir, key crypto.Signer, bridge, country string) error {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject(bridge, country, bridge+" CA")}, key)
	if err != nil {
		return fault.New(fault.Internal, "signing a request for a certificate: %w", err)
	}
	return statedir.Replace(d.Request(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), 0o644)
}

// ReadRequest reads a request for a certificate in PEM. Its signature is checked
// by [Root.Certify].
func ReadRequest(path string) (*x509.CertificateRequest, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxRequestBytes {
		return nil, fault.New(fault.Invalid, "reading %s: longer than %d bytes", path, maxRequestBytes)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.NotFound, "reading request: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, fault.New(fault.Invalid, "reading %s: want a certificate request in PEM", path)
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fault.New(fault.Invalid, "reading %s: %w", path, err)
	}
	return r, nil
}

// Export writes what goes back to the bridge into dir: the certificates of root
// and bridge CA, and the root's CRL.
func (r *Root) Export(ctx context.Context, dir string, ca *x509.Certificate) error {
	crl, err := r.CRL(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.New(fault.Denied, "writing what goes to the bridge: %w", err)
	}
	for name, c := range map[string]*x509.Certificate{rootFile: r.Certificate, bridgeCAFile: ca} {
		if err := statedir.WritePEM(filepath.Join(dir, name), c); err != nil {
			return err
		}
	}
	return statedir.Replace(filepath.Join(dir, rootCRLFile), crl.Raw, 0o644)
}

// KeyFingerprint is the SHA-256 of a SubjectPublicKeyInfo, as [Fingerprint].
func KeyFingerprint(spki []byte) string {
	h := sha256.Sum256(spki)
	return strings.ReplaceAll(fmt.Sprintf("% X", h), " ", ":")
}
