package checkup

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"

	"bridge.example/internal/fault"
)

// Bounds on what a directory may send. The client library parses a message
// recursively and allocates at each level, so it is held to them before it sees
// a byte.
const (
	maxMessageBytes    = 4 << 20 // one message; a CRL may lie in it
	maxConnectionBytes = 8 << 20
	maxDepth           = 12
	maxElements        = 20_000
)

var errMessage = fault.New(fault.Invalid, "what the directory sent is too large, too deep, or no LDAP message")

// guardedConn passes whole LDAP messages on, once they are found harmless. It
// is read by one goroutine.
type guardedConn struct {
	net.Conn
	r     *bufio.Reader
	ready []byte
	total int64
}

func newGuardedConn(c net.Conn) *guardedConn { return &guardedConn{Conn: c, r: bufio.NewReader(c)} }

func (g *guardedConn) Read(b []byte) (int, error) {
	if len(g.ready) == 0 {
		if err := g.next(); err != nil {
			return 0, bare(err)
		}
	}
	n := copy(b, g.ready)
	g.ready = g.ready[n:]
	return n, nil
}

func (g *guardedConn) Write(b []byte) (int, error) {
	n, err := g.Conn.Write(b)
	return n, bare(err)
}

// bare is a network error that no longer holds both addresses, as text: the
// client library passes text on.
func bare(err error) error {
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return errors.New(plain(err))
	}
	return err
}

func (g *guardedConn) next() error {
	head, err := g.r.Peek(2)
	if err != nil {
		return err
	}
	size := 2
	if head[1] > 0x80 {
		size += int(head[1] & 0x7f)
	}
	if size > 6 || head[0] != 0x30 {
		return errMessage
	}
	if head, err = g.r.Peek(size); err != nil {
		return err
	}
	content, ok := length(head[1:])
	g.total += int64(size + content)
	if !ok || content > maxMessageBytes || g.total > maxConnectionBytes {
		return errMessage
	}
	// The buffer grows with what arrives, not with what was announced.
	var message bytes.Buffer
	if _, err := io.CopyN(&message, g.r, int64(size+content)); err != nil {
		return errors.Join(io.ErrUnexpectedEOF, err)
	}
	left := maxElements
	if !harmless(message.Bytes(), maxDepth, &left) {
		return errMessage
	}
	g.ready = message.Bytes()
	return nil
}

// length reads a definite BER length of at most four octets.
func length(b []byte) (int, bool) {
	if b[0] < 0x80 {
		return int(b[0]), true
	}
	n := 0
	for _, o := range b[1:] {
		n = n<<8 | int(o)
	}
	return n, b[0] != 0x80 && n >= 0
}

// harmless reports whether b is a sequence of BER elements with short tags and
// definite lengths, no deeper than depth, of which it takes each from left.
func harmless(b []byte, depth int, left *int) bool {
	for len(b) > 0 {
		*left--
		if len(b) < 2 || depth == 0 || *left < 0 || b[0]&0x1f == 0x1f {
			return false
		}
		size := 2
		if b[1] > 0x80 {
			size += int(b[1] & 0x7f)
		}
		if size > 6 || size > len(b) {
			return false
		}
		n, ok := length(b[1:size])
		if !ok || n > len(b)-size {
			return false
		}
		if b[0]&0x20 != 0 && !harmless(b[size:size+n], depth-1, left) {
			return false
		}
		b = b[size+n:]
	}
	return true
}
