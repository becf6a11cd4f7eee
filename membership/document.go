package membership

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"bridge.example/internal/fault"
)

// DocumentKind is what a document is evidence of.
type DocumentKind string

const (
	PolicyDocument    DocumentKind = "cp"          // certificate policy (RFC 3647)
	PracticeStatement DocumentKind = "cps"         // certification practice statement (RFC 3647)
	Form              DocumentKind = "form"        // the application, signed
	Assessment        DocumentKind = "assessment"  // of policies and practice statement
	Audit             DocumentKind = "audit"       // an auditor's letter
	Agreement         DocumentKind = "agreement"   // the contract
	Declaration       DocumentKind = "declaration" // the member's own
	Minutes           DocumentKind = "minutes"     // of the identity meeting
	Other             DocumentKind = "other"
)

var documentKinds = []DocumentKind{
	PolicyDocument, PracticeStatement, Form, Assessment, Audit, Agreement, Declaration, Minutes, Other,
}

// DocumentKinds are all there are.
func DocumentKinds() []DocumentKind { return slices.Clone(documentKinds) }

// Document is evidence, kept by its hash.
type Document struct {
	Kind DocumentKind `json:"kind"`
	Hash string       `json:"hash"` // hex SHA-256 of the content
	Name string       `json:"name"` // of the file, for people

	Title   string `json:"title,omitempty"`
	Version string `json:"version,omitempty"`
	Date    string `json:"date,omitempty"` // YYYY-MM-DD
	OID     string `json:"oid,omitempty"`  // of a policy
	Link    string `json:"link,omitempty"`
	// Expires is when a contract or an audit ends; zero when it does not.
	Expires time.Time `json:"expires,omitzero"`
}

// MaxDocumentBytes bounds the content of one document.
const MaxDocumentBytes = 8 << 20

// Documents keeps the content of documents by hash, for each member apart: who
// knows the hash of another's document does not have it by that. An
// implementation is durable when Put returns, and safe for concurrent use.
type Documents interface {
	// Put stores content for a member and returns the hex SHA-256 of it; what is
	// there already stays. Content of more than MaxDocumentBytes is Invalid.
	Put(ctx context.Context, of ID, content []byte) (hash string, err error)
	// Get returns content that was put for the member and fits hash, or NotFound.
	Get(ctx context.Context, of ID, hash string) ([]byte, error)
}

// maxDocuments bounds those of one application or decision.
const maxDocuments = 20

func checkDocuments(p *problems, where string, docs []Document) {
	if len(docs) > maxDocuments {
		p.addf("%s: want at most %d, got %d", where, maxDocuments, len(docs))
	}
	for i, d := range docs {
		where := fmt.Sprintf("%s[%d]", where, i)
		p.check(where+".kind", checkOneOf(d.Kind, documentKinds))
		if b, err := hex.DecodeString(d.Hash); err != nil || len(b) != 32 || hex.EncodeToString(b) != d.Hash {
			p.addf("%s.hash: %q is not a SHA-256 in lower-case hex", where, d.Hash)
		}
		checkText(p, where+".name", d.Name, true)
		checkText(p, where+".title", d.Title, false)
		checkText(p, where+".version", d.Version, false)
		checkDate(p, where+".date", d.Date)
		if d.OID != "" {
			p.check(where+".oid", checkPolicy(d.OID))
		}
		if d.Link != "" {
			p.check(where+".link", checkURL(d.Link, "http", "https"))
		}
	}
}

func checkDate(p *problems, where, s string) {
	if s == "" {
		return
	}
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		p.addf("%s: %q is not a date like 2006-01-31", where, s)
	}
}

// missing returns the first kind of want that docs lack.
func missingDocument(docs []Document, want []DocumentKind) error {
	for _, kind := range want {
		found := false
		for _, d := range docs {
			found = found || d.Kind == kind
		}
		if !found {
			return fault.New(fault.Invalid, "a document of kind %q is missing", kind)
		}
	}
	return nil
}

// Evidence are the documents that stand behind m: the newest of each kind, and
// all of kind Other.
func (m Member) Evidence() (out []Document) {
	newest := slices.Clone(m.Documents)
	for _, d := range m.Decisions {
		newest = append(newest, d.Documents...)
	}
	for i, d := range newest {
		later := func(e Document) bool { return e.Kind == d.Kind && d.Kind != Other }
		if !slices.ContainsFunc(newest[i+1:], later) {
			out = append(out, d)
		}
	}
	return out
}

// Names reports whether the record of m refers to a document by its hash.
func (m Member) Names(hash string) bool {
	has := func(docs []Document) bool {
		return slices.ContainsFunc(docs, func(d Document) bool { return d.Hash == hash })
	}
	if has(m.Documents) || has(m.Candidate().Documents) || m.Report != nil && m.Report.Document == hash {
		return true
	}
	return slices.ContainsFunc(m.Decisions, func(d Decision) bool { return d.RecordHash == hash || has(d.Documents) })
}
