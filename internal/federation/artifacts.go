package federation

import (
	"crypto/x509"
	"sync"
	"time"

	"bridge.example/crosscert"
	"bridge.example/membership"
)

// Artifacts is what the bridge publishes at one moment. It is immutable.
type Artifacts struct {
	BridgeCA *x509.Certificate
	Root     *crosscert.OfflineRoot // nil when the bridge CA signed itself
	Signers  []*x509.Certificate    // of the list and of OCSP responses

	List           []byte // CMS SignedData, DER
	ListNumber     int64
	ListIssuedAt   time.Time
	ListNextUpdate time.Time
	Listed         []membership.ID // members that this list trusts

	CRL           []byte // DER
	CRLNumber     int64
	CRLThisUpdate time.Time
	CRLNextUpdate time.Time

	// Trusted holds the members in force, ordered by id.
	Trusted []Trusted

	once  sync.Once // guards paths
	paths paths
}

// Trusted is one member in force: its CA certificates, and the
// cross-certificates between it and the bridge.
type Trusted struct {
	ID            membership.ID
	Name          string
	MailDomains   []string
	Policies      []x509.OID          // the member's own that it maps to the bridge's
	Anchors       []*x509.Certificate // valid at the moment of reconciliation
	Intermediates []*x509.Certificate
	CrossTo       []*x509.Certificate // issued by the bridge to the member's anchors
	CrossFrom     []*x509.Certificate // issued by the member to the bridge
}

// Case is everything the service knows about one member: the record, and what
// each projection makes of it.
type Case struct {
	Member     membership.Member
	RecordHash string
	Projection Projection
	// Pending says why a projection does not agree with the record yet; empty
	// when all do.
	Pending string
}

// Projection is what the world sees of one member.
type Projection struct {
	Listed            bool
	ListNumber        int64    // of the current list
	DirectoryDomains  []string // mail domains that the virtual directory answers for
	ResponderIssuers  []string // subject names of CAs the virtual responder answers for
	CrossCertificates []CrossCertificate
}

// CrossCertificate is one certificate the bridge CA issued to a member.
type CrossCertificate struct {
	Serial    string // lower-case hex
	Subject   string
	NotAfter  time.Time
	RevokedAt time.Time // zero while in force
	Reason    string
}

// Status is how the federation stands.
type Status struct {
	Bridge         string // subject name of the bridge CA
	BridgeNotAfter time.Time
	ListNumber     int64
	ListNextUpdate time.Time
	CRLNumber      int64
	CRLNextUpdate  time.Time
	Members        map[membership.State]int
	ReconciledAt   time.Time
	// Problem is what the last reconciliation could not do; empty when all is well.
	Problem string
}
