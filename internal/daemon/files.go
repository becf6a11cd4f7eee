package daemon

import (
	"context"
	"crypto/x509"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"bridge.example/crosscert"
	"bridge.example/internal/edge/repository"
	"bridge.example/internal/fault"
	"bridge.example/internal/federation"
	"bridge.example/internal/wire/cms"
	"bridge.example/signedlist"
)

// Where the repository publishes, beside the paths of [crosscert], which stand
// in certificates, and those of [ListPathOf].
const (
	ListPath     = "/" + signedlist.ListName
	BridgeCAPath = "/bridge-ca.cer"
)

// ListPathOf is where a form of a list stays for ever. The latest is at "/" and
// the name, too.
func ListPathOf(number int64, name string) string { return fmt.Sprintf("/lists/%d/%s", number, name) }

// BridgeCAPathOf is the certificate of one key of the bridge CA from the second
// on, which is there before it signs anything else; BridgeCAPath has the one that
// signs now.
func BridgeCAPathOf(generation int) string { return fmt.Sprintf("/bridge-ca-%d.cer", generation) }

// files shows the federation's artifacts as files. It is a repository.Source.
type files struct {
	federation *federation.Federation
	publisher  *signedlist.Publisher

	mu   sync.Mutex
	of   *federation.Artifacts // what made was made of
	made *repository.Files
}

func newFiles(f *federation.Federation, p *signedlist.Publisher) *files {
	return &files{federation: f, publisher: p}
}

// Old is for [repository.Options]: what is at the paths of lists that were
// followed by others.
func (s *files) Old(ctx context.Context, path string) (repository.File, error) {
	none := fault.New(fault.NotFound, "%s is no path of a list", path)
	rest, ok := strings.CutPrefix(path, "/lists/")
	digits, name, named := strings.Cut(rest, "/")
	number, err := strconv.ParseInt(digits, 10, 64)
	// Each file has one path.
	if !ok || !named || err != nil || number > s.federation.Artifacts().ListNumber || path != ListPathOf(number, name) {
		return repository.File{}, none
	}
	f, err := s.publisher.Old(ctx, number, name)
	return repository.File{Path: path, ContentType: f.MediaType, Body: f.Body, Immutable: true}, err
}

// Files returns the current snapshot.
func (s *files) Files() *repository.Files {
	a := s.federation.Artifacts()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of != a {
		s.of, s.made = a, repository.NewFiles(published(a, s.made))
	}
	return s.made
}

// Media types, by RFC 2585 and RFC 8551.
const (
	typeCertificate  = "application/pkix-cert"
	typeCRL          = "application/pkix-crl"
	typeCertificates = "application/pkcs7-mime; smime-type=certs-only"
	typePair         = "application/octet-stream" // of a directory attribute; it has none of its own
)

// published is every file of a. Files whose bytes are as they were keep their
// time of modification.
func published(a *federation.Artifacts, old *repository.Files) (out []repository.File) {
	now := time.Now().UTC().Truncate(time.Second)
	add := func(f repository.File) {
		if len(f.Body) == 0 {
			return
		}
		if f.Modified.IsZero() {
			f.Modified = old.ModifiedUnless(f.Path, f.Body, now)
		}
		out = append(out, f)
	}
	bundle := func(path string, certs ...[]*x509.Certificate) {
		var all []*x509.Certificate
		for _, c := range certs {
			all = append(all, c...)
		}
		// An empty bundle is published too: the path stands in certificates.
		der, err := cms.CertsOnly(all)
		if err == nil {
			add(repository.File{Path: path, ContentType: typeCertificates, Body: der})
		}
	}
	if p := a.Publication; p != nil {
		for _, f := range p.Files {
			add(repository.File{Path: "/" + f.Name, ContentType: f.MediaType, Body: f.Body, Modified: p.IssuedAt, Expires: p.NextUpdate})
			add(repository.File{Path: ListPathOf(p.Number, f.Name), ContentType: f.MediaType, Body: f.Body, Modified: p.IssuedAt, Immutable: true})
		}
	}
	add(repository.File{Path: BridgeCAPath, ContentType: typeCertificate, Body: a.BridgeCA.Raw, Modified: a.BridgeCA.NotBefore})
	if r := a.Root; r != nil {
		add(repository.File{Path: crosscert.RootPath, ContentType: typeCertificate, Body: r.Certificate.Raw, Modified: r.Certificate.NotBefore})
		if r.CRL != nil {
			add(repository.File{Path: crosscert.RootCRLPath, ContentType: typeCRL, Body: r.CRL.Raw, Modified: r.CRL.ThisUpdate, Expires: r.CRL.NextUpdate})
		}
	}
	for _, g := range a.Generations {
		if crl := g.CRL; crl != nil {
			add(repository.File{Path: crosscert.CRLPathOf(g.Number), ContentType: typeCRL, Body: crl.Raw, Modified: crl.ThisUpdate, Expires: crl.NextUpdate})
		}
		if g.Number > 1 {
			add(repository.File{Path: BridgeCAPathOf(g.Number), ContentType: typeCertificate, Body: g.Certificate, Modified: g.Parsed.NotBefore})
		}
		bundle(crosscert.IssuedToPathOf(g.Number), a.IssuedTo(g))
	}
	var to [][]*x509.Certificate
	for _, t := range a.Trusted {
		to = append(to, t.CrossTo)
		bundle(crosscert.IssuedByPath(string(t.ID)), t.CrossFrom, t.Intermediates)
		for i, p := range crosscert.Pairs(t.CrossTo, t.CrossFrom) {
			if der, err := p.Encode(); err == nil {
				add(repository.File{Path: crosscert.PairPath(string(t.ID), i+1), ContentType: typePair, Body: der})
			}
		}
	}
	bundle(crosscert.IssuedByBridgePath, append(to, a.Signers, a.Links())...)
	return out
}
