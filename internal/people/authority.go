package people

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"

	"bridge.example/internal/fault"
)

// Authority is the admin CA. It has nothing to do with the bridge CA.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// NewAuthority returns the CA of cert, whose key is key.
func NewAuthority(cert *x509.Certificate, key crypto.Signer) Authority { return Authority{cert, key} }

// skew is for persons whose clocks are behind.
const skew = 5 * time.Minute

// Issue makes a client certificate for a person, good for a year or until the
// CA ends. It opens nothing before it stands in the person's record.
func (a Authority) Issue(id ID, public crypto.PublicKey, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	end := now.AddDate(1, 0, 0)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	if !end.After(now) {
		return nil, fault.New(fault.Unavailable, "the admin CA expired at %s", a.cert.NotAfter.UTC().Format(time.RFC3339))
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial.SetBit(serial, 126, 1), // never zero, never short
		Subject:      pkix.Name{CommonName: string(id)},
		NotBefore:    now.Add(-skew), NotAfter: end,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a.cert, public, a.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

const maxRequestBytes = 16 << 10

// parseRequest reads a PKCS #10 (RFC 2986) and returns its public key, proven
// by its signature. Whatever else it says is ignored: names come from records.
func parseRequest(der []byte) (crypto.PublicKey, string, error) {
	if len(der) > maxRequestBytes {
		return nil, "", fault.New(fault.Invalid, "request: longer than %d bytes", maxRequestBytes)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, "", fault.New(fault.Invalid, "request: %w", err)
	}
	if !strong(r.PublicKey) { // before its signature: a huge key costs time
		return nil, "", fault.New(fault.Invalid, "request: want a key on P-256, P-384 or Ed25519, or RSA with 3072 to 8192 bits")
	}
	if err := r.CheckSignature(); err != nil {
		return nil, "", fault.New(fault.Invalid, "request: %w", err)
	}
	return r.PublicKey, fingerprint(r.RawSubjectPublicKeyInfo), nil
}

func strong(key crypto.PublicKey) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256() || k.Curve == elliptic.P384()
	case ed25519.PublicKey:
		return true
	case *rsa.PublicKey:
		return k.N.BitLen() >= 3072 && k.N.BitLen() <= 8192
	}
	return false
}
