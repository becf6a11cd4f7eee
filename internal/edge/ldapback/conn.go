package ldapback

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
)

const (
	messageTimeout = 5 * time.Second // from a message's first byte to its last
	writeTimeout   = 5 * time.Second
	unbindTimeout  = 100 * time.Millisecond
	maxElements    = 16 << 10 // of one message
)

// errLost says that the connection ended, through nobody's known fault.
var errLost = fault.New(fault.Unavailable, "directory connection lost")

// conn is one connection carrying many searches. One goroutine reads and hands
// each message to its search, one writes; searches run in their callers'.
type conn struct {
	nc       net.Conn
	o        Options
	limits   ldap.Limits
	r        *bufio.Reader
	received int // bytes, by the reading goroutine
	out      chan []byte
	dead     chan struct{} // closed by fail

	mu       sync.Mutex
	searches map[int32]*inflight
	lastID   int32
	messages int   // received
	stray    int   // bytes for searches given up, since one ended as it should
	err      error // why dead

	proven atomic.Bool // a search on it came to its end

	// Guarded by the pool's mutex.
	pending   int
	credited  bool // being proven has ended the pool's back-off
	idleSince time.Time
}

// inflight is one search on the wire. Its queue is bounded by what one search
// may receive, so that a slow caller holds up no other search.
type inflight struct {
	queue      []ldap.Op     // guarded by conn.mu
	wake       chan struct{} // holds one token when the queue has grown
	bytes      int           // received, earlier rounds of the same search included
	entries    int
	maxEntries int
	heard      int // conn.messages when the search began
}

// fail ends the connection; the first reason counts.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.dead)
	if errors.Is(err, errClosed) {
		// Ours to end: the writer still says goodbye.
		c.nc.SetReadDeadline(time.Now())
		c.nc.SetWriteDeadline(time.Now().Add(unbindTimeout))
		return
	}
	c.nc.Close()
}

func (c *conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// read hands out messages until the connection or the member's manners end.
func (c *conn) read() error {
	for {
		if _, err := c.r.Peek(1); err != nil { // may wait for ever
			return fmt.Errorf("%w: %w", errLost, err)
		}
		c.nc.SetReadDeadline(time.Now().Add(messageTimeout))
		before := c.received - c.r.Buffered()
		m, err := ldap.ReadMessage(c.r, c.limits)
		if err != nil && fault.KindOf(err) == fault.Invalid {
			return fault.New(fault.Unavailable, "directory breaks the protocol: %w", err)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errLost, err)
		}
		c.nc.SetReadDeadline(time.Time{})
		if err := c.dispatch(m, c.received-c.r.Buffered()-before); err != nil {
			return err
		}
	}
}

// dispatch hands a message of size bytes to its search.
func (c *conn) dispatch(m ldap.Message, size int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages++
	if _, ok := m.Op.(ldap.ExtendedResponse); ok && m.ID == 0 {
		return fmt.Errorf("%w: disconnected by the server", errLost) // RFC 4511 §4.4.1
	}
	if m.ID <= 0 || m.ID > c.lastID {
		return fault.New(fault.Unavailable, "directory answers what was not asked")
	}
	s := c.searches[m.ID]
	if s == nil {
		// Answers cross with Abandon on the way, but not for ever.
		if c.stray += size; c.stray > c.o.MaxSearchBytes {
			return fault.New(fault.Unavailable, "directory goes on answering what was abandoned")
		}
		return nil
	}
	if s.bytes += size; s.bytes > c.o.MaxSearchBytes {
		return fault.New(fault.Unavailable, "directory answers one search with more than %d bytes", c.o.MaxSearchBytes)
	}
	switch op := m.Op.(type) {
	case ldap.SearchResultEntry:
		if s.entries++; s.entries > s.maxEntries {
			// Beyond the limit that the server was told.
			s.queue = append(s.queue, ldap.SearchResultDone{Result: ldap.Result{Code: ldap.SizeLimitExceeded}})
			c.giveUp(m.ID)
			break
		}
		s.queue = append(s.queue, op)
	case ldap.SearchResultDone:
		s.queue = append(s.queue, op)
		delete(c.searches, m.ID)
		c.stray = 0
		c.proven.Store(true)
	case ldap.SearchResultReference, ldap.IntermediateResponse:
		return nil
	default:
		return fault.New(fault.Unavailable, "directory answers a search with something else")
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// write sends what the searches queue, in as few writes as they allow.
func (c *conn) write() {
	defer c.nc.Close()
	var buf []byte
	for {
		select {
		case b := <-c.out:
			buf = append(buf[:0], b...)
			for range len(c.out) {
				buf = append(buf, <-c.out...)
			}
			c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := c.nc.Write(buf); err != nil {
				c.fail(fmt.Errorf("%w: %w", errLost, err))
			}
		case <-c.dead:
			if errors.Is(c.reason(), errClosed) {
				if b, err := (ldap.Message{ID: math.MaxInt32, Op: ldap.UnbindRequest{}}).AppendTo(nil); err == nil {
					c.nc.SetWriteDeadline(time.Now().Add(unbindTimeout))
					c.nc.Write(b) // a courtesy
				}
			}
			return
		}
	}
}

// run sends one search and calls each for its entries. spent is how many bytes
// its answers have taken so far.
func (c *conn) run(ctx context.Context, req ldap.SearchRequest, spent *int, each func(ldap.SearchResultEntry) error) (ldap.ResultCode, error) {
	id, s, err := c.start(ctx, req, *spent)
	if err != nil {
		return 0, err
	}
	for {
		op, err := c.next(ctx, s)
		if err == nil {
			switch m := op.(type) {
			case ldap.SearchResultEntry:
				err = each(m)
			case ldap.SearchResultDone:
				*spent = s.bytes
				return m.Code, nil
			}
		}
		if err != nil {
			c.mu.Lock()
			c.giveUp(id)
			c.mu.Unlock()
			return 0, err
		}
	}
}

func (c *conn) start(ctx context.Context, req ldap.SearchRequest, spent int) (int32, *inflight, error) {
	c.mu.Lock()
	if c.err != nil || c.lastID >= math.MaxInt32/2 {
		defer c.mu.Unlock()
		return 0, nil, errLost
	}
	c.lastID++
	id := c.lastID
	b, err := ldap.Message{ID: id, Op: req}.AppendTo(nil)
	if err != nil {
		c.mu.Unlock()
		return 0, nil, err
	}
	s := &inflight{wake: make(chan struct{}, 1), bytes: spent, maxEntries: int(req.SizeLimit), heard: c.messages}
	c.searches[id] = s
	c.mu.Unlock()
	select {
	case c.out <- b:
		return id, s, nil
	case <-c.dead:
		err = c.reason()
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.mu.Lock()
	delete(c.searches, id)
	c.mu.Unlock()
	return 0, nil, err
}

// next returns the next message for s. When the time is up and nothing at all
// has arrived since s began, the connection is taken for dead.
func (c *conn) next(ctx context.Context, s *inflight) (ldap.Op, error) {
	for {
		c.mu.Lock()
		if len(s.queue) > 0 {
			op := s.queue[0]
			s.queue = s.queue[1:]
			c.mu.Unlock()
			return op, nil
		}
		err := c.err
		c.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-s.wake:
		case <-c.dead: // what arrived before is handed out first
		case <-ctx.Done():
			c.mu.Lock()
			silent := c.messages == s.heard
			c.mu.Unlock()
			if silent && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				c.fail(fmt.Errorf("%w: no answer in time", errLost))
			}
			return nil, ctx.Err()
		}
	}
}

// giveUp forgets a search and tells the server. c.mu is held.
func (c *conn) giveUp(id int32) {
	if c.searches[id] == nil {
		return
	}
	delete(c.searches, id)
	c.lastID++
	b, err := ldap.Message{ID: c.lastID, Op: ldap.AbandonRequest{ID: id}}.AppendTo(nil)
	if err != nil {
		return
	}
	select {
	case c.out <- b:
	default: // so far behind that it can do without
	}
}
