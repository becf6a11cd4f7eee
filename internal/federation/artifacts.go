package federation

import (
	"bytes"
	"crypto/x509"
	"slices"
	"sync"
	"time"

	"bridge.example/crosscert"
	"bridge.example/membership"
	"bridge.example/signedlist"
)

// Artifacts is what the bridge publishes at one moment. It is immutable.
type Artifacts struct {
	BridgeCA *x509.Certificate
	Root     *crosscert.OfflineRoot // nil when the bridge CA signed itself
	Ended    bool                   // the bridge: this is what is left of it
	Signers  []*x509.Certificate    // of the list and of OCSP responses

	// Publication is the list in every form; the fields below are of it. Nil before
	// the first.
	Publication    *signedlist.Publication
	List           []byte // CMS SignedData, DER
	ListNumber     int64
	ListIssuedAt   time.Time
	ListNextUpdate time.Time
	Listed         []membership.ID // members that this list trusts

	// Generations are the keys of the bridge CA, the oldest first.
	Generations []Generation

	CRL           []byte // DER, of the generation that signs
	CRLNumber     int64
	CRLThisUpdate time.Time
	CRLNextUpdate time.Time

	// Trusted holds the members in force, ordered by id.
	Trusted []Trusted

	once  sync.Once // guards paths
	paths paths
}

// show makes a publish p, which may be nil.
func (a *Artifacts) show(p *signedlist.Publication) {
	if p == nil {
		return
	}
	a.Publication, a.List = p, p.DER
	a.ListNumber, a.ListIssuedAt, a.ListNextUpdate = p.Number, p.IssuedAt, p.NextUpdate
	for _, e := range p.Entries {
		a.Listed = append(a.Listed, membership.ID(e.Member))
	}
}

// Generation is one key of the bridge CA as it is published.
type Generation struct {
	crosscert.Generation
	Parsed *x509.Certificate   // its self-signed certificate
	Links  []*x509.Certificate // OldWithNew and NewWithOld that are valid, if any
	CRL    *x509.RevocationList
}

// Links are the link certificates between all keys of the bridge CA.
func (a *Artifacts) Links() (out []*x509.Certificate) {
	for _, g := range a.Generations {
		out = append(out, g.Links...)
	}
	return out
}

// IssuedTo are the certificates issued to a generation: by members, and by the
// generations beside it.
func (a *Artifacts) IssuedTo(g Generation) (out []*x509.Certificate) {
	all := a.Links()
	if a.Root != nil {
		all = append(all, a.BridgeCA)
	}
	for _, t := range a.Trusted {
		all = append(all, t.CrossFrom...)
	}
	for _, c := range all {
		if bytes.Equal(c.RawSubjectPublicKeyInfo, g.Parsed.RawSubjectPublicKeyInfo) {
			out = append(out, c)
		}
	}
	return out
}

// Trusted is one member in force: its CA certificates, and the
// cross-certificates between it and the bridge.
type Trusted struct {
	ID            membership.ID
	Name          string
	MailDomains   []string
	Services      []membership.Service // wanted; none means all
	Policies      []x509.OID           // the member's own that it maps to the bridge's
	Levels        []x509.OID           // those of the bridge that it maps them to
	Anchors       []*x509.Certificate  // valid at the moment of reconciliation
	Intermediates []*x509.Certificate
	CrossTo       []*x509.Certificate // issued by the bridge to the member's anchors
	CrossFrom     []*x509.Certificate // issued by the member to the bridge
}

func (t Trusted) wants(s membership.Service) bool {
	return len(t.Services) == 0 || slices.Contains(t.Services, s)
}

// Case is everything the service knows about one member: the record, and what
// each projection makes of it.
type Case struct {
	Member     membership.Member
	RecordHash string
	Next       []membership.Next // what could be decided now
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
	// Untrusted says of each CA certificate declared that the world does not see
	// now why it does not.
	Untrusted []string
}

// CrossCertificate is one certificate the bridge CA issued to a member.
type CrossCertificate struct {
	Serial    string // lower-case hex
	Subject   string
	NotAfter  time.Time
	RevokedAt time.Time // zero while in force
	Reason    string
}

// GenerationStatus is how one key of the bridge CA stands.
type GenerationStatus struct {
	Number        int
	Phase         crosscert.Phase
	Since         time.Time // zero for a key that never rolled over
	NotAfter      time.Time
	InForce       int // certificates, without links
	CRLNumber     int64
	CRLNextUpdate time.Time
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
	Generations    []GenerationStatus // of the bridge CA's key, the oldest first
	EndedAt        time.Time          // zero while the bridge lives
	ReconciledAt   time.Time
	// Problem is what the last reconciliation could not do; empty when all is well.
	Problem string
}
