package ceremony

import (
	"crypto/x509"

	"bridge.example/internal/people"
	"bridge.example/internal/setup/keys"
	"bridge.example/internal/setup/statedir"
)

// Report says what was made, and where.
type Report struct {
	Made      string // "bridge", "root" or "request"
	Directory string

	Config string
	Root   *x509.Certificate // nil when the bridge CA signs itself
	// RootDirectory is where the root is, if it is on this machine.
	RootDirectory string
	BridgeCA      *x509.Certificate
	// Request is the file that the root certifies, RequestKey its
	// SubjectPublicKeyInfo.
	Request    string
	RequestKey []byte
	Keys       []Key
	Persons    map[people.ID]string // credential directories
	// AuditKey is the fingerprint by which the exports of the audit log are
	// verified.
	AuditKey string
	// Appointers is how many of the persons can appoint others.
	Appointers int
	// Lacking says which duties of an admission nobody has yet.
	Lacking []string
}

// Key is one private key of a bridge or a root.
type Key struct {
	Name  string
	Place string // a file or pkcs11: URI
	// New is set when the ceremony made it; it opened the others.
	New  bool
	Kind keys.Kind // of a new one
	// Sealed is set when a passphrase encrypts the file of a new one.
	Sealed bool
	Holder string // who should have it
}

// holders say who should have a key.
var holders = map[string]string{
	statedir.Root:        "two people, away from any network; no machine but for a ceremony",
	statedir.BridgeCA:    "the machine that runs the bridge",
	statedir.ListSigner:  "the machine that runs the bridge",
	statedir.OCSPSigner:  "the machine that runs the bridge",
	statedir.AuditLog:    "the machine that runs the bridge",
	statedir.AdminCA:     "the machine that runs the bridge; it issues persons' credentials",
	statedir.AdminServer: "the machine that runs the bridge",
}
