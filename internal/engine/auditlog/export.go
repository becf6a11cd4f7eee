package auditlog

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"bridge.example/internal/fault"
)

// exportTitle is the first line of an export; the number is that of its format.
const exportTitle = "bridge audit log 1"

// exportPage is how many events are read and written at once.
const exportPage = 256

// Export writes the log as it stands, as one file that [VerifyExport] checks
// with nothing but the key: title, key, checkpoint, and the tree in pre-order,
// each inner node as the hashes of its two children, each leaf as its event.
// Every line can be checked against those before it as it comes, so the first
// that was changed is known.
func (l *Log) Export(ctx context.Context, w io.Writer) error {
	header, size := l.ExportHeader()
	if _, err := w.Write(header); err != nil {
		return err
	}
	for from := NextPart(0); from <= size; from = NextPart(from) {
		part, err := l.ExportEvents(ctx, size, from)
		if err != nil {
			return err
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// ExportHeader returns the beginning of an export, and the size of the log that
// it is for.
func (l *Log) ExportHeader() (header []byte, size uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	header = fmt.Appendf(nil, "%s\n%s\n%s", exportTitle, base64.StdEncoding.EncodeToString(l.signer.spki), l.checkpoint)
	return header, l.size
}

// ExportEvents returns the part of an export of the first size events that
// begins at event from: at most 256 of them, each after the hashes that belong
// before it. [NextPart] says where the parts begin. Invalid when there are no such
// events.
func (l *Log) ExportEvents(ctx context.Context, size, from uint64) ([]byte, error) {
	if from < 1 || from > size || size > l.Size() {
		return nil, fault.New(fault.Invalid, "audit log: no event %d among the first %d of %d", from, size, l.Size())
	}
	to := min(size, from+exportPage-1)
	var nodes [][]node // before each event
	var indexes []int64
	for number := from; number <= to; number++ {
		opened := opening(size, number-1)
		nodes = append(nodes, opened)
		for _, n := range opened {
			left, right := n.children()
			indexes = right.stored(left.stored(indexes))
		}
	}
	hashes, err := l.store.Hashes(ctx, indexes)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	number := from
	for text, err := range l.store.Events(ctx, from) {
		if err != nil {
			return nil, err
		}
		for _, n := range nodes[number-from] {
			var l, r tlog.Hash
			left, right := n.children()
			l, hashes = left.hash(hashes)
			r, hashes = right.hash(hashes)
			fmt.Fprintf(&out, "%x %x\n", l[:], r[:])
		}
		out.Write(text)
		out.WriteByte('\n')
		if number++; number > to {
			return out.Bytes(), nil
		}
	}
	return nil, fault.New(fault.Internal, "audit log: event %d is gone", number)
}

// NextPart returns the event with which the part of an export begins that
// follows the one from event from; the header is the one from 0.
func NextPart(from uint64) uint64 {
	if from == 0 {
		return 1
	}
	return from + exportPage
}

// node is a subtree of a tree (RFC 6962 §2.1): the leaves from the first on,
// which counts from 0.
type node struct{ first, leaves uint64 }

// children returns the two halves of a node with more than one leaf; the left
// one has the largest power of two of them that leaves any to the right.
func (n node) children() (left, right node) {
	k := uint64(1) << (bits.Len64(n.leaves-1) - 1)
	return node{n.first, k}, node{n.first + k, n.leaves - k}
}

// stored appends the indexes of the stored hashes of which that of n is made:
// its own when it is complete.
func (n node) stored(indexes []int64) []int64 {
	if bits.OnesCount64(n.leaves) == 1 {
		level := bits.Len64(n.leaves) - 1
		return append(indexes, tlog.StoredHashIndex(level, int64(n.first>>level)))
	}
	left, right := n.children()
	return right.stored(left.stored(indexes))
}

// hash takes what stored asked for from the front of hashes, and returns the
// hash of n and the rest.
func (n node) hash(hashes []tlog.Hash) (tlog.Hash, []tlog.Hash) {
	if bits.OnesCount64(n.leaves) == 1 {
		return hashes[0], hashes[1:]
	}
	left, right := n.children()
	l, hashes := left.hash(hashes)
	r, hashes := right.hash(hashes)
	return tlog.NodeHash(l, r), hashes
}

// opening returns the inner nodes of a tree of size leaves that begin at leaf,
// the outermost first: those that come right before it in pre-order.
func opening(size, leaf uint64) (out []node) {
	n := node{0, size}
	for n.leaves > 1 {
		if n.first == leaf {
			out = append(out, n)
		}
		left, right := n.children()
		if n = left; leaf >= right.first {
			n = right
		}
	}
	return out
}
