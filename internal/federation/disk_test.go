package federation_test

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"bridge.example/crosscert"
	"bridge.example/internal/engine/auditlog"
	"bridge.example/internal/people"
	"bridge.example/membership"
	"bridge.example/signedlist"
)

// disk stands between a bridge and its store: every write passes it.
type disk interface {
	around(write func() error) error
}

// sound is a disk that does what it is told.
type sound struct{}

func (sound) around(write func() error) error { return write() }

type membersOn struct {
	membership.Store
	d disk
}

func (m membersOn) Save(ctx context.Context, r membership.Member) (out membership.Member, err error) {
	err = m.d.around(func() error { out, err = m.Store.Save(ctx, r); return err })
	return out, err
}

type documentsOn struct {
	membership.Documents
	d disk
}

func (o documentsOn) Put(ctx context.Context, of membership.ID, content []byte) (hash string, err error) {
	err = o.d.around(func() error { hash, err = o.Documents.Put(ctx, of, content); return err })
	return hash, err
}

type personsOn struct {
	people.Store
	d disk
}

func (p personsOn) Save(ctx context.Context, r people.Person) (out people.Person, err error) {
	err = p.d.around(func() error { out, err = p.Store.Save(ctx, r); return err })
	return out, err
}

type auditOn struct {
	auditlog.Store
	d disk
}

func (a auditOn) Append(ctx context.Context, n uint64, event []byte, first int64, hashes []tlog.Hash, checkpoint []byte) error {
	return a.d.around(func() error { return a.Store.Append(ctx, n, event, first, hashes, checkpoint) })
}

type ledgerOn struct {
	crosscert.Ledger
	d disk
}

func (l ledgerOn) Put(ctx context.Context, r crosscert.Record) (out crosscert.Record, err error) {
	err = l.d.around(func() error { out, err = l.Ledger.Put(ctx, r); return err })
	return out, err
}

func (l ledgerOn) NextCRLNumber(ctx context.Context) (n int64, err error) {
	err = l.d.around(func() error { n, err = l.Ledger.NextCRLNumber(ctx); return err })
	return n, err
}

func (l ledgerOn) PutCRL(ctx context.Context, generation int, n int64, der []byte) error {
	return l.d.around(func() error { return l.Ledger.PutCRL(ctx, generation, n, der) })
}

func (l ledgerOn) PutState(ctx context.Context, s crosscert.State) (out crosscert.State, err error) {
	err = l.d.around(func() error { out, err = l.Ledger.PutState(ctx, s); return err })
	return out, err
}

type listsOn struct {
	signedlist.Archive
	d disk
}

func (l listsOn) Append(ctx context.Context, n int64, der []byte, forms map[string][]byte) error {
	return l.d.around(func() error { return l.Archive.Append(ctx, n, der, forms) })
}
