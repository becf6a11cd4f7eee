package boltstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"

	bolt "go.etcd.io/bbolt"

	"bridge.example/internal/fault"
	"bridge.example/membership"
)

var _ membership.Documents = (*Documents)(nil)

// Documents implements [membership.Documents].
type Documents struct{ s *Store }

// Put implements [membership.Documents].
func (d *Documents) Put(ctx context.Context, of membership.ID, content []byte) (string, error) {
	if len(content) > membership.MaxDocumentBytes {
		return "", fault.New(fault.Invalid, "a document of %d bytes is larger than the %d allowed", len(content), membership.MaxDocumentBytes)
	}
	h := sha256.Sum256(content)
	err := d.s.update(ctx, func(tx *bolt.Tx) error {
		if err := tx.Bucket(bucketKeepers).Put(keeperKey(of, h[:]), []byte{1}); err != nil {
			return err
		}
		b := tx.Bucket(bucketDocuments)
		if b.Get(h[:]) != nil {
			return nil
		}
		return b.Put(h[:], content)
	})
	return hex.EncodeToString(h[:]), err
}

// Get implements [membership.Documents].
func (d *Documents) Get(ctx context.Context, of membership.ID, hash string) (content []byte, err error) {
	key, err := hex.DecodeString(hash)
	if err != nil || len(key) != sha256.Size {
		return nil, fault.New(fault.Invalid, "%q is not a SHA-256 in hex", hash)
	}
	err = d.s.view(ctx, func(tx *bolt.Tx) error {
		if tx.Bucket(bucketKeepers).Get(keeperKey(of, key)) != nil {
			content = bytes.Clone(tx.Bucket(bucketDocuments).Get(key))
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case content == nil:
		return nil, fault.New(fault.NotFound, "no document %s of %s", hash, of)
	case sha256.Sum256(content) != [32]byte(key):
		return nil, fault.New(fault.Internal, "the document %s is damaged", hash)
	}
	return content, nil
}

func keeperKey(of membership.ID, hash []byte) []byte {
	return append(append([]byte(of), 0), hash...)
}
