package federation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

// Examination is what examining a member found.
type Examination struct {
	Report []byte   // JSON, kept as evidence
	Passed bool     // every check that must hold, holds
	Failed []string // ids of those that do not
}

// Apply opens a record with a draft, after checking what needs knowledge of the
// bridge: see fits. Errors are those of [membership.Register.Apply], and Invalid
// with every finding.
func (f *Federation) Apply(ctx context.Context, by membership.Actor, a membership.Application) (Case, error) {
	if err := f.alive(ctx); err != nil {
		return Case{}, err
	}
	if err := f.fits(&a); err != nil {
		return Case{}, err
	}
	if err := f.hasDocuments(ctx, a.ID, a.Documents); err != nil {
		return Case{}, err
	}
	m, err := f.Register.Apply(ctx, by, a)
	if err != nil {
		return Case{}, err
	}
	return f.caseOf(ctx, m)
}

// Edit replaces the candidate of a record; hash is that of the record which the
// editor looked at. Errors are those of [membership.Register.Edit], and Invalid
// with every finding.
func (f *Federation) Edit(ctx context.Context, id membership.ID, by membership.Actor, hash string, a membership.Application) (Case, error) {
	if err := f.alive(ctx); err != nil {
		return Case{}, err
	}
	if err := f.fits(&a); err != nil {
		return Case{}, err
	}
	if err := f.hasDocuments(ctx, a.ID, a.Documents); err != nil {
		return Case{}, err
	}
	m, err := f.Register.Edit(ctx, id, by, hash, a)
	if err != nil {
		return Case{}, err
	}
	return f.caseOf(ctx, m)
}

// Decide records a decision and, when the world is to see it, makes the
// projections follow before it returns. The decision stands even where a
// projection could not follow; Case.Pending says so, and Run tries again.
// Activating examines the member first. Errors are those of
// [membership.Register.Decide]; Conflict when the preview that was seen is no
// longer what would happen.
func (f *Federation) Decide(ctx context.Context, id membership.ID, d membership.Decision) (Case, error) {
	if err := f.alive(ctx); err != nil {
		return Case{}, err
	}
	if err := f.hasDocuments(ctx, id, d.Documents); err != nil {
		return Case{}, err
	}
	switch d.Verb {
	case membership.Approve:
		if err := f.sawPreview(ctx, id, d.Preview); err != nil {
			return Case{}, err
		}
	case membership.Activate:
		if _, err := f.Check(ctx, id, d.By); err != nil {
			return Case{}, err
		}
	}
	m, err := f.Register.Decide(ctx, id, d)
	if err != nil {
		return Case{}, err
	}
	f.follow(ctx, m)
	return f.caseOf(ctx, m)
}

// follow makes the projections follow the newest decision about m, unless that
// changed nothing the world sees.
func (f *Federation) follow(ctx context.Context, m membership.Member) {
	if d := m.Decisions[len(m.Decisions)-1]; d.To == "" {
		return
	}
	// Whoever decided may hang up; what follows from the decision must not
	// stop halfway because of that.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := f.Reconcile(ctx); err != nil {
		f.Log.Error("projections do not follow a decision", "member", m.ID, "err", err)
	}
}

// Check has a member examined and records what was found. A check that fails is
// no error: the record says so. Errors: NotFound; Conflict when the record
// changed meanwhile; Denied; Unavailable when the examination broke off.
func (f *Federation) Check(ctx context.Context, id membership.ID, by membership.Actor) (Case, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return Case{}, err
	}
	e, err := f.Examine(ctx, m)
	if err != nil {
		return Case{}, fmt.Errorf("examining %s: %w", id, err)
	}
	hash, err := f.Documents.Put(ctx, id, e.Report)
	if err != nil {
		return Case{}, err
	}
	if m, err = f.Register.Examined(ctx, id, by, membership.Report{
		Document: hash, RecordHash: m.RecordHash(), Passed: e.Passed, Failed: e.Failed,
	}); err != nil {
		return Case{}, err
	}
	return f.caseOf(ctx, m)
}

// Digest names a preview: whoever approves says by it what was seen. It is the
// hex SHA-256 of what the preview shows.
func (p Preview) Digest() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // plain data; cannot fail
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func (f *Federation) sawPreview(ctx context.Context, id membership.ID, seen string) error {
	p, err := f.Preview(ctx, id)
	if err != nil {
		return err
	}
	if now := p.Digest(); seen != now {
		return fault.New(fault.Conflict, "approve %s: the preview seen is %q, and what would happen now is %s; look at it again", id, seen, now)
	}
	return nil
}

// hasDocuments wants the content of every document to be there: evidence that
// nobody can read is none.
func (f *Federation) hasDocuments(ctx context.Context, id membership.ID, docs []membership.Document) error {
	for _, d := range docs {
		if _, err := f.Documents.Get(ctx, id, d.Hash); err != nil {
			return fault.New(fault.KindOf(err), "document %q: %w", d.Name, err)
		}
	}
	return nil
}

// PutDocument stores the content of a document about a member, who need not
// have applied yet. Errors: Invalid when it is too
// large.
func (f *Federation) PutDocument(ctx context.Context, id membership.ID, content []byte) (string, error) {
	return f.Documents.Put(ctx, id, content)
}

// Document returns a document that the record of id names: evidence, a report,
// or a record as it was decided upon. Errors: NotFound.
func (f *Federation) Document(ctx context.Context, id membership.ID, hash string) ([]byte, error) {
	m, err := f.Register.Member(ctx, id)
	if err != nil {
		return nil, err
	}
	if !m.Names(hash) {
		return nil, fault.New(fault.NotFound, "the record of %s names no document %q", id, hash)
	}
	return f.Documents.Get(ctx, id, hash)
}
