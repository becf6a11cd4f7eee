package auditlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"bridge.example/internal/fault"
)

// emptyRoot is the root of a tree without leaves (RFC 6962 §2.1).
var emptyRoot = tlog.Hash(sha256.Sum256(nil))

// Checkpoint is what a signed note says about a log.
type Checkpoint struct {
	Size uint64
	Root tlog.Hash
}

// maxCheckpointBytes is far above any with one signature.
const maxCheckpointBytes = 2 << 10

func (s *signer) sign(size uint64, root tlog.Hash) ([]byte, error) {
	text := s.Name() + "\n" + strconv.FormatUint(size, 10) + "\n" + root.String() + "\n"
	return note.Sign(&note.Note{Text: text}, s)
}

// openCheckpoint verifies a checkpoint and reads it. Only the one form is read
// that sign writes: a note may be signed by others too, but then a byte of it
// could change unseen. Errors are Invalid.
func openCheckpoint(b []byte, v note.Verifier) (Checkpoint, error) {
	if len(b) > maxCheckpointBytes {
		return Checkpoint{}, fault.New(fault.Invalid, "longer than %d bytes", maxCheckpointBytes)
	}
	n, err := note.Open(b, note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fault.New(fault.Invalid, "not signed by the key of this log: %w", err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(n.Sigs) != 1 || len(lines) != 4 || lines[0] != v.Name() {
		return Checkpoint{}, fault.New(fault.Invalid, "not the checkpoint of this log")
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil {
		return Checkpoint{}, fault.New(fault.Invalid, "its size is no number")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fault.New(fault.Invalid, "its root is no hash")
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64)
	if err != nil {
		return Checkpoint{}, fault.New(fault.Invalid, "its signature: %w", err)
	}
	again := n.Text + "\n— " + v.Name() + " " + base64.StdEncoding.EncodeToString(sig) + "\n"
	if !bytes.Equal(b, []byte(again)) {
		return Checkpoint{}, fault.New(fault.Invalid, "not in the one form of a checkpoint")
	}
	return Checkpoint{Size: size, Root: root}, nil
}
