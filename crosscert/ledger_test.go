package crosscert_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math/big"
	"slices"
	"sync"
	"testing"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
	"bridge.example/internal/storetest"
)

var errCrash = errors.New("the store is gone")

type storedCRL struct {
	number int64
	der    []byte
}

// memory is a Ledger that can be told to fail at a write.
type memory struct {
	mu      sync.Mutex
	records []crosscert.Record
	number  int64
	crls    map[int][]storedCRL // by generation
	state   crosscert.State

	writes int
	failAt int  // the write that fails, counted from 1; none when 0
	kept   bool // whether that write happens all the same

	walked int // records that sequences yielded

	afterPut func() // called when a record is stored, if set
}

func (m *memory) write(do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	fail := m.writes == m.failAt
	if fail && !m.kept {
		return errCrash
	}
	if err := do(); err != nil {
		return err
	}
	if fail {
		return errCrash
	}
	return nil
}

func (m *memory) find(serial *big.Int) int {
	return slices.IndexFunc(m.records, func(r crosscert.Record) bool { return r.Serial.Cmp(serial) == 0 })
}

func (m *memory) Put(ctx context.Context, r crosscert.Record) (crosscert.Record, error) {
	if err := ctx.Err(); err != nil {
		return crosscert.Record{}, err
	}
	err := m.write(func() error {
		if r.Serial == nil || r.Serial.Sign() <= 0 {
			return fault.New(fault.Invalid, "a serial is positive")
		}
		i := m.find(r.Serial)
		switch {
		case i < 0 && r.Revision == 0:
			r.Revision = 1
			m.records = append(m.records, r)
			return nil
		case i < 0 || m.records[i].Revision != r.Revision:
			return fault.New(fault.Conflict, "serial %x", r.Serial)
		}
		r.Revision++
		m.records[i] = r
		return nil
	})
	if err != nil {
		return crosscert.Record{}, err
	}
	if m.afterPut != nil {
		m.afterPut()
	}
	return r, nil
}

func (m *memory) Get(_ context.Context, serial *big.Int) (crosscert.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(serial)
	if i < 0 {
		return crosscert.Record{}, fault.New(fault.NotFound, "serial %x", serial)
	}
	return m.records[i], nil
}

func (m *memory) Records(context.Context) iter.Seq2[crosscert.Record, error] {
	return m.those(func(crosscert.Record) bool { return true })
}

func (m *memory) RecordsOf(_ context.Context, member string) iter.Seq2[crosscert.Record, error] {
	return m.those(func(r crosscert.Record) bool { return r.Member == member })
}

func (m *memory) RecordsIn(_ context.Context, s crosscert.Stage) iter.Seq2[crosscert.Record, error] {
	return m.those(func(r crosscert.Record) bool { return r.Stage == s })
}

func (m *memory) those(belong func(crosscert.Record) bool) iter.Seq2[crosscert.Record, error] {
	m.mu.Lock()
	all := slices.Clone(m.records)
	m.mu.Unlock()
	return func(yield func(crosscert.Record, error) bool) {
		for _, r := range all {
			if !belong(r) {
				continue
			}
			m.mu.Lock()
			m.walked++
			m.mu.Unlock()
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (m *memory) NextCRLNumber(context.Context) (n int64, err error) {
	err = m.write(func() error { m.number++; n = m.number; return nil })
	return n, err
}

func (m *memory) PutCRL(_ context.Context, generation int, number int64, der []byte) error {
	return m.write(func() error {
		if all := m.crls[generation]; len(all) > 0 && number <= all[len(all)-1].number {
			return fault.New(fault.Conflict, "CRL %d", number)
		}
		if m.crls == nil {
			m.crls = map[int][]storedCRL{}
		}
		m.crls[generation] = append(m.crls[generation], storedCRL{number, bytes.Clone(der)})
		return nil
	})
}

func (m *memory) LatestCRL(_ context.Context, generation int) (int64, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.crls[generation]
	if len(all) == 0 {
		return 0, nil, fault.New(fault.NotFound, "no CRL")
	}
	return all[len(all)-1].number, all[len(all)-1].der, nil
}

func (m *memory) State(context.Context) (crosscert.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	s.Generations = slices.Clone(s.Generations)
	return s, nil
}

func (m *memory) PutState(_ context.Context, s crosscert.State) (crosscert.State, error) {
	err := m.write(func() error {
		if s.Revision != m.state.Revision {
			return fault.New(fault.Conflict, "state")
		}
		s.Revision++
		m.state = s
		m.state.Generations = slices.Clone(s.Generations)
		return nil
	})
	return s, err
}

// TestMemory holds the stand-in to the contract of every store.
func TestMemory(t *testing.T) {
	storetest.Ledger(t, func(*testing.T) crosscert.Ledger { return &memory{} })
}
