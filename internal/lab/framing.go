package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lor00x/goldap/message"

	"bridge.example/internal/fault"
)

// The library under the simulated directories reads a message with one Read,
// wants DER, dies of a wrong first byte and runs any number of requests at once.
// ldapListener stands between it and the network and hands it nothing of the
// kind.

const (
	maxMessageBytes = 64 << 10
	maxDepth        = 32
	maxOpen         = 32 // requests of one connection under way
	idleTime        = 10 * time.Minute
	messageTime     = 10 * time.Second // to send or take one message
)

type ldapListener struct {
	net.Listener
	mu    sync.Mutex
	conns map[*ldapConn]bool // nil once shut
	open  sync.WaitGroup     // one for each connection
}

func newLDAPListener(ln net.Listener) *ldapListener {
	return &ldapListener{Listener: ln, conns: map[*ldapConn]bool{}}
}

// Accept never returns an error: the library would try again at once, for ever.
// Shut, it ends the goroutine it is called from, which is the library's loop.
// (Its own way to stop races with connections that end meanwhile.)
func (l *ldapListener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			runtime.Goexit()
		}
		if err != nil { // out of descriptors, or the client left early
			time.Sleep(10 * time.Millisecond)
			continue
		}
		c := &ldapConn{Conn: raw, br: bufio.NewReader(raw), slots: make(chan struct{}, maxOpen), gone: make(chan struct{})}
		l.mu.Lock()
		shut := l.conns == nil
		if !shut {
			l.conns[c] = true
			l.open.Add(1)
		}
		l.mu.Unlock()
		if shut {
			_ = raw.Close()
			continue
		}
		c.closed = sync.OnceFunc(func() {
			l.mu.Lock()
			delete(l.conns, c)
			l.mu.Unlock()
			l.open.Done()
		})
		return c, nil
	}
}

// shut closes the listener and every connection and waits for their ends.
func (l *ldapListener) shut() {
	_ = l.Listener.Close()
	l.mu.Lock()
	conns := l.conns
	l.conns = nil
	for c := range conns {
		c.abort()
	}
	l.mu.Unlock()
	l.open.Wait()
}

// ldapConn gives the library each message as two reads, header and body.
type ldapConn struct {
	net.Conn
	br      *bufio.Reader
	pending [][]byte
	slots   chan struct{} // holds one for each request under way; a bind takes all
	gone    chan struct{}
	once    sync.Once
	closed  func()
	bound   atomic.Bool // by the account that may search
}

// abort ends the connection; the library then notices and calls Close.
func (c *ldapConn) abort() {
	c.once.Do(func() {
		close(c.gone)
		_ = c.Conn.Close()
	})
}

// Close is called by the library, last of all.
func (c *ldapConn) Close() error {
	c.abort()
	c.closed()
	return nil
}

// Deadlines are this type's own business.

func (c *ldapConn) SetDeadline(time.Time) error      { return nil }
func (c *ldapConn) SetReadDeadline(time.Time) error  { return nil }
func (c *ldapConn) SetWriteDeadline(time.Time) error { return nil }

// Write gets one whole message, for the library flushes after each.
func (c *ldapConn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(messageTime)); err != nil {
		return 0, err
	}
	if _, err := c.Conn.Write(positiveID(p)); err != nil {
		c.abort() // the library would go on
		return 0, err
	}
	return len(p), nil
}

// positiveID gives back the leading zero octet that goldap leaves out of message
// IDs such as 128, which would read as negative without it.
func positiveID(message []byte) []byte {
	length, rest, err := berLength(message[min(1, len(message)):])
	if err != nil || length != len(rest) || len(rest) < 3 || rest[0] != 0x02 || rest[2]&0x80 == 0 {
		return message
	}
	out := appendHeader(make([]byte, 0, len(message)+3), message[0], length+1)
	out = append(out, 0x02, rest[1]+1, 0)
	return append(out, rest[2:]...)
}

func (c *ldapConn) Read(p []byte) (int, error) {
	for len(c.pending) == 0 {
		header, body, err := c.next()
		if err != nil {
			c.abort()
			return 0, err
		}
		c.pending = [][]byte{header, body}
	}
	n := copy(p, c.pending[0])
	if c.pending[0] = c.pending[0][n:]; len(c.pending[0]) == 0 {
		c.pending = c.pending[1:]
	}
	return n, nil
}

// next reads one message and waits until it may run.
func (c *ldapConn) next() (header, body []byte, err error) {
	if err := c.Conn.SetReadDeadline(time.Now().Add(idleTime)); err != nil {
		return nil, nil, err
	}
	if _, err := c.br.Peek(1); err != nil {
		return nil, nil, err
	}
	if err := c.Conn.SetReadDeadline(time.Now().Add(messageTime)); err != nil {
		return nil, nil, err
	}
	header, body, err = readMessage(c.br)
	if err != nil {
		return nil, nil, err
	}
	op, err := operation(append(header[:len(header):len(header)], body...))
	if err != nil {
		return nil, nil, err
	}
	for range weight(op) {
		select {
		case c.slots <- struct{}{}:
		case <-c.gone:
			return nil, nil, net.ErrClosed
		}
	}
	return header, body, nil
}

// weight is how many slots an operation takes: nothing runs beside a bind
// (RFC 4511 §4.2.1).
func weight(op message.ProtocolOp) int {
	if _, ok := op.(message.BindRequest); ok {
		return maxOpen
	}
	return 1
}

// release gives back what next took for op.
func (c *ldapConn) release(op message.ProtocolOp) {
	for range weight(op) {
		<-c.slots
	}
}

// operation decodes a message as the library will, so that what it cannot
// decode never reaches it.
func operation(der []byte) (op message.ProtocolOp, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Invalid, "decoding a message: %v", r)
		}
	}()
	m, err := message.ReadLDAPMessage(message.NewBytes(0, der))
	return m.ProtocolOp(), err
}

// readMessage reads one BER value of at most maxMessageBytes and returns it as
// canonical makes it, cut between header and content.
func readMessage(br *bufio.Reader) (header, body []byte, err error) {
	head, err := br.Peek(2)
	if err != nil {
		return nil, nil, err
	}
	size := 2
	if head[1] >= 0x80 {
		size += int(head[1] & 0x7f)
	}
	if head[0] != 0x30 || size > 6 {
		return nil, nil, fault.New(fault.Invalid, "%x does not begin an LDAP message", head)
	}
	if head, err = br.Peek(size); err != nil {
		return nil, nil, err
	}
	length, _, err := berLength(head[1:])
	if err != nil {
		return nil, nil, err
	}
	raw := make([]byte, size+length)
	if _, err := io.ReadFull(br, raw); err != nil {
		return nil, nil, err
	}
	body, err = canonical(raw[size:], maxDepth)
	return appendHeader(nil, 0x30, len(body)), body, err
}

// canonical rewrites a series of BER values with every length in its shortest
// form and TRUE as 0xff. High tag numbers and indefinite lengths are errors:
// LDAP has neither (RFC 4511 §5.1).
func canonical(src []byte, depth int) (dst []byte, err error) {
	for len(src) > 0 {
		tag := src[0]
		length, rest, err := berLength(src[1:])
		if err != nil || tag&0x1f == 0x1f || length > len(rest) || depth == 0 {
			return nil, fault.New(fault.Invalid, "malformed BER: %w", errors.Join(err, fmt.Errorf("tag %#x, depth %d", tag, depth)))
		}
		content := rest[:length]
		src = rest[length:]
		switch {
		case tag&0x20 != 0:
			if content, err = canonical(content, depth-1); err != nil {
				return nil, err
			}
		case tag == 1 && length == 1 && content[0] != 0: // BOOLEAN
			content = []byte{0xff}
		}
		dst = append(appendHeader(dst, tag, len(content)), content...)
	}
	return dst, nil
}

// berLength reads the length at the beginning of b, of up to four octets and
// maxMessageBytes.
func berLength(b []byte) (length int, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, fault.New(fault.Invalid, "no length")
	}
	n := int(b[0])
	if b = b[1:]; n < 0x80 {
		return n, b, nil
	}
	if n &= 0x7f; n == 0 || n > 4 || n > len(b) {
		return 0, nil, fault.New(fault.Invalid, "a length of %d octets", n)
	}
	var v uint32
	for _, x := range b[:n] {
		v = v<<8 | uint32(x)
	}
	if v > maxMessageBytes {
		return 0, nil, fault.New(fault.Invalid, "a length of %d bytes", v)
	}
	return int(v), b[n:], nil
}

// appendHeader appends a tag and a length of at most maxMessageBytes.
func appendHeader(dst []byte, tag byte, length int) []byte {
	switch {
	case length < 0x80:
		return append(dst, tag, byte(length))
	case length < 0x100:
		return append(dst, tag, 0x81, byte(length))
	case length < 0x10000:
		return append(dst, tag, 0x82, byte(length>>8), byte(length))
	}
	return append(dst, tag, 0x83, byte(length>>16), byte(length>>8), byte(length))
}
