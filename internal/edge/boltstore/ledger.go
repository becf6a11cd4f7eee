package boltstore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/big"
	"time"

	bolt "go.etcd.io/bbolt"

	"bridge.example/crosscert"
	"bridge.example/internal/fault"
)

var _ crosscert.Ledger = (*Ledger)(nil)

// Ledger implements [crosscert.Ledger].
type Ledger struct{ s *Store }

// ledgerRecord is a crosscert.Record as it is stored; the serial is the key.
type ledgerRecord struct {
	Revision    uint64           `json:"revision"`
	Generation  int              `json:"generation,omitempty"`
	Order       uint64           `json:"order"` // the revision of its creation
	Member      string           `json:"member,omitempty"`
	Stage       crosscert.Stage  `json:"stage"`
	At          time.Time        `json:"at"`
	ToBeSigned  []byte           `json:"to_be_signed"`
	Certificate []byte           `json:"certificate,omitempty"`
	RevokedAt   time.Time        `json:"revoked_at,omitzero"`
	Reason      crosscert.Reason `json:"reason,omitempty"`
}

// ledgerKey orders the records of one member, or in one stage.
func ledgerKey(group string, created uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(group), 0), created)
}

func readLedger(serial, v []byte) (r ledgerRecord, err error) {
	if err := json.Unmarshal(v, &r); err != nil {
		return r, fault.New(fault.Internal, "reading ledger record %x: %w", serial, err)
	}
	return r, nil
}

func decodeLedger(serial, v []byte) (crosscert.Record, error) {
	r, err := readLedger(serial, v)
	if err != nil {
		return crosscert.Record{}, err
	}
	return crosscert.Record{
		Serial: new(big.Int).SetBytes(serial), Generation: r.Generation, Member: r.Member, Stage: r.Stage, At: r.At, ToBeSigned: r.ToBeSigned,
		Certificate: r.Certificate, RevokedAt: r.RevokedAt, Reason: r.Reason, Revision: r.Revision,
	}, nil
}

// Put implements [crosscert.Ledger].
func (l *Ledger) Put(ctx context.Context, r crosscert.Record) (crosscert.Record, error) {
	if r.Serial == nil || r.Serial.Sign() <= 0 {
		return crosscert.Record{}, fault.New(fault.Invalid, "a ledger record needs a positive serial")
	}
	key := r.Serial.Bytes()
	err := l.s.update(ctx, func(tx *bolt.Tx) error {
		ledger, order := tx.Bucket(bucketLedger), tx.Bucket(bucketOrder)
		var old ledgerRecord
		if v := ledger.Get(key); v != nil {
			var err error
			if old, err = readLedger(key, v); err != nil {
				return err
			}
		}
		stored := old.Revision
		switch {
		case stored != r.Revision && r.Revision == 0:
			return fault.New(fault.Conflict, "serial %x was used before", r.Serial)
		case stored != r.Revision:
			return fault.New(fault.Conflict, "the record of serial %x was changed meanwhile", r.Serial)
		}
		next, err := ledger.NextSequence()
		if err != nil {
			return err
		}
		created := old.Order
		if stored == 0 {
			created = next
			if err := order.Put(number(next), key); err != nil {
				return err
			}
		} else if err := errors.Join(
			tx.Bucket(bucketOwners).Delete(ledgerKey(old.Member, created)),
			tx.Bucket(bucketStages).Delete(ledgerKey(string(old.Stage), created)),
		); err != nil {
			return err
		}
		if err := errors.Join(
			tx.Bucket(bucketOwners).Put(ledgerKey(r.Member, created), key),
			tx.Bucket(bucketStages).Put(ledgerKey(string(r.Stage), created), key),
		); err != nil {
			return err
		}
		r.Revision = next
		v, err := json.Marshal(ledgerRecord{
			Revision: r.Revision, Order: created, Generation: r.Generation, Member: r.Member, Stage: r.Stage, At: r.At, ToBeSigned: r.ToBeSigned,
			Certificate: r.Certificate, RevokedAt: r.RevokedAt, Reason: r.Reason,
		})
		if err != nil {
			return err
		}
		return ledger.Put(key, v)
	})
	if err != nil {
		return crosscert.Record{}, err
	}
	return r, nil
}

// Get implements [crosscert.Ledger].
func (l *Ledger) Get(ctx context.Context, serial *big.Int) (out crosscert.Record, err error) {
	key := serial.Bytes()
	err = l.s.view(ctx, func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketLedger).Get(key)
		if v == nil || serial.Sign() <= 0 {
			return fault.New(fault.NotFound, "no certificate with serial %x", serial)
		}
		out, err = decodeLedger(key, v)
		return err
	})
	return out, err
}

// Records implements [crosscert.Ledger].
func (l *Ledger) Records(ctx context.Context) iter.Seq2[crosscert.Record, error] {
	return scan(ctx, l.s, bucketOrder, []byte{}, func(tx *bolt.Tx, _, serial []byte) (crosscert.Record, error) {
		return decodeLedger(serial, tx.Bucket(bucketLedger).Get(serial))
	})
}

// RecordsOf implements [crosscert.Ledger].
func (l *Ledger) RecordsOf(ctx context.Context, member string) iter.Seq2[crosscert.Record, error] {
	return l.group(ctx, bucketOwners, member)
}

// RecordsIn implements [crosscert.Ledger].
func (l *Ledger) RecordsIn(ctx context.Context, s crosscert.Stage) iter.Seq2[crosscert.Record, error] {
	return l.group(ctx, bucketStages, string(s))
}

func (l *Ledger) group(ctx context.Context, bucket []byte, name string) iter.Seq2[crosscert.Record, error] {
	return scanPrefix(ctx, l.s, bucket, append([]byte(name), 0), func(tx *bolt.Tx, _, serial []byte) (crosscert.Record, error) {
		return decodeLedger(serial, tx.Bucket(bucketLedger).Get(serial))
	})
}

// NextCRLNumber implements [crosscert.Ledger].
func (l *Ledger) NextCRLNumber(ctx context.Context) (n int64, err error) {
	err = l.s.update(ctx, func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		var last uint64
		if v := meta.Get(keyCRLNumber); v != nil {
			last = binary.BigEndian.Uint64(v)
		}
		n = int64(last + 1)
		return meta.Put(keyCRLNumber, number(last+1))
	})
	return n, err
}

// crls names the bucket with the CRLs of a generation.
func crls(generation int) []byte {
	if generation <= 1 {
		return bucketCRLs
	}
	return fmt.Appendf(nil, "%s_%d", bucketCRLs, generation)
}

// PutCRL implements [crosscert.Ledger].
func (l *Ledger) PutCRL(ctx context.Context, generation int, n int64, der []byte) error {
	return l.s.update(ctx, func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(crls(generation))
		if err != nil {
			return err
		}
		if last, _ := latest(b); n <= last {
			return fault.New(fault.Conflict, "storing CRL %d: %d is stored already", n, last)
		}
		return b.Put(number(uint64(n)), der)
	})
}

// LatestCRL implements [crosscert.Ledger].
func (l *Ledger) LatestCRL(ctx context.Context, generation int) (n int64, der []byte, err error) {
	err = l.s.view(ctx, func(tx *bolt.Tx) error {
		if b := tx.Bucket(crls(generation)); b != nil {
			n, der = latest(b)
		}
		if n == 0 {
			return fault.New(fault.NotFound, "no CRL yet")
		}
		return nil
	})
	return n, der, err
}

// State implements [crosscert.Ledger].
func (l *Ledger) State(ctx context.Context) (s crosscert.State, err error) {
	err = l.s.view(ctx, func(tx *bolt.Tx) error { return readState(tx, &s) })
	return s, err
}

// PutState implements [crosscert.Ledger].
func (l *Ledger) PutState(ctx context.Context, s crosscert.State) (crosscert.State, error) {
	err := l.s.update(ctx, func(tx *bolt.Tx) error {
		var stored crosscert.State
		if err := readState(tx, &stored); err != nil {
			return err
		}
		if stored.Revision != s.Revision {
			return fault.New(fault.Conflict, "the state of the bridge CA was changed meanwhile")
		}
		s.Revision++
		v, err := json.Marshal(s)
		if err != nil {
			return err
		}
		return errors.Join(tx.Bucket(bucketMeta).Put(keyState, v), tx.Bucket(bucketMeta).Put(keyFormat, number(formatRolled)))
	})
	if err != nil {
		return crosscert.State{}, err
	}
	return s, nil
}

func readState(tx *bolt.Tx, s *crosscert.State) error {
	v := tx.Bucket(bucketMeta).Get(keyState)
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(v, s); err != nil {
		return fault.New(fault.Internal, "reading the state of the bridge CA: %w", err)
	}
	return nil
}

// latest returns a copy of the value under the highest number, or 0 and nil.
func latest(b *bolt.Bucket) (int64, []byte) {
	k, v := b.Cursor().Last()
	if k == nil {
		return 0, nil
	}
	return int64(binary.BigEndian.Uint64(k)), append([]byte(nil), v...)
}
